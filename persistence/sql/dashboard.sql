-- name: dashboard_bandits
-- At most $1 bandits, each with the mean of what its newest $2 contributions are worth now.
SELECT b.bandit, b.last_seq, newest.rewards, newest.mean, newest.sd, newest.at,
       (SELECT coalesce(sum(c.decisions), 0)::bigint FROM nyx.counted c WHERE c.bandit = b.bandit) AS decisions
FROM nyx.bandit b
CROSS JOIN LATERAL (
    SELECT min(seq) AS first
    FROM (SELECT seq FROM nyx.log
          WHERE bandit = b.bandit AND taken IS NULL AND reward IS NOT NULL
          ORDER BY seq DESC LIMIT $2) AS l) AS born
CROSS JOIN LATERAL (
    SELECT count(reward) AS rewards, avg(reward) AS mean, coalesce(stddev_samp(reward), 0)::float8 AS sd, max(at) AS at
    FROM (SELECT (array_agg(reward ORDER BY seq DESC))[1] AS reward, max(reported_at) AS at
          FROM nyx.log
          WHERE bandit = b.bandit AND seq >= born.first AND (taken IS NOT NULL OR reward IS NOT NULL)
            AND (CASE place WHEN 0 THEN seq ELSE place END) >= born.first
          GROUP BY (CASE place WHEN 0 THEN seq ELSE place END)) AS l) AS newest
ORDER BY b.bandit
LIMIT $1;

-- name: dashboard_beat
-- Changes where a bandit is new, or a row of any log.
SELECT count(*) AS bandits, coalesce(sum(last_seq), 0)::bigint AS rows FROM nyx.bandit;

-- name: dashboard_decided
SELECT coalesce(sum(decisions), 0)::bigint FROM nyx.counted WHERE bandit = $1;

-- name: dashboard_stretches
-- What the newest $2 contributions are worth now (corrected, put together, without those that were taken back), where
-- they stand in the sums, in at most $3 stretches of equal length and at least $4 rewards. No row behind the first
-- of them concerns an earlier one's place; the last row of a place says what counts there.
WITH born AS MATERIALIZED (
    SELECT seq FROM nyx.log WHERE bandit = $1 AND taken IS NULL AND reward IS NOT NULL
    ORDER BY seq DESC LIMIT $2
), told AS (
    SELECT CASE place WHEN 0 THEN seq ELSE place END AS stands, seq, arm_id, reward, reported_at,
           CASE WHEN taken IS DISTINCT FROM units OR revision > 0 THEN outcome ->> 'success' END AS success
    FROM nyx.log
    WHERE bandit = $1 AND seq >= (SELECT min(seq) FROM born) AND (taken IS NOT NULL OR reward IS NOT NULL)
), learned AS MATERIALIZED (
    SELECT stands, (array_agg(reward ORDER BY seq DESC))[1] AS reward, min(arm_id) AS arm_id,
           (array_agg(success ORDER BY seq DESC) FILTER (WHERE success IS NOT NULL))[1] AS success,
           (array_agg(reported_at ORDER BY seq))[1] AS reported_at
    FROM told WHERE stands >= (SELECT min(seq) FROM born) GROUP BY stands
    HAVING (array_agg(reward ORDER BY seq DESC))[1] IS NOT NULL
), placed AS (
    SELECT *, ntile(greatest(1, least($3, (SELECT count(*) FROM learned) / $4))::integer) OVER (ORDER BY stands) AS stretch
    FROM learned
)
SELECT min(stands) AS first_seq, max(stands) AS last_seq, min(reported_at) AS first_at, max(reported_at) AS last_at,
       count(*) AS n, avg(reward) AS mean, coalesce(stddev_samp(reward), 0)::float8 AS sd,
       count(success) AS known, count(*) FILTER (WHERE success = 'true') AS succeeded
FROM placed GROUP BY stretch ORDER BY stretch;

-- name: dashboard_arms
-- The same contributions by arm.
WITH born AS MATERIALIZED (
    SELECT seq FROM nyx.log WHERE bandit = $1 AND taken IS NULL AND reward IS NOT NULL
    ORDER BY seq DESC LIMIT $2
), told AS (
    SELECT CASE place WHEN 0 THEN seq ELSE place END AS stands, seq, arm_id, reward, reported_at,
           CASE WHEN taken IS DISTINCT FROM units OR revision > 0 THEN outcome ->> 'success' END AS success
    FROM nyx.log
    WHERE bandit = $1 AND seq >= (SELECT min(seq) FROM born) AND (taken IS NOT NULL OR reward IS NOT NULL)
), learned AS MATERIALIZED (
    SELECT stands, (array_agg(reward ORDER BY seq DESC))[1] AS reward, min(arm_id) AS arm_id,
           (array_agg(success ORDER BY seq DESC) FILTER (WHERE success IS NOT NULL))[1] AS success,
           (array_agg(reported_at ORDER BY seq))[1] AS reported_at
    FROM told WHERE stands >= (SELECT min(seq) FROM born) GROUP BY stands
    HAVING (array_agg(reward ORDER BY seq DESC))[1] IS NOT NULL
)
SELECT arm_id, count(*) AS n, avg(reward) AS mean, coalesce(stddev_samp(reward), 0)::float8 AS sd,
       count(success) AS known, count(*) FILTER (WHERE success = 'true') AS succeeded
FROM learned GROUP BY arm_id ORDER BY arm_id;

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
