"""From a logged choice to what a bandit stores: a decision made elsewhere, and the row of its reward.

An imported decision has mode ``imported``: it is no choice of this bandit, so nothing derives it again. Its
reward joins the sums as any other does. Where its propensity is unknown, it is stored as 0, the mark of rows
that importance weights leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...bandit import BanditSpec, Decision, Stage
from ...bandit.choice import TOTAL
from ...bandit.decision import ARM_STAGE, IMPORTED
from ...bandit.log import RewardRow
from ...bandit.reports import Reported, draft_report
from ...bandit.settle import settle
from ...errors import ArmUnknown, LogInvalid, OutcomeInvalid
from ...features import Encoder
from ...rewards import Outcome, ReferenceTimes
from .choice import LoggedChoice

__all__ = ["Fitted", "Fitter"]

_REASONS = frozenset({"policy", "holdout", "only_arm", "conservative"})


class Fitted(NamedTuple):
    """decision : as it is stored. row : of its reward, without a number; None for no reward.
    outcome_dropped : the outcome is not kept, because its price is not the reward that was logged.
    """

    decision: Decision
    row: RewardRow | None
    outcome_dropped: bool


class Fitter:
    """Fits choices to one bandit.

    Parameters
    ----------
    epochs : of each unit of the spec's arms, which the rewards join.
    state_seq : number of the last row of the log before the import.
    references : the adopted version that prices outcomes; None for the spec's own.
    reported_at : stored with the rows of rewards, in seconds since 1970.

    Attributes
    ----------
    encoding : hash of the encoding that makes φ.
    """

    def __init__(
        self,
        spec: BanditSpec,
        *,
        epochs: Sequence[int],
        state_seq: int,
        references: ReferenceTimes | None = None,
        reported_at: float | None = None,
    ) -> None:
        self.spec, self._epochs, self._state_seq = spec, tuple(epochs), state_seq
        self._references, self._reported_at = references, reported_at
        self._encoder, self.encoding, self._hash = Encoder(spec.context), spec.encoding, spec.spec_hash

    def fit(self, choice: LoggedChoice) -> Fitted:
        """The rows of a choice; nothing is changed.

        The reward is what the line says. Without one, its outcome (or its success) is priced by the spec.

        Raises
        ------
        ContextInvalid, ArmUnknown, OutcomeInvalid : the choice does not fit the spec.
        LogInvalid : what it says contradicts itself.
        """
        decision = self._decision(choice)
        reported = choice.outcome
        if reported is None and choice.reward is None and choice.success is not None:
            reported = {"success": choice.success}
        if reported is None:
            return Fitted(
                decision, None if choice.reward is None else self._row(decision, choice.reward), False
            )
        outcome = Outcome.from_dict(reported)
        try:
            row = self._row(decision, outcome)
        except OutcomeInvalid:  # it has no score that has weight
            if choice.reward is None:
                raise
            row = None
        if choice.reward is None or (row is not None and row.reward == choice.reward):
            return Fitted(decision, row, False)
        return Fitted(decision, self._row(decision, choice.reward), True)

    def _decision(self, choice: LoggedChoice) -> Decision:
        arms = self.spec.arms
        clean, phi = self._encoder.encode(choice.context)
        unit, arm = arms.locate(choice.arm_id)
        eligible = None if choice.eligible is None else arms.eligible(choice.eligible, None)
        if eligible is not None and unit not in eligible:
            raise LogInvalid(
                f"line {choice.line}: the arm was not eligible",
                expected=f"one of {list(choice.eligible or ())[:8]!r}",
                found=repr(choice.arm_id)[:120],
                fix="log what could be chosen, the chosen one included",
            )
        return Decision(
            self.spec.name,
            choice.decision_id,
            clean,
            (*phi, *arms.encode(unit, arm.parameters)),
            eligible,
            () if choice.pmf is None else self._stages(choice, choice.pmf, unit, eligible),
            unit,
            arm.arm_id,
            arm.strategy,
            dict(arm.parameters),
            choice.propensity or 0.0,
            self._epochs[unit],
            choice.reason if choice.reason in _REASONS else IMPORTED,
            IMPORTED,
            self._hash,
            self._state_seq,
            choice.time,
        )

    def _stages(
        self, choice: LoggedChoice, pmf: Mapping[str, float], chosen: int, eligible: tuple[int, ...] | None
    ) -> tuple[Stage, ...]:
        arms = self.spec.arms
        if arms.staged:
            raise LogInvalid(
                f"line {choice.line}: a pmf over arms does not fit a space that is too large to list",
                expected="no pmf",
                found=f"probabilities of {list(pmf)[:4]!r:.100}",
                fix="leave the pmf out, and log the propensity",
            )
        allowed = arms.units if eligible is None else [arms.units[i] for i in eligible]
        others = [name for name, mass in pmf.items() if mass > 0.0 and name not in allowed]
        if others:
            raise ArmUnknown(
                "the pmf gives a probability to what could not be chosen",
                expected=f"arm ids {list(allowed)[:8]!r}",
                found=repr(others[:8])[:160],
                fix="use arm ids of the spec, and log all that were eligible",
            )
        masses = tuple(round(pmf.get(unit, 0.0) * TOTAL) for unit in arms.units)
        return (Stage(ARM_STAGE, arms.units, masses, chosen),)

    def _row(self, decision: Decision, worth: Outcome | float) -> RewardRow:
        told: dict[str, Any] = {"outcome" if isinstance(worth, Outcome) else "reward": worth}
        draft = draft_report(self.spec, decision, self.encoding, Reported(**told), self._reported_at)
        return settle(draft, (), decision, self.spec, self._references)
