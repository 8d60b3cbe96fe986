-- name: wire_rows
SELECT bandit, seq, decided_on, kind, decision_id, source, identifier, revision, state, arm_id, epoch, encoding, phi,
       propensity, units, reward, taken, place, outcome, pricing, priced_by, reported_at, digest
FROM nyx.log
WHERE bandit = $1 AND seq >= $2 AND seq <= $3
ORDER BY seq;

-- name: wire_fold
SELECT seq, kind, decision_id, arm_id, epoch, encoding, phi, units, taken, place
FROM nyx.log
WHERE bandit = $1 AND seq >= $2 AND seq <= $3
ORDER BY seq;

-- name: wire_decisions
SELECT bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages,
       pmf, arm_id, propensity, epoch, reason, mode, digest
FROM nyx.decision
WHERE bandit = $1 AND state_seq >= $2 AND state_seq <= $3
ORDER BY state_seq, decision_id;

-- name: wire_decisions_first
SELECT bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages,
       pmf, arm_id, propensity, epoch, reason, mode, digest
FROM nyx.decision
WHERE bandit = $1 AND state_seq >= $2 AND state_seq <= $3
ORDER BY state_seq, decision_id
LIMIT $4;

-- name: wire_ids
SELECT decision_id FROM nyx.log WHERE bandit = $1 AND seq < $2 AND decision_id IS NOT NULL;

-- name: wire_decisions_by_id
-- LATERAL: one by one, each in the partition that its key names.
SELECT d.bandit, d.decision_id, d.decided_on, d.spec_hash, d.encoding, d.state_seq, d.decided_at, d.context, d.phi,
       d.eligible, d.stages, d.pmf, d.arm_id, d.propensity, d.epoch, d.reason, d.mode, d.digest
FROM nyx.decision_key k
CROSS JOIN LATERAL (
    SELECT * FROM nyx.decision
    WHERE bandit = k.bandit AND decision_id = k.decision_id AND decided_on = k.decided_on LIMIT 1) AS d
WHERE k.bandit = $1 AND k.decision_id = ANY ($2::text[]);
