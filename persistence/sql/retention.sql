-- name: retention_bounds
-- $2: older is dropped; $3: its day; $4: now; $5: the window of the bandit, NULL for none. young, waiting: the lowest
-- number that a decision knew which is not older, or still waits for its outcome.
SELECT b.base_seq, b.last_seq,
       (SELECT min(d.state_seq) FROM nyx.decision d
        WHERE d.bandit = $1 AND d.decided_on >= $3::date AND d.decided_at >= $2::float8
          AND d.state_seq >= b.base_seq) AS young,
       (SELECT min(d.state_seq) FROM nyx.decision d
        WHERE $5::float8 IS NOT NULL AND d.bandit = $1 AND d.state_seq >= b.base_seq
          AND d.mode <> 'imported' -- nobody waits for the outcomes of a history
          AND (d.decided_at > $4::float8 - $5::float8
               OR (NOT EXISTS (SELECT FROM nyx.log l
                               WHERE l.bandit = d.bandit AND l.decision_id = d.decision_id
                                 AND l.decided_on = d.decided_on AND l.state <> 'pending')
                   AND NOT EXISTS (SELECT FROM nyx.abandoned a
                                   WHERE a.bandit = d.bandit AND a.decision_id = d.decision_id)))) AS waiting
FROM nyx.bandit b
WHERE b.bandit = $1;

-- name: rows_held
-- The row behind which others still read; $2: who does not. It is the base for a day behind the first use of the spec
-- $3, as long as one of its watchers ($4: their keys) has not stored how far it is; who never comes holds up nothing.
SELECT LEAST((SELECT min(h.seq) FROM nyx.hold h WHERE h.bandit = $1 AND h.holder <> ALL ($2::text[])),
             (SELECT b.base_seq
              FROM nyx.bandit b JOIN nyx.spec s ON s.bandit = b.bandit
              WHERE b.bandit = $1 AND s.spec_hash = $3 AND s.created_at > now() - interval '1 day'
                AND EXISTS (SELECT FROM unnest($4::text[]) AS w (key)
                            WHERE NOT EXISTS (SELECT FROM nyx.monitoring m
                                              WHERE m.bandit = $1 AND m.spec_hash = w.key)))) AS held;

-- name: count_droppable
SELECT (SELECT count(*) FROM nyx.decision WHERE bandit = $1 AND state_seq < $2) AS decisions,
       (SELECT count(*) FROM nyx.log WHERE bandit = $1 AND seq <= $2 AND decision_id IS NOT NULL) AS rows;

-- name: write_base
INSERT INTO nyx.base (bandit, encoding, bucket_rows, seq, digest) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (bandit, encoding, bucket_rows) DO UPDATE SET seq = EXCLUDED.seq, digest = EXCLUDED.digest;

-- name: write_base_sums
INSERT INTO nyx.base_sums (bandit, encoding, bucket_rows, arm_id, epoch, bucket, statistics)
SELECT $1, $2, $3, s.arm_id, s.epoch, s.bucket, s.statistics::bigint[]
FROM unnest($4::text[], $5::integer[], $6::bigint[], $7::text[]) AS s (arm_id, epoch, bucket, statistics)
ON CONFLICT (bandit, encoding, bucket_rows, arm_id, epoch, bucket) DO UPDATE SET statistics = EXCLUDED.statistics;

-- name: nobody_leads
-- Until the end of the transaction nobody begins to, either.
SELECT pg_try_advisory_xact_lock(hashtextextended('nyx.' || $2 || ':' || $1, 0));

-- name: release_holds
-- Of those who read nothing any more ($3), where they would keep the base below.
DELETE FROM nyx.hold WHERE bandit = $1 AND seq < $2 AND holder = ANY ($3::text[]);

-- name: advance_base
UPDATE nyx.bandit SET base_seq = $2 WHERE bandit = $1;

-- name: drop_decisions
-- A page of what stands below the base, and needs no keeping: older than $2, not waiting within the window $3, and
-- without a row behind the base, which is folded with its decision's context. Its rows go with it.
WITH chosen AS (
    SELECT d.decision_id, d.decided_on
    FROM nyx.decision d JOIN nyx.bandit b ON b.bandit = d.bandit
    WHERE d.bandit = $1 AND d.state_seq < b.base_seq
      AND (d.decided_at IS NULL OR d.decided_at < $2::float8)
      AND ($3::float8 IS NULL OR d.mode = 'imported'
           OR EXISTS (SELECT FROM nyx.log l WHERE l.bandit = d.bandit AND l.decision_id = d.decision_id
                                              AND l.decided_on = d.decided_on AND l.state <> 'pending')
           OR EXISTS (SELECT FROM nyx.abandoned a WHERE a.bandit = d.bandit AND a.decision_id = d.decision_id))
      AND NOT EXISTS (SELECT FROM nyx.log l WHERE l.bandit = d.bandit AND l.decision_id = d.decision_id
                                              AND l.decided_on = d.decided_on AND l.seq > b.base_seq)
    ORDER BY d.state_seq, d.decision_id
    LIMIT $4
), rows AS (
    DELETE FROM nyx.log l USING chosen c
    WHERE l.bandit = $1 AND l.decision_id = c.decision_id AND l.decided_on = c.decided_on
    RETURNING 1
), decisions AS (
    DELETE FROM nyx.decision d USING chosen c
    WHERE d.bandit = $1 AND d.decision_id = c.decision_id AND d.decided_on = c.decided_on
    RETURNING 1
)
SELECT (SELECT count(*) FROM decisions) AS decisions, (SELECT count(*) FROM rows) AS rows;

-- name: count_dropped
INSERT INTO nyx.counted AS c (bandit, stripe, decisions) VALUES ($1, -1, -$2::bigint)
ON CONFLICT (bandit, stripe) DO UPDATE SET decisions = c.decisions + EXCLUDED.decisions;

-- name: whole_months
-- Partitions of months that ended by a day, the oldest first.
SELECT to_date(substring(c.relname FROM '[0-9]{4}_[0-9]{2}$'), 'YYYY_MM') AS month
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'nyx.decision'::regclass AND c.relname ~ '^decision_[0-9]{4}_[0-9]{2}$'
  AND to_date(substring(c.relname FROM '[0-9]{4}_[0-9]{2}$'), 'YYYY_MM') + interval '1 month' <= $1::date
ORDER BY month;

-- name: drop_month
SELECT of_bandit, decisions FROM nyx.drop_month($1, $2, $3);
