"""What the learners of the targets learn from: the default weights, and weights that name one target."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ...rewards import RewardSpec

__all__ = ["LEARNERS", "TARGETS", "Learning", "Target"]


class Learning(NamedTuple):
    """One learner: its reward, and whether only the parameters of the incumbent's strategy are open to it."""

    reward: RewardSpec
    parameters_only: bool = False


class Target(NamedTuple):
    """A target of the plan.

    gain : that is asked for, relative to the incumbent. learners : whom it is judged by, the default first.
    like_success : success may not fall.
    """

    gain: float
    learners: tuple[str, str]
    like_success: bool


_TIME = RewardSpec(weights={"speed": 0.5, "success": 0.5})

LEARNERS: Mapping[str, Learning] = MappingProxyType(
    {
        "default": Learning(RewardSpec()),
        "success": Learning(RewardSpec(weights={"success": 1.0})),
        "efficiency": Learning(RewardSpec(weights={"efficiency": 0.5, "success": 0.5})),
        "default, parameters": Learning(RewardSpec(), parameters_only=True),
        "speed, parameters": Learning(_TIME, parameters_only=True),
    }
)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "success": Target(0.20, ("default", "success"), like_success=False),
        "time": Target(0.15, ("default, parameters", "speed, parameters"), like_success=True),
        "repeated failures": Target(0.30, ("default", "success"), like_success=False),
        "resources": Target(0.25, ("default", "efficiency"), like_success=True),
    }
)
