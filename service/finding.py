"""Patterns in the log: executions are read when somebody asks, and looked at in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from ..bandit import BanditSpec
from ..errors import InputInvalid, shown
from ..features import Numeric
from ..features.kinds import Categorical, Ordinal
from ..insights.failures import FailurePatterns, detect_failure_patterns
from ..insights.failures.detecting import check_questions as check_failures
from ..insights.opportunities import (
    Evidence,
    OptimizationOpportunities,
    identify_optimization_opportunities,
)
from ..insights.opportunities.identifying import check_threshold
from ..insights.patterns import (
    AgentPerformancePattern,
    StrategyPatterns,
    analyze_agent_performance_by_type,
    analyze_strategy_patterns,
)
from ..insights.patterns.agents import checked_agent
from ..insights.patterns.analysis import check_questions as check_patterns
from ..insights.resources import ResourcePatterns, analyze_resource_patterns, check_margin
from ..insights.temporal import TemporalPatterns, analyze_temporal_patterns
from ..persistence.database import reaching
from ..persistence.queries import query
from ..persistence.store import Store
from .executed_columns import MOST_FEATURES, read_table
from .executed_log import read_agents, read_changes, read_executions

__all__ = [
    "agents_of_log",
    "cells_of_spec",
    "evidence_of_log",
    "failures_of_log",
    "opportunities_of_log",
    "patterns_of_log",
    "resources_of_log",
    "times_of_log",
    "window_of",
]

_LONGEST_S = 1e10


async def patterns_of_log(
    store: Store,
    time_window: timedelta | float | None,
    by: Sequence[str] | None,
    min_count: int,
    coverage: float,
    false_discovery_rate: float,
) -> StrategyPatterns:
    """``LearningEngine.analyze_strategy_patterns``."""
    check_patterns(min_count, coverage, false_discovery_rate)
    names = cells_of_spec(store.own_spec, by)
    table = await read_table(store, window_of(time_window), names)
    return await asyncio.to_thread(
        partial(
            analyze_strategy_patterns,
            table,
            names,
            min_count=min_count,
            coverage=coverage,
            false_discovery_rate=false_discovery_rate,
        )
    )


async def failures_of_log(
    store: Store,
    min_occurrences: int,
    time_window: timedelta | float | None,
    max_length: int,
    false_discovery_rate: float,
) -> FailurePatterns:
    """``LearningEngine.detect_failure_patterns``."""
    check_failures(min_occurrences, max_length, false_discovery_rate)
    rows = await read_executions(store, window_of(time_window))
    changes = await read_changes(store)
    return await asyncio.to_thread(
        partial(
            detect_failure_patterns,
            rows,
            min_occurrences,
            max_length=max_length,
            false_discovery_rate=false_discovery_rate,
            changes=changes,
        )
    )


async def agents_of_log(
    store: Store,
    agent_type: str,
    task_complexity: str | None,
    time_window: timedelta | float | None,
    by: Sequence[str] | None,
    min_count: int,
    coverage: float,
    false_discovery_rate: float,
) -> AgentPerformancePattern:
    """``LearningEngine.analyze_agent_performance_by_type``."""
    check_patterns(min_count, coverage, false_discovery_rate)
    checked_agent(agent_type, task_complexity)
    names, feature = cells_of_spec(store.own_spec, by), _complexity(store.own_spec)
    window_s = window_of(time_window)
    rows = await read_agents(store, window_s, await read_executions(store, window_s))
    return await asyncio.to_thread(
        partial(
            analyze_agent_performance_by_type,
            rows,
            agent_type,
            task_complexity,
            by=names,
            complexity_feature=feature,
            min_count=min_count,
            coverage=coverage,
            false_discovery_rate=false_discovery_rate,
        )
    )


async def opportunities_of_log(
    store: Store,
    threshold_improvement: float,
    time_window: timedelta | float | None,
    by: Sequence[str] | None,
    min_count: int,
    coverage: float,
    false_discovery_rate: float,
) -> OptimizationOpportunities:
    """``LearningEngine.identify_optimization_opportunities``."""
    check_threshold(threshold_improvement)
    check_patterns(min_count, coverage, false_discovery_rate)
    names = cells_of_spec(store.own_spec, by)
    rows = await read_executions(store, window_of(time_window))

    def identified() -> OptimizationOpportunities:
        return identify_optimization_opportunities(
            rows,
            threshold_improvement,
            by=names,
            failures=detect_failure_patterns(rows, false_discovery_rate=false_discovery_rate),
            min_count=min_count,
            coverage=coverage,
            false_discovery_rate=false_discovery_rate,
        )

    return await asyncio.to_thread(identified)


async def evidence_of_log(store: Store, evidence: Evidence) -> list[dict[str, Any]]:
    """``LearningEngine.evidence``."""
    names, values = zip(*evidence.context, strict=True) if evidence.context else ((), ())
    if evidence.first_seq is None or evidence.last_seq is None:
        return []
    with reaching():
        rows = await store.pool.fetch(
            query("evidence_of_opportunity"),
            store.bandit,
            evidence.first_seq,
            evidence.last_seq,
            list(names),
            list(values),
            list(evidence.arms) or None,
            list(evidence.error_codes) or None,
        )
    return [dict(row) for row in rows]


async def resources_of_log(
    store: Store,
    time_window: timedelta | float | None,
    margin: float,
    min_count: int,
    coverage: float,
    false_discovery_rate: float,
) -> ResourcePatterns:
    """``LearningEngine.analyze_resource_patterns``."""
    check_margin(margin)
    check_patterns(min_count, coverage, false_discovery_rate)
    rows = await read_executions(store, window_of(time_window))
    return await asyncio.to_thread(
        partial(
            analyze_resource_patterns,
            rows,
            margin=margin,
            min_count=min_count,
            coverage=coverage,
            false_discovery_rate=false_discovery_rate,
        )
    )


async def times_of_log(
    store: Store,
    time_window: timedelta | float | None,
    by: Sequence[str] | None,
    min_count: int,
    false_discovery_rate: float,
) -> TemporalPatterns:
    """``LearningEngine.analyze_temporal_patterns``."""
    check_patterns(min_count, 0.95, false_discovery_rate)
    names = cells_of_spec(store.own_spec, by)
    rows = await read_executions(store, window_of(time_window))
    return await asyncio.to_thread(
        partial(
            analyze_temporal_patterns,
            rows,
            names,
            min_count=min_count,
            false_discovery_rate=false_discovery_rate,
        )
    )


def window_of(time_window: timedelta | float | None) -> float | None:
    """Seconds of a window; None for all.

    Raises
    ------
    InputInvalid : no positive number.
    """
    seconds = time_window.total_seconds() if isinstance(time_window, timedelta) else time_window
    if seconds is None:
        return None
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0.0 < seconds < _LONGEST_S:
        raise InputInvalid(
            "the time window is unusable",
            expected="a timedelta or a number of seconds above 0, or None for all",
            found=shown(time_window),
            fix="for example time_window=timedelta(days=30)",
        )
    return float(seconds)


def cells_of_spec(spec: BanditSpec, by: Sequence[str] | None) -> tuple[str, ...]:
    """The features that make cells: as named, or by default the type of task and its complexity.

    Raises
    ------
    InputInvalid : features that make none.
    """
    return _default_cells(spec) if by is None else _checked_cells(spec, by)


def _complexity(spec: BanditSpec) -> str:
    """The first ordinal feature, where there is one."""
    return next((n for n, feature in spec.context.items() if isinstance(feature, Ordinal)), "complexity")


def _default_cells(spec: BanditSpec) -> tuple[str, ...]:
    """The first categorical feature, for the type of task, and the first ordinal one, for its complexity."""
    first = [
        next((name for name, feature in spec.context.items() if isinstance(feature, kind)), None)
        for kind in (Categorical, Ordinal)
    ]
    return tuple(name for name in first if name is not None)


def _checked_cells(spec: BanditSpec, by: Sequence[str]) -> tuple[str, ...]:
    usable = [name for name, feature in spec.context.items() if not isinstance(feature, Numeric)]
    several = isinstance(by, str) or len(set(by)) != len(by) or len(by) > MOST_FEATURES
    if several or not set(by) <= set(usable):
        raise InputInvalid(
            "these are no features to make cells of",
            expected=f"at most {MOST_FEATURES} different ones out of {usable}, which are not numeric",
            found=shown(by),
            fix="for example by=['task_type', 'complexity']; by=[] compares strategies over all contexts",
        )
    return tuple(by)
