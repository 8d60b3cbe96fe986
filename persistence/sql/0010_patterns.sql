-- Patterns as they were found at a time, so that people can see them come and go: computed from the log, and of no
-- effect on any choice. Versions are dense per bandit; the oldest ones go.
CREATE TABLE nyx.pattern_snapshot (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    version     bigint NOT NULL CHECK (version > 0),
    seq         bigint NOT NULL CHECK (seq >= 0),
    found_at    double precision NOT NULL,
    window_s    double precision CHECK (window_s > 0),
    executions  bigint NOT NULL CHECK (executions >= 0),
    parameters  jsonb NOT NULL,
    metadata    jsonb NOT NULL,
    PRIMARY KEY (bandit, version)
);
COMMENT ON COLUMN nyx.pattern_snapshot.seq IS 'Number of the last row of the log that was read.';
COMMENT ON COLUMN nyx.pattern_snapshot.window_s IS 'Back from found_at, by the time of the reports; NULL for all.';
COMMENT ON COLUMN nyx.pattern_snapshot.metadata IS
    'strategy_patterns, failure_patterns, optimization_opportunities, performance_trends and further ones, as to_dict() has them.';
COMMENT ON TABLE nyx.pattern_snapshot IS
    'What was found in the log, in versions: the document of patterns, failures, opportunities and trends.';
