-- name: no_time_limits
-- For this transaction: the server's usual limits are meant for small statements.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true);

-- name: stage_import
CREATE TEMP TABLE nyx_import (
    line           bigint PRIMARY KEY,
    decision_id    text NOT NULL,
    decided_on     date NOT NULL,
    spec_hash      text NOT NULL,
    encoding       text NOT NULL,
    state_seq      bigint NOT NULL,
    decided_at     double precision,
    context        json NOT NULL,
    phi            integer[] NOT NULL,
    eligible       integer[],
    pmf            bigint[] NOT NULL,
    arm_id         text NOT NULL,
    propensity     double precision NOT NULL,
    epoch          integer NOT NULL,
    reason         text NOT NULL,
    mode           text NOT NULL,
    digest         text NOT NULL,
    log_propensity double precision,
    units          integer,
    reward         double precision,
    outcome        json,
    pricing        json,
    priced_by      text,
    reported_at    double precision,
    before         text, -- the row of the log as JSON, around its number
    behind         text,
    fresh          boolean NOT NULL DEFAULT false
) ON COMMIT DROP;

-- name: order_import
-- Sorted as group commits sort: two writers that insert overlapping ids in different orders would deadlock.
CREATE TEMP TABLE nyx_import_order ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY decision_id COLLATE "C") AS place, decision_id, min(line) AS line
FROM pg_temp.nyx_import
GROUP BY decision_id;

-- name: index_import
CREATE UNIQUE INDEX ON pg_temp.nyx_import_order (place);

-- name: analyze_import
ANALYZE pg_temp.nyx_import, pg_temp.nyx_import_order;

-- name: staged_decisions
SELECT (SELECT count(*) FROM pg_temp.nyx_import_order) AS decisions,
       (SELECT coalesce(max(line), 0) FROM pg_temp.nyx_import) AS last_line;

-- name: import_decisions
-- Whose key was free is written. $2 and $3: the places of a page.
WITH given AS MATERIALIZED (
    SELECT i.*
    FROM pg_temp.nyx_import_order o JOIN pg_temp.nyx_import i USING (line)
    WHERE o.place > $2 AND o.place <= $3
    ORDER BY o.place
), inserted AS (
    INSERT INTO nyx.decision_key (bandit, decision_id, decided_on, state_seq, digest)
    SELECT $1, decision_id, decided_on, state_seq, digest FROM given
    ON CONFLICT (bandit, decision_id) DO NOTHING
    RETURNING decision_id
), writing AS (
    INSERT INTO nyx.decision
        (bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages,
         pmf, arm_id, propensity, epoch, reason, mode, digest)
    SELECT $1, d.decision_id, d.decided_on, d.spec_hash, d.encoding, d.state_seq, d.decided_at, d.context, d.phi,
           d.eligible, '[]', d.pmf, d.arm_id, d.propensity, d.epoch, d.reason, d.mode, d.digest
    FROM given d JOIN inserted USING (decision_id)
), marking AS (
    UPDATE pg_temp.nyx_import i SET fresh = true
    FROM given g JOIN inserted USING (decision_id) WHERE i.line = g.line
)
SELECT count(*) AS inserted, count(*) FILTER (WHERE propensity = 0) AS unknown
FROM given JOIN inserted USING (decision_id);

-- name: count_imported
-- A stripe of its own (-1 is retention's): this one stays locked until the import ends.
INSERT INTO nyx.counted AS c (bandit, stripe, decisions) VALUES ($1, -2, $2)
ON CONFLICT (bandit, stripe) DO UPDATE SET decisions = c.decisions + EXCLUDED.decisions;

-- name: imported_rewards
-- A page of what gets a number. By a range of lines, not by LIMIT: statistics do not know yet what is fresh, and a plan
-- that looks at all lines for each page would be chosen.
SELECT * FROM pg_temp.nyx_import WHERE line > $1 AND line <= $2 AND fresh AND units IS NOT NULL ORDER BY line;

-- name: imported_again
-- A page of lines whose decision was stored before, or stands further up in the file.
SELECT * FROM pg_temp.nyx_import WHERE line > $1 AND line <= $2 AND NOT fresh ORDER BY line;

-- name: set_aside
DELETE FROM pg_temp.nyx_import WHERE line = ANY ($1::bigint[]);

-- name: decisions_as_learned
-- Each decision; by where the reward that counts stands in the sequence, and those without one behind, as they were made.
SELECT d.*
FROM nyx.decision d
LEFT JOIN (SELECT DISTINCT ON (decision_id) decision_id,
                  CASE WHEN reward IS NOT NULL THEN coalesce(nullif(place, 0), seq) END AS stands_at
           FROM nyx.log WHERE bandit = $1 AND decision_id IS NOT NULL
           ORDER BY decision_id, seq DESC) AS l ON l.decision_id = d.decision_id
WHERE d.bandit = $1
ORDER BY l.stands_at NULLS LAST, d.state_seq, d.decision_id;
