"""Each strategy in each cell of contexts: what it reached, against the other strategies in the same cell.

Success is a share with Wilson's interval; its effect is a difference of shares with Newcombe's interval,
tested by Fisher. Reward is a mean with Student's interval; its effect is a difference, tested by Welch or
Student, whichever is more cautious. Seconds and costs are compared as logarithms: geometric means, and as
effect the ratio of two of them. The false discovery rate is held over all effects together, and over all
trends together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ...errors import InputInvalid, shown
from ..columns import METRICS, Cell, ExecutionTable, Metric
from ..evidence import adjusted
from ..executed import Executed
from .measuring import RATIOS, Measured, measured

__all__ = [
    "MetricPattern",
    "StrategyPattern",
    "StrategyPatterns",
    "analyze_strategy_patterns",
    "check_questions",
    "discovered",
    "patterns_of",
]


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
                sign = "x" if m.metric in RATIOS else ""
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
    executions: Sequence[Executed] | ExecutionTable,
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
    executions : a list, or columns, whose cells are made already (``by`` then only names their features).
    by : features of the contexts whose values together make a cell; executions without one of them are left
    out. min_count : executions that a strategy needs in a cell, and that the others need there to be
    compared with. coverage : of the intervals. false_discovery_rate : of effects, and of trends.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    check_questions(min_count, coverage, false_discovery_rate)
    table = executions if isinstance(executions, ExecutionTable) else ExecutionTable.of(executions, by)
    found, thin = patterns_of(table, min_count, coverage)
    reason = None
    if not found:
        reason = f"not enough evidence: no strategy has {min_count} executions in a cell"
    return StrategyPatterns(
        discovered(found, false_discovery_rate),
        tuple(by),
        len(table),
        thin,
        min_count,
        coverage,
        false_discovery_rate,
        reason,
    )


def patterns_of(table: ExecutionTable, min_count: int, coverage: float) -> tuple[list[StrategyPattern], int]:
    """Each label of the strategies' column in each cell, before discoveries; and how many were too thin."""
    groups, thin = measured(table, min_count, coverage)
    found = [
        StrategyPattern(
            group.label,
            group.cell,
            group.n,
            group.timed_out,
            tuple(_pattern(metric, group.metrics[metric]) for metric in METRICS if metric in group.metrics),
        )
        for group in groups
    ]
    found.sort(key=lambda pattern: (pattern.strategy, pattern.cell))
    return found, thin


def _pattern(metric: Metric, m: Measured) -> MetricPattern:
    found = MetricPattern(metric, m.n, m.value, m.low, m.high, m.others)
    if m.effect is not None:
        e = m.effect
        found = replace(found, effect=e.value, effect_low=e.low, effect_high=e.high, p=e.p)
    if m.trend is not None:
        t = m.trend
        found = replace(found, trend=t.value, trend_low=t.low, trend_high=t.high, trend_p=t.p)
    return found


def discovered(found: Sequence[StrategyPattern], rate: float) -> tuple[StrategyPattern, ...]:
    """Hold the false discovery rate over all effects, and over all trends."""
    all_metrics = [m for pattern in found for m in pattern.metrics]
    effects = _q_values([m.p for m in all_metrics])
    trends = _q_values([m.trend_p for m in all_metrics])
    judged = []
    for m, q, trend_q in zip(all_metrics, effects, trends, strict=True):
        neutral = 1.0 if m.metric in RATIOS else 0.0
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
