-- name: insert_advice
INSERT INTO nyx.advice (bandit, decision_id, elapsed_s, asked_at, action, target_arm, document)
SELECT $1, a.decision_id, a.elapsed_s, a.asked_at, a.action, a.target_arm, a.document::jsonb
FROM unnest($2::text[], $3::double precision[], $4::double precision[], $5::text[], $6::text[], $7::text[])
    AS a (decision_id, elapsed_s, asked_at, action, target_arm, document)
ORDER BY a.decision_id, a.elapsed_s
ON CONFLICT DO NOTHING;

-- name: advice_and_outcomes
-- The newest $3 pieces of advice since the time $2, each with the decision's first whole outcome, where it has one.
SELECT a.decision_id, a.elapsed_s, a.asked_at, a.action, a.target_arm, a.document, o.outcome
FROM (
    SELECT * FROM nyx.advice WHERE bandit = $1 AND asked_at >= $2
    ORDER BY asked_at DESC, decision_id DESC, elapsed_s DESC LIMIT $3
) AS a
LEFT JOIN LATERAL (
    SELECT l.outcome FROM nyx.log l
    WHERE l.bandit = $1 AND l.decision_id = a.decision_id AND l.outcome IS NOT NULL AND l.reward IS NOT NULL
    ORDER BY l.seq LIMIT 1
) AS o ON true
ORDER BY a.asked_at, a.decision_id, a.elapsed_s;

-- name: advice_of_decisions
SELECT decision_id, elapsed_s, asked_at, action, target_arm, document
FROM nyx.advice
WHERE bandit = $1 AND decision_id = ANY ($2::text[])
ORDER BY decision_id, elapsed_s;

-- name: drop_advice
-- A page of what was asked before $2.
DELETE FROM nyx.advice
WHERE bandit = $1 AND (decision_id, elapsed_s) IN (SELECT decision_id, elapsed_s FROM nyx.advice
                                                   WHERE bandit = $1 AND asked_at < $2
                                                   ORDER BY asked_at LIMIT $3);

-- name: count_advice
SELECT count(*) FROM nyx.advice WHERE bandit = $1 AND asked_at < $2;
