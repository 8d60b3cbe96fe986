-- What monitors conclude are rows of the log, with numbers of their own: an epoch starts anew what is known of some
-- arms, an alarm is a warning.
ALTER TABLE nyx.log
    DROP CONSTRAINT log_kind_check,
    DROP CONSTRAINT log_decision_check,
    ADD CONSTRAINT log_kind_check
        CHECK (kind IN ('reward', 'expiry', 'abandonment', 'retraction', 'repricing', 'adoption', 'epoch', 'alarm')),
    ADD CONSTRAINT log_decision_check
        CHECK (kind IN ('adoption', 'epoch', 'alarm')
               OR (decision_id IS NOT NULL AND arm_id IS NOT NULL AND epoch IS NOT NULL
                   AND encoding IS NOT NULL AND phi IS NOT NULL AND propensity IS NOT NULL));
CREATE INDEX log_event ON nyx.log (bandit, seq) WHERE kind IN ('epoch', 'alarm');
COMMENT ON COLUMN nyx.log.pricing IS 'How a reward came about; of an adoption, an epoch or an alarm, all that it says.';

CREATE TABLE nyx.monitoring (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    spec_hash   text NOT NULL,
    seq         bigint NOT NULL CHECK (seq >= 0),
    progress    json NOT NULL,
    PRIMARY KEY (bandit, spec_hash)
);
COMMENT ON TABLE nyx.monitoring IS 'How far the monitors of a spec have come, and the rows that they remember: a cache, computed again from the log.';
