"""Rewards as integers in units of 2⁻¹⁶, like the entries of φ."""

from __future__ import annotations

from numbers import Real

from ..errors import OutcomeInvalid, shown
from ..features import ONE

__all__ = ["reward_to_fixed"]


def reward_to_fixed(reward: object) -> int:
    """The integer that stands for a reward in [0, 1]; ``OutcomeInvalid`` for anything else."""
    known = type(reward) is float or (isinstance(reward, Real) and not isinstance(reward, bool))
    # Compared before it is converted: an integer may be too large for a float.
    if not known or not 0.0 <= reward <= 1.0:  # type: ignore[operator]
        raise OutcomeInvalid(
            "the reward is not in the unit interval",
            expected="a number from 0 to 1",
            found=shown(reward),
            fix="scale the reward to [0, 1], or pass an Outcome and let the RewardSpec price it",
        )
    return round(float(reward) * ONE)  # type: ignore[arg-type]
