-- Rows as they are stored, for a copy of a whole bandit. row_to_json leaves JSON columns as they are spelled, and
-- json_populate_recordset takes them over so: hashes hold.

-- name: exact_numbers
SELECT set_config('extra_float_digits', '1', true);

-- name: archived_bandit
SELECT row_to_json(b)::text FROM nyx.bandit b WHERE bandit = $1;

-- name: is_untouched
-- True for a bandit that has nothing but its name and specs; NULL for none.
SELECT b.last_seq = 0 AND b.base_seq = 0 AND NOT EXISTS (SELECT FROM nyx.decision_key k WHERE k.bandit = b.bandit)
FROM nyx.bandit b WHERE b.bandit = $1 FOR NO KEY UPDATE;

-- name: clear_checkpoints
WITH cleared AS (DELETE FROM nyx.sums WHERE bandit = $1)
DELETE FROM nyx.checkpoint WHERE bandit = $1;

-- name: restore_bandit
UPDATE nyx.bandit b SET last_seq = r.last_seq, adopted_seq = r.adopted_seq, base_seq = r.base_seq
FROM json_populate_record(NULL::nyx.bandit, $2::json) AS r WHERE b.bandit = $1 AND r.bandit = $1;

-- name: archived_spec
SELECT row_to_json(t)::text AS row FROM nyx.spec t WHERE bandit = $1 ORDER BY created_at, spec_hash;

-- name: archived_decision_key
SELECT row_to_json(t)::text AS row FROM nyx.decision_key t WHERE bandit = $1 ORDER BY decision_id;

-- name: archived_decision
SELECT row_to_json(t)::text AS row FROM nyx.decision t WHERE bandit = $1 ORDER BY state_seq, decision_id;

-- name: archived_log
SELECT row_to_json(t)::text AS row FROM nyx.log t WHERE bandit = $1 ORDER BY seq;

-- name: archived_abandoned
SELECT row_to_json(t)::text AS row FROM nyx.abandoned t WHERE bandit = $1 ORDER BY decision_id;

-- name: archived_counted
SELECT row_to_json(t)::text AS row FROM nyx.counted t WHERE bandit = $1 ORDER BY stripe;

-- name: archived_checkpoint
SELECT row_to_json(t)::text AS row FROM nyx.checkpoint t WHERE bandit = $1 ORDER BY encoding, bucket_rows;

-- name: archived_sums
SELECT row_to_json(t)::text AS row FROM nyx.sums t WHERE bandit = $1 ORDER BY encoding, bucket_rows, arm_id, epoch, bucket;

-- name: archived_base
SELECT row_to_json(t)::text AS row FROM nyx.base t WHERE bandit = $1 ORDER BY encoding, bucket_rows;

-- name: archived_base_sums
SELECT row_to_json(t)::text AS row FROM nyx.base_sums t WHERE bandit = $1 ORDER BY encoding, bucket_rows, arm_id, epoch, bucket;

-- name: restore_spec
INSERT INTO nyx.spec SELECT * FROM json_populate_recordset(NULL::nyx.spec, $1::json) ON CONFLICT DO NOTHING;

-- name: restore_decision_key
INSERT INTO nyx.decision_key SELECT * FROM json_populate_recordset(NULL::nyx.decision_key, $1::json);

-- name: restore_decision
INSERT INTO nyx.decision SELECT * FROM json_populate_recordset(NULL::nyx.decision, $1::json);

-- name: restore_log
INSERT INTO nyx.log SELECT * FROM json_populate_recordset(NULL::nyx.log, $1::json);

-- name: restore_abandoned
INSERT INTO nyx.abandoned SELECT * FROM json_populate_recordset(NULL::nyx.abandoned, $1::json);

-- name: restore_counted
INSERT INTO nyx.counted SELECT * FROM json_populate_recordset(NULL::nyx.counted, $1::json);

-- name: restore_checkpoint
INSERT INTO nyx.checkpoint SELECT * FROM json_populate_recordset(NULL::nyx.checkpoint, $1::json);

-- name: restore_sums
INSERT INTO nyx.sums SELECT * FROM json_populate_recordset(NULL::nyx.sums, $1::json);

-- name: restore_base
INSERT INTO nyx.base SELECT * FROM json_populate_recordset(NULL::nyx.base, $1::json);

-- name: restore_base_sums
INSERT INTO nyx.base_sums SELECT * FROM json_populate_recordset(NULL::nyx.base_sums, $1::json);
