"""Does a column tell something about rewards, given the strategy? Permutation tests, false discoveries held.

Values become a few bins (quintiles of numbers, the most frequent texts, one bin for missing). With e the
reward less its strategy's mean, and n, ē count and mean of e in a cell (arm a, bin b),

    signal        S = Σ_ab n_ab ē_ab²                 interaction   I = Σ_ab n_ab (ē_ab − ē_b)²

S is compared with its values where the column is permuted among the rows of each strategy, or, where tasks
recur, among the tasks: rows of a task stand or fall together, and its column goes with it. I tells whether
the column changes *which strategy is best*: it is compared with its values where the residuals behind the
main effects of strategies and bins get random signs, one a task (a wild bootstrap). p = (1 + how many are as
large) / (1 + how many were drawn). Drawing stops early where a column can no longer be called significant
(Besag & Clifford). Benjamini and Hochberg hold the expected share of false columns among those named.

References
----------
Besag & Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78; Benjamini & Hochberg (1995), JRSS
B 57;
Liu (1988), Bootstrap procedures under some non-i.i.d. models, Ann. Statist. 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...features import Value

__all__ = ["BINS", "Signal", "bins_of", "discoveries", "signals"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BINS = 6
"""Bins of numbers (one of them for missing values) …"""
_LEVELS = 9  # … and of texts, "all others" among them
_ENOUGH = 20  # as large draws: the column is not significant
_FEWEST = 999
_MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Signal:
    """p-values, and the share of the rewards' variance within strategies that is explained, net of chance."""

    p_value: float
    p_interaction: float
    explained: float


def bins_of(values: Sequence[Value]) -> Integers:
    """The bin of each value: small whole numbers from 0 on."""
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values if v is not None)
    if numeric:
        numbers = np.array([np.nan if v is None else float(v) for v in values])
        known = numbers[~np.isnan(numbers)]
        if len(np.unique(known)) <= BINS:
            return np.unique(numbers, return_inverse=True, equal_nan=True)[1].astype(np.int64)
        edges = np.unique(np.quantile(known, np.arange(1, BINS - 1) / (BINS - 1)))
        found = np.searchsorted(edges, numbers, side="left").astype(np.int64)
        found[np.isnan(numbers)] = len(edges) + 1
        return np.unique(found, return_inverse=True)[1].astype(np.int64)
    texts = np.array(["" if v is None else f"={v}" for v in values])
    levels, code, counts = np.unique(texts, return_inverse=True, return_counts=True)
    if len(levels) > _LEVELS:
        kept = np.argsort(-counts, kind="stable")[: _LEVELS - 1]
        place = np.full(len(levels), _LEVELS - 1)
        place[kept] = np.arange(_LEVELS - 1)
        code = place[code]
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


def signals(
    columns: Sequence[Integers], arms: Integers, rewards: Floats, tasks: Integers | None, seed: int
) -> list[Signal]:
    """Test every column of bins (n,) against rewards (n,) given arms (n,).

    tasks : number of each row's task where tasks recur and columns belong to them, else None.
    """
    rng = np.random.default_rng([seed, 0x5157])
    n = len(rewards)
    if n > _MOST_ROWS:
        kept = np.sort(rng.permutation(n)[:_MOST_ROWS])
        columns = [column[kept] for column in columns]
        arms, rewards, n = arms[kept], rewards[kept], len(kept)
        tasks = None if tasks is None else tasks[kept]
    tests = [_Test(column, arms, rewards, tasks) for column in columns]
    draws = max(_FEWEST, 20 * len(columns))
    by_arm = [np.flatnonzero(arms == a) for a in range(int(arms.max()) + 1)]
    count = n if tasks is None else int(tasks.max()) + 1
    for _ in range(draws):
        alive = [test for test in tests if test.above < _ENOUGH]
        curious = [test for test in tests if test.above_interaction < _ENOUGH]
        if not alive and not curious:
            break
        if tasks is None:
            order = np.empty(n, np.int64)
            for rows in by_arm:
                order[rows] = rng.permutation(rows)
        else:
            order = rng.permutation(count)
        signs: Floats = np.where(rng.integers(0, 2, count) == 0, -1.0, 1.0)
        if tasks is not None:
            signs = signs[tasks]
        for test in alive:
            test.permuted(order)
        for test in curious:
            test.flipped(signs)
    return [test.result() for test in tests]


def discoveries(p_values: Sequence[float], rate: float) -> list[bool]:
    """Which hypotheses Benjamini and Hochberg reject at a false discovery rate.

    >>> discoveries([0.001, 0.04, 0.02, 0.5], 0.05)
    [True, False, True, False]
    """
    m = len(p_values)
    ordered = sorted(p_values)
    limit = max((p for i, p in enumerate(ordered, start=1) if p <= rate * i / m), default=-1.0)
    return [p <= limit for p in p_values]


class _Test:
    def __init__(self, column: Integers, arms: Integers, rewards: Floats, tasks: Integers | None) -> None:
        self._bins = int(column.max()) + 1
        self._arms, self._column, self._tasks = arms, column, tasks
        self._cells = (int(arms.max()) + 1) * self._bins
        self._residual = rewards - _mean_by(arms, rewards)[arms]
        self._total = float(self._residual @ self._residual)
        if tasks is not None:  # one value a task: that of its first row
            first = np.unique(tasks, return_index=True)[1]
            self._of_task = column[first]
        self._cell = arms * self._bins + column
        self._observed = self._statistic(column)
        self._behind = _additive(arms, column, rewards)
        self._observed_interaction = self._interaction(self._behind)
        self.above = self.above_interaction = 0
        self._drawn = self._flips = 0
        self._sum = 0.0

    def permuted(self, order: Integers) -> None:
        column = self._column[order] if self._tasks is None else self._of_task[order][self._tasks]
        drawn = self._statistic(column)
        self._sum += drawn
        self._drawn += 1
        self.above += drawn >= self._observed * (1.0 - 1e-12)

    def flipped(self, signs: Floats) -> None:
        self._flips += 1
        drawn = self._interaction(_additive(self._arms, self._column, self._behind * signs))
        self.above_interaction += drawn >= self._observed_interaction * (1.0 - 1e-12)

    def result(self) -> Signal:
        net = self._observed - (self._sum / self._drawn if self._drawn else 0.0)
        return Signal(
            (1 + self.above) / (1 + self._drawn) if self._drawn else 1.0,
            (1 + self.above_interaction) / (1 + self._flips) if self._flips else 1.0,
            max(0.0, net / self._total) if self._total > 0.0 else 0.0,
        )

    def _statistic(self, column: Integers) -> float:
        return _between(self._arms * self._bins + column, self._residual, self._cells)

    def _interaction(self, behind: Floats) -> float:
        return _between(self._cell, behind, self._cells)


def _between(cell: Integers, values: Floats, cells: int) -> float:
    sums, counts = np.bincount(cell, values, cells), np.bincount(cell, minlength=cells)
    return float((sums * sums / np.maximum(counts, 1)).sum())


def _mean_by(group: Integers, values: Floats) -> Floats:
    found: Floats = np.bincount(group, values) / np.maximum(np.bincount(group), 1)
    return found


def _additive(arms: Integers, column: Integers, values: Floats) -> Floats:
    """Residuals behind the main effects of arms and bins, by two sweeps of backfitting."""
    rest = values
    for _ in range(2):
        rest = rest - _mean_by(arms, rest)[arms]
        rest = rest - _mean_by(column, rest)[column]
    return rest
