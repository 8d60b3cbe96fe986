-- Decisions and the log stand in partitions by month, under a table of keys that is not partitioned: it keeps an id
-- taken for ever, also when retention has dropped its decision. A row of the log stands in the month of its decision,
-- so all rows about a decision are in one partition, where the report's key holds for them.

CREATE TABLE nyx.decision_key (
    bandit      text NOT NULL,
    decision_id text NOT NULL,
    decided_on  date NOT NULL,
    state_seq   bigint NOT NULL,
    digest      text NOT NULL,
    PRIMARY KEY (bandit, decision_id)
);
COMMENT ON COLUMN nyx.decision_key.decided_on IS
    'Day of decision.decided_at in UTC, 1970-01-01 where that is NULL; what the partitions are made by.';

ALTER TABLE nyx.abandoned DROP CONSTRAINT abandoned_bandit_decision_id_fkey;
ALTER TABLE nyx.log RENAME TO unpartitioned_log;
ALTER TABLE nyx.decision RENAME TO unpartitioned_decision;
ALTER INDEX nyx.log_pkey RENAME TO unpartitioned_log_pkey;
ALTER INDEX nyx.log_report_key RENAME TO unpartitioned_log_report_key;
ALTER INDEX nyx.log_adoption RENAME TO unpartitioned_log_adoption;
ALTER INDEX nyx.decision_pkey RENAME TO unpartitioned_decision_pkey;
ALTER INDEX nyx.decision_by_state RENAME TO unpartitioned_decision_by_state;

-- The reference to the bandit goes by way of the spec: a lock on the bandit's row, which appending updates all the
-- time, would be dearer.
CREATE TABLE nyx.decision (
    bandit      text NOT NULL,
    decision_id text NOT NULL,
    decided_on  date NOT NULL,
    spec_hash   text NOT NULL,
    encoding    text NOT NULL,
    state_seq   bigint NOT NULL,
    decided_at  double precision,
    context     json NOT NULL,
    phi         integer[] NOT NULL,
    eligible    integer[],
    stages      json NOT NULL,
    pmf         bigint[] NOT NULL,
    arm_id      text NOT NULL,
    propensity  double precision NOT NULL CHECK (propensity > 0 AND propensity <= 1),
    epoch       integer NOT NULL,
    reason      text NOT NULL,
    mode        text NOT NULL,
    digest      text NOT NULL,
    PRIMARY KEY (bandit, decision_id, decided_on),
    FOREIGN KEY (bandit, decision_id) REFERENCES nyx.decision_key,
    FOREIGN KEY (bandit, spec_hash) REFERENCES nyx.spec
) PARTITION BY RANGE (decided_on);
CREATE INDEX decision_by_state ON nyx.decision (bandit, state_seq, decision_id);
COMMENT ON COLUMN nyx.decision.stages IS 'All stages but the one that draws from all listed arms: its mass is pmf. (Decisions in stages: pmf of the last.)';
CREATE TABLE nyx.decision_default PARTITION OF nyx.decision DEFAULT;

-- That numbers are dense is up to the lock on the bandit's row; a unique key has to name what the partitions are by.
CREATE TABLE nyx.log (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    seq         bigint NOT NULL CHECK (seq > 0),
    decided_on  date NOT NULL,
    kind        text NOT NULL,
    decision_id text,
    source      text NOT NULL DEFAULT '',
    identifier  text NOT NULL DEFAULT '',
    revision    integer NOT NULL DEFAULT 0,
    state       text NOT NULL DEFAULT 'final',
    arm_id      text,
    epoch       integer,
    encoding    text,
    phi         integer[],
    propensity  double precision CHECK (propensity >= 0 AND propensity <= 1),
    units       integer CHECK (units BETWEEN 0 AND 65536),
    reward      double precision CHECK (reward >= 0 AND reward <= 1),
    taken       integer CHECK (taken BETWEEN 0 AND 65536),
    place       bigint NOT NULL DEFAULT 0,
    outcome     json,
    pricing     json NOT NULL,
    priced_by   text,
    reported_at double precision,
    digest      text NOT NULL,
    CONSTRAINT log_kind_check
        CHECK (kind IN ('reward', 'expiry', 'abandonment', 'retraction', 'repricing', 'adoption')),
    CONSTRAINT log_decision_check
        CHECK (kind = 'adoption' OR (decision_id IS NOT NULL AND arm_id IS NOT NULL AND epoch IS NOT NULL
                                     AND encoding IS NOT NULL AND phi IS NOT NULL AND propensity IS NOT NULL)),
    CONSTRAINT log_contribution_check CHECK ((units IS NULL) = (reward IS NULL)),
    PRIMARY KEY (bandit, seq, decided_on),
    CONSTRAINT log_report_key UNIQUE (bandit, decision_id, kind, source, identifier, revision, decided_on),
    FOREIGN KEY (bandit, decision_id) REFERENCES nyx.decision_key
) PARTITION BY RANGE (decided_on);
CREATE INDEX log_adoption ON nyx.log (bandit, seq) WHERE kind = 'adoption';
COMMENT ON COLUMN nyx.log.decided_on IS 'That of the decision; 1970-01-01 for rows about none, such as an adoption, which are never dropped.';
COMMENT ON COLUMN nyx.log.propensity IS
    'Of the policy''s choice, 0 where it did not choose (a holdout cohort): what importance-weighted statistics need.';
