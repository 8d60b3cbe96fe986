"""``analyze_trends``: what rows with times say of each metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ... import ieee
from ...errors import InputInvalid, shown
from .forecast import FEWEST, Forecast, check_question, forecast
from .patterns import DailyPattern, LoadPattern, daily_pattern, load_pattern
from .series import Series, bucket_of, series_of

__all__ = ["METRICS", "Trend", "TrendRow", "analyze_trends"]

METRICS = ("reward", "success", "quality", "usefulness", "duration_s", "tokens", "cost", "retries", "errors")
"""Metrics that rows of a bandit's log have."""

_LOGARITHMIC = frozenset({"duration_s", "tokens", "cost"})
_SHARES = frozenset({"reward", "success", "quality", "usefulness"})
_LATEST = 1e12


class TrendRow(NamedTuple):
    """One execution: when it began, in seconds, and what was measured of it."""

    time: float
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """What is known of a metric.

    rows : with a value. missing : rows without one, or with one that is no finite number (or not above 0,
    where the metric is on a logarithmic scale). logarithmic : the series are means of logarithms, so that
    levels and forecasts are geometric means; ``forecast`` has them back on the metric's own scale, and its
    changes as a share a bucket. forecast : None where there is not enough evidence. reason : in words.
    """

    metric: str
    rows: int
    missing: int
    logarithmic: bool
    series: Series | None
    forecast: Forecast | None
    daily: DailyPattern | None
    load: LoadPattern | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, without the series' past."""
        f = self.forecast
        return {
            "metric": self.metric,
            "rows": self.rows,
            "missing": self.missing,
            "logarithmic": self.logarithmic,
            "bucket_s": None if self.series is None else self.series.width_s,
            "reason": self.reason,
            "forecast": None
            if f is None or self.series is None
            else {
                "level": [f.level, f.level_low, f.level_high],
                "change_a_bucket": [f.change, f.change_low, f.change_high],
                "direction": f.direction,
                "coverage": f.coverage,
                "buckets": f.buckets,
                "from_s": self.series.start + self.series.width_s * len(self.series.mean),
                "mean": f.mean.tolist(),
                "low": f.low.tolist(),
                "high": f.high.tolist(),
            },
            "daily": _plain(self.daily),
            "load": _plain(self.load),
        }


def analyze_trends(
    rows: Iterable[TrendRow],
    metrics: Sequence[str] = METRICS,
    *,
    bucket_s: float | None = None,
    steps: int = 24,
    coverage: float = 0.9,
    seed: int = 0,
) -> tuple[Trend, ...]:
    """Level, trend, forecast and patterns of each metric.

    Parameters
    ----------
    rows : in any order: times decide. bucket_s : length of a bucket; by default what gives 120 at most, with
        3 rows on average. steps : buckets that are forecast. coverage : of intervals. seed : of the tests.

    A value that is None, NaN or infinite counts as missing.

    Raises
    ------
    InputInvalid : a time that is no finite number, a metric that is not in ``METRICS``, or numbers out of
        their domain.

    >>> rows = [TrendRow(3600.0 * i, {"reward": 0.5 + 0.01 * i}) for i in range(24)]
    >>> (trend,) = analyze_trends(rows, ["reward"], bucket_s=3600.0)
    >>> trend.forecast.direction, trend.daily.found
    ('rising', None)
    """
    unknown = sorted(set(metrics) - set(METRICS))
    if unknown:
        raise InputInvalid(
            "a metric is unknown",
            expected=f"names out of {list(METRICS)}",
            found=shown(unknown),
            fix="leave it out, or correct its name",
        )
    check_question(steps, coverage)
    if bucket_s is not None and not 0.0 < bucket_s < _LATEST:
        raise InputInvalid(
            "the length of a bucket is unusable",
            expected="a positive number of seconds",
            found=shown(bucket_s),
            fix="for example bucket_s=3600",
        )
    listed = list(rows)
    for row in listed:
        if (
            isinstance(row.time, bool)
            or not isinstance(row.time, (int, float))
            or not abs(row.time) < _LATEST
        ):
            raise InputInvalid(
                "a row has no usable time",
                expected="seconds since 1970 as a finite number",
                found=shown(row.time),
                fix="leave rows without a time out",
            )
    if not listed:
        return tuple(_nothing(metric, 0, 0) for metric in metrics)
    times = [float(row.time) for row in listed]
    width = bucket_of(times) if bucket_s is None else bucket_s
    load = series_of(times, [1.0] * len(times), width)
    return tuple(_trend(metric, listed, width, load, steps, coverage, seed) for metric in metrics)


def _trend(
    metric: str, rows: Sequence[TrendRow], width: float, load: Series, steps: int, coverage: float, seed: int
) -> Trend:
    logarithmic = metric in _LOGARITHMIC
    known = [
        (row.time, value)
        for row in rows
        if (value := _value(row.metrics.get(metric), logarithmic=logarithmic)) is not None
    ]
    missing = len(rows) - len(known)
    if not known:
        return _nothing(metric, 0, missing)
    series = series_of([t for t, _ in known], [v for _, v in known], width)
    found = forecast(series, steps, coverage)
    if found is None:
        return _nothing(metric, len(known), missing, series)
    daily, with_load = daily_pattern(series, seed), load_pattern(series, load, seed)
    told = _on_scale(found, metric)
    reason = f"{told.direction} at {told.level:.4g}"
    return Trend(metric, len(known), missing, logarithmic, series, told, daily, with_load, reason)


def _value(value: float | None, *, logarithmic: bool) -> float | None:
    if value is None or not isinstance(value, (int, float)) or value - value != 0.0:
        return None
    if logarithmic:
        return ieee.log(float(value)) if value > 0.0 else None
    return float(value)


def _on_scale(found: Forecast, metric: str) -> Forecast:
    names = ("level", "level_low", "level_high", "mean", "low", "high")
    values: dict[str, Any] = {name: getattr(found, name) for name in Forecast.__slots__}
    if metric in _LOGARITHMIC:
        values |= {name: _exp(values[name]) for name in names}
        values |= {name: float(_exp(values[name]) - 1.0) for name in ("change", "change_low", "change_high")}
    elif metric in _SHARES:
        values |= {name: np.clip(values[name], 0.0, 1.0) for name in names}
    else:
        values |= {name: np.maximum(values[name], 0.0) for name in names}
    values |= {name: float(values[name]) for name in ("level", "level_low", "level_high")}
    return Forecast(**values)


def _exp(value: Any) -> Any:
    """e to the value or values, kept within what a float can hold."""
    return np.vectorize(lambda x: ieee.exp(min(max(float(x), -700.0), 700.0)), otypes=[np.float64])(value)


def _nothing(metric: str, rows: int, missing: int, series: Series | None = None) -> Trend:
    buckets = 0 if series is None else int((series.count > 0.0).sum())
    reason = f"not enough evidence: {buckets} buckets with values, {FEWEST} are needed"
    return Trend(metric, rows, missing, metric in _LOGARITHMIC, series, None, None, None, reason)


def _plain(pattern: DailyPattern | LoadPattern | None) -> dict[str, Any] | None:
    if pattern is None:
        return None
    return {name: getattr(pattern, name) for name in type(pattern).__slots__}
