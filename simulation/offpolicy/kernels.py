"""Compiled loops over rows: sums with a compensated error, weights, resampling."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from ..lockstep.counter import bits

__all__ = [
    "Floats",
    "Integers",
    "add_rows",
    "all_finite",
    "expected_under",
    "first_outside",
    "importance_weights",
    "mean_and_error",
    "no_pmf",
    "resampled_means",
    "resampled_ratios",
    "weight_sums",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LOW32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)


@kernel
def all_finite(values: Floats) -> bool:
    """Whether no value is infinite or NaN."""
    sound = True
    for i in range(values.shape[0]):
        sound &= math.isfinite(values[i])
    return sound


@kernel
def first_outside(values: Floats, low: float, high: float) -> int:
    """Index of the first value that is not in [low, high], NaN included; −1 if there is none."""
    for i in range(values.shape[0]):
        if not (values[i] >= low and values[i] <= high):
            return i
    return -1


@kernel
def no_pmf(pmf: Floats, tolerance: float) -> bool:
    """Whether some row of (n, K) has a value below 0 or NaN, or adds up to another sum than 1."""
    for i in range(pmf.shape[0]):
        total, least = 0.0, 0.0
        for a in range(pmf.shape[1]):
            total += pmf[i, a]
            least = min(least, pmf[i, a])
        if not (least >= 0.0 and abs(total - 1.0) <= tolerance):
            return True
    return False


@kernel
def mean_and_error(terms: Floats) -> tuple[float, float]:
    """Mean and its standard error √(Σ(x − x̄)²/(n(n−1))); the latter NaN for one term.

    Sums are compensated (Neumaier): the mean is off by about one unit in the last place.
    """
    n = terms.shape[0]
    total, lost = 0.0, 0.0
    for i in range(n):
        x = terms[i]
        t = total + x
        lost += (total - t) + x if abs(total) >= abs(x) else (x - t) + total
        total = t
    mean = (total + lost) / n
    squares, rest = 0.0, 0.0
    for i in range(n):
        d = terms[i] - mean
        squares += d * d
        rest += d
    if n < 2:
        return mean, math.nan
    return mean, math.sqrt(max(squares - rest * rest / n, 0.0) / (n - 1) / n)


@kernel
def weight_sums(weight: Floats) -> tuple[float, float, float, int]:
    """Σw, Σw², max w, and how many are > 0."""
    total, squares, largest, positive = 0.0, 0.0, 0.0, 0
    for i in range(weight.shape[0]):
        w = weight[i]
        total += w
        squares += w * w
        largest = max(largest, w)
        positive += w > 0.0
    return total, squares, largest, positive


@kernel
def importance_weights(target: Floats, arm: Integers, propensity: Floats, out: Floats) -> None:
    """``out[i]`` = target[i, arm[i]] / propensity[i]."""
    for i in range(out.shape[0]):
        out[i] = target[i, arm[i]] / propensity[i]


@kernel
def expected_under(target: Floats, values: Floats, arm: Integers, mean: Floats, chosen: Floats) -> None:
    """``mean[i]`` = Σ_a target[i, a]·values[i, a] / Σ_a target[i, a]; ``chosen[i]`` = values[i, arm[i]]."""
    for i in range(arm.shape[0]):
        total, mass = 0.0, 0.0
        for a in range(target.shape[1]):
            total += target[i, a] * values[i, a]
            mass += target[i, a]
        mean[i] = total / mass
        chosen[i] = values[i, arm[i]]


@kernel
def resampled_means(terms: Floats, start: np.uint64, step: np.uint64, out: Floats) -> None:
    """Means of len(out) samples of n rows with replacement; one 64-bit draw gives two rows.

    A row's index is ⌊u·n/2³²⌋: its probability is off 1/n by less than 2⁻³².
    """
    n = terms.shape[0]
    size = np.uint64(n)
    half = (n + 1) // 2
    for b in range(out.shape[0]):
        even, odd = 0.0, 0.0
        first = b * half
        for i in range(n // 2):
            u = bits(start, step, first + i)
            even += terms[np.int64((u >> _SHIFT32) * size >> _SHIFT32)]
            odd += terms[np.int64((u & _LOW32) * size >> _SHIFT32)]
        if n % 2 == 1:
            u = bits(start, step, first + n // 2)
            even += terms[np.int64((u >> _SHIFT32) * size >> _SHIFT32)]
        out[b] = (even + odd) / n


@kernel
def resampled_ratios(top: Floats, bottom: Floats, start: np.uint64, step: np.uint64, out: Floats) -> None:
    """Σ top / Σ bottom over samples of n rows with replacement; NaN where the latter is 0."""
    n = top.shape[0]
    size = np.uint64(n)
    half = (n + 1) // 2
    for b in range(out.shape[0]):
        above, below = 0.0, 0.0
        first = b * half
        for i in range(half):
            u = bits(start, step, first + i)
            row = np.int64((u >> _SHIFT32) * size >> _SHIFT32)
            above += top[row]
            below += bottom[row]
            if 2 * i + 1 < n:
                row = np.int64((u & _LOW32) * size >> _SHIFT32)
                above += top[row]
                below += bottom[row]
        out[b] = above / below if below > 0.0 else math.nan


@kernel
def add_rows(reward: Floats, weight: Floats, terms: Floats, totals: Floats, lost: Floats) -> None:
    """Add w, w², wr, w²r, w²r², w(1 − r), w²(1 − r)², and d, d² of ``terms``, to running sums (9,).

    ``lost`` (9,) carries what rounding took from each (Neumaier). ``terms`` (n,), or (0,) for none.
    """
    row = np.empty(9)
    modelled = terms.shape[0] > 0
    for i in range(reward.shape[0]):
        w = weight[i]
        g, m = w * reward[i], w * (1.0 - reward[i])
        row[0], row[1], row[2], row[3], row[4], row[5], row[6] = w, w * w, g, w * g, g * g, m, m * m
        d = terms[i] if modelled else 0.0
        row[7], row[8] = d, d * d
        for j in range(9):
            x = row[j]
            t = totals[j] + x
            lost[j] += (totals[j] - t) + x if abs(totals[j]) >= abs(x) else (x - t) + totals[j]
            totals[j] = t
