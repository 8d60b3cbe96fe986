-- Every key begins with the bandit, and nothing joins across bandits, so that the tables can be distributed by it.

CREATE TABLE nyx.bandit (
    bandit      text PRIMARY KEY,
    last_seq    bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN nyx.bandit.last_seq IS
    'Number of the last row of the bandit''s log. Whoever appends locks this row first, so numbers are dense and in commit order.';

CREATE TABLE nyx.spec (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    spec_hash   text NOT NULL,
    document    json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bandit, spec_hash)
);

-- json, not jsonb, where the exact spelling is part of a digest: jsonb turns 1e22 into another number's spelling.
CREATE TABLE nyx.decision (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    decision_id text NOT NULL,
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
    PRIMARY KEY (bandit, decision_id),
    FOREIGN KEY (bandit, spec_hash) REFERENCES nyx.spec
);
CREATE INDEX decision_by_state ON nyx.decision (bandit, state_seq, decision_id);
COMMENT ON COLUMN nyx.decision.stages IS 'All stages but the one that draws from all listed arms: its mass is pmf. (Decisions in stages: pmf of the last.)';

-- One dense sequence per bandit of all rows that can change a choice.
CREATE TABLE nyx.log (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    seq         bigint NOT NULL CHECK (seq > 0),
    kind        text NOT NULL CHECK (kind = 'reward'),
    decision_id text NOT NULL,
    source      text NOT NULL DEFAULT '',
    revision    integer NOT NULL DEFAULT 0,
    arm_id      text NOT NULL,
    epoch       integer NOT NULL,
    encoding    text NOT NULL,
    phi         integer[] NOT NULL,
    propensity  double precision NOT NULL CHECK (propensity >= 0 AND propensity <= 1),
    units       integer NOT NULL CHECK (units BETWEEN 0 AND 65536),
    reward      double precision NOT NULL CHECK (reward >= 0 AND reward <= 1),
    outcome     json,
    pricing     json NOT NULL,
    reported_at double precision,
    digest      text NOT NULL,
    PRIMARY KEY (bandit, seq),
    UNIQUE (bandit, decision_id, source, revision),
    FOREIGN KEY (bandit, decision_id) REFERENCES nyx.decision
);
COMMENT ON COLUMN nyx.log.propensity IS
    'Of the policy''s choice, 0 where it did not choose (a holdout cohort): what importance-weighted statistics need.';
COMMENT ON COLUMN nyx.log.phi IS
    'Copied from the decision: joining the decision while appending under the lock is several times dearer.';

-- Executions that were cancelled: they change no choice, so they take no number.
CREATE TABLE nyx.abandoned (
    bandit      text NOT NULL,
    decision_id text NOT NULL,
    reported_at double precision,
    PRIMARY KEY (bandit, decision_id),
    FOREIGN KEY (bandit, decision_id) REFERENCES nyx.decision
);

-- A cache of the fold: the sums of all rows up to checkpoint.seq.
CREATE TABLE nyx.checkpoint (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    encoding    text NOT NULL,
    bucket_rows bigint NOT NULL,
    seq         bigint NOT NULL,
    PRIMARY KEY (bandit, encoding, bucket_rows)
);
CREATE TABLE nyx.sums (
    bandit      text NOT NULL,
    encoding    text NOT NULL,
    bucket_rows bigint NOT NULL,
    arm_id      text NOT NULL,
    epoch       integer NOT NULL,
    bucket      bigint NOT NULL,
    statistics  bigint[] NOT NULL,
    PRIMARY KEY (bandit, encoding, bucket_rows, arm_id, epoch, bucket),
    FOREIGN KEY (bandit, encoding, bucket_rows) REFERENCES nyx.checkpoint
);
