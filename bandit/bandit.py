"""``Bandit``: the learner with a ledger in memory. Pure and synchronous: no clock, no database, no chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import RewardConflict
from ..features import Value
from ..rewards import Outcome
from ..rewards.lifecycle import expired_by
from .calls.base import row_seen, unknown_decision
from .calls.document import DocumentCalls
from .calls.explaining import ExplainingCalls
from .calls.guardrails import GuardrailCalls
from .calls.prediction import PredictionCalls
from .decision import Beliefs, Decision, Receipt
from .fixed_point import reward_to_fixed
from .history import Triple, read_history
from .learner import checked_id, checked_time
from .log import ABANDONMENT, EXPIRY, RETRACTION, OtherRow, RewardRow
from .reports import Reported, RewardStatus, draft_report, priced_report, receipt_of, status_of
from .same import same_request
from .settle import ledger_of, settle

__all__ = ["Bandit"]

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Bandit(GuardrailCalls, PredictionCalls, ExplainingCalls, DocumentCalls):
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
        self._conclude(row_seen(self._watch, self._sentry, row))
        return receipt_of(row, applied=True)


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
