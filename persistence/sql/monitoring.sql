-- name: try_lead
-- Held by the session: lost with its connection.
SELECT pg_try_advisory_lock(hashtextextended('nyx.monitors:' || $1, 0));

-- name: append_event
INSERT INTO nyx.log (bandit, seq, decided_on, kind, pricing, reported_at, digest)
VALUES ($1, $2, date '1970-01-01', $3, $4, $5, $6);

-- name: events_between
-- Above $2, up to $3.
SELECT * FROM nyx.log
WHERE bandit = $1 AND kind IN ('epoch', 'alarm', 'guardrail') AND decided_on = date '1970-01-01'
  AND seq > $2 AND ($3::bigint IS NULL OR seq <= $3)
ORDER BY seq;

-- name: monitoring
SELECT seq, progress FROM nyx.monitoring WHERE bandit = $1 AND spec_hash = $2;

-- name: monitored_seq
SELECT max(seq) FROM nyx.monitoring WHERE bandit = $1 AND spec_hash NOT LIKE 'guardrails %';

-- name: save_monitoring
INSERT INTO nyx.monitoring AS m (bandit, spec_hash, seq, progress) VALUES ($1, $2, $3, $4)
ON CONFLICT (bandit, spec_hash) DO UPDATE SET seq = EXCLUDED.seq, progress = EXCLUDED.progress;

-- name: hold_rows
INSERT INTO nyx.hold AS h (bandit, holder, seq) VALUES ($1, $2, $3)
ON CONFLICT (bandit, holder) DO UPDATE SET seq = EXCLUDED.seq;
