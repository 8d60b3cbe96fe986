"""Whether a decision can have been made by a spec: everything about it that can be told without the log."""

from __future__ import annotations

from ..bandit import BanditSpec, Decision
from ..bandit.choice import TOTAL, Keyed
from ..bandit.learner import ARM_STAGE, COHORT_STAGE, checked_id
from ..errors import NyxError
from ..features import Encoder

__all__ = ["Authenticity"]

_REASONS = {"policy", "holdout", "only_arm"}


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
        try:
            return self._content(decision) or self._arm(decision) or self._draws(decision)
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

    def _content(self, decision: Decision) -> str | None:
        spec = self._spec
        if decision.bandit != spec.name or decision.spec_hash != spec.spec_hash:
            return "it is of another bandit or spec"
        checked_id(decision.decision_id)
        context, phi = self._encoder.encode(decision.context)
        if context != decision.context or tuple(phi) != decision.phi:
            return "its phi is not its context's"
        numbers = ((decision.epoch, 1 << 31), (decision.state_seq, 1 << 62))
        if any(type(number) is not int or not 0 <= number < limit for number, limit in numbers):
            return "its epoch or state_seq is not a natural number"
        if decision.time is not None and decision.time - decision.time != 0.0:
            return "its time is not a finite number"
        if decision.reason not in _REASONS or not decision.mode.isprintable():
            return "its reason or mode is none"
        return None

    def _arm(self, decision: Decision) -> str | None:
        arms = self._spec.arms
        index = arms.index(decision.arm_id)
        arm = arms[index]
        said = (decision.arm, decision.strategy, decision.parameters)
        if said != (index, arm.strategy, arm.parameters):
            return "its arm, strategy and parameters disagree"
        eligible = decision.eligible
        if eligible is None:
            return None
        if eligible != tuple(sorted(set(eligible))) or not 0 <= eligible[0] <= eligible[-1] < len(arms):
            return "its eligible arms are not those of the spec"
        if any(units and i not in eligible for i, units in enumerate(decision.pmf)):
            return "its pmf has mass on an arm that was not eligible"
        return None

    def _draws(self, decision: Decision) -> str | None:
        names = [COHORT_STAGE, ARM_STAGE] if self._spec.holdout else [ARM_STAGE]
        stages = decision.stages
        if [stage.name for stage in stages] != names:
            return "its stages are not those of the spec"
        if stages[-1].names != self._spec.arms.ids or stages[-1].chosen != decision.arm:
            return "its last stage does not choose its arm"
        propensity = 1.0
        for stage in reversed(stages):
            if len(stage.pmf) != len(stage.names) or sum(stage.pmf) != TOTAL or min(stage.pmf) < 0:
                return f"the pmf of stage '{stage.name}' is none"
            if _draw(stage.pmf, self._keyed.uniform(decision.decision_id, stage.name)) != stage.chosen:
                return f"stage '{stage.name}': its pmf draws another arm"
            propensity *= stage.probability
        return None if propensity == decision.propensity else "its propensity is not that of its stages"


def _draw(pmf: tuple[int, ...], u: int) -> int:
    mass = 0
    for i, units in enumerate(pmf):
        mass += units
        if u < mass:
            return i
    raise ValueError(u)
