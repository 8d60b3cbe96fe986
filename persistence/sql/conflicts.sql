-- name: note_conflict
INSERT INTO nyx.conflict (bandit, decision_id, digest, decision) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: is_conflict
SELECT EXISTS (SELECT FROM nyx.conflict WHERE bandit = $1 AND decision_id = $2 AND digest = $3);

-- name: note_unlearned
INSERT INTO nyx.unlearned (bandit, decision_id, digest, code, message, report, reported_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING;

-- name: unlearned
SELECT * FROM nyx.unlearned WHERE bandit = $1 ORDER BY noted_at DESC, decision_id, digest LIMIT $2;

-- name: unlearned_counts
SELECT (SELECT count(*) FROM nyx.conflict WHERE bandit = $1) AS conflicts,
       (SELECT count(*) FROM nyx.unlearned WHERE bandit = $1) AS unlearned;

-- name: takes_writes
SELECT current_setting('transaction_read_only') = 'off';
