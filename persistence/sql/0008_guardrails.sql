-- What people order and watching rules conclude about choices are rows of the log, with numbers of their own.
ALTER TABLE nyx.log
    DROP CONSTRAINT log_kind_check,
    DROP CONSTRAINT log_decision_check,
    ADD CONSTRAINT log_kind_check
        CHECK (kind IN ('reward', 'expiry', 'abandonment', 'retraction', 'repricing', 'adoption', 'epoch', 'alarm',
                        'guardrail')),
    ADD CONSTRAINT log_decision_check
        CHECK (kind IN ('adoption', 'epoch', 'alarm', 'guardrail')
               OR (decision_id IS NOT NULL AND arm_id IS NOT NULL AND epoch IS NOT NULL
                   AND encoding IS NOT NULL AND phi IS NOT NULL AND propensity IS NOT NULL));
DROP INDEX nyx.log_event;
CREATE INDEX log_event ON nyx.log (bandit, seq) WHERE kind IN ('epoch', 'alarm', 'guardrail');
COMMENT ON COLUMN nyx.log.pricing IS
    'How a reward came about; of an adoption, an epoch, an alarm or a guardrail, all that it says.';

-- Hard budgets: what executions may use at most is taken before they start, under the lock of the budget's row.
CREATE TABLE nyx.budget (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    name        text NOT NULL,
    begins_at   double precision NOT NULL,
    held        bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    spent       bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    PRIMARY KEY (bandit, name, begins_at)
);
COMMENT ON TABLE nyx.budget IS
    'A window of a budget, in millionths of its unit: held by executions that may still use it, and spent by those that said what they used.';

CREATE TABLE nyx.reservation (
    bandit      text NOT NULL,
    name        text NOT NULL,
    decision_id text NOT NULL,
    begins_at   double precision NOT NULL,
    amount      bigint NOT NULL CHECK (amount >= 0),
    used        bigint CHECK (used >= 0),
    PRIMARY KEY (bandit, name, decision_id),
    FOREIGN KEY (bandit, name, begins_at) REFERENCES nyx.budget
);
COMMENT ON COLUMN nyx.reservation.used IS 'NULL until the execution has said it; the whole amount is held till then.';
