-- name: no_limits
-- For this transaction: the limits of the session are meant for small statements.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true);

-- name: partitions_ready
SELECT bool_and(to_regclass('nyx.' || parent || to_char((now() AT TIME ZONE 'UTC') + make_interval(months => step), '_YYYY_MM')) IS NOT NULL)
FROM generate_series(0, $1::integer - 1) AS step, (VALUES ('decision'), ('log')) AS parents (parent);

-- name: add_partitions
SELECT nyx.add_partitions((now() AT TIME ZONE 'UTC')::date, $1::integer);

-- name: key_digest
SELECT digest FROM nyx.decision_key WHERE bandit = $1 AND decision_id = $2;

-- name: key_divergence
-- The first decision whose key does not say what it says, and the first key whose decision is missing though it is
-- not from before the base.
SELECT coalesce(d.decision_id, k.decision_id) AS decision_id, d.decision_id IS NULL AS missing
FROM (SELECT * FROM nyx.decision_key WHERE bandit = $1) k
FULL JOIN (SELECT decision_id, decided_on, state_seq, digest FROM nyx.decision WHERE bandit = $1) d
     ON d.decision_id = k.decision_id
WHERE CASE WHEN d.decision_id IS NULL
           THEN k.state_seq >= (SELECT base_seq FROM nyx.bandit WHERE bandit = $1)
           ELSE k.decision_id IS NULL
                OR (k.decided_on, k.state_seq, k.digest) <> (d.decided_on, d.state_seq, d.digest) END
ORDER BY 1 LIMIT 1;

-- name: base_seq
SELECT base_seq FROM nyx.bandit WHERE bandit = $1;

-- name: rows_below_base
-- Those that are still stored: adoptions, and the rows about decisions that are.
SELECT * FROM nyx.log WHERE bandit = $1 AND seq <= $2 ORDER BY seq;

-- name: base
SELECT b.base_seq, s.seq
FROM nyx.bandit b
LEFT JOIN nyx.base s ON s.bandit = b.bandit AND s.encoding = $2 AND s.bucket_rows = $3
WHERE b.bandit = $1;

-- name: base_sums
SELECT arm_id, epoch, bucket, statistics FROM nyx.base_sums
WHERE bandit = $1 AND encoding = $2 AND bucket_rows = $3 ORDER BY arm_id, epoch, bucket;

-- name: bases
SELECT encoding, bucket_rows, seq, digest FROM nyx.base WHERE bandit = $1 ORDER BY 1, 2;

-- name: all_base_sums
SELECT encoding, bucket_rows, arm_id, epoch, bucket, statistics FROM nyx.base_sums WHERE bandit = $1
ORDER BY encoding, bucket_rows, arm_id, epoch, bucket;
