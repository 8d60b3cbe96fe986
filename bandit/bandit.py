"""``Bandit``: the learner with a ledger in memory. Pure and synchronous: no clock, no database, no chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import DecisionUnknown, NyxError, RewardConflict
from ..features import Value
from ..rewards import Outcome, Reward
from ..rewards.lifecycle import expired_by
from . import document
from .decision import Beliefs, Decision, Receipt, VerifyReport
from .events import EventRow
from .fixed_point import reward_to_fixed
from .guardrails import PERSON, Override, revocation
from .guardrails.override import arm_names
from .guardrails.sentry import Sentry
from .history import HistoryRow, Triple, read_history
from .learner import Learner, checked_id, checked_time
from .log import ABANDONMENT, EXPIRY, RETRACTION, LogRow, OtherRow, RewardRow
from .prediction import PerformancePrediction, WorkflowInput
from .reports import Reported, RewardStatus, draft_report, priced_report, receipt_of, status_of
from .same import same_request
from .settle import draft_of, ledger_of, settle
from .spec import BanditSpec
from .watch import Observation, Watch

if TYPE_CHECKING:
    from .expecting import Expectations

__all__ = ["Bandit"]

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Bandit:
    """Selects arms and learns from rewards, in one process, without any input or output.

    >>> from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Strategy
    >>> spec = BanditSpec(
    ...     name="demo",
    ...     seed=7,
    ...     strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    ...     context=ContextSchema(task=Categorical(["research", "coding"])),
    ... )
    >>> bandit = Bandit(spec)
    >>> decision = bandit.select_arm({"task": "coding"}, decision_id="wf-1")
    >>> receipt = bandit.update_reward(decision, reward=0.83)
    >>> receipt.seq, receipt.applied, bandit.update_reward("wf-1", reward=0.83).applied
    (1, True, False)
    """

    def __init__(self, spec: BanditSpec) -> None:
        self.spec = spec
        self.learner = Learner(spec)
        self.decisions: dict[str, Decision] = {}
        """Every decision made, by id, in order."""
        self.receipts: dict[str, Receipt] = {}
        """Every first reward of a decision that came whole, by decision id, in the order of the sequence."""
        self.outcomes: dict[str, Outcome] = {}
        """The outcomes behind those receipts that have one."""
        self.rows: list[RewardRow] = []
        """All other rows: corrections, parts, retractions, expiries, abandonments; in the same sequence."""
        self._rows_of: dict[str, list[RewardRow]] = {}
        self.history: list[HistoryRow] = []
        """Every row of history learned; in the same sequence. Monitors do not watch it."""
        self.events: list[EventRow] = []
        """What monitors concluded and people ordered; in the same sequence."""
        self._watch = None if spec.monitors is None else Watch(spec)
        self._sentry = None if spec.guardrails is None else Sentry(spec)
        self._known: Expectations | None = None

    @property
    def seq(self) -> int:
        """Number of the last row that was learned."""
        return self.learner.sums.seq

    def select_arm(
        self,
        context: Mapping[str, Value],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        time: float | None = None,
    ) -> Decision:
        """Choose an arm for a context.

        Parameters
        ----------
        context : a value for each feature of the spec's schema.
        decision_id : idempotency key: the same id again returns the same decision, unchanged. Without one,
            the decision gets the next free number of this bandit.
        eligible, exclude : arm ids or strategy names; by default every arm is eligible.
        time : stored with the decision, in seconds since 1970; decides nothing.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
        DecisionConflict : the id was used with another context or eligibility.
        """
        learner = self.learner
        time = checked_time(time)
        if decision_id is None:
            number = len(self.decisions) + 1
            while f"#{number}" in self.decisions:
                number += 1
            decision_id = f"#{number}"
        clean, phi = learner.encoder.encode(context)
        allowed = learner.arms.eligible(eligible, exclude)
        known = self.decisions.get(checked_id(decision_id))
        if known is not None:
            return same_request(known, clean, allowed, learner.arms.units)
        decision = learner.choose(clean, phi, decision_id, allowed, time=time, mode="normal")
        self.decisions[decision_id] = decision
        return decision

    def update_reward(
        self,
        decision: Decision | str,
        outcome: Outcome | None = None,
        *,
        reward: float | None = None,
        part: Mapping[str, Any] | None = None,
        source: str = "",
        identifier: str = "",
        corrects: int | None = None,
        time: float | None = None,
    ) -> Receipt:
        """Learn what a decision was worth: an ``Outcome``, priced by the spec, or a reward in [0, 1].

        The same report again changes nothing, and says so in ``applied``.

        Parameters
        ----------
        outcome, reward, part : exactly one. ``part`` has some fields of an outcome; parts of several sources
            are put together by the spec's ``aggregate``, and count once ``success`` is among them.
        source, identifier : who reports, and which of its reports this is.
        corrects : revision of the report of the same source and identifier that this one replaces.
        time : stored with a row that is not a whole first report, in seconds since 1970.

        Raises
        ------
        DecisionUnknown : this bandit made no such decision.
        OutcomeInvalid : neither or both given, or out of range.
        RewardConflict : the decision has a reward, and it is another one; or the row is not legal there.
        RewardTooLate : the decision was closed, and the spec rejects late outcomes.
        """
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        known = self.decisions.get(key)
        if known is None or (known is not decision and isinstance(decision, Decision) and known != decision):
            raise unknown_decision(self.spec.name, key)
        if part is not None or corrects is not None or source or identifier or key in self._rows_of:
            told = Reported(outcome, reward, part, source, identifier, corrects)
            return self._append(draft_report(self.spec, known, self.spec.encoding, told, time))
        if outcome is None and reward is not None:
            value, components = reward, _NOTHING
            missing: tuple[str, ...] = ()
        else:
            priced = priced_report(self.spec, known, outcome, reward)
            value, components, missing = priced.value, priced.components, priced.missing
        units = reward_to_fixed(value)
        value = float(value)
        earlier = self.receipts.get(key)
        if earlier is not None:
            return same_reward(earlier, value, components)
        receipt = Receipt(key, self.seq + 1, value, True, components, missing)
        self.learner.absorb(known, units, receipt.seq)
        self.receipts[key] = receipt
        if outcome is not None:
            self.outcomes[key] = outcome
        if self._watch is not None or self._sentry is not None:
            self._conclude(self._first_seen(self._watch, self._sentry, known, units))
        return receipt

    def learn_history(self, rows: Iterable[Triple]) -> range:
        """Learn recorded rewards of decisions that were made elsewhere: a warm start.

        Each row (context, arm id, reward) gets the next number of the sequence and joins the sums exactly as
        a reward does; it stands in the ledger and in the document. Its propensity is unknown: it is learned
        from, but it is no decision of this bandit, and no evidence for judging a policy.

        Returns the numbers that the rows got.

        >>> from nyx_learning import Bandit, BanditSpec, Strategy
        >>> bandit = Bandit(BanditSpec("demo", [Strategy("direct"), Strategy("parallel")]))
        >>> bandit.learn_history([({}, "direct", 0.4), ({}, "parallel", 0.9)])
        range(1, 3)

        Raises
        ------
        InputInvalid, ContextInvalid, ArmUnknown, OutcomeInvalid : a row does not fit; none is learned.
        """
        learner = self.learner
        checked = read_history(rows, learner.arms, learner.encoder, learner.sums.epochs)
        first = self.seq + 1
        for seq, row in enumerate(checked, start=first):
            learner.absorb_history(row, seq)
            self.history.append(row._replace(seq=seq))
            if self._watch is not None:
                self._watch.skip(seq)
            if self._sentry is not None:
                self._sentry.absorb(OtherRow(seq))
        return range(first, first + len(checked))

    def override(
        self,
        rule: str,
        arms: Iterable[str] | str = (),
        *,
        author: str,
        reason: str,
        share: float | None = None,
        rows: int | None = None,
        until: float | None = None,
        time: float | None = None,
    ) -> Override:
        """Order a guardrail; it holds for the decisions behind its row, until it expires or is revoked.

        >>> from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
        >>> bandit = Bandit(BanditSpec("demo", [Strategy("a"), Strategy("b")], policy=PolicySpec("uniform")))
        >>> order = bandit.override("cap", "b", share=0.125, author="ada", reason="b is dear")
        >>> decision = bandit.select_arm({})
        >>> [mass / 2**32 for mass in decision.pmf], decision.reason
        ([0.875, 0.125], 'guarded:cap')

        Parameters
        ----------
        rule, arms, share, rows, until : see ``guardrails.Override``.
        author, reason : who orders it, and why; kept in the row.
        time : now, in seconds since 1970; None without a clock, and then nothing expires.

        Raises
        ------
        InputInvalid, ArmUnknown, GuardrailConflict : it does not fit; nothing has changed.
        """
        now = checked_time(time)
        override = Override(rule, arm_names(arms, self.spec), author, reason, share, rows, until, now)
        self.learner.guards.check(override, now)
        return override.numbered(self._order(override.draft(self.spec.name, self.spec.spec_hash)))

    def revoke(self, seq: int, *, author: str, reason: str, time: float | None = None) -> Override:
        """End an override, by the number of its row.

        Raises
        ------
        InputInvalid : none of this number is in force.
        """
        now = checked_time(time)
        known = self.learner.guards.check_revocation(seq, now)
        self._order(revocation(self.spec.name, self.spec.spec_hash, seq, author, reason, now))
        return known

    def overrides(self, time: float | None = None) -> list[Override]:
        """Those in force at a time; without one, nothing has expired."""
        return self.learner.guards.in_force(checked_time(time))

    def retract(self, decision: Decision | str, *, time: float | None = None) -> Receipt:
        """Forget a decision: its contribution leaves the sums exactly, and it takes no more reports.

        Raises
        ------
        DecisionUnknown : this bandit made no such decision.
        """
        return self._bare(decision, RETRACTION, time)

    def abandon(self, decision: Decision | str, *, time: float | None = None) -> Receipt:
        """Note that an execution was given up: a later outcome is a late one.

        Raises
        ------
        DecisionUnknown : this bandit made no such decision. RewardConflict : it has a reward.
        """
        return self._bare(decision, ABANDONMENT, time)

    def expire(self, now: float) -> list[Receipt]:
        """Give the default reward to every decision that has none ``window_s`` after its time.

        Decisions without a time never expire. ``now`` : in seconds since 1970.
        """
        reward = self.spec.reward
        pending = [
            d for d in self.decisions.values() if d.time is not None and d.decision_id not in self.receipts
        ]
        due = [
            d
            for d in pending
            if expired_by(ledger_of(self._rows_of.get(d.decision_id, ()), d.time), now, reward)
        ]
        return [self._bare(decision, EXPIRY, now) for decision in sorted(due, key=lambda d: d.decision_id)]

    def rewards(self, decision_id: str) -> RewardStatus:
        """Where a decision's reward stands, and all that was logged about it.

        Raises
        ------
        DecisionUnknown : this bandit made no such decision.
        """
        if decision_id not in self.decisions:
            raise unknown_decision(self.spec.name, checked_id(decision_id))
        return status_of(decision_id, self._history(decision_id), self.spec)

    def beliefs(
        self, context: Mapping[str, Value], *, eligible: Iterable[str] | None = None
    ) -> list[Beliefs]:
        """Mean, sd and probability of each arm in a context, in the spec's order; changes nothing."""
        return self.learner.beliefs(context, eligible=eligible)

    def predict_workflow_performance(
        self, workflow_input: WorkflowInput, proposed_strategy: str
    ) -> PerformancePrediction:
        """What an execution is expected to do: success, seconds and cost, each with an interval.

        Learned from the newest 2,000 to 4,000 rows of the ledger, as ``LearningEngine`` does from the log;
        changes nothing that a decision depends on.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        proposed_strategy : an arm id; or a strategy, which stands for its arms as they were used.

        Raises
        ------
        ContextInvalid, ArmUnknown : not of this spec.
        """
        from .expecting import Expectations, window_start  # noqa: PLC0415 (loads the compiler)

        first = window_start(self.seq)
        if self._known is None or self._known.first != first:
            self._known = Expectations(self.spec, first)
        for row in self._log_after(self._known.seq):
            self._known.absorb(row)
        return self._known.predict_workflow_performance(workflow_input, proposed_strategy)

    def verify(self) -> VerifyReport:
        """Fold the ledger anew and re-derive every decision from what was known when it was made."""
        fresh = Learner(self.spec)
        rewards = document.in_sequence(self.receipts, self.rows, self.history, self.events)
        matched, divergence = 0, None
        for name, decision in sorted(self.decisions.items(), key=lambda item: item[1].state_seq):
            problem = self._fold(fresh, rewards, decision.state_seq) or _rederived(fresh, decision)
            if name != decision.decision_id:
                problem = f"stands under the id '{name}'"
            if problem is None:
                matched += 1
            elif divergence is None:
                divergence = f"decision '{decision.decision_id}': {problem}"
        count = len(self.receipts) + len(self.rows) + len(self.history) + len(self.events)
        problem = self._fold(fresh, rewards, count) or self._settled_again() or self._watched_again()[2]
        same = problem is None and fresh.sums.digest() == self.learner.sums.digest()
        if not same and divergence is None:
            divergence = problem or "the sums"
        return VerifyReport(len(self.decisions), matched, count, same, divergence)

    def to_json(self) -> str:
        """The bandit as versioned JSON: spec, decisions, rewards and sums. Equal bandits give equal texts."""
        return document.write(
            document.Content(
                self.spec,
                self.learner.sums,
                self.decisions,
                self.receipts,
                self.outcomes,
                self.rows,
                self.history,
                self.events,
            )
        )

    @classmethod
    def from_json(cls, text: str) -> Bandit:
        """The bandit that ``to_json`` wrote; it goes on with the same bits.

        Raises
        ------
        DocumentInvalid : not such a document, a newer one, a damaged one, or one that contradicts itself.
        """
        content = document.read(text)
        bandit = cls(content.spec)
        bandit.learner = Learner(content.spec, content.sums)
        bandit.learner.guards.restore(content.events)
        bandit.decisions, bandit.receipts = content.decisions, content.receipts
        bandit.outcomes, bandit.rows = content.outcomes, content.rows
        bandit.history = content.history
        bandit.events = content.events
        for row in content.rows:
            bandit._rows_of.setdefault(row.decision_id, []).append(row)
        bandit._watch, bandit._sentry, problem = bandit._watched_again()
        if problem is not None:
            raise document.damaged(problem)
        return bandit

    def _bare(self, decision: Decision | str, kind: str, time: float | None) -> Receipt:
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        known = self.decisions.get(key)
        if known is None or (isinstance(decision, Decision) and known != decision):
            raise unknown_decision(self.spec.name, key)
        return self._append(RewardRow.bare(known, self.spec.encoding, time, kind))

    def _append(self, draft: RewardRow) -> Receipt:
        """Settle a row, give it a number, and fold it; the row that says the same where there is one."""
        key = draft.decision_id
        decision = self.decisions[key]
        row = settle(draft, self._history(key), decision, self.spec, None)
        if row.seq:
            return receipt_of(row, applied=False)
        row = row.numbered(self.seq + 1)
        self.learner.replace(decision, row.taken, row.units, row.stands_at, row.seq)
        self.rows.append(row)
        self._rows_of.setdefault(key, []).append(row)
        self._conclude(_row_seen(self._watch, self._sentry, row))
        return receipt_of(row, applied=True)

    def _conclude(self, found: Iterable[EventRow]) -> None:
        """Give what the monitors found its numbers; it takes effect there."""
        for draft in found:
            self._order(draft)

    def _order(self, draft: EventRow) -> int:
        event = draft.numbered(self.seq + 1)
        self.learner.begin(event)
        self.events.append(event)
        _row_seen(self._watch, self._sentry, event)
        return event.seq

    def _first_seen(
        self, watch: Watch | None, sentry: Sentry | None, decision: Decision, units: int
    ) -> list[EventRow]:
        """What is concluded behind the first report of a decision that came whole."""
        key = decision.decision_id
        found = list[EventRow]()
        if watch is not None:
            seen = _observation(decision, units, self.receipts[key].seq, self.outcomes.get(key))
            found += watch.observe(seen)
        if sentry is not None:
            found += sentry.absorb(self._history(key)[0])
        return found

    def _watched_again(self) -> tuple[Watch | None, Sentry | None, str | None]:
        """Monitors and guardrails, fed anew; and which event is not what they conclude, if any."""
        watch = None if self.spec.monitors is None else Watch(self.spec)
        sentry = None if self.spec.guardrails is None else Sentry(self.spec)
        due = list[EventRow]()
        for row in document.in_sequence(self.receipts, self.rows, self.history, self.events):
            if isinstance(row, EventRow):
                if row.monitor != PERSON and (not due or not due.pop(0).same(row)):
                    return watch, sentry, f"row {row.seq}: an event that no monitor concludes"
                _row_seen(watch, sentry, row)
            elif isinstance(row, HistoryRow):
                _row_seen(watch, sentry, OtherRow(row.seq))
            elif isinstance(row, RewardRow):
                due += _row_seen(watch, sentry, row)
            else:
                decision, units = self.decisions[row.decision_id], reward_to_fixed(row.reward)
                due += self._first_seen(watch, sentry, decision, units)
        return watch, sentry, f"row {due[0].cause}: its alarm is missing" if due else None

    def _log_after(self, seq: int) -> Iterator[LogRow]:
        """The rows behind row ``seq``, as a stored log has them."""
        for row in document.in_sequence(self.receipts, self.rows, self.history, self.events):
            if row.seq <= seq:
                continue
            if isinstance(row, HistoryRow):
                yield OtherRow(row.seq)
            elif isinstance(row, (RewardRow, EventRow)):
                yield row
            else:
                yield self._history(row.decision_id)[0]

    def _history(self, key: str) -> list[RewardRow]:
        """The rows about a decision, the whole first report among them."""
        rows = self._rows_of.get(key, [])
        receipt = self.receipts.get(key)
        if receipt is None:
            return rows
        first = Reward(
            float(receipt.reward or 0.0), receipt.components, receipt.missing, self.spec.reward.version
        )
        row = RewardRow.of(self.decisions[key], self.spec.encoding, first, self.outcomes.get(key), None)
        return [row.numbered(receipt.seq), *rows]

    def _settled_again(self) -> str | None:
        """None if every row follows from what was reported and the rows before it; else which does not."""
        for key, rows in self._rows_of.items():
            history = self._history(key)
            for row in rows:
                before = [earlier for earlier in history if earlier.seq < row.seq]
                try:
                    again = settle(draft_of(row), before, self.decisions[key], self.spec, None)
                except (NyxError, LookupError) as error:
                    return f"row {row.seq}: cannot be re-derived: {type(error).__name__}"
                if again.seq or again.numbered(row.seq) != row:
                    return f"row {row.seq}: does not follow from the rows before it"
        return None

    def _fold(self, learner: Learner, rewards: Iterator[document.Row], seq: int) -> str | None:
        """Fold the ledger up to row ``seq``; what is wrong with it, if anything."""
        try:
            while learner.sums.seq < seq:
                row = next(rewards)
                if isinstance(row, HistoryRow):
                    learner.absorb_history(row, row.seq)
                    continue
                if isinstance(row, EventRow):
                    learner.begin(row)
                    continue
                decision = self.decisions[row.decision_id]
                if isinstance(row, RewardRow):
                    learner.replace(decision, row.taken, row.units, row.stands_at, row.seq)
                else:
                    learner.absorb(decision, reward_to_fixed(row.reward), row.seq)
        except (NyxError, LookupError, StopIteration) as error:
            at = learner.sums.seq + 1
            return f"the ledger cannot be folded up to row {seq}: {type(error).__name__} at row {at}"
        return None


