"""Bounds by betting, for composite rewards or numeric contexts under a *fixed* logging policy.

Where every contrast D_i has the same conditional expectation θ given the rows before (rows are drawn alike,
the logging policy does not change), the wealth

    W(m) = Π (1 + λ_i (D_i − m)),    0 ≤ λ_i ≤ ½ / (floor + m)

is a supermartingale for every m ≥ θ, so it exceeds 1/α at any row with probability α at most: the values of m
that it does not exceed for are a confidence set. λ_i is planned for the log's length from the variance so
far.

Not for adaptive logs: if the logging policy improves, and the contrast is with that policy, θ changes, and W
grows on the rows where it was positive whatever the average is (see ``sequence`` for what holds there).

References
----------
Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86(1), §4.
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt

from . import kernels

__all__ = ["lower_bound", "rows_needed", "shows"]

Floats = npt.NDArray[np.float64]

_STEPS = 40


def lower_bound(d: Floats, floor: float, level: float, least: float) -> float:
    """Lower bound on the mean of contrasts d (n,), which are ≥ −floor; ``least``: it cannot fall below."""
    if len(d) == 0:
        return least
    threshold, rows = -log(level), float(len(d))
    low, high = least, float(d.mean())
    if kernels.bet(d, low, floor, rows, threshold) < threshold:
        return least
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if kernels.bet(d, middle, floor, rows, threshold) >= threshold:
            low = middle
        else:
            high = middle
    return low


def shows(d: Floats, floor: float, level: float) -> bool:
    """Whether the mean of contrasts d ≥ −floor is shown to be above 0."""
    threshold = -log(level)
    return bool(kernels.bet(d, 0.0, floor, float(len(d)), threshold) >= threshold)


def rows_needed(mean: float, variance: float, floor: float, level: float, z: float, limit: int) -> int | None:
    """Rows after which the bound is above 0 with the probability of z; None above ``limit``.

    From the growth of ln W at the planned λ: λ·(sum, z standard deviations down) − λ²·variance·rows/2.
    """
    if mean <= 0.0:
        return None
    threshold = -log(level)
    low, high = 0, limit
    while high - low > max(1, high // 1000):
        rows = (low + high) // 2
        rate = min((2.0 * threshold / (rows * variance)) ** 0.5, 0.5 / floor) if rows else 0.0
        growth = rate * (rows * mean - z * (rows * variance) ** 0.5) - 0.5 * rate * rate * variance * rows
        low, high = (low, rows) if growth >= threshold else (rows, high)
    return high if high < limit else None
