"""What a learner holds of some arms, as numbers that people can use: intervals, and which one is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from ...features import ONE
from .. import kernels
from ..arms import Arm
from ..learner import Learner
from ..policies.base import Contenders, Floats

__all__ = ["COVERAGE", "Judged", "Z", "average_phi", "judge"]

COVERAGE = 0.95
Z = 1.959963984540054
"""Half the width of a credible interval of 95 %, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Beliefs about arms, in their order: mean and sd of the expected reward (K,), and the probability (K,)
    that no other of them has a higher one. NaN where the policy holds no belief.
    """

    mean: Floats
    sd: Floats
    best: Floats
    rivals: Contenders

    def interval(self, i: int) -> tuple[float | None, float | None, float | None]:
        """Mean and bounds of the credible interval, clipped to where rewards are; None without belief."""
        mean, sd = float(self.mean[i]), float(self.sd[i])
        if not isfinite(mean):
            return None, None, None
        if not isfinite(sd):
            return mean, None, None
        return mean, _share(mean - Z * sd), _share(mean + Z * sd)

    def gain(self, i: int, j: int) -> tuple[float, float]:
        """Mean and sd of what arm i is worth more than arm j.

        Of two independent parts: where arms share more than that, the sd is too large rather than too small.
        """
        weight, mean, own = self.rivals.weight, self.rivals.mean, self.rivals.own
        difference = mean[:, i] - mean[:, j]
        centre = float((weight * difference).sum())
        variance = float((weight * (own[:, i] + own[:, j] + (difference - centre) ** 2)).sum())
        return centre, variance**0.5


def judge(learner: Learner, phi: Sequence[int], arms: Sequence[Arm]) -> Judged:
    """Beliefs about these arms in an encoded context."""
    rivals = learner.contenders(phi, arms)
    mean, sd = rivals.moments()
    best = np.full(len(arms), np.nan)
    if np.isfinite(rivals.mean).all() and np.isfinite(rivals.own).all():
        best[:] = 0.0
        part, everyone = np.zeros(len(arms)), np.ones(len(arms), np.bool_)
        for weight, means, own in zip(rivals.weight, rivals.mean, rivals.own, strict=True):
            kernels.best_arm.best_arm_gaussian(np.ascontiguousarray(means), np.sqrt(own), everyone, part)
            best += weight * part
    return Judged(mean, sd, best, rivals)


def average_phi(learner: Learner) -> list[int]:
    """The average encoded context of all rewards known, in units of 2⁻¹⁶; the bare level without rewards.

    Exact sums: the first column of Σφφᵀ is Σφ, because φ begins with 1.
    """
    dimension, size = learner.sums.dimension, learner.encoder.dimension
    totals = learner.sums.totals
    n = int(totals[:, 0].sum())
    if not n:
        return [ONE] + [0] * (size - 1)
    columns = [3 + dimension + i * (i + 1) // 2 for i in range(size)]
    sums = [int(value) for value in totals[:, columns].sum(axis=0)]
    return [(value + n * ONE // 2) // (n * ONE) for value in sums]


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
