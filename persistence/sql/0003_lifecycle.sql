-- Corrections, retractions, expiries, abandonments and adopted references are rows of the log, with numbers of their own.

ALTER TABLE nyx.bandit ADD COLUMN adopted_seq bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN nyx.bandit.adopted_seq IS 'Number of the last adoption; whoever holds the lock sees whether there is a new one.';

ALTER TABLE nyx.log
    DROP CONSTRAINT log_kind_check,
    DROP CONSTRAINT log_bandit_decision_id_source_revision_key,
    ALTER COLUMN decision_id DROP NOT NULL,
    ALTER COLUMN arm_id DROP NOT NULL,
    ALTER COLUMN epoch DROP NOT NULL,
    ALTER COLUMN encoding DROP NOT NULL,
    ALTER COLUMN phi DROP NOT NULL,
    ALTER COLUMN propensity DROP NOT NULL,
    ALTER COLUMN units DROP NOT NULL,
    ALTER COLUMN reward DROP NOT NULL,
    ADD COLUMN identifier text NOT NULL DEFAULT '',
    ADD COLUMN state text NOT NULL DEFAULT 'final',
    ADD COLUMN taken integer CHECK (taken BETWEEN 0 AND 65536),
    ADD COLUMN place bigint NOT NULL DEFAULT 0,
    ADD COLUMN priced_by text,
    ADD CONSTRAINT log_kind_check
        CHECK (kind IN ('reward', 'expiry', 'abandonment', 'retraction', 'repricing', 'adoption')),
    ADD CONSTRAINT log_decision_check
        CHECK (kind = 'adoption' OR (decision_id IS NOT NULL AND arm_id IS NOT NULL AND epoch IS NOT NULL
                                     AND encoding IS NOT NULL AND phi IS NOT NULL AND propensity IS NOT NULL)),
    ADD CONSTRAINT log_contribution_check CHECK ((units IS NULL) = (reward IS NULL)),
    ADD CONSTRAINT log_report_key UNIQUE (bandit, decision_id, kind, source, identifier, revision);
COMMENT ON COLUMN nyx.log.units IS
    'What the decision contributes to the sums from this row on; NULL for nothing. taken: what it did before, which leaves them.';
COMMENT ON COLUMN nyx.log.place IS
    'The row in whose bucket the contribution stands, 0 for this one: what replaces a contribution stands in its place.';
CREATE INDEX log_adoption ON nyx.log (bandit, seq) WHERE kind = 'adoption';
COMMENT ON TABLE nyx.abandoned IS 'Executions that were cancelled before abandonments were rows of the log.';
