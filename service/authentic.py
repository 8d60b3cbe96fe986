"""Whether a decision can have been made by a spec: everything about it that can be told without the log."""

from __future__ import annotations

from collections.abc import Callable

from ..bandit import BanditSpec, Decision
from ..bandit.choice import TOTAL, Keyed
from ..bandit.decision import ARM_STAGE, GUARDED, IMPORTED, product
from ..bandit.learner import COHORT_STAGE, checked_id
from ..bandit.space import STRATEGY_STAGE
from ..errors import NyxError
from ..features import Encoder

__all__ = ["Authenticity"]

_REASONS = {"policy", "holdout", "only_arm", "conservative", "kill_switch", "shadow", GUARDED}


class Authenticity:
    """Checks decisions of one spec."""

    def __init__(self, spec: BanditSpec) -> None:
        self._spec = spec
        self._encoder = Encoder(spec.context)
        self._keyed = Keyed(spec.seed, spec.name)

    def problem(self, decision: Decision) -> str | None:
        """What shows that the spec did not make this decision; None where nothing does.

        The context gives φ, the keyed uniform draws every stage from its pmf, and the propensity is their
        product. That the pmf is the policy's own can only be told from the log: that is for ``verify``.
        """
        return self._told(decision, self._made)

    def imported_problem(self, decision: Decision) -> str | None:
        """What shows that this decision was not imported under the spec; None where nothing does.

        Another drew the arm: there is no keyed uniform that would draw it again. What is checked is that
        context and φ, arm and eligibility, propensity and pmf (where there is one) agree.
        """
        return self._told(decision, self._imported)

    def _told(self, decision: Decision, check: Callable[[Decision], str | None]) -> str | None:
        try:
            return check(decision)
        except (
            NyxError,
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
        ) as error:
            return f"it cannot be read ({type(error).__name__})"

    def _made(self, decision: Decision) -> str | None:
        if decision.reason.partition(":")[0] not in _REASONS or not decision.reason.isprintable():
            return "its reason or mode is none"
        return self._content(decision) or self._arm(decision) or self._draws(decision)

    def _imported(self, decision: Decision) -> str | None:
        if decision.mode != IMPORTED or decision.reason.partition(":")[0] not in {*_REASONS, IMPORTED}:
            return "its reason or mode is none"
        return self._content(decision) or self._arm(decision) or self._chances(decision)

    def _chances(self, decision: Decision) -> str | None:
        arms, eligible, mass = self._spec.arms, decision.eligible, TOTAL
        if eligible is not None and decision.arm not in eligible:
            return "its arm was not eligible"
        if decision.stages:
            (stage,) = decision.stages
            if arms.staged or (stage.name, stage.names, stage.chosen) != (
                ARM_STAGE,
                arms.units,
                decision.arm,
            ):
                return "its pmf is not over the arms of the spec"
            # Each mass was rounded by itself, from probabilities that sum to 1 within a millionth.
            if min(stage.pmf) < 0 or abs(sum(stage.pmf) - TOTAL) > TOTAL / 1e6 + len(arms):
                return "its pmf is none"
            mass = stage.pmf[stage.chosen]
        if not 0.0 <= decision.propensity <= min(1.0, mass / TOTAL * (1.0 + 1e-6) + 1.0 / TOTAL):
            return "its propensity is not one of its pmf"
        return None

    def _content(self, decision: Decision) -> str | None:
        spec = self._spec
        if decision.bandit != spec.name or decision.spec_hash != spec.spec_hash:
            return "it is of another bandit or spec"
        checked_id(decision.decision_id)
        context, phi = self._encoder.encode(decision.context)
        unit, arm = spec.arms.locate(decision.arm_id)
        if context != decision.context or (*phi, *spec.arms.encode(unit, arm.parameters)) != decision.phi:
            return "its phi is not that of its context and arm"
        numbers = ((decision.epoch, 1 << 31), (decision.state_seq, 1 << 62))
        if any(type(number) is not int or not 0 <= number < limit for number, limit in numbers):
            return "its epoch or state_seq is not a natural number"
        if decision.time is not None and decision.time - decision.time != 0.0:
            return "its time is not a finite number"
        if not decision.mode.isprintable():
            return "its reason or mode is none"
        return None

    def _arm(self, decision: Decision) -> str | None:
        arms = self._spec.arms
        index, arm = arms.locate(decision.arm_id)
        said = (decision.arm, decision.arm_id, decision.strategy, decision.parameters)
        if said != (index, arm.arm_id, arm.strategy, arm.parameters):
            return "its arm, strategy and parameters disagree"
        eligible = decision.eligible
        if eligible is None:
            return None
        if eligible != tuple(sorted(set(eligible))) or not 0 <= eligible[0] <= eligible[-1] < len(arms):
            return "its eligible arms are not those of the spec"
        first = next((s for s in decision.stages if s.name in (ARM_STAGE, STRATEGY_STAGE)), None)
        if first is not None and any(units and i not in eligible for i, units in enumerate(first.pmf)):
            return "its pmf has mass on an arm that was not eligible"
        return None

    def _draws(self, decision: Decision) -> str | None:
        stages = decision.stages
        problem = self._spec.arms.chain_problem(stages[1:] if self._spec.holdout else stages)
        if problem or (self._spec.holdout and stages[0].name != COHORT_STAGE):
            return problem or "its first stage is not the cohort's"
        if self._spec.arms.drawn(stages) != decision.arm_id:
            return "its stages do not lead to its arm"
        for stage in stages:
            if len(stage.pmf) != len(stage.names) or sum(stage.pmf) != TOTAL or min(stage.pmf) < 0:
                return f"the pmf of stage '{stage.name}' is none"
            if _draw(stage.pmf, self._keyed.uniform(decision.decision_id, stage.name)) != stage.chosen:
                return f"stage '{stage.name}': its pmf draws another arm"
        return None if product(stages) == decision.propensity else "its propensity is not that of its stages"


def _draw(pmf: tuple[int, ...], u: int) -> int:
    mass = 0
    for i, units in enumerate(pmf):
        mass += units
        if u < mass:
            return i
    raise ValueError(u)
