"""What each group of executions reached in each cell, from sums: one pass over the columns for all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ...simulation.offpolicy.intervals import wilson
from ..columns import METRICS, Cell, ExecutionTable, Metric
from ..evidence import Difference, Moments, cautious, fisher, slope_of_moments, stratified_fisher, welch

__all__ = ["RATIOS", "Group", "Measured", "measured", "share", "share_difference", "within_cells"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RATIOS = frozenset(("duration_s", "cost"))
"""Metrics that are compared as logarithms."""

_DAY_S = 86_400.0
_LOG_MAX = 709.0
_ROUNDING = 1e-13


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a group: ``n`` values, their mean with its interval, against ``others`` values of the
    rest of the cell; seconds and costs as geometric means and ratios. trend : a day, of logarithms for them.
    """

    n: int
    value: float
    low: float
    high: float
    others: int
    effect: Difference | None
    trend: Difference | None


@dataclass(frozen=True, slots=True)
class Group:
    """The executions of one label in one cell."""

    label: str
    cell: Cell
    n: int
    timed_out: int
    metrics: dict[Metric, Measured]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of one metric, (L, C) each, around ``center`` and ``middle`` (of time)."""

    center: float
    tiny: float
    n: Floats
    x: Floats
    xx: Floats
    timed: Floats
    t: Floats
    tt: Floats
    tx: Floats
    timed_x: Floats
    timed_xx: Floats


def measured(table: ExecutionTable, min_count: int, coverage: float) -> tuple[list[Group], int]:
    """Every label in every cell with ``min_count`` executions; and how many others there are."""
    shape = len(table.strategy.labels), len(table.cell.labels)
    inside = (table.strategy.code >= 0) & (table.cell.code >= 0)
    place = np.where(inside, table.strategy.code * shape[1] + table.cell.code, -1)
    counts = _counted(place[inside], None, shape)
    stopped = _counted(place[inside & table.timed_out], None, shape)
    sums = {metric: _sums(metric, table, place, shape) for metric in METRICS}
    totals = {metric: s.n.sum(axis=0) for metric, s in sums.items()}
    found, thin = [], 0
    for i, j in np.argwhere(counts > 0.0).tolist():
        if counts[i, j] < min_count:
            thin += 1
            continue
        metrics: dict[Metric, Measured] = {}
        for metric in METRICS:
            if sums[metric].n[i, j] >= min_count:
                others = int(totals[metric][j] - sums[metric].n[i, j])
                metrics[metric] = _measured(metric, sums[metric], i, j, others, min_count, coverage)
        label, cell = table.strategy.labels[i], table.cell.labels[j]
        found.append(Group(label, cell, int(counts[i, j]), int(stopped[i, j]), metrics))
    return found, thin


def within_cells(
    table: ExecutionTable, min_count: int, coverage: float
) -> dict[tuple[str, Metric], tuple[int, Difference]]:
    """Each label against all others in the same cells: values of these, and the cells' mean difference.

        d = Σ w_c d_c / Σ w_c,   w_c = n_c m_c / (n_c + m_c)

    over the cells with two values of both; seconds and costs as ratios. None where fewer than ``min_count``
    values stand on one side, or none varies. Successes by ``stratified_fisher`` and an interval made of the
    cells' Wilson intervals; the others by Student's, with variances of both sides apart or in common,
    whichever is more cautious, and Satterthwaite's degrees of freedom.

    References
    ----------
    Cochran (1954), Some methods for strengthening the common χ² tests, Biometrics 10(4), for the weights;
    Donner & Zou (2012), Statistical Methods in Medical Research 21(4), for intervals made of intervals.
    """
    shape = len(table.strategy.labels), len(table.cell.labels)
    inside = (table.strategy.code >= 0) & (table.cell.code >= 0)
    place = np.where(inside, table.strategy.code * shape[1] + table.cell.code, -1)
    found: dict[tuple[str, Metric], tuple[int, Difference]] = {}
    for metric in METRICS:
        s = _sums(metric, table, place, shape)
        spelled: Callable[[float], float] = _exp if metric in RATIOS else float
        for i, label in enumerate(table.strategy.labels):
            n, m = s.n[i], s.n.sum(axis=0) - s.n[i]
            both = (n >= 2.0) & (m >= 2.0)
            n, m = n[both], m[both]
            if n.sum() < min_count or m.sum() < min_count:
                continue
            x, y = s.x[i][both], s.x.sum(axis=0)[both] - s.x[i][both]
            weight = n * m / (n + m)
            weight = weight / weight.sum()
            if metric == "success":
                d: Difference | None = _shares_within(
                    np.rint(x + n * s.center), n, np.rint(y + m * s.center), m, weight, coverage
                )
            else:
                xx, yy = s.xx[i][both], s.xx.sum(axis=0)[both] - s.xx[i][both]
                squares = np.maximum(xx - x * x / n, 0.0), np.maximum(yy - y * y / m, 0.0)
                d = _means_within(x / n - y / m, squares, (n, m), weight, s.tiny, coverage)
            if d is not None:
                told = Difference(spelled(d.value), spelled(d.low), spelled(d.high), d.p)
                found[label, metric] = (int(m.sum()), told)
    return found


def _means_within(
    difference: Floats,
    squares: tuple[Floats, Floats],
    sizes: tuple[Floats, Floats],
    weight: Floats,
    tiny: float,
    coverage: float,
) -> Difference | None:
    """Mean difference over cells, from squares around the means of both sides; None where none varies."""
    (xx, yy), (n, m), w2 = squares, sizes, weight * weight
    a, b = w2 * xx / (n - 1.0) / n, w2 * yy / (m - 1.0) / m
    common = w2 * (xx + yy) / (n + m - 2.0) * (1.0 / n + 1.0 / m)
    apart = float((a + b).sum())
    if apart <= tiny:
        return None
    df = apart**2 / float((a * a / (n - 1.0) + b * b / (m - 1.0)).sum())
    whole = float(common.sum())
    common_df = whole**2 / float((common * common / (n + m - 2.0)).sum())
    return cautious(float((weight * difference).sum()), ((apart, df), (whole, common_df)), coverage)


def _shares_within(
    hits: Floats, n: Floats, other_hits: Floats, m: Floats, weight: Floats, coverage: float
) -> Difference | None:
    """Mean difference of shares over cells; None where all succeeded, or none did."""
    if not 0.0 < (hits + other_hits).sum() < (n + m).sum():
        return None
    z = float(ndtri(0.5 + coverage / 2.0))
    (l1, u1), (l2, u2) = wilson(hits, n, z), wilson(other_hits, m, z)
    p1, p2 = hits / n, other_hits / m
    d = float((weight * (p1 - p2)).sum())
    below = math.sqrt(float((weight**2 * ((p1 - l1) ** 2 + (u2 - p2) ** 2)).sum()))
    above = math.sqrt(float((weight**2 * ((u1 - p1) ** 2 + (p2 - l2) ** 2)).sum()))
    return Difference(
        d, d - below, d + above, stratified_fisher(int(hits.sum()), hits + other_hits, n, n + m)
    )


def _sums(metric: Metric, table: ExecutionTable, place: Integers, shape: tuple[int, int]) -> _Sums:
    values, time = table.metrics[metric], table.time
    known = (place >= 0) & ~np.isnan(values)
    if metric in RATIOS:
        known &= values > 0.0
    x = np.log(values[known]) if metric in RATIOS else values[known]
    center = float(x.mean()) if len(x) else 0.0
    x = x - center
    at, t = place[known], time[known] / _DAY_S
    timed = ~np.isnan(t)
    t = t[timed]
    t = t - (t.mean() if len(t) else 0.0)
    y, when = x[timed], at[timed]
    tiny = _ROUNDING * float(np.abs(x).max(initial=0.0)) ** 2
    return _Sums(
        center,
        tiny,
        _counted(at, None, shape),
        _counted(at, x, shape),
        _counted(at, x * x, shape),
        _counted(when, None, shape),
        _counted(when, t, shape),
        _counted(when, t * t, shape),
        _counted(when, t * y, shape),
        _counted(when, y, shape),
        _counted(when, y * y, shape),
    )


def _counted(place: Integers, weight: Floats | None, shape: tuple[int, int]) -> Floats:
    found: Floats = np.bincount(place, weight, shape[0] * shape[1]).astype(np.float64).reshape(shape)
    return found


def _measured(
    metric: Metric, s: _Sums, i: int, j: int, others: int, min_count: int, coverage: float
) -> Measured:
    spelled: Callable[[float], float] = _exp if metric in RATIOS else float
    own = float(s.n[i, j]), float(s.x[i, j]), float(s.xx[i, j])
    rest = (
        float(others),
        float(s.x[:, j].sum() - s.x[i, j]),
        float(s.xx[:, j].sum() - s.xx[i, j]),
    )
    effect = None
    if metric == "success":
        hits = round(own[1] + own[0] * s.center)
        low, value, high = share(hits, int(own[0]), coverage)
        if others >= min_count:
            effect = share_difference(hits, int(own[0]), round(rest[1] + others * s.center), others, coverage)
    else:
        moments = _moments(*own, s)
        value, low, high = moments.interval(coverage)
        if others >= min_count:
            effect = welch(moments, _moments(*rest, s), coverage)
    if effect is not None:
        effect = Difference(spelled(effect.value), spelled(effect.low), spelled(effect.high), effect.p)
    trend, n = None, float(s.timed[i, j])
    if n >= min_count:
        t, y = float(s.t[i, j]), float(s.timed_x[i, j])
        trend = slope_of_moments(
            int(n),
            _square(float(s.tt[i, j]) - t * t / n, float(s.tt[i, j])),
            float(s.tx[i, j]) - t * y / n,
            _square(float(s.timed_xx[i, j]) - y * y / n, n * s.tiny / _ROUNDING),
            coverage,
        )
    return Measured(int(own[0]), spelled(value), spelled(low), spelled(high), others, effect, trend)


def _square(value: float, scale: float) -> float:
    """A sum of squares around a mean; what rounding leaves of nothing is nothing."""
    return value if value > _ROUNDING * scale else 0.0


def _moments(n: float, total: float, squares: float, s: _Sums) -> Moments:
    mean = total / n
    variance = (squares - n * mean * mean) / (n - 1.0) if n > 1.0 else 0.0
    return Moments(int(n), s.center + mean, variance if variance > s.tiny else 0.0)


def _exp(value: float) -> float:
    return math.exp(min(value, _LOG_MAX))


def share(hits: int, n: int, coverage: float) -> tuple[float, float, float]:
    """Wilson's interval around the share: (low, value, high)."""
    low, high = wilson(np.array([float(hits)]), np.array([float(n)]), float(ndtri(0.5 + coverage / 2.0)))
    return float(low[0]), hits / n, float(high[0])


def share_difference(hits: int, n: int, other_hits: int, others: int, coverage: float) -> Difference:
    """Newcombe's hybrid score interval (1998, Statistics in Medicine 17, method 10); p from Fisher's test."""
    l1, p1, u1 = share(hits, n, coverage)
    l2, p2, u2 = share(other_hits, others, coverage)
    d = p1 - p2
    p = fisher(hits, hits + other_hits, n, n + others)
    return Difference(d, d - math.hypot(p1 - l1, u2 - p2), d + math.hypot(u1 - p1, p2 - l2), p)
