-- name: newest_anomalies
-- Below the event $2, the newest first; of arm $3 where one is given.
SELECT seq, pricing, reported_at FROM nyx.log
WHERE bandit = $1 AND kind = 'alarm' AND decided_on = date '1970-01-01'
  AND pricing ->> 'monitor' = 'anomaly' AND ($2::bigint IS NULL OR seq < $2)
  AND ($3::text IS NULL OR pricing ->> 'subject' = $3)
ORDER BY seq DESC
LIMIT $4;

-- name: newest_outcomes
-- What was reported first on a decision; of arm $2 where one is given.
SELECT outcome FROM nyx.log
WHERE bandit = $1 AND kind = 'reward' AND outcome IS NOT NULL AND taken IS NULL
  AND ($2::text IS NULL OR arm_id = $2)
ORDER BY seq DESC
LIMIT $3;
