"""Weighted means over what is present, for one row and for many.

    arithmetic   Σ wᵢ sᵢ / Σ wᵢ
    geometric    exp(Σ wᵢ ln sᵢ / Σ wᵢ), and 0 where some sᵢ = 0 has wᵢ > 0

Both sums run over the present parts in the given order, so a missing part renormalises the weights of the
rest. Both results are clamped to [min sᵢ, max sᵢ], where a mean belongs: rounding cannot push one out, and
the mean of one part is that part to the last bit. The functions on arrays do the same IEEE operations in
the same order, so they return the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .. import ieee
from .numbers import Array

__all__ = ["BLOCK", "arithmetic", "arithmetic_bulk", "geometric", "geometric_bulk", "in_blocks"]

_SQRT_HALF = 7.07106781186547524401e-01
_EXP_ZERO = -745.2
BLOCK = 8192
"""Rows that bulk functions handle at a time."""


def arithmetic(scores: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Return the weighted arithmetic mean of the scores that are not None; None where nothing has weight."""
    total = weight_sum = 0.0
    low, high = 1.0, 0.0
    for score, weight in zip(scores, weights, strict=True):
        if score is None or weight == 0.0:
            continue
        total += weight * score
        weight_sum += weight
        # Comparisons instead of min and max: this is the inner loop of every reward.
        if score < low:  # noqa: PLR1730
            low = score
        if score > high:  # noqa: PLR1730
            high = score
    if weight_sum == 0.0:
        return None
    mean = total / weight_sum
    return min(max(mean, low), high)


def geometric(scores: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Return the weighted geometric mean of the scores that are not None; None where nothing has weight."""
    total = weight_sum = 0.0
    low, high = 1.0, 0.0
    for score, weight in zip(scores, weights, strict=True):
        if score is None or weight == 0.0:
            continue
        if score > 0.0:
            total += weight * ieee.log(score)
        weight_sum += weight
        low = min(low, score)
        high = max(high, score)
    if weight_sum == 0.0:
        return None
    if low == 0.0:
        return 0.0
    return min(max(ieee.exp(total / weight_sum), low), high)


def arithmetic_bulk(columns: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return ``arithmetic`` of each row; columns of (n,) with NaN for missing, NaN where nothing is left."""
    return _bulk(columns, weights, log=False)


def geometric_bulk(columns: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return ``geometric`` of each row; columns of (n,) with NaN for missing, NaN where nothing is left."""
    return _bulk(columns, weights, log=True)


def in_blocks(compute: Callable[[slice], Array], n: int) -> Array:
    """Compute n rows block by block, so that what is in between stays in the processor's cache."""
    if n <= BLOCK:
        return compute(slice(0, n))
    result = np.empty(n)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        result[rows] = compute(rows)
    return result


def _bulk(columns: Sequence[Array], weights: Sequence[float], *, log: bool) -> Array:
    shape = columns[0].shape
    total, weight_sum = np.zeros(shape), np.zeros(shape)
    low, high = np.ones(shape), np.zeros(shape)
    for column, weight in zip(columns, weights, strict=True):
        if weight == 0.0:
            continue
        present = column == column
        complete = bool(present.all())
        scores = column if complete else np.where(present, column, 1.0)
        term = weight * (_log(scores) if log else scores)
        if complete:
            total += term
            weight_sum += weight
            np.minimum(low, scores, out=low)
            np.maximum(high, scores, out=high)
        else:
            total += np.where(present, term, 0.0)
            weight_sum += np.where(present, weight, 0.0)
            low = np.where(present, np.minimum(low, scores), low)
            high = np.where(present, np.maximum(high, scores), high)
    with np.errstate(invalid="ignore"):
        mean = total / weight_sum
        if log:
            mean = np.where(low == 0.0, 0.0, _exp(mean))
        clamped: Array = np.minimum(np.maximum(mean, low), high)
        return np.where(weight_sum == 0.0, np.nan, clamped)


def _log(x: Array) -> Array:
    """``ieee.log`` for x in (0, 1]; 0 stands in for the logarithm of 0, which the caller handles."""
    positive = x > 0.0
    mantissa, exponent = np.frexp(np.where(positive, x, 1.0))
    small = mantissa < _SQRT_HALF
    m: Array = np.where(small, mantissa * 2.0, mantissa)
    k: Array = (exponent - small).astype(np.float64)
    # The polynomial core is arithmetic alone, so it serves arrays as it serves floats.
    value: Array = ieee.log_core(m, k)  # type: ignore[arg-type,assignment]
    return np.where(positive, value, 0.0)


def _exp(x: Array) -> Array:
    """``ieee.exp`` for x <= 0 or NaN."""
    clipped = np.where(x >= _EXP_ZERO, x, 0.0)
    k = np.floor(clipped * ieee.INV_LN2 + 0.5)
    r: Array = (clipped - k * ieee.LN2_HI) - k * ieee.LN2_LO
    core: Array = ieee.exp_core(r)  # type: ignore[arg-type,assignment]
    scaled: Array = np.ldexp(core, k.astype(np.int32))
    below: npt.NDArray[np.bool_] = x < _EXP_ZERO
    return np.where(below, 0.0, scaled)
