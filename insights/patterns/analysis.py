"""Each strategy in each cell of contexts: what it reached, against the other strategies in the same cell.

Success is a share with Wilson's interval; its effect is a difference of shares with Newcombe's interval,
tested by Fisher. Reward is a mean with Student's interval; its effect is a difference, tested by Welch.
Seconds and costs are compared as logarithms: geometric means, and as effect the ratio of two of them. The
false discovery rate is held over all effects together, and over all trends together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ...errors import InputInvalid, shown
from ...simulation.offpolicy.intervals import wilson
from ..evidence import Difference, adjusted, fisher, mean_difference, mean_interval, slope
from ..executed import Executed

__all__ = [
    "MetricPattern",
    "StrategyPattern",
    "StrategyPatterns",
    "analyze_strategy_patterns",
    "check_questions",
]

Metric = Literal["success", "reward", "duration_s", "cost"]
Floats = npt.NDArray[np.float64]
Cell = tuple[tuple[str, str], ...]

METRICS: tuple[Metric, ...] = ("success", "reward", "duration_s", "cost")
_RATIOS = frozenset(("duration_s", "cost"))
_DAY_S = 86_400.0
_LOG_MAX = 709.0


@dataclass(frozen=True, slots=True)
class MetricPattern:
    """One metric of one strategy in one cell.

    n : executions that reported it. value, low, high : its share, mean or geometric mean. others :
    executions of the other strategies in the cell. effect, effect_low, effect_high : this less the others;
    of ``duration_s`` and ``cost`` this over the others. p, q : of no effect. finding : ``higher`` or
    ``lower`` where that is a discovery. trend : change a day; of ``duration_s`` and ``cost`` that of the
    logarithm. trend_p, trend_q, trend_finding : ``rising`` or ``falling`` where that is a discovery. None
    where there is not enough evidence.
    """

    metric: Metric
    n: int
    value: float
    low: float
    high: float
    others: int
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    p: float | None = None
    q: float | None = None
    finding: Literal["higher", "lower"] | None = None
    trend: float | None = None
    trend_low: float | None = None
    trend_high: float | None = None
    trend_p: float | None = None
    trend_q: float | None = None
    trend_finding: Literal["rising", "falling"] | None = None


@dataclass(frozen=True, slots=True)
class StrategyPattern:
    """A strategy in a cell: n of its executions, timed_out of them, and its metrics."""

    strategy: str
    cell: Cell
    n: int
    timed_out: int
    metrics: tuple[MetricPattern, ...]

    def metric(self, name: Metric) -> MetricPattern | None:
        """The metric of that name; None where too few executions reported it."""
        return next((m for m in self.metrics if m.metric == name), None)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "cell": dict(self.cell), "metrics": [asdict(m) for m in self.metrics]}

    def to_text(self) -> str:
        """For people."""
        where = ", ".join(f"{name} {value}" for name, value in self.cell) or "all contexts"
        lines = [f"{self.strategy}, {where}: {self.n:,} executions"]
        for m in self.metrics:
            line = f"  {m.metric:<10} {m.value:.4g} [{m.low:.4g}, {m.high:.4g}]"
            if m.finding is not None:
                sign = "x" if m.metric in _RATIOS else ""
                line += (
                    f", {m.finding} than the others: {sign}{m.effect:.3g}"
                    f" [{m.effect_low:.3g}, {m.effect_high:.3g}] (q {m.q:.2g})"
                )
            if m.trend_finding is not None:
                line += f", {m.trend_finding} (q {m.trend_q:.2g})"
            lines.append(line)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class StrategyPatterns:
    """What was found, in the order of strategies and cells.

    by : features that make the cells. executions : looked at. thin : cells of a strategy with fewer than
    ``min_count`` executions, which are told of nowhere else. reason : why there is nothing, where there is
    nothing.
    """

    patterns: tuple[StrategyPattern, ...]
    by: tuple[str, ...]
    executions: int
    thin: int
    min_count: int
    coverage: float
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
        head = f"{self.executions:,} executions, by {', '.join(self.by) or 'strategy alone'}"
        reason = [] if self.reason is None else [self.reason]
        return "\n".join([head, *reason, *(pattern.to_text() for pattern in self.patterns)])


def check_questions(min_count: int, coverage: float, false_discovery_rate: float) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    if isinstance(min_count, bool) or not isinstance(min_count, int) or not 5 <= min_count <= 1_000_000:
        raise InputInvalid(
            "min_count is unusable",
            expected="a whole number from 5 to 1000000",
            found=shown(min_count),
            fix="leave it out, or choose one of these",
        )
    for name, value, low, high in (
        ("coverage", coverage, 0.5, 1.0),
        ("false_discovery_rate", false_discovery_rate, 0.0, 0.5),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < high:
            raise InputInvalid(
                f"{name} is unusable",
                expected=f"a number between {low} and {high}",
                found=shown(value),
                fix=f"leave {name} out, or choose one of these",
            )


def analyze_strategy_patterns(
    executions: Sequence[Executed],
    by: Sequence[str] = (),
    *,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> StrategyPatterns:
    """How each strategy does in each cell, and where it does better or worse than the other strategies there.

    Describes what was recorded: strategies that were chosen for easier executions within a cell look better,
    and executions are taken for independent. ``evaluate`` is for what another choice would have brought.

    Parameters
    ----------
    by : features of the contexts whose values together make a cell; executions without one of them are left
    out. min_count : executions that a strategy needs in a cell, and that the others need there to be
    compared with. coverage : of the intervals. false_discovery_rate : of effects, and of trends.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    check_questions(min_count, coverage, false_discovery_rate)
    cells: dict[Cell, dict[str, list[Executed]]] = defaultdict(lambda: defaultdict(list))
    for e in executions:
        if all(name in e.context for name in by):
            cells[tuple((name, str(e.context[name])) for name in by)][e.strategy].append(e)
    found, thin = [], 0
    for cell, strategies in sorted(cells.items()):
        columns = {s: {m: _column(rows, m) for m in METRICS} for s, rows in strategies.items()}
        for strategy, rows in sorted(strategies.items()):
            if len(rows) < min_count:
                thin += 1
                continue
            metrics = []
            for metric in METRICS:
                times, values = columns[strategy][metric]
                rest = [columns[s][metric][1] for s in sorted(strategies) if s != strategy]
                others = np.concatenate(rest) if rest else np.empty(0)
                if len(values) >= min_count:
                    metrics.append(_measured(metric, times, values, others, min_count, coverage))
            timed_out = sum(e.timed_out for e in rows)
            found.append(StrategyPattern(strategy, cell, len(rows), timed_out, tuple(metrics)))
    found.sort(key=lambda pattern: (pattern.strategy, pattern.cell))
    reason = None
    if not found:
        reason = f"not enough evidence: no strategy has {min_count} executions in a cell"
    return StrategyPatterns(
        _discovered(found, false_discovery_rate),
        tuple(by),
        len(executions),
        thin,
        min_count,
        coverage,
        false_discovery_rate,
        reason,
    )


