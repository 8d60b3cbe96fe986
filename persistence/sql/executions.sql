-- name: insert_executions
INSERT INTO nyx.execution (bandit, execution_id, reported_at, agent_id, agent_type, decision_id, result, digest)
SELECT $1, e.execution_id, e.reported_at, e.agent_id, e.agent_type, e.decision_id, e.result::jsonb, e.digest
FROM unnest($2::text[], $3::double precision[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS e (execution_id, reported_at, agent_id, agent_type, decision_id, result, digest)
ORDER BY e.execution_id
ON CONFLICT DO NOTHING
RETURNING execution_id;

-- name: execution_digests
SELECT execution_id, agent_id, digest FROM nyx.execution
WHERE bandit = $1 AND execution_id = ANY ($2::text[]);

-- name: recorded_executions
-- The newest $3 since the time $2, the oldest first.
SELECT * FROM (
    SELECT execution_id, reported_at, agent_id, agent_type, decision_id, result FROM nyx.execution
    WHERE bandit = $1 AND reported_at >= $2
    ORDER BY reported_at DESC, execution_id DESC
    LIMIT $3
) AS newest
ORDER BY reported_at, execution_id;

-- name: drop_executions
-- A page of what agents reported before $2.
DELETE FROM nyx.execution
WHERE bandit = $1 AND execution_id IN (SELECT execution_id FROM nyx.execution
                                       WHERE bandit = $1 AND reported_at < $2
                                       ORDER BY reported_at LIMIT $3);

-- name: count_executions
SELECT count(*) FROM nyx.execution WHERE bandit = $1 AND reported_at < $2;
