"""Means and shares with their 95 % intervals, from counts and moments."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Estimate", "mean_of", "share_of"]

_Z = 1.959963984540054  # normal quantile at .975
_LEAST = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its bounds (None: too few values for any), and how many values are behind it."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds, or the value in their place."""
        return (
            self.value if self.low is None else self.low,
            self.value if self.high is None else self.high,
        )


def mean_of(n: int, mean: float, sd: float) -> Estimate:
    """Student's interval of a mean in [0, 1] of n values, from 5 on: mean ± t(.975, n−1)·s/√n.

    >>> [round(x, 4) for x in mean_of(11, 0.5, 0.1).bounds]  # t(.975, 10) = 2.2281
    [0.4328, 0.5672]
    """
    if n < _LEAST:
        return Estimate(mean, None, None, n)
    half = _student(n - 1) * sd / math.sqrt(n)
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half), n)


def share_of(k: int, n: int) -> Estimate | None:
    """Wilson's interval of k in n; None for n = 0. Sound also at shares of 0 and 1.

    >>> [round(x, 4) for x in share_of(0, 10).bounds]
    [0.0, 0.2775]

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209.
    """
    if n < 1:
        return None
    p, zz = k / n, _Z * _Z
    scale = 1.0 + zz / n
    centre = (p + zz / (2 * n)) / scale
    half = _Z * math.sqrt(p * (1.0 - p) / n + zz / (4 * n * n)) / scale
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), n)


def _student(v: int) -> float:
    """Quantile of Student's t at .975, by Cornish and Fisher's expansion: within .3 % from 4 degrees on."""
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3