COMMENT ON COLUMN nyx.log.phi IS
    'Copied from the decision: joining the decision while appending under the lock is several times dearer.';
COMMENT ON COLUMN nyx.log.units IS
    'What the decision contributes to the sums from this row on; NULL for nothing. taken: what it did before, which leaves them.';
COMMENT ON COLUMN nyx.log.place IS
    'The row in whose bucket the contribution stands, 0 for this one: what replaces a contribution stands in its place.';
CREATE TABLE nyx.log_default PARTITION OF nyx.log DEFAULT;

-- Runs with its owner's rights, so that a writer needs none on the schema. Rows that came before their month's
-- partition stood in the default one, and move.
CREATE FUNCTION nyx.add_partitions(first_day date, months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
DECLARE
    made integer := 0;
    begin_of date;
    end_of date;
    parent text;
    part text;
BEGIN
    IF first_day IS NULL OR months IS NULL OR months NOT BETWEEN 1 AND 24
       OR first_day NOT BETWEEN date '1990-01-01' AND date '2200-01-01' THEN
        RAISE EXCEPTION 'partitions are made for 1 to 24 months between 1990 and 2200'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR step IN 0 .. months - 1 LOOP
        begin_of := (date_trunc('month', first_day::timestamp) + make_interval(months => step))::date;
        end_of := (begin_of::timestamp + interval '1 month')::date;
        FOREACH parent IN ARRAY ARRAY['decision', 'log'] LOOP
            part := parent || to_char(begin_of, '_YYYY_MM');
            CONTINUE WHEN to_regclass(format('nyx.%I', part)) IS NOT NULL;
            -- In the order in which writers take their locks, so that nobody waits for each other.
            LOCK TABLE nyx.decision_key IN SHARE ROW EXCLUSIVE MODE;
            CONTINUE WHEN to_regclass(format('nyx.%I', part)) IS NOT NULL; -- somebody else has made it meanwhile
            LOCK TABLE nyx.decision_default, nyx.log_default IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE nyx.bandit, nyx.spec IN SHARE ROW EXCLUSIVE MODE;
            EXECUTE format('CREATE TABLE nyx.%I (LIKE nyx.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
            EXECUTE format('WITH moved AS (DELETE FROM nyx.%I WHERE decided_on >= %L AND decided_on < %L RETURNING *)'
                           ' INSERT INTO nyx.%I SELECT * FROM moved', parent || '_default', begin_of, end_of, part);
            EXECUTE format('ALTER TABLE nyx.%I ATTACH PARTITION nyx.%I FOR VALUES FROM (%L) TO (%L)',
                           parent, part, begin_of, end_of);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION nyx.add_partitions(date, integer) FROM PUBLIC;

INSERT INTO nyx.decision_key (bandit, decision_id, decided_on, state_seq, digest)
SELECT bandit, decision_id,
       date '1970-01-01'
       + greatest(least(floor(coalesce(decided_at, 0) / 86400), 2900000), -700000)::integer,
       state_seq, digest
FROM nyx.unpartitioned_decision;

SELECT count(nyx.add_partitions(month, 1))
FROM (SELECT DISTINCT date_trunc('month', decided_on::timestamp)::date AS month FROM nyx.decision_key
      WHERE decided_on BETWEEN date '1990-01-01' AND date '2200-01-01' ORDER BY month DESC LIMIT 240) AS used;

INSERT INTO nyx.decision
    (bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, eligible, stages, pmf,
     arm_id, propensity, epoch, reason, mode, digest)
SELECT d.bandit, d.decision_id, k.decided_on, d.spec_hash, d.encoding, d.state_seq, d.decided_at, d.context, d.phi,
       d.eligible, d.stages, d.pmf, d.arm_id, d.propensity, d.epoch, d.reason, d.mode, d.digest
FROM nyx.unpartitioned_decision d JOIN nyx.decision_key k USING (bandit, decision_id);

INSERT INTO nyx.log
    (bandit, seq, decided_on, kind, decision_id, source, identifier, revision, state, arm_id, epoch, encoding, phi,
     propensity, units, reward, taken, place, outcome, pricing, priced_by, reported_at, digest)
SELECT l.bandit, l.seq, coalesce(k.decided_on, date '1970-01-01'), l.kind, l.decision_id, l.source, l.identifier,
       l.revision, l.state, l.arm_id, l.epoch, l.encoding, l.phi, l.propensity, l.units, l.reward, l.taken, l.place,
       l.outcome, l.pricing, l.priced_by, l.reported_at, l.digest
FROM nyx.unpartitioned_log l LEFT JOIN nyx.decision_key k USING (bandit, decision_id);

DROP TABLE nyx.unpartitioned_log;
DROP TABLE nyx.unpartitioned_decision;
ALTER TABLE nyx.abandoned ADD FOREIGN KEY (bandit, decision_id) REFERENCES nyx.decision_key;

-- Retention. The base is what all rows up to base_seq were folded to: they may be gone.
ALTER TABLE nyx.bandit ADD COLUMN base_seq bigint NOT NULL DEFAULT 0 CHECK (base_seq >= 0);
COMMENT ON COLUMN nyx.bandit.base_seq IS 'Rows of the log up to here may be dropped; nyx.base has their sums.';
COMMENT ON TABLE nyx.counted IS 'Sums to the number of stored decisions. Stripe -1: what retention dropped, below zero.';

CREATE TABLE nyx.base (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    encoding    text NOT NULL,
    bucket_rows bigint NOT NULL,
    seq         bigint NOT NULL,
    digest      text NOT NULL,
    PRIMARY KEY (bandit, encoding, bucket_rows)
);
CREATE TABLE nyx.base_sums (
    bandit      text NOT NULL,
    encoding    text NOT NULL,
    bucket_rows bigint NOT NULL,
    arm_id      text NOT NULL,
    epoch       integer NOT NULL,
    bucket      bigint NOT NULL,
    statistics  bigint[] NOT NULL,
    PRIMARY KEY (bandit, encoding, bucket_rows, arm_id, epoch, bucket),
    FOREIGN KEY (bandit, encoding, bucket_rows) REFERENCES nyx.base
);
CREATE TABLE nyx.hold (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    holder      text NOT NULL,
    seq         bigint NOT NULL,
    PRIMARY KEY (bandit, holder)
);
COMMENT ON TABLE nyx.hold IS 'Who else still reads rows of the log behind seq, such as a monitor: the base stays below.';

-- Drop the partitions of a month if nothing in them is needed: all of it stands below the bases of these bandits, and
-- no decision still waits for an outcome within its bandit's window (NULL: none). Returns how many decisions went.
-- Looking may take long and hinders nobody; dropping waits half a second for others, and otherwise fails.
CREATE FUNCTION nyx.drop_month(month date, bandits text[], windows double precision[])
RETURNS TABLE (of_bandit text, decisions bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
DECLARE
    d text := 'decision' || to_char(month, '_YYYY_MM');
    l text := 'log' || to_char(month, '_YYYY_MM');
    needed boolean;
BEGIN
    IF to_regclass(format('nyx.%I', d)) IS NULL OR to_regclass(format('nyx.%I', l)) IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE nyx.%I, nyx.%I IN SHARE MODE', d, l);
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM nyx.%1$I AS d JOIN nyx.bandit AS b ON b.bandit = d.bandit'
        '               LEFT JOIN unnest($1, $2) AS o (bandit, window_s) ON o.bandit = d.bandit'
        '               WHERE o.bandit IS NULL OR d.state_seq >= b.base_seq'
        '                  OR (o.window_s IS NOT NULL'
        '                      AND NOT EXISTS (SELECT FROM nyx.%2$I AS l WHERE l.bandit = d.bandit'
        '                                      AND l.decision_id = d.decision_id AND l.state <> ''pending'')))'
        '    OR EXISTS (SELECT FROM nyx.%2$I AS l JOIN nyx.bandit AS b ON b.bandit = l.bandit'
        '               WHERE l.decision_id IS NULL OR l.seq > b.base_seq)', d, l)
        INTO needed USING bandits, windows;
    IF needed THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('SELECT d.bandit, count(*) FROM nyx.%I AS d GROUP BY d.bandit', d);
    LOCK TABLE ONLY nyx.decision, ONLY nyx.log IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE nyx.%I, nyx.%I', d, l);
END
$$;
REVOKE ALL ON FUNCTION nyx.drop_month(date, text[], double precision[]) FROM PUBLIC;
