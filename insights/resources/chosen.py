"""Curves of what was chosen: success and reward at each value of a strategy's numeric parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc, ndtri

from ..columns import numbers
from ..executed import Executed
from .curves import Beyond, Level, ResourcePattern
from .knees import Floats, Terms, isotonic, knee_of

__all__ = ["chosen_curves"]

_MOST_LEVELS = 12


def chosen_curves(strategy: str, rows: Sequence[Executed], terms: Terms) -> list[ResourcePattern | None]:
    """Of each numeric parameter, success and reward; None where fewer than two values have ``min_count``."""
    found: list[ResourcePattern | None] = []
    names = sorted({name for e in rows for name, value in e.parameters.items() if _numeric(value)})
    weight = np.array([1.0 / e.propensity if e.propensity else math.nan for e in rows])
    known = bool(len(rows)) and not bool(np.isnan(weight).any())
    weight = weight if known else np.ones(len(rows))
    stopped = np.array([e.timed_out for e in rows], bool)
    for name in names:
        told = [e.parameters.get(name) for e in rows]
        value = numbers(float(v) if _numeric(v) and v is not None else None for v in told)
        value, levels = _few(value)
        for metric in ("success", "reward"):
            y = numbers(getattr(e, metric) for e in rows)
            curve = [
                (v, y[(value == v) & ~np.isnan(y)], weight[(value == v) & ~np.isnan(y)])
                for v in levels.tolist()
            ]
            curve = [part for part in curve if len(part[1]) >= terms.min_count]
            if len(curve) < 2:
                found.append(None)
                continue
            means = [_weighted(part, w) for _, part, w in curve]
            at = np.array([v for v, _, _ in curve])
            mean, error = np.array([m for m, _ in means]), np.array([s for _, s in means])
            counts = [len(part) for _, part, _ in curve]
            rising = metric == "success"
            knee, low, high = knee_of(at, mean, error, terms, rising=rising)
            found.append(
                ResourcePattern(
                    "chosen",
                    strategy,
                    name,
                    "success" if rising else "reward",
                    sum(counts),
                    _levels(at, counts, mean, error, terms.coverage),
                    knee,
                    low,
                    high,
                    float(isotonic(mean, error)[-1] if rising else mean.max()),
                    terms.margin,
                    _differ(mean, error),
                    None,
                    int(stopped[np.isin(value, at)].sum()),
                    known,
                    _beyond(rows, value, weight, knee, metric, terms),
                    None,
                )
            )
    return found


def _few(value: Floats) -> tuple[Floats, Floats]:
    """Values rounded up to at most ``_MOST_LEVELS`` of them (eight by their ranks), and which these are."""
    levels: Floats = np.unique(value[~np.isnan(value)])
    if len(levels) > _MOST_LEVELS:
        cuts = np.linspace(0, 1, 9)[1:]
        levels = np.unique(np.quantile(value[~np.isnan(value)], cuts, method="higher"))
        place = np.searchsorted(levels, value).clip(0, len(levels) - 1)
        value = np.where(np.isnan(value), value, levels[place])
    return value, levels


def _numeric(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _weighted(values: Floats, weight: Floats, *, share: bool = True) -> tuple[float, float]:
    """Self-normalised mean and its error; that of a share is never that of a certainty."""
    total = float(weight.sum())
    mean = float(weight @ values) / total
    terms = weight * (values - mean)
    error = math.sqrt(float(terms @ terms)) / total
    ess = total * total / float(weight @ weight)
    return mean, max(error, 0.5 / (ess + 4.0)) if share else error


def _differ(mean: Floats, error: Floats) -> float:
    """p-value of equal means: Cochran's Q."""
    precision = 1.0 / (error * error)
    middle = float(precision @ mean) / float(precision.sum())
    return float(chdtrc(len(mean) - 1, float(precision @ (mean - middle) ** 2)))


def _levels(
    at: Floats, counts: Sequence[int], mean: Floats, error: Floats, coverage: float
) -> tuple[Level, ...]:
    z = float(ndtri(0.5 + coverage / 2.0))
    return tuple(
        Level(v, n, m, max(0.0, m - z * e), min(1.0, m + z * e))
        for v, n, m, e in zip(at.tolist(), counts, mean.tolist(), error.tolist(), strict=True)
    )


def _beyond(
    rows: Sequence[Executed],
    value: Floats,
    weight: Floats,
    knee: float,
    metric: str,
    terms: Terms,
) -> tuple[Beyond, ...]:
    """All values above the knee against the knee."""
    found = []
    z = float(ndtri(0.5 + terms.coverage / 2.0))
    for name in (metric, "duration_s", "cost"):
        y = numbers(getattr(e, name) for e in rows)
        parts = [(value == knee) & ~np.isnan(y), (value > knee) & ~np.isnan(y)]
        if min(int(part.sum()) for part in parts) < terms.min_count:
            continue
        (m0, e0), (m1, e1) = (_weighted(y[part], weight[part], share=name == metric) for part in parts)
        reach = z * math.hypot(e0, e1)
        found.append(Beyond(name, m1 - m0, m1 - m0 - reach, m1 - m0 + reach))
    return tuple(found)