def _rederived(learner: Learner, decision: Decision) -> str | None:
    """None if the decision comes out the same; otherwise what came out."""
    try:
        context, phi = learner.encoder.encode(decision.context)
        again = learner.choose(
            context, phi, decision.decision_id, decision.eligible, time=decision.time, mode=decision.mode
        )
    except (NyxError, LookupError) as error:
        return f"cannot be re-derived: {type(error).__name__}"
    return None if again == decision else f"re-derived {again.arm_id}, digest {again.digest}"


def _row_seen(watch: Watch | None, sentry: Sentry | None, row: LogRow) -> list[EventRow]:
    """What is concluded behind the next row of the log."""
    found = list[EventRow]()
    if watch is not None:
        found += watch.absorb(row)
    if sentry is not None:
        found += sentry.absorb(row)
    return found


def _observation(decision: Decision, units: int, seq: int, outcome: Outcome | None) -> Observation:
    duration = None if outcome is None else outcome.duration_s
    told = None if outcome is None else outcome.to_dict()
    return Observation(seq, decision.arm, decision.epoch, decision.phi, units, duration, told, decision.time)


def same_reward(earlier: Receipt, value: float, components: Mapping[str, float]) -> Receipt:
    """Return the earlier receipt, marked as not applied again; ``RewardConflict`` if the reward differs."""
    if earlier.reward == value and dict(earlier.components) == dict(components):
        return earlier._replace(applied=False)
    raise RewardConflict(
        f"decision '{earlier.decision_id}' has another reward already",
        expected=f"reward {earlier.reward!r}, as in row {earlier.seq}",
        found=f"reward {value!r}",
        fix="report each decision once; a changed outcome is a correction, not a second report",
    )


def unknown_decision(bandit: str, decision_id: str) -> DecisionUnknown:
    """The error for an outcome without its decision."""
    return DecisionUnknown(
        f"bandit '{bandit}' knows no such decision",
        expected="the id of a decision that this bandit made",
        found=repr(decision_id),
        fix="select_arm first; if another process did, retry, or pass the Decision itself",
    )
