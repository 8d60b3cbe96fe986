"""The learner: a spec, its sums, and the policy that reads them. It decides and absorbs, without a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import EligibilityEmpty, InputInvalid, shown
from ..features import Encoder, Value
from ..features.encoding import groups
from .arms import Arm
from .choice import TOTAL, Keyed
from .decision import ARM_STAGE, GUARDED, Beliefs, Decision, Stage, product
from .events import EventRow
from .guardrails.acting import NO_RULES, Rules
from .guardrails.state import GuardState
from .history import HistoryRow
from .joint import JointChooser
from .policies import CATALOG
from .policies.base import Contenders
from .space import ArmSpace
from .spec import BanditSpec
from .staged import StagedChooser
from .sums import Sums

__all__ = ["ARM_STAGE", "COHORT_STAGE", "Learner", "checked_id", "checked_time", "policy_propensity"]

COHORT_STAGE = "cohort"
_COHORTS = ("learner", "holdout")
_LATEST = 1e12
_MAX_ID = 512
_MAX_ID_BYTES = 1024  # with the bandit's name it must fit into an entry of a database's index


class Learner:
    """Decides from the sums, and takes rewarded decisions in.

    Deciding never changes what is known: any number of decisions between two rewards leave no trace.
    """

    def __init__(self, spec: BanditSpec, sums: Sums | None = None) -> None:
        self.spec, self.arms = spec, spec.arms
        self.encoder = Encoder(spec.context)
        self.sums = _fitting(spec, sums, self.encoder.dimension + self.arms.extra)
        self.sums.stale.update(range(len(self.arms)))  # another policy may have read these sums before
        self._keyed = Keyed(spec.seed, spec.name)
        columns = tuple(groups(spec.context))
        self._chooser: JointChooser | StagedChooser
        if isinstance(self.arms, ArmSpace):
            self._chooser = StagedChooser(spec, self.arms, columns, self.sums, self._keyed)
        else:
            self._chooser = JointChooser(spec, self.arms, columns, self.sums, self._keyed)
        holdout = round(spec.holdout * TOTAL)
        self._cohort_pmf = (TOTAL - holdout, holdout)
        self._spec_hash = spec.spec_hash
        self.guards = GuardState(self.arms, spec.baseline, _first_share(spec))
        """The guardrails in force: folded like the sums, from rows of their own."""

    def decide(
        self,
        context: Mapping[str, Value],
        decision_id: str,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        time: float | None = None,
        mode: str = "normal",
    ) -> Decision:
        """Choose an arm: a pure function of the sums, the spec and the arguments.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : nothing has changed.
        """
        checked_id(decision_id)
        clean, phi = self.encoder.encode(context)
        allowed = self.arms.eligible(eligible, exclude)
        return self.choose(clean, phi, decision_id, allowed, time=checked_time(time), mode=mode)

    def choose(
        self,
        context: dict[str, Value],
        phi: Sequence[int],
        decision_id: str,
        allowed: tuple[int, ...] | None,
        *,
        time: float | None,
        mode: str,
    ) -> Decision:
        """``decide`` for validated arguments: an encoded context, and indices of eligible arms.

        ``phi`` may be a decision's, which has the parameters' columns behind the context's.
        """
        if self.arms.extra:
            phi = phi[: self.encoder.dimension]
        stages: tuple[Stage, ...] = ()
        held_out = False
        if self._cohort_pmf[1]:
            u = self._keyed.uniform(decision_id, COHORT_STAGE)
            held_out = u >= self._cohort_pmf[0]
            stages = (Stage(COHORT_STAGE, _COHORTS, self._cohort_pmf, int(held_out)),)
        if held_out and self._serves_cohort(allowed, time):
            further, unit, arm = self._chooser.serve_baseline()
            reason = "holdout"
        elif self.guards.idle:
            further, unit, arm, reason = self._chooser.choose(phi, allowed, decision_id)
        else:
            further, unit, arm, reason = self._guarded(phi, allowed, decision_id, time)
        stages = (*stages, *further) if stages else further
        return Decision(
            self.spec.name,
            decision_id,
            context,
            (*phi, *self.arms.encode(unit, arm.parameters)) if self.arms.extra else tuple(phi),
            allowed,
            stages,
            unit,
            arm.arm_id,
            arm.strategy,
            dict(arm.parameters),  # a copy: callers may change theirs
            product(stages),
            self.sums.epochs[unit],
            reason,
            mode,
            self._spec_hash,
            self.sums.seq,
            time,
        )

    def _guarded(
        self, phi: Sequence[int], allowed: tuple[int, ...] | None, decision_id: str, time: float | None
    ) -> tuple[tuple[Stage, ...], int, Arm, str]:
        """Choose under the guardrails that are in force: stages, the arm's row of the sums, arm, reason."""
        rules = self.guards.rules(time, self.sums.totals)
        kept, acted = rules.narrowed(allowed, len(self.arms))
        if kept == ():
            raise _all_barred(rules, allowed)
        served = rules.served
        if served is not None and self._may_serve_baseline(allowed, rules):
            further, unit, arm = self._chooser.serve_baseline()
            if served == "kill_switch":
                return further, unit, arm, served
            would = self._chooser.choose(phi, kept, decision_id, rules)
            return further, unit, arm, f"{served}:{would[2].arm_id}"
        further, unit, arm, reason = self._chooser.choose(phi, kept, decision_id, rules)
        if acted:
            names = reason.partition(":")[2].split(",") if reason.startswith(f"{GUARDED}:") else []
            reason = f"{GUARDED}:{','.join([*acted, *names])}"
        return further, unit, arm, reason

    def _serves_cohort(self, allowed: tuple[int, ...] | None, time: float | None) -> bool:
        rules = NO_RULES if self.guards.idle else self.guards.rules(time, self.sums.totals)
        return self._may_serve_baseline(allowed, rules)

    def _may_serve_baseline(self, allowed: tuple[int, ...] | None, rules: Rules) -> bool:
        baseline = self.spec.baseline
        return (allowed is None or baseline in allowed) and baseline not in rules.barred

    def absorb(self, decision: Decision, reward: int, seq: int) -> None:
        """Learn one reward (units of 2⁻¹⁶), the row ``seq`` of the sequence.

        Raises
        ------
        InputInvalid : ``seq`` is not the next number; nothing has changed.
        """
        self.sums.expect(seq)
        if self.guards.learns_all or not self.guards.withholds(seq):
            further = self.increments(policy_propensity(decision), reward, seq)
            self.sums.absorb(decision.arm, decision.epoch, seq, decision.phi, reward, further=further)
        self.sums.seq = seq

    def absorb_history(self, row: HistoryRow, seq: int) -> None:
        """Learn a row that no decision of this bandit led to, as the row ``seq`` of the sequence.

        Raises
        ------
        InputInvalid : ``seq`` is not the next number; nothing has changed.
        """
        self.sums.expect(seq)
        if self.guards.learns_all or not self.guards.withholds(seq):
            further = self.increments(0.0, row.units, seq)  # its propensity is unknown
            self.sums.absorb(row.unit, row.epoch, seq, row.phi, row.units, further=further)
        self.sums.seq = seq

    def replace(self, decision: Decision, taken: int | None, added: int | None, place: int, seq: int) -> None:
        """Fold the row ``seq``, which takes a decision's contribution back, or adds one, or both.

        ``taken``, ``added`` in units of 2⁻¹⁶, None for nothing; ``place`` : the row in whose bucket
        they stand.

        Raises
        ------
        InputInvalid : ``seq`` is not the next number; nothing has changed.
        """
        self.sums.expect(seq)
        propensity = policy_propensity(decision)
        if taken != added and (self.guards.learns_all or not self.guards.withholds(place)):
            for units, sign in ((taken, -1), (added, 1)):
                if units is not None:
                    further = self.increments(propensity, units, place)
                    self.sums.absorb(
                        decision.arm, decision.epoch, place, decision.phi, units, sign, further=further
                    )
        self.sums.seq = seq

    def begin(self, event: EventRow) -> None:
        """Fold an event: the arms that it names start a new epoch; an alarm only takes its number.

        Arms that the spec does not have are another spec's.

        Raises
        ------
        InputInvalid : the event is not the next row; nothing has changed.
        """
        self.sums.expect(event.seq)
        self.guards.absorb(event)
        for name, epoch in event.epochs.items():
            unit = self.arms.unit_of(name)
            if unit >= 0:
                self.sums.begin(unit, epoch, event.seq)
        self.sums.seq = event.seq

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:
        """What a row adds to the further statistics that the policy declares; mostly nothing.

        ``propensity``: ``policy_propensity`` of the row's decision; ``reward`` in units of 2⁻¹⁶.
        """
        return self._chooser.increments(propensity, reward, seq)

    def beliefs(
        self, context: Mapping[str, Value], *, eligible: Iterable[str] | None = None
    ) -> list[Beliefs]:
        """Tell what the policy holds of each arm in a context; changes nothing."""
        _, phi = self.encoder.encode(context)
        return self.views(phi, self.arms.eligible(eligible, None))

    def views(self, phi: Sequence[int], allowed: tuple[int, ...] | None) -> list[Beliefs]:
        """``beliefs`` for validated arguments: an encoded context, and positions of eligible arms."""
        return self._chooser.beliefs(phi, allowed)

    def contenders(self, phi: Sequence[int], arms: Sequence[Arm]) -> Contenders:
        """Tell what the policy holds of these arms as rivals of each other; changes nothing.

        In a space of parameters any of its arms may be asked for.
        """
        return self._chooser.contenders(phi, arms)