def _column(rows: Sequence[Executed], metric: Metric) -> tuple[Floats, Floats]:
    """Times in days (NaN where unknown) and values; of seconds and costs logarithms, of those above 0."""
    times, values = [], []
    for e in rows:
        value = getattr(e, metric)
        if value is not None and math.isfinite(value) and (metric not in _RATIOS or value > 0.0):
            time = math.nan if e.time is None else e.time
            times.append(time / _DAY_S if math.isfinite(time) else math.nan)
            values.append(math.log(value) if metric in _RATIOS else float(value))
    return np.array(times), np.array(values)


def _measured(
    metric: Metric, times: Floats, values: Floats, others: Floats, min_count: int, coverage: float
) -> MetricPattern:
    spelled: Callable[[float], float] = _exp if metric in _RATIOS else float
    effect = None
    if metric == "success":
        low, value, high = _share(values, coverage)
        if len(others) >= min_count:
            effect = _share_difference(values, others, coverage)
    else:
        value, low, high = mean_interval(values, coverage)
        if len(others) >= min_count:
            effect = mean_difference(values, others, coverage)
    found = MetricPattern(metric, len(values), spelled(value), spelled(low), spelled(high), len(others))
    if effect is not None:
        found = replace(
            found,
            effect=spelled(effect.value),
            effect_low=spelled(effect.low),
            effect_high=spelled(effect.high),
            p=effect.p,
        )
    timed = ~np.isnan(times)
    line = slope(times[timed], values[timed], coverage) if timed.sum() >= min_count else None
    if line is not None:
        found = replace(
            found,
            trend=line.value,
            trend_low=line.low,
            trend_high=line.high,
            trend_p=line.p,
        )
    return found


def _exp(value: float) -> float:
    return math.exp(min(value, _LOG_MAX))


def _share(values: Floats, coverage: float) -> tuple[float, float, float]:
    z = _z(coverage)
    low, high = wilson(np.array([values.sum()]), np.array([float(len(values))]), z)
    return float(low[0]), float(values.mean()), float(high[0])


def _share_difference(values: Floats, others: Floats, coverage: float) -> Difference:
    """Newcombe's hybrid score interval (1998, Statistics in Medicine 17, method 10); p from Fisher's test."""
    l1, p1, u1 = _share(values, coverage)
    l2, p2, u2 = _share(others, coverage)
    d, successes = p1 - p2, round(values.sum() + others.sum())
    p = fisher(round(values.sum()), successes, len(values), len(values) + len(others))
    return Difference(d, d - math.hypot(p1 - l1, u2 - p2), d + math.hypot(u1 - p1, p2 - l2), p)


def _z(coverage: float) -> float:
    return float(ndtri(0.5 + coverage / 2.0))


def _discovered(found: Sequence[StrategyPattern], rate: float) -> tuple[StrategyPattern, ...]:
    """Hold the false discovery rate over all effects, and over all trends."""
    all_metrics = [m for pattern in found for m in pattern.metrics]
    effects = _q_values([m.p for m in all_metrics])
    trends = _q_values([m.trend_p for m in all_metrics])
    judged = []
    for m, q, trend_q in zip(all_metrics, effects, trends, strict=True):
        neutral = 1.0 if m.metric in _RATIOS else 0.0
        new = replace(m, q=q, trend_q=trend_q)
        if q is not None and q <= rate and m.effect is not None:
            new = replace(new, finding="higher" if m.effect > neutral else "lower")
        if trend_q is not None and trend_q <= rate and m.trend is not None:
            new = replace(new, trend_finding="rising" if m.trend > 0.0 else "falling")
        judged.append(new)
    rest = iter(judged)
    return tuple(replace(pattern, metrics=tuple(next(rest) for _ in pattern.metrics)) for pattern in found)


def _q_values(p_values: Sequence[float | None]) -> list[float | None]:
    known = iter(adjusted([p for p in p_values if p is not None]))
    return [None if p is None else next(known) for p in p_values]
