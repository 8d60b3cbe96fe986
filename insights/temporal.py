"""``analyze_temporal_patterns``: by hour, by weekday, and with the load, adjusted for what was run.

From each execution the mean of its arm in its cell of contexts is taken away, so that an hour in which
hard tasks come, or another strategy is chosen, is not called a bad one. What is left is put into hours,
and each question asked by turning or shifting the series against itself, which keeps neighbouring hours alike
(``features.trends.patterns``). Weekday: each week is turned by a random number of days. The false discovery
rate is held over all metrics and questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..features.trends import Series, daily_pattern, load_pattern, series_of
from .columns import METRICS, Metric, cells_of, codes_of, numbers
from .evidence import adjusted
from .executed import Executed
from .patterns.analysis import check_questions
from .patterns.measuring import RATIOS

__all__ = ["TemporalEffect", "TemporalPattern", "TemporalPatterns", "analyze_temporal_patterns"]

Floats = npt.NDArray[np.float64]
Question = Literal["hour", "weekday", "load"]

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_FEWEST_WEEKS = 4
_DRAWS = 999
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST_MONDAY = 4  # days since 1970


@dataclass(frozen=True, slots=True)
class TemporalEffect:
    """An hour or a weekday (UTC), and its mean deviation from what the same arms reach in the same cells."""

    when: str
    effect: float


@dataclass(frozen=True, slots=True)
class TemporalPattern:
    """One question about one metric.

    by : ``hour``, ``weekday`` or ``load`` (executions that began in the hour). effects : deviations in
    units of the metric, of seconds and cost as logarithms; of ``load`` none. correlation : Spearman's, of
    ``load``. found : whether it is a discovery; None where there is not enough evidence, and ``reason``
    says of what.
    """

    metric: Metric
    by: Question
    n: int
    found: bool | None
    p: float | None
    q: float | None
    effects: tuple[TemporalEffect, ...]
    correlation: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "effects": [asdict(effect) for effect in self.effects]}

    def to_text(self) -> str:
        """For people."""
        q = "" if self.q is None else f" (q {self.q:.2g})"
        if not self.found:
            return f"{self.metric} by {self.by}: {self.reason}{q}"
        if self.correlation is not None:
            return f"{self.metric} goes with the load: rank correlation {self.correlation:+.2f}{q}"
        ordered = sorted(self.effects, key=lambda e: e.effect)
        low, high = ordered[0], ordered[-1]
        return (
            f"{self.metric} depends on the {self.by}{q}: lowest {low.when} ({low.effect:+.3g}),"
            f" highest {high.when} ({high.effect:+.3g})"
        )


@dataclass(frozen=True, slots=True)
class TemporalPatterns:
    """All questions, by metric. executions : with a time. reason : why there is nothing to ask."""

    patterns: tuple[TemporalPattern, ...]
    by: tuple[str, ...]
    executions: int
    false_discovery_rate: float
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "by": list(self.by),
            "patterns": [pattern.to_dict() for pattern in self.patterns],
        }

    def to_text(self) -> str:
        """For people."""
        head = f"{self.executions:,} executions with a time"
        reason = [] if self.reason is None else [self.reason]
        return "\n".join([head, *reason, *(pattern.to_text() for pattern in self.patterns)])


def analyze_temporal_patterns(
    executions: Sequence[Executed],
    by: Sequence[str] = (),
    *,
    min_count: int = 20,
    false_discovery_rate: float = 0.05,
    seed: int = 0,
) -> TemporalPatterns:
    """Whether success, reward, seconds and cost depend on the hour, the weekday or the load.

    Parameters
    ----------
    by : features whose values, with the arm, say what was run. min_count : executions that a metric needs.
    seed : of the turns and shifts.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    check_questions(min_count, 0.95, false_discovery_rate)
    time = numbers(e.time for e in executions)
    cell = cells_of(executions, by)
    run = codes_of(
        [
            None
            if code < 0
            else (code, e.strategy, e.arm_id or "", tuple(sorted(map(str, e.parameters.items()))))
            for e, code in zip(executions, cell.code.tolist(), strict=True)
        ]
    )
    timed = ~np.isnan(time) & (np.abs(time) < 1e11) & (run.code >= 0)
    n = int(timed.sum())
    asked: list[TemporalPattern] = []
    for metric in METRICS if n else ():
        values = numbers(getattr(e, metric) for e in executions)
        known = timed & ~np.isnan(values)
        if metric in RATIOS:
            known &= values > 0.0
        if int(known.sum()) < min_count:
            continue
        y = np.log(values[known]) if metric in RATIOS else values[known]
        asked += _questions(metric, time[known], _left(y, run.code[known]), time[timed], seed)
    reason = None if asked else f"not enough evidence: no metric has {min_count} executions with a time"
    return TemporalPatterns(_judged(asked, false_discovery_rate), tuple(by), n, false_discovery_rate, reason)


