-- name: has_migrations
SELECT to_regclass('nyx.migration') IS NOT NULL;

-- name: lock_migrations
SELECT pg_advisory_xact_lock($1);

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS nyx;

-- name: create_migrations
CREATE TABLE IF NOT EXISTS nyx.migration (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);

-- name: migrations
SELECT number, name, checksum FROM nyx.migration ORDER BY number;

-- name: note_migration
INSERT INTO nyx.migration (number, name, checksum) VALUES ($1, $2, $3);

-- name: register_bandit
INSERT INTO nyx.bandit (bandit) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: register_spec
INSERT INTO nyx.spec (bandit, spec_hash, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: spec
SELECT document FROM nyx.spec WHERE bandit = $1 AND spec_hash = $2;

-- name: specs
SELECT spec_hash, document FROM nyx.spec WHERE bandit = $1 ORDER BY created_at, spec_hash;

-- name: last_seq
SELECT last_seq FROM nyx.bandit WHERE bandit = $1;

-- name: lock_bandit
-- Not FOR UPDATE: that one waits for every transaction that has inserted a row which refers to the bandit, and two
-- such transactions that both want it wait for each other.
SELECT last_seq, adopted_seq, base_seq FROM nyx.bandit WHERE bandit = $1 FOR NO KEY UPDATE;

-- name: advance_bandit
UPDATE nyx.bandit SET last_seq = $2 WHERE bandit = $1;

-- name: note_adoption
UPDATE nyx.bandit SET last_seq = $2, adopted_seq = $2 WHERE bandit = $1;

-- name: adoptions
SELECT * FROM nyx.log WHERE bandit = $1 AND kind = 'adoption' AND decided_on = date '1970-01-01' ORDER BY seq;

-- name: append_adoption
INSERT INTO nyx.log (bandit, seq, decided_on, kind, pricing, reported_at, digest)
VALUES ($1, $2, date '1970-01-01', 'adoption', $3, $4, $5);

-- name: rewarded_decisions
-- All rows about a decision whose last one counts an outcome, decision by decision.
SELECT l.*
FROM (SELECT DISTINCT ON (decision_id) decision_id, decided_on, state FROM nyx.log
      WHERE bandit = $1 AND kind <> 'adoption' ORDER BY decision_id, seq DESC) AS last
JOIN nyx.log l ON l.bandit = $1 AND l.decision_id = last.decision_id AND l.decided_on = last.decided_on
WHERE last.state IN ('final', 'late', 'corrected')
ORDER BY l.decision_id, l.seq;

-- name: log_with_contexts
SELECT l.*, d.context AS decision_context
FROM nyx.log l
JOIN nyx.decision d ON d.bandit = l.bandit AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on
WHERE l.bandit = $1 AND l.kind <> 'adoption' AND ($2::bigint IS NULL OR l.seq <= $2)
ORDER BY l.seq;

-- name: due_decisions
-- Pending, and silent since the window's length; the ids behind $4, a page of them.
SELECT d.decision_id FROM nyx.decision d
WHERE d.bandit = $1 AND $2::float8 - d.decided_at >= $3::float8 AND d.decision_id > $4
  AND d.mode <> 'imported' -- nobody waits for the outcomes of a history
  AND NOT EXISTS (SELECT FROM nyx.log l
                  WHERE l.bandit = d.bandit AND l.decision_id = d.decision_id AND l.decided_on = d.decided_on
                    AND l.state <> 'pending')
  AND NOT EXISTS (SELECT FROM nyx.abandoned a WHERE a.bandit = d.bandit AND a.decision_id = d.decision_id)
ORDER BY d.decision_id
LIMIT $5;

-- name: insert_decisions
-- Whose key was free is written; the key is what makes an id unique.
WITH given AS MATERIALIZED (
    SELECT *
    FROM unnest(string_to_array($3, E'\x1f'), string_to_array($4, E'\x1f'), string_to_array($5, E'\x1f'),
                $6::text::bigint[], $7::text::float8[], string_to_array($8, E'\x1f'), string_to_array($9, E'\x1f'),
                string_to_array($10, E'\x1f', E'\x1e'), string_to_array($11, E'\x1f'),
                string_to_array($12, E'\x1f'), string_to_array($13, E'\x1f'), $14::text::float8[],
                $15::text::integer[], string_to_array($16, E'\x1f'), string_to_array($17, E'\x1f'),
                string_to_array($18, E'\x1f'), $19::text::date[])
         AS d (decision_id, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages, pmf, arm_id,
               propensity, epoch, reason, mode, digest, decided_on)
), inserted AS (
    INSERT INTO nyx.decision_key (bandit, decision_id, decided_on, state_seq, digest)
    SELECT $1, decision_id, decided_on, state_seq, digest FROM given
    ON CONFLICT (bandit, decision_id) DO NOTHING
    RETURNING decision_id
), writing AS (
    INSERT INTO nyx.decision
        (bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages,
         pmf, arm_id, propensity, epoch, reason, mode, digest)
    SELECT $1, d.decision_id, d.decided_on, d.spec_hash, d.encoding, d.state_seq, d.decided_at, d.context::json,
           d.phi::integer[], d.eligible::integer[], d.stages::json, d.pmf::bigint[], d.arm_id, d.propensity, d.epoch,
           d.reason, d.mode, d.digest
    FROM given d JOIN inserted USING (decision_id)
), counting AS (
    INSERT INTO nyx.counted AS c (bandit, stripe, decisions)
    SELECT $1, $2, count(*) FROM inserted HAVING count(*) > 0
    ON CONFLICT (bandit, stripe) DO UPDATE SET decisions = c.decisions + EXCLUDED.decisions
)
SELECT decision_id FROM inserted;

-- name: decisions_by_id
-- LATERAL: one by one, each in the partition that its key names, whatever the planner thinks of the tables' sizes.
SELECT d.*
FROM nyx.decision_key k
CROSS JOIN LATERAL (
    SELECT * FROM nyx.decision
    WHERE bandit = k.bandit AND decision_id = k.decision_id AND decided_on = k.decided_on LIMIT 1) AS d
WHERE k.bandit = $1 AND k.decision_id = ANY ($2::text[]);

-- name: rewards_by_decision
-- $3 and $4: the first and the last day on which these were decided.
-- LATERAL: by the index for each, also where the plan was made while the table was small.
SELECT l.*
FROM unnest($2::text[]) AS k (decision_id)
CROSS JOIN LATERAL (
    SELECT * FROM nyx.log
    WHERE bandit = $1 AND decision_id = k.decision_id AND decided_on BETWEEN $3::date AND $4::date OFFSET 0) AS l
ORDER BY l.decision_id, l.seq;

-- name: decided_between
SELECT min(decided_on), max(decided_on) FROM nyx.decision_key WHERE bandit = $1 AND decision_id = ANY ($2::text[]);

-- name: append_rewards
-- Under the lock of lock_bandit. Columns are texts: numbers as arrays are written, words with E'\x1f' between them.
WITH advanced AS (
    UPDATE nyx.bandit SET last_seq = $24 WHERE bandit = $1
)
INSERT INTO nyx.log
    (bandit, seq, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward, outcome, pricing,
     reported_at, digest, kind, source, identifier, revision, state, taken, place, priced_by, decided_on)
SELECT $1, r.seq, r.decision_id, r.arm_id, r.epoch, r.encoding, r.phi::integer[], r.propensity, r.units,
       r.reward, r.outcome::json, r.pricing::json, r.reported_at, r.digest, r.kind, coalesce(r.source, ''),
       coalesce(r.identifier, ''), r.revision, r.state, r.taken, r.place, r.priced_by, r.decided_on
FROM unnest($2::text::bigint[], string_to_array($3, E'\x1f'), string_to_array($4, E'\x1f'), $5::text::integer[],
            string_to_array($6, E'\x1f'), string_to_array($7, E'\x1f'), $8::text::float8[], $9::text::integer[],
            $10::text::float8[], string_to_array($11, E'\x1f', E'\x1e'), string_to_array($12, E'\x1f'),
            $13::text::float8[], string_to_array($14, E'\x1f'), string_to_array($15, E'\x1f'),
            string_to_array($16, E'\x1f', E'\x1e'), string_to_array($17, E'\x1f', E'\x1e'), $18::text::integer[],
            string_to_array($19, E'\x1f'), $20::text::integer[], $21::text::bigint[],
            string_to_array($22, E'\x1f', E'\x1e'), $23::text::date[])
     AS r (seq, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward, outcome, pricing, reported_at,
           digest, kind, source, identifier, revision, state, taken, place, priced_by, decided_on);

-- name: append_next
-- All or nothing: only where the log ends at row $24, and has none about these decisions, made between $28 and $29.
WITH advanced AS (
    UPDATE nyx.bandit AS b SET last_seq = $25
    WHERE b.bandit = $1 AND b.last_seq = $24 AND b.adopted_seq = $26 AND b.base_seq = $27
      AND NOT EXISTS (SELECT FROM unnest(string_to_array($3, E'\x1f')) AS k (decision_id)
                      CROSS JOIN LATERAL (SELECT FROM nyx.log
                                          WHERE bandit = $1 AND decision_id = k.decision_id
                                            AND decided_on BETWEEN $28::date AND $29::date OFFSET 0) AS l)
    RETURNING b.bandit
)
INSERT INTO nyx.log
    (bandit, seq, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward, outcome, pricing,
     reported_at, digest, kind, source, identifier, revision, state, taken, place, priced_by, decided_on)
SELECT a.bandit, r.seq, r.decision_id, r.arm_id, r.epoch, r.encoding, r.phi::integer[], r.propensity, r.units,
       r.reward, r.outcome::json, r.pricing::json, r.reported_at, r.digest, r.kind, coalesce(r.source, ''),
       coalesce(r.identifier, ''), r.revision, r.state, r.taken, r.place, r.priced_by, r.decided_on
FROM advanced a,
     unnest($2::text::bigint[], string_to_array($3, E'\x1f'), string_to_array($4, E'\x1f'), $5::text::integer[],
            string_to_array($6, E'\x1f'), string_to_array($7, E'\x1f'), $8::text::float8[], $9::text::integer[],
            $10::text::float8[], string_to_array($11, E'\x1f', E'\x1e'), string_to_array($12, E'\x1f'),
            $13::text::float8[], string_to_array($14, E'\x1f'), string_to_array($15, E'\x1f'),
            string_to_array($16, E'\x1f', E'\x1e'), string_to_array($17, E'\x1f', E'\x1e'), $18::text::integer[],
            string_to_array($19, E'\x1f'), $20::text::integer[], $21::text::bigint[],
            string_to_array($22, E'\x1f', E'\x1e'), $23::text::date[])
     AS r (seq, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward, outcome, pricing, reported_at,
           digest, kind, source, identifier, revision, state, taken, place, priced_by, decided_on);

-- name: log_after
SELECT l.*,
       CASE WHEN l.encoding <> $4
            THEN (SELECT d.context FROM nyx.decision d
                  WHERE d.bandit = l.bandit AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on)
       END AS context
FROM nyx.log l
WHERE l.bandit = $1 AND l.seq > $2
ORDER BY l.seq
LIMIT $3;

-- name: rewards_in_force
-- Where a decision has several rows, the last one says what it contributes.
SELECT l.decision_id, l.arm_id, l.reward, d.context, l.state, p.pricing
FROM (SELECT DISTINCT ON (decision_id) * FROM nyx.log
      WHERE bandit = $1 AND kind <> 'adoption' ORDER BY decision_id, seq DESC) AS l
JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on
-- The row that gave the contribution: a late outcome that is only logged has a price that does not count.
CROSS JOIN LATERAL (
    SELECT q.pricing FROM nyx.log q
    WHERE q.bandit = $1 AND q.decision_id = l.decision_id AND q.decided_on = l.decided_on AND q.state = l.state
      AND (l.state <> 'defaulted' OR q.kind = 'expiry')
    ORDER BY q.seq DESC LIMIT 1) AS p
WHERE l.reward IS NOT NULL
ORDER BY l.decision_id;

-- name: newest_spec
SELECT document FROM nyx.spec WHERE bandit = $1 ORDER BY created_at DESC, spec_hash LIMIT 1;

-- name: bandits
SELECT bandit FROM nyx.bandit ORDER BY bandit;

-- name: counts
SELECT (SELECT count(*) FROM nyx.decision WHERE bandit = $1) AS decisions,
       (SELECT count(*) FROM nyx.log WHERE bandit = $1 AND kind = 'reward') AS rewards,
       (SELECT count(*) FROM nyx.abandoned WHERE bandit = $1)
       + (SELECT count(*) FROM nyx.log WHERE bandit = $1 AND kind = 'abandonment') AS abandoned;

-- name: start_checkpoint
INSERT INTO nyx.checkpoint (bandit, encoding, bucket_rows, seq) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING;

-- name: lock_checkpoint
SELECT seq FROM nyx.checkpoint WHERE bandit = $1 AND encoding = $2 AND bucket_rows = $3 FOR UPDATE;

-- name: checkpoint_seq
SELECT seq FROM nyx.checkpoint WHERE bandit = $1 AND encoding = $2 AND bucket_rows = $3;

-- name: advance_checkpoint
UPDATE nyx.checkpoint SET seq = $4 WHERE bandit = $1 AND encoding = $2 AND bucket_rows = $3;

-- name: write_sums
INSERT INTO nyx.sums (bandit, encoding, bucket_rows, arm_id, epoch, bucket, statistics)
SELECT $1, $2, $3, s.arm_id, s.epoch, s.bucket, s.statistics::bigint[]
FROM unnest($4::text[], $5::integer[], $6::bigint[], $7::text[]) AS s (arm_id, epoch, bucket, statistics)
ON CONFLICT (bandit, encoding, bucket_rows, arm_id, epoch, bucket) DO UPDATE SET statistics = EXCLUDED.statistics;

-- name: read_sums
SELECT arm_id, epoch, bucket, statistics FROM nyx.sums
WHERE bandit = $1 AND encoding = $2 AND bucket_rows = $3
ORDER BY arm_id, epoch, bucket;

-- name: thought_trees_statement
-- The name comes from outside. What is put into the statement is what the catalogue has, quoted by Postgres.
SELECT format(
           'UPDATE %1$I.%2$I AS t SET success_score = s.success, quality_score = s.quality, speed_score = s.speed,'
           ' usefulness_score = s.usefulness, overall_weight = s.weight'
           ' FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[])'
           ' AS s (id, success, quality, speed, usefulness, weight)'
           ' WHERE t.%3$I = s.id::%4$s RETURNING s.id AS id',
           n.nspname, c.relname, coalesce(k.attname, $3), coalesce(format_type(k.atttypid, NULL), 'text')) AS statement,
       coalesce(format_type(k.atttypid, NULL), 'text') AS kind,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = ANY ($4::text[] || $3::text)
               AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute k ON k.attrelid = c.oid AND k.attname = $3 AND k.attnum > 0 AND NOT k.attisdropped
WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'v')
  AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END;
