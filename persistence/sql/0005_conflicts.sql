-- What could not be learned from, and must not be lost: it changes no choice, so it takes no number of the sequence.

CREATE TABLE nyx.conflict (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    decision_id text NOT NULL,
    digest      text NOT NULL,
    decision    json NOT NULL,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bandit, decision_id, digest)
);
COMMENT ON TABLE nyx.conflict IS
    'Decisions made apart from the one that is stored under their id: while the database was away, or before they were stored.';

CREATE TABLE nyx.unlearned (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    decision_id text NOT NULL,
    digest      text NOT NULL,
    code        text NOT NULL,
    message     text NOT NULL,
    report      json NOT NULL,
    reported_at double precision,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bandit, decision_id, digest)
);
COMMENT ON TABLE nyx.unlearned IS
    'Records of a spool that the log did not take, with the code of the error; and reports on decisions of nyx.conflict.';
