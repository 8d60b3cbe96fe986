"""The arms that an explanation tells of, and which row of the sums each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..arms import Arm, ArmTable
from ..decision import ARM_STAGE, Beliefs, Decision
from ..learner import Learner
from ..parameters import ParameterValue, Range
from ..space import STRATEGY_STAGE, ArmSpace

__all__ = ["Candidate", "candidates_of", "masses_of"]


class Candidate(NamedTuple):
    """An arm, its row of the sums, and its name: the strategy's where no parameters are known to be best."""

    name: str
    unit: int
    arm: Arm


def candidates_of(learner: Learner, views: Sequence[Beliefs]) -> list[Candidate]:
    """All listed arms; in a space, each strategy with its parameters of best posterior mean."""
    arms = learner.arms
    if isinstance(arms, ArmTable):
        return [Candidate(arm.arm_id, unit, arm) for unit, arm in enumerate(arms)]
    return [Candidate(view.arm_id, unit, _stands_for(arms, unit, view)) for unit, view in enumerate(views)]


def _stands_for(space: ArmSpace, unit: int, view: Beliefs) -> Arm:
    if not space.parameters[unit] or view.arm_id != space.units[unit]:
        return space.locate(view.arm_id)[1]
    middle: dict[str, ParameterValue] = {}  # a policy without a model has no best ones
    for parameter in space.parameters[unit]:
        values = parameter.values
        middle[parameter.name] = values.value((4, 4)) if isinstance(values, Range) else values[0]
    return space.arm(unit, middle)


def masses_of(decision: Decision, count: int) -> list[float]:
    """Probability with which each row of the sums was chosen; 1 for what was served for certain."""
    for stage in decision.stages:
        if stage.name in (ARM_STAGE, STRATEGY_STAGE):
            return [mass / (1 << 32) for mass in stage.pmf]
    return [float(unit == decision.arm) for unit in range(count)]
