-- name: reported_executions
-- All rows about each decision that has one behind $2, with what was known before it.
SELECT l.*, d.context, d.pmf, d.spec_hash, d.reason
FROM (SELECT DISTINCT decision_id, decided_on FROM nyx.log
      WHERE bandit = $1 AND seq > $2 AND decision_id IS NOT NULL) AS r
JOIN nyx.log l ON l.bandit = $1 AND l.decision_id = r.decision_id AND l.decided_on = r.decided_on
JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = r.decision_id AND d.decided_on = r.decided_on
ORDER BY l.decision_id, l.seq;
