"""How much more often a failure comes with a factor than without, among executions that are alike otherwise.

    RD = Σ (a n₀ − b n₁) / N  ÷  Σ n₁ n₀ / N        (Mantel and Haenszel's risk difference)

a of n₁ executions with the factor failed so, b of the n₀ without it, in each group of N = n₁ + n₀ that are
alike. The test is of no difference in any group, one-sided, given the groups' margins.

References
----------
Greenland & Robins (1985), Biometrics 41(1); Sato (1989), Biometrics 45(4), for the variance; Agresti & Caffo
(2000), The American Statistician 54(4), for one more success and failure on either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..evidence import stratified_tail

__all__ = ["RiskDifference", "groups_of", "risk_difference"]

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class RiskDifference:
    """A difference of shares with its 95 % interval. p : of one so large by chance, one-sided."""

    value: float
    low: float
    high: float
    p: float


def groups_of(columns: Sequence[Integers], n: int) -> Integers:
    """Number of each execution's group: those that are equal in all columns are one."""
    groups: Integers = np.zeros(n, np.int64)
    for column in columns:
        code = column - column.min()
        groups = groups * (int(code.max()) + 1) + code
        if int(groups.max()) > n:
            groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return groups


def risk_difference(failed: Mask, exposed: Mask, groups: Integers) -> RiskDifference | None:
    """Compare within groups; None where no group has executions with the factor and without it."""
    size = int(groups.max()) + 1
    total, n1, m, a = (
        np.bincount(groups[rows], minlength=size).astype(np.float64)
        for rows in (slice(None), exposed, failed, exposed & failed)
    )
    use = (n1 > 0.0) & (n1 < total)
    if not use.any():
        return None
    total, n1, m, a = total[use], n1[use], m[use], a[use]
    n0, b = total - n1, m - a
    weight = n1 * n0 / total
    value = float(((a * n0 - b * n1) / total).sum() / weight.sum())
    p = stratified_tail(int(a.sum()), m, n1, total)
    # One success and one failure more on either side, spread over the groups by their weight: shares of 0
    # and of 1 are no certainties.
    more = weight / weight.sum()
    a, b, n1, n0 = a + more, b + more, n1 + 2.0 * more, n0 + 2.0 * more
    total = n1 + n0
    weight = n1 * n0 / total
    middle = float(((a * n0 - b * n1) / total).sum() / weight.sum())
    spread = (n1 * n1 * b - n0 * n0 * a + n1 * n0 * (n0 - n1) / 2.0) / total**2
    within = (a * (n0 - b) + b * (n1 - a)) / (2.0 * total)
    error = math.sqrt(max(0.0, float(middle * spread.sum() + within.sum()))) / float(weight.sum())
    low, high = max(-1.0, middle - _Z * error), min(1.0, middle + _Z * error)
    return RiskDifference(value, min(low, value), max(high, value), p)
