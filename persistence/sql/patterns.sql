-- name: lock_patterns
-- Until the transaction ends: versions are numbered one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('nyx.patterns:' || $1, 0));

-- name: newest_patterns
SELECT version, seq, found_at, window_s, executions, parameters::text, metadata::text
FROM nyx.pattern_snapshot WHERE bandit = $1 ORDER BY version DESC LIMIT 1;

-- name: patterns_of_version
SELECT version, seq, found_at, window_s, executions, parameters::text, metadata::text
FROM nyx.pattern_snapshot WHERE bandit = $1 AND version = $2;

-- name: newest_pattern_version
SELECT version FROM nyx.pattern_snapshot WHERE bandit = $1 ORDER BY version DESC LIMIT 1;

-- name: stored_patterns
-- The newest $2 versions, in their order.
SELECT version, seq, found_at, window_s, executions, parameters::text, metadata::text
FROM (SELECT * FROM nyx.pattern_snapshot WHERE bandit = $1 ORDER BY version DESC LIMIT $2) AS s
ORDER BY version;

-- name: append_patterns
INSERT INTO nyx.pattern_snapshot (bandit, version, seq, found_at, window_s, executions, parameters, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb);

-- name: drop_patterns
DELETE FROM nyx.pattern_snapshot WHERE bandit = $1 AND version <= $2;
