-- What the tables and their columns mean, for whoever looks at them with psql; the reference of the schema reads it too.
COMMENT ON TABLE nyx.migration IS 'Migrations that were applied, with the checksums of their files.';

COMMENT ON TABLE nyx.bandit IS 'One row per bandit: whoever appends to its log locks this row first.';
COMMENT ON COLUMN nyx.bandit.bandit IS 'Name of the bandit.';
COMMENT ON TABLE nyx.spec IS 'Every spec that a bandit has had; decisions name theirs by its hash.';
COMMENT ON COLUMN nyx.spec.document IS 'What BanditSpec.to_dict() writes.';

COMMENT ON TABLE nyx.decision_key IS 'Ids of decisions, taken for ever: what makes an id unique across the partitions of nyx.decision.';
COMMENT ON COLUMN nyx.decision_key.state_seq IS 'Last row of the log that was known when it was decided.';
COMMENT ON COLUMN nyx.decision_key.digest IS 'Hash of the decision''s row.';

COMMENT ON TABLE nyx.decision IS 'Decisions, in partitions by month.';
COMMENT ON COLUMN nyx.decision.decided_on IS 'Day of decided_at in UTC, 1970-01-01 where that is NULL.';
COMMENT ON COLUMN nyx.decision.spec_hash IS 'The spec that it was decided under.';
COMMENT ON COLUMN nyx.decision.encoding IS 'Hash of how contexts are encoded: sums of one encoding belong together.';
COMMENT ON COLUMN nyx.decision.state_seq IS 'Last row of the log that was known.';
COMMENT ON COLUMN nyx.decision.decided_at IS 'Seconds since 1970, as given; order is that of the log, never that of the clock.';
COMMENT ON COLUMN nyx.decision.context IS 'What was known before choosing.';
COMMENT ON COLUMN nyx.decision.phi IS 'The encoded context, in units of 2^-16.';
COMMENT ON COLUMN nyx.decision.eligible IS 'Places of the arms that might be chosen, in the order of the spec; NULL for all.';
COMMENT ON COLUMN nyx.decision.pmf IS 'Probability of each arm that was drawn from, in units of 2^-32.';
COMMENT ON COLUMN nyx.decision.propensity IS 'Probability that the chosen arm had, through all stages; 0 where nobody knows (imported).';
COMMENT ON COLUMN nyx.decision.epoch IS 'Epoch of the chosen arm: where its reward will count.';
COMMENT ON COLUMN nyx.decision.reason IS 'What chose: the policy, the holdout, the conservative rule, guardrails.';
COMMENT ON COLUMN nyx.decision.mode IS 'normal, or how the engine was impaired when it decided; imported: another did.';
COMMENT ON COLUMN nyx.decision.digest IS 'Hash of the row: two decisions of one id are the same if it is.';

COMMENT ON TABLE nyx.log IS 'All rows that can change a choice, in one sequence per bandit without gaps; in partitions by the month of their decision.';
COMMENT ON COLUMN nyx.log.seq IS 'Number in the sequence: the order in which rows were committed.';
COMMENT ON COLUMN nyx.log.kind IS 'Of a decision: reward, expiry, abandonment, retraction, repricing. Of the bandit: adoption, epoch, alarm, guardrail.';
COMMENT ON COLUMN nyx.log.source IS 'Who reported; the empty text where nobody is named.';
COMMENT ON COLUMN nyx.log.identifier IS 'Which of the source''s reports.';
COMMENT ON COLUMN nyx.log.revision IS '0 for the first report, one more for each correction.';
COMMENT ON COLUMN nyx.log.state IS 'Where the decision''s reward stands behind this row.';
COMMENT ON COLUMN nyx.log.epoch IS 'Epoch of the decision''s arm.';
COMMENT ON COLUMN nyx.log.reward IS 'Composite reward in [0, 1].';
COMMENT ON COLUMN nyx.log.taken IS 'What the decision contributed before this row, and no more, in units of 2^-16.';
COMMENT ON COLUMN nyx.log.outcome IS 'What the execution reported.';
COMMENT ON COLUMN nyx.log.priced_by IS 'Spec whose RewardSpec made the reward.';
COMMENT ON COLUMN nyx.log.reported_at IS 'Seconds since 1970, as given.';
COMMENT ON COLUMN nyx.log.digest IS 'Hash of what was reported: the same report again has the same.';

COMMENT ON TABLE nyx.checkpoint IS 'How far nyx.sums has come, per encoding: a start folds the rows behind it only.';
COMMENT ON TABLE nyx.sums IS 'Sums of the log up to the checkpoint, per arm, epoch and bucket of the sequence. A cache: the log has all of it.';
COMMENT ON COLUMN nyx.sums.statistics IS 'n, sums of rewards, of their squares, and of products with the encoded context, as integers.';
COMMENT ON TABLE nyx.base IS 'How far rows of the log may have been dropped; nyx.base_sums has their sums.';
COMMENT ON TABLE nyx.base_sums IS 'Sums of the rows up to the base: what verify and a start begin with where those rows are gone.';
COMMENT ON TABLE nyx.reservation IS 'What an execution may use at most of a hard budget, held before it starts.';
