-- Which spec a server decides by: the newest of each bandit.

-- name: newest_hashes
SELECT DISTINCT ON (bandit) bandit, spec_hash FROM nyx.spec WHERE bandit = ANY($1::text[])
ORDER BY bandit, created_at DESC, spec_hash;

-- name: spec_known
SELECT EXISTS (SELECT FROM nyx.spec WHERE bandit = $1 AND spec_hash = $2);

-- name: newest_states
-- Of the newest $2 decisions, how many stand where: by the last row of the log about each. In the order of the index:
-- where nothing is learned for long, all decisions know the same row, and sorting them by time would read them all.
SELECT coalesce(l.state, 'pending') AS state, count(*) AS n
FROM (SELECT * FROM nyx.decision WHERE bandit = $1
      ORDER BY state_seq DESC, decision_id DESC LIMIT $2) AS d
LEFT JOIN LATERAL (
    SELECT state FROM nyx.log
    WHERE bandit = $1 AND decision_id = d.decision_id AND decided_on = d.decided_on
    ORDER BY seq DESC LIMIT 1) AS l ON true
GROUP BY 1;

-- name: event_counts
SELECT kind, coalesce(pricing ->> 'monitor', '') AS monitor, count(*) AS n FROM nyx.log
WHERE bandit = $1 AND kind IN ('epoch', 'alarm', 'guardrail') AND decided_on = date '1970-01-01'
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 100;
