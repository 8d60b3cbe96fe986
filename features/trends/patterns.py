"""Patterns that recur: by hour of the day, and with the load; each tested before it is told.

Neighbouring buckets resemble each other, so shuffling them would find patterns everywhere. By hour: what the
hours explain is compared with what they explain where each day is turned by a random number of buckets, which
keeps each day as it is inside. Load: Spearman's correlation with the number of executions is compared with
that of series shifted against each other by random distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from .series import Series

__all__ = ["DailyPattern", "LoadPattern", "daily_pattern", "load_pattern"]

Floats = npt.NDArray[np.float64]

_DAY_S = 86400.0
_FEWEST_DAYS = 7
_FEWEST_BUCKETS = 40
_DRAWS = 999
_AT_ONCE = 111
_SIGNIFICANT = 0.01


@dataclass(frozen=True, slots=True)
class DailyPattern:
    """Whether a metric depends on the hour of the day (UTC).

    found : True, False, or None where there is not enough evidence: fewer than 7 days, or buckets of more
    than 6 hours. p_value : None then. explained : share of the variance within days. effects : by start of
    the hour in seconds since midnight, the mean deviation from the day's mean; empty unless found.
    """

    found: bool | None
    p_value: float | None
    explained: float
    effects: tuple[tuple[int, float], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class LoadPattern:
    """Whether a metric goes with the number of executions in its bucket; ``correlation`` is Spearman's."""

    found: bool | None
    p_value: float | None
    correlation: float | None
    reason: str


def daily_pattern(series: Series, seed: int = 0) -> DailyPattern:
    """Test whether the metric depends on the hour of the day."""
    buckets = _DAY_S / series.width_s
    if series.width_s > _DAY_S / 4.0 or buckets != int(buckets):
        return DailyPattern(
            None, None, 0.0, (), "not enough evidence: buckets of more than a quarter of a day"
        )
    per_day = int(buckets)
    offset = round((series.start % _DAY_S) / series.width_s)
    length = -(-(offset + len(series.mean)) // per_day) * per_day
    padded = np.full(length, np.nan)
    padded[offset : offset + len(series.mean)] = series.mean
    days = padded.reshape(-1, per_day)
    days = days[(~np.isnan(days)).sum(axis=1) >= per_day / 2]
    if len(days) < _FEWEST_DAYS:
        return DailyPattern(None, None, 0.0, (), f"not enough evidence: {len(days)} days, 7 are needed")
    rest = days - np.nanmean(days, axis=1)[:, None]
    total = float(np.nansum(rest * rest))
    if total == 0.0:
        return DailyPattern(False, 1.0, 0.0, (), "the same in all hours")
    observed, effects = _between(rest)
    rng = np.random.default_rng([seed, 0xDA])
    known = np.where(np.isnan(rest), 0.0, rest)
    there = (~np.isnan(rest)).astype(np.float64)
    whole = bool(there.all())
    hours, each = np.arange(per_day), np.arange(len(rest))[:, None]
    above = 0
    for first in range(0, _DRAWS, _AT_ONCE):
        turns = rng.integers(0, per_day, (min(_AT_ONCE, _DRAWS - first), len(rest)))
        places = (hours + turns[:, :, None]) % per_day
        sums = known[each, places].sum(axis=1)
        counts = len(rest) if whole else there[each, places].sum(axis=1)
        above += int(((sums * sums / np.maximum(counts, 1.0)).sum(axis=1) >= observed).sum())
    p = (1 + above) / (1 + _DRAWS)
    if p > _SIGNIFICANT:
        return DailyPattern(False, p, observed / total, (), f"no pattern in {len(days)} days (p = {p:.2g})")
    width = int(series.width_s)
    told = tuple((i * width, float(e)) for i, e in enumerate(effects) if e == e)
    return DailyPattern(
        True, p, observed / total, told, f"depends on the hour (p = {p:.2g}, {len(days)} days)"
    )


def _between(rest: Floats) -> tuple[float, Floats]:
    count = (~np.isnan(rest)).sum(axis=0)
    sums = np.nansum(rest, axis=0)
    effects = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return float((sums * sums / np.maximum(count, 1)).sum()), effects


def load_pattern(series: Series, load: Series, seed: int = 0) -> LoadPattern:
    """Test whether the metric goes with the load: the number of executions that began in each bucket."""
    first = round((series.start - load.start) / series.width_s)
    counts = np.array(
        [load.count[first + i] if 0 <= first + i < len(load.count) else 0.0 for i in range(len(series.mean))]
    )
    known = ~np.isnan(series.mean)
    n = int(known.sum())
    if n < _FEWEST_BUCKETS or len(np.unique(counts[known])) < 5:
        return LoadPattern(
            None, None, None, f"not enough evidence: {n} buckets with values, or the load never varies"
        )
    y, x = rankdata(series.mean[known]), rankdata(counts[known])
    if float(np.ptp(y)) == 0.0:
        return LoadPattern(False, 1.0, 0.0, "never varies")
    y, x = (y - y.mean()) / y.std(), (x - x.mean()) / x.std()
    observed = float(y @ x) / n
    rng = np.random.default_rng([seed, 0x10AD])
    shifts = rng.integers(n // 10 + 1, n - n // 10, _DRAWS)
    above = sum(abs(float(np.roll(y, int(s)) @ x) / n) >= abs(observed) for s in shifts)
    p = (1 + above) / (1 + _DRAWS)
    if p > _SIGNIFICANT:
        return LoadPattern(False, p, observed, f"does not go with the load (p = {p:.2g})")
    way = "rises" if observed > 0 else "falls"
    return LoadPattern(
        True, p, observed, f"{way} with the load (rank correlation {observed:.2f}, p = {p:.2g})"
    )
