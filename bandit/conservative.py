"""Keeping a share of the baseline: the policy is served only where what was earned allows for it.

The baseline arm has mean μ₀ and was rewarded n₀ times, with sum S₀; the other arms n₁ times, with sum S₁. One
more choice of the policy, were it worth nothing, must leave

    μ-sum of the others + n₀ μ₀  ≥  (1 − α) (n₀ + n₁ + 1) μ₀

for all values that are still believed: μ-sum ≥ S₁ − c(n₁), and |μ₀ − S₀/n₀| ≤ c(n₀)/n₀, with the radius

    c(n) = √( (n/2) ln(3 n (n+1) / δ) )

of Hoeffding and Azuma, which holds for all n at once with probability 1 − δ in all three places (Σ 1/(n(n+1))
= 1). Otherwise the baseline arm is served. By induction Σ μ_{A_s} ≥ (1 − α) μ₀ t at all t, with probability 1
− δ.

What it does not know: choices whose rewards are still to come are not in the sums; μ₀ is taken to be the same
in all contexts; an arm's new epoch starts its account anew. Where the baseline arm is not eligible, the
policy is served.

References
----------
Wu, Shariff, Lattimore & Szepesvári (2016), Conservative bandits, ICML, §4 (unknown μ₀); Kazerouni et al.
(2017), Conservative contextual linear bandits, NeurIPS.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from .. import ieee
from ..features import ONE

__all__ = ["Conservative"]


class Conservative:
    """Tells from the sums whether the policy's own choice may be served; α = ``share``, δ = ``delta``."""

    def __init__(self, share: float, delta: float, baseline: int) -> None:
        self._share, self._delta, self._baseline = share, delta, baseline

    def allows(self, totals: npt.NDArray[np.int64]) -> bool:
        """True where even a worthless choice would keep (1 − α) of the baseline.

        ``totals`` (K, W): integer sums as in ``kernels.statistics``, nothing forgotten.
        """
        own = totals[self._baseline]
        n0 = int(own[0])
        n1 = int(totals[:, 0].sum()) - n0
        s0 = int(own[1]) / ONE
        s1 = (int(totals[:, 1].sum()) - int(own[1])) / ONE
        earned = max(s1 - self._radius(n1), 0.0)
        surplus = n0 - (1.0 - self._share) * (n0 + n1 + 1)  # what one unit of μ₀ is worth to the balance
        if n0 == 0:
            return earned + surplus >= 0.0  # μ₀ may be 1
        radius = self._radius(n0)
        mean = max(s0 - radius, 0.0) / n0 if surplus > 0.0 else min((s0 + radius) / n0, 1.0)
        return earned + surplus * mean >= 0.0

    def _radius(self, n: int) -> float:
        return sqrt(0.5 * n * ieee.log(3.0 * n * (n + 1) / self._delta)) if n else 0.0
