"""Intervals of the demo's comparison: 95 %, two-sided, each with the assumption that it rests on.

Every contestant runs the *same* workflows, so differences are taken workflow by workflow: what makes one
workflow harder than another cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ...errors import SupportMissing

__all__ = ["Estimate", "mean", "paired_rates", "rate"]

_Z: Final = 1.959963984540054  # normal quantile at .975


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point with its 95 % interval and the number of workflows behind it."""

    value: float
    low: float
    high: float
    n: int


def mean(values: Sequence[float]) -> Estimate:
    """Student's t interval of a mean: mean ± t(.975, n−1)·s/√n, for n ≥ 2 independent values.

    For a paired comparison pass the differences.

    Raises
    ------
    SupportMissing : fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise SupportMissing(
            "an interval needs more than one value",
            expected="at least 2 values",
            found=f"{n}",
            fix="run more workflows",
        )
    array = np.asarray(values, dtype=np.float64)
    centre = float(array.mean())
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import, and bad options fail before it

    half = float(stdtrit(n - 1, 0.975)) * float(array.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, centre - half, centre + half, n)


def rate(outcomes: Sequence[bool]) -> Estimate:
    """Wilson's score interval of a success rate; sound also at rates of 0 and 1.

        (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209.
    """
    n = len(outcomes)
    if n < 1:
        raise SupportMissing(
            "a rate needs outcomes", expected="at least 1 outcome", found="0", fix="run more workflows"
        )
    p = sum(outcomes) / n
    scale = 1.0 + _Z * _Z / n
    centre = (p + _Z * _Z / (2 * n)) / scale
    half = _Z * math.sqrt(p * (1 - p) / n + _Z * _Z / (4 * n * n)) / scale
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), n)


def paired_rates(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """Difference of two success rates on the same workflows, first minus second: Newcombe's method 10.

    Combines the two Wilson intervals with the correlation φ of the pairs, so that an interval has a width
    even where all pairs agree.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 2635: table I, method 10.
    """
    one, two = rate(first), rate(second)
    n = one.n
    both = sum(a and b for a, b in zip(first, second, strict=True))
    only_first = sum(first) - both
    only_second = sum(second) - both
    neither = n - both - only_first - only_second
    phi = _phi(both, only_first, only_second, neither)
    below = _combine(one.value - one.low, two.high - two.value, phi)
    above = _combine(one.high - one.value, two.value - two.low, phi)
    difference = one.value - two.value
    return Estimate(difference, difference - below, difference + above, n)


def _combine(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2.0 * phi * a * b + b * b))


def _phi(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Correlation of the pairs; a positive one is corrected for continuity."""
    n = both + only_first + only_second + neither
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    cross = float(both * neither - only_first * only_second)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    return cross / math.sqrt(margins)
