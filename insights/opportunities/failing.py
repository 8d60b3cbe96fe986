"""What a failure costs: executions with it against those without, in the same cell and strategy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ..columns import cells_of, codes_of, numbers
from ..executed import Executed
from ..failures import FailurePatterns
from ..failures.mining import LONGEST
from .estimating import Gain

__all__ = ["FailureCost", "failure_candidates"]

Floats = npt.NDArray[np.float64]

_NORMAL_DF = 1e9


@dataclass(frozen=True, slots=True)
class FailureCost:
    """A failure: in ``n`` executions, a ``share`` of all; what each would gain without it, by association."""

    codes: tuple[str, ...]
    n: int
    share: float
    gain: Gain


def failure_candidates(
    executions: Sequence[Executed], failures: FailurePatterns, by: Sequence[str], min_count: int
) -> tuple[list[FailureCost], int]:
    """Every failure with ``min_count`` executions that have a reward; and how many have fewer.

    Within strata of cell and strategy the mean rewards without and with it are compared, and weighted by the
    executions with it: what these would gain if they were like the others of their stratum.
    """
    reward = numbers(e.reward for e in executions)
    strata = codes_of(
        [
            None if code < 0 else (code, e.strategy)
            for e, code in zip(executions, cells_of(executions, by).code.tolist(), strict=True)
        ]
    )
    usable = ~np.isnan(reward) & (strata.code >= 0)
    found, thin = [], 0
    having: dict[str, list[int]] = defaultdict(list)
    for row, e in enumerate(executions):
        for code in set(e.error_codes[:LONGEST]):
            having[code].append(row)
    for pattern in (*failures.sequences, *failures.codes):
        has = np.zeros(len(executions), bool)
        rows = min((having[code] for code in pattern.sequence), key=len)
        has[[i for i in rows if holds(executions[i].error_codes, pattern.sequence)]] = True
        cost = _cost(reward, has, usable, strata.code, len(strata.labels), min_count)
        if cost is None:
            thin += 1
        else:
            gain, n = cost
            found.append(FailureCost(pattern.sequence, n, n / max(1, int(usable.sum())), gain))
    return found, thin


def _cost(
    reward: npt.NDArray[np.float64],
    has: npt.NDArray[np.bool_],
    usable: npt.NDArray[np.bool_],
    stratum: npt.NDArray[np.int64],
    strata: int,
    min_count: int,
) -> tuple[Gain, int] | None:
    sums: list[tuple[Floats, Floats, Floats]] = []
    for mask in (usable & has, usable & ~has):
        y = reward[mask]
        n = np.bincount(stratum[mask], minlength=strata).astype(np.float64)
        total: Floats = np.bincount(stratum[mask], y, strata).astype(np.float64)
        squares: Floats = np.bincount(stratum[mask], y * y, strata).astype(np.float64)
        sums.append((n, total, squares))
    (n, x, xx), (m, y, yy) = sums
    both = (n >= 2.0) & (m >= 2.0)
    n, x, xx, m, y, yy = (v[both] for v in (n, x, xx, m, y, yy))
    whole = float(n.sum())
    if whole < min_count or float(m.sum()) < min_count:
        return None
    weight = n / whole
    spread = (
        np.maximum((xx - x * x / n) / (n - 1.0), 0.0) / n + np.maximum((yy - y * y / m) / (m - 1.0), 0.0) / m
    )
    variance = float((weight * weight * spread).sum())
    if variance <= 1e-16:
        return None
    value, error = float((weight * (y / m - x / n)).sum()), math.sqrt(variance)
    now = float(x.sum()) / whole
    return Gain(value, error, _NORMAL_DF, now, 1.0, whole, 1.0, float(ndtr(-value / error))), int(whole)


def holds(codes: Sequence[str], sequence: Sequence[str]) -> bool:
    """Tell whether the codes have the sequence, in its order, among those that are looked at."""
    rest = iter(codes[:LONGEST])
    return all(code in rest for code in sequence)
