-- name: dashboard_bandits
-- At most $1 bandits, each with the mean of its newest $2 rewards.
SELECT b.bandit, b.last_seq, newest.rewards, newest.mean, newest.at,
       (SELECT coalesce(sum(c.decisions), 0)::bigint FROM nyx.counted c WHERE c.bandit = b.bandit) AS decisions
FROM nyx.bandit b
CROSS JOIN LATERAL (
    SELECT count(*) AS rewards, avg(reward) AS mean, max(reported_at) AS at
    FROM (SELECT reward, reported_at FROM nyx.log
          WHERE bandit = b.bandit AND kind = 'reward' AND taken IS NULL AND reward IS NOT NULL
          ORDER BY seq DESC LIMIT $2) AS l) AS newest
ORDER BY b.bandit
LIMIT $1;

-- name: dashboard_beat
-- Changes where a bandit is new, or a row of any log.
SELECT count(*) AS bandits, coalesce(sum(last_seq), 0)::bigint AS rows FROM nyx.bandit;

-- name: dashboard_decided
SELECT coalesce(sum(decisions), 0)::bigint FROM nyx.counted WHERE bandit = $1;

-- name: dashboard_stretches
-- The newest $2 first contributions, in at most $3 stretches of equal length and at least $4 rewards.
WITH newest AS MATERIALIZED (
    SELECT seq, reward, outcome ->> 'success' AS success, reported_at FROM nyx.log
    WHERE bandit = $1 AND kind = 'reward' AND taken IS NULL AND reward IS NOT NULL
    ORDER BY seq DESC LIMIT $2
), placed AS (
    SELECT *, ntile(greatest(1, least($3, (SELECT count(*) FROM newest) / $4))::integer) OVER (ORDER BY seq) AS stretch
    FROM newest
)
SELECT min(seq) AS first_seq, max(seq) AS last_seq, min(reported_at) AS first_at, max(reported_at) AS last_at,
       count(*) AS n, avg(reward) AS mean, coalesce(stddev_samp(reward), 0)::float8 AS sd,
       count(success) AS known, count(*) FILTER (WHERE success = 'true') AS succeeded
FROM placed GROUP BY stretch ORDER BY stretch;

-- name: dashboard_arms
-- Of the newest $2 first contributions.
SELECT arm_id, count(*) AS n, avg(reward) AS mean, coalesce(stddev_samp(reward), 0)::float8 AS sd,
       count(success) AS known, count(*) FILTER (WHERE success = 'true') AS succeeded
FROM (SELECT arm_id, reward, outcome ->> 'success' AS success FROM nyx.log
      WHERE bandit = $1 AND kind = 'reward' AND taken IS NULL AND reward IS NOT NULL
      ORDER BY seq DESC LIMIT $2) AS newest
GROUP BY arm_id ORDER BY arm_id;

-- name: dashboard_chosen
-- Of the newest $2 decisions.
SELECT arm_id, count(*) AS n FROM (
    SELECT arm_id FROM nyx.decision WHERE bandit = $1
    ORDER BY state_seq DESC, decided_at DESC NULLS LAST, decision_id LIMIT $2) AS newest
GROUP BY arm_id ORDER BY n DESC, arm_id;

-- name: dashboard_contexts
SELECT context FROM nyx.decision WHERE bandit = $1
ORDER BY state_seq DESC, decided_at DESC NULLS LAST, decision_id LIMIT $2;

-- name: dashboard_decisions
-- The newest $2, each with the last row of the log about it.
SELECT d.decision_id, d.decided_at, d.arm_id, d.propensity, d.reason, d.mode, d.context, l.state, l.reward
FROM (SELECT * FROM nyx.decision WHERE bandit = $1
      ORDER BY state_seq DESC, decided_at DESC NULLS LAST, decision_id LIMIT $2) AS d
LEFT JOIN LATERAL (
    SELECT state, reward FROM nyx.log
    WHERE bandit = $1 AND decision_id = d.decision_id AND decided_on = d.decided_on
    ORDER BY seq DESC LIMIT 1) AS l ON true
ORDER BY d.decided_at DESC NULLS LAST, d.state_seq DESC, d.decision_id;

-- name: dashboard_events
-- The newest $2 conclusions of monitors and guardrails, and orders of people.
SELECT * FROM nyx.log
WHERE bandit = $1 AND kind IN ('epoch', 'alarm', 'guardrail') AND decided_on = date '1970-01-01'
ORDER BY seq DESC LIMIT $2;
