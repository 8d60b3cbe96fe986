"""Rewards as integers in units of 2⁻¹⁶, like the entries of φ."""

from __future__ import annotations

from numbers import Real

from ..errors import OutcomeInvalid
from ..features import ONE

__all__ = ["reward_to_fixed"]


def reward_to_fixed(reward: object) -> int:
    """The integer that stands for a reward in [0, 1]; ``OutcomeInvalid`` for anything else."""
    if type(reward) is not float and (isinstance(reward, bool) or not isinstance(reward, Real)):
        number = None
    else:
        number = float(reward)  # type: ignore[arg-type]
    if number is None or not 0.0 <= number <= 1.0:
        raise OutcomeInvalid(
            "the reward is not in the unit interval",
            expected="a number from 0 to 1",
            found=f"{type(reward).__name__}: {reward!r:.80}",
            fix="scale the reward to [0, 1], or pass an Outcome and let the RewardSpec price it",
        )
    return round(number * ONE)