def _all_barred(rules: Rules, allowed: tuple[int, ...] | None) -> EligibilityEmpty:
    asked = "all arms" if allowed is None else f"{len(allowed)} eligible arms"
    return EligibilityEmpty(
        "guardrails leave no arm to choose",
        expected="at least one eligible arm that is neither excluded, paused nor retired",
        found=f"{asked}, all of them taken out by: {', '.join(rules.barred_by)}",
        fix="widen eligible, or look at overrides() and revoke one",
    )


def policy_propensity(decision: Decision) -> float:
    """The logged propensity, or 0 for a row that the policy did not choose (a holdout cohort)."""
    return 0.0 if decision.reason == "holdout" else decision.propensity


def _first_share(spec: BanditSpec) -> float | None:
    """Share of service that a learner begins with; None where nothing compares it."""
    service = None if spec.guardrails is None else spec.guardrails.service
    return None if service is None else service.shares[0]


def _fitting(spec: BanditSpec, sums: Sums | None, dimension: int) -> Sums:
    """New sums, or the given ones if they hold what the spec's policy reads; ``InputInvalid`` otherwise."""
    further = CATALOG[spec.policy.name].statistics
    if sums is None:
        return Sums(len(spec.arms), dimension, spec.bucket_rows, len(further))
    if sums.further == len(further):
        return sums
    raise InputInvalid(
        f"the sums are not those that policy '{spec.policy.name}' reads",
        expected=f"{len(further)} further statistics {list(further)}",
        found=f"{sums.further}",
        fix="refold the sums from the log with this spec",
    )


def checked_time(time: object) -> float | None:
    """Return a time that can be stored, or None; ``InputInvalid`` for anything else."""
    if time is None:
        return None
    if isinstance(time, (int, float)) and not isinstance(time, bool) and abs(time) < _LATEST:
        return float(time)
    raise InputInvalid(
        "the time is unusable",
        expected="seconds since 1970 as a finite number, or None",
        found=shown(time),
        fix="pass time.time(), or leave it out",
    )


def checked_id(decision_id: object) -> str:
    """Return a usable decision id; ``InputInvalid`` for anything else."""
    if (
        isinstance(decision_id, str)
        and 0 < len(decision_id) <= _MAX_ID
        and decision_id.isprintable()
        and (decision_id.isascii() or len(decision_id.encode()) <= _MAX_ID_BYTES)
    ):
        return decision_id
    raise InputInvalid(
        "the decision id is unusable",
        expected=f"a printable string of 1 to {_MAX_ID} characters, at most {_MAX_ID_BYTES:,} bytes in UTF-8",
        found=shown(decision_id),
        fix="use something that your retry would send again, such as 'workflow-1/step-2'",
    )
