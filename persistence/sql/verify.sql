-- name: verify_overview
SELECT (SELECT last_seq FROM nyx.bandit WHERE bandit = $1) AS last,
       (SELECT adopted_seq FROM nyx.bandit WHERE bandit = $1) AS adopted,
       (SELECT count(*) FROM nyx.log WHERE bandit = $1 AND seq > $2) AS rows,
       (SELECT coalesce(max(seq), 0) FROM nyx.log WHERE bandit = $1) AS highest,
       (SELECT count(*) FROM nyx.decision WHERE bandit = $1) AS decisions,
       (SELECT coalesce(max(state_seq), 0) FROM nyx.decision WHERE bandit = $1) AS furthest,
       (SELECT coalesce(sum(decisions), 0)::bigint FROM nyx.counted WHERE bandit = $1) AS counted;

-- name: verify_rows
SELECT l.*,
       CASE WHEN $4::boolean
            THEN (SELECT d.context FROM nyx.decision d
                  WHERE d.bandit = l.bandit AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on)
       END AS context
FROM nyx.log l
WHERE l.bandit = $1 AND l.seq >= $2 AND l.seq <= $3
ORDER BY l.seq;

-- name: verify_decisions
SELECT * FROM nyx.decision
WHERE bandit = $1 AND state_seq >= $2 AND state_seq <= $3
ORDER BY state_seq, decision_id;

-- name: verify_earlier
SELECT * FROM nyx.log
WHERE bandit = $1 AND decision_id = ANY ($2::text[]) AND seq < $3
ORDER BY decision_id, seq;

-- name: verify_adoptions
SELECT * FROM nyx.log WHERE bandit = $1 AND kind = 'adoption' AND seq < $2 ORDER BY seq;
