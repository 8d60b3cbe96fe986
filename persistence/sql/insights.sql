-- name: reported_executions
-- All rows about each decision that has one behind $2, with what was known before it.
SELECT l.*, d.context, d.pmf, d.spec_hash, d.reason
FROM (SELECT DISTINCT decision_id, decided_on FROM nyx.log
      WHERE bandit = $1 AND seq > $2 AND decision_id IS NOT NULL) AS r
JOIN nyx.log l ON l.bandit = $1 AND l.decision_id = r.decision_id AND l.decided_on = r.decided_on
JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = r.decision_id AND d.decided_on = r.decided_on
ORDER BY l.decision_id, l.seq;

-- name: evidence_of_opportunity
-- Executions of rows $2 to $3, in contexts with the values $5 of the features $4, that chose one of the arms $6 and met
-- all errors $7 (NULL: any). Not those of a holdout cohort, whom the policy did not serve.
SELECT l.decision_id, l.seq, l.arm_id, l.propensity, l.reward, l.reported_at
FROM nyx.log l
JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on
WHERE l.bandit = $1 AND l.seq BETWEEN $2 AND $3 AND l.reward IS NOT NULL
  AND NOT EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS f (name, value)
                  WHERE lower(d.context ->> f.name) IS DISTINCT FROM lower(f.value))
  AND ($6::text[] IS NULL OR (l.arm_id = ANY ($6) AND l.propensity > 0))
  AND ($7::text[] IS NULL OR NOT EXISTS (
      SELECT FROM unnest($7) AS code
      WHERE NOT coalesce((l.outcome -> 'error_codes')::jsonb, '[]'::jsonb) @> to_jsonb(code)))
ORDER BY l.seq;

-- name: changes_of_bandit
-- What could end or begin a failure: rows of monitors and guardrails, and specs behind the first one.
SELECT l.seq, l.kind, l.bandit, l.pricing, l.reported_at AS time FROM nyx.log l
WHERE l.bandit = $1 AND l.kind IN ('epoch', 'guardrail')
UNION ALL
SELECT NULL, 'spec', s.bandit, json_build_object('spec_hash', s.spec_hash), extract(epoch FROM s.created_at)
FROM nyx.spec s
WHERE s.bandit = $1 AND s.created_at > (SELECT min(created_at) FROM nyx.spec WHERE bandit = $1)
ORDER BY seq, time;

-- name: execution_columns
-- Rows from behind $2 up to $3 that are all there is about their decisions, as columns: what patterns of strategies need
-- of each is packed, and not decoded row by row. $4 to $7: features whose values make cells; NULL for none.
SELECT count(*) AS rows,
       string_agg(int8send(p.seq), '') AS seqs,
       string_agg(p.arm_id, E'\x1f') AS arms,
       string_agg(p.cell, E'\x1f') AS cells,
       string_agg(float8send(p.reward), '') AS reward,
       string_agg(float8send(coalesce(p.success::integer, 'NaN'::float8)), '') AS success,
       string_agg(float8send(coalesce(p.duration_s, 'NaN'::float8)), '') AS duration_s,
       string_agg(float8send(coalesce(p.cost, 'NaN'::float8)), '') AS cost,
       string_agg(float8send(coalesce(p.timed_out::integer, 0)), '') AS timed_out,
       string_agg(float8send(coalesce(p.reported_at, 'NaN'::float8)), '') AS time
FROM (SELECT l.seq, l.arm_id, l.reward, l.reported_at, o.*,
             concat_ws(E'\x1e', coalesce(d.context ->> $4, E'\x1d'), coalesce(d.context ->> $5, E'\x1d'),
                       coalesce(d.context ->> $6, E'\x1d'), coalesce(d.context ->> $7, E'\x1d')) AS cell
      FROM nyx.log l
      JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on
      LEFT JOIN LATERAL json_to_record(l.outcome)
          AS o (success boolean, duration_s float8, cost float8, timed_out boolean) ON true
      WHERE l.bandit = $1 AND l.seq > $2 AND l.seq <= $3
        AND l.kind = 'reward' AND l.state = 'final' AND l.units IS NOT NULL AND l.taken IS NULL) AS p;

-- name: corrected_executions
-- All rows about each decision that has one from behind $2 up to $3 that is not all there is about it.
SELECT l.*, d.context, d.pmf, d.spec_hash, d.reason
FROM (SELECT DISTINCT decision_id, decided_on FROM nyx.log
      WHERE bandit = $1 AND seq > $2 AND seq <= $3 AND decision_id IS NOT NULL
        AND NOT (kind = 'reward' AND state = 'final' AND units IS NOT NULL AND taken IS NULL)) AS r
JOIN nyx.log l ON l.bandit = $1 AND l.decision_id = r.decision_id AND l.decided_on = r.decided_on
JOIN nyx.decision d ON d.bandit = $1 AND d.decision_id = r.decision_id AND d.decided_on = r.decided_on
WHERE l.seq <= $3
ORDER BY l.decision_id, l.seq;
