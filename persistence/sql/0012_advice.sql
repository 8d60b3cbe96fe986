-- What was advised about running executions: it changes no choice, so it takes no number.
CREATE TABLE nyx.advice (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    decision_id text NOT NULL,
    elapsed_s   double precision NOT NULL CHECK (elapsed_s >= 0),
    asked_at    double precision NOT NULL,
    action      text NOT NULL,
    target_arm  text,
    document    jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object' AND length(document::text) <= 65536),
    PRIMARY KEY (bandit, decision_id, elapsed_s)
);
CREATE INDEX advice_by_time ON nyx.advice (bandit, asked_at);
COMMENT ON COLUMN nyx.advice.document IS
    'The expected reward of each action that was open, and the stakes that they were priced by.';
COMMENT ON TABLE nyx.advice IS 'What was advised about running executions: it changes no choice, so it takes no number.';
