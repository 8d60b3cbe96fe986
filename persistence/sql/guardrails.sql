-- name: guardrail_events
-- Up to $2, if it is given.
SELECT * FROM nyx.log
WHERE bandit = $1 AND kind = 'guardrail' AND decided_on = date '1970-01-01'
  AND ($2::bigint IS NULL OR seq <= $2)
ORDER BY seq;

-- name: try_guard
-- Held by the session: lost with its connection.
SELECT pg_try_advisory_lock(hashtextextended('nyx.guardrails:' || $1, 0));
