-- Executions that agents report, with or without a decision: they change no choice, so they take no number.
CREATE TABLE nyx.execution (
    bandit       text NOT NULL REFERENCES nyx.bandit,
    execution_id text NOT NULL,
    reported_at  double precision NOT NULL,
    agent_id     text NOT NULL,
    agent_type   text,
    decision_id  text,
    result       jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object' AND length(result::text) <= 65536),
    digest       text NOT NULL,
    PRIMARY KEY (bandit, execution_id)
);
CREATE INDEX execution_by_time ON nyx.execution (bandit, reported_at);
CREATE INDEX execution_by_agent ON nyx.execution (bandit, agent_id, reported_at);
COMMENT ON COLUMN nyx.execution.digest IS
    'Hash of what was reported, its time aside: the same report again is known by it.';
COMMENT ON COLUMN nyx.execution.decision_id IS
    'Of the decision whose outcome this execution was; what is learned from it stands in the log.';
COMMENT ON TABLE nyx.execution IS 'Executions that agents report, with or without a decision: they change no choice, so they take no number.';