def _left(values: Floats, group: npt.NDArray[np.int64]) -> Floats:
    """Deviations from the means of the groups."""
    size = np.bincount(group)
    mean = np.bincount(group, values) / np.maximum(size, 1)
    left: Floats = values - mean[group]
    return left


def _questions(
    metric: Metric, time: Floats, left: Floats, all_times: Floats, seed: int
) -> list[TemporalPattern]:
    hours = series_of(time.tolist(), left.tolist(), _HOUR_S)
    load = series_of(all_times.tolist(), [0.0] * len(all_times), _HOUR_S)
    n = len(left)
    daily, busy = daily_pattern(hours, seed), load_pattern(hours, load, seed)
    week_p, week = _weekly(series_of(time.tolist(), left.tolist(), _DAY_S), seed)
    hourly = [TemporalEffect(f"{start // 3600:02}:00", effect) for start, effect in daily.effects]
    return [
        TemporalPattern(
            metric, "hour", n, daily.found, daily.p_value, None, tuple(hourly), None, daily.reason
        ),
        TemporalPattern(
            metric,
            "weekday",
            n,
            None if week_p is None else False,
            week_p,
            None,
            week,
            None,
            f"not enough evidence: fewer than {_FEWEST_WEEKS} weeks" if week_p is None else "no pattern",
        ),
        TemporalPattern(metric, "load", n, busy.found, busy.p_value, None, (), busy.correlation, busy.reason),
    ]


def _weekly(days: Series, seed: int) -> tuple[float | None, tuple[TemporalEffect, ...]]:
    """p-value of no difference between weekdays, and their effects; None below four weeks with four days."""
    offset = (round(days.start / _DAY_S) - _FIRST_MONDAY) % 7
    length = -(-(offset + len(days.mean)) // 7) * 7
    padded = np.full(length, np.nan)
    padded[offset : offset + len(days.mean)] = days.mean
    weeks = padded.reshape(-1, 7)
    weeks = weeks[(~np.isnan(weeks)).sum(axis=1) >= 4]
    if len(weeks) < _FEWEST_WEEKS:
        return None, ()
    there = (~np.isnan(weeks)).astype(np.float64)
    rest = np.where(there > 0.0, weeks - np.nanmean(weeks, axis=1)[:, None], 0.0)

    def between(values: Floats, counts: Floats) -> Floats:
        sums, known = values.sum(axis=-2), counts.sum(axis=-2)
        found: Floats = (sums * sums / np.maximum(known, 1.0)).sum(axis=-1)
        return found

    turns = np.random.default_rng([seed, 0x7DA]).integers(0, 7, (_DRAWS, len(weeks)))
    places = (np.arange(7) + turns[:, :, None]) % 7
    each = np.arange(len(weeks))[:, None]
    observed = float(between(rest, there))
    above = int((between(rest[each, places], there[each, places]) >= observed).sum())
    effects = rest.sum(axis=0) / np.maximum(there.sum(axis=0), 1.0)
    told = tuple(TemporalEffect(day, float(e)) for day, e in zip(_DAYS, effects.tolist(), strict=True))
    return (1 + above) / (1 + _DRAWS), told


def _judged(asked: Sequence[TemporalPattern], rate: float) -> tuple[TemporalPattern, ...]:
    """What is a discovery among all questions; effects are told of discoveries only."""
    q_values = iter(adjusted([pattern.p for pattern in asked if pattern.p is not None]))
    judged = []
    for pattern in asked:
        q = None if pattern.p is None else next(q_values)
        found = None if q is None else q <= rate
        reason = pattern.reason
        if found is False and pattern.found is not False:
            reason = "no discovery among all that was asked"
        judged.append(
            TemporalPattern(
                pattern.metric,
                pattern.by,
                pattern.n,
                found,
                pattern.p,
                q,
                pattern.effects if found else (),
                pattern.correlation,
                f"depends on the {pattern.by}" if found else reason,
            )
        )
    return tuple(judged)
