"""Patterns in the log: executions are read when somebody asks, and looked at in a thread."""

from __future__ import annotations

import asyncio
import json
import time as clock
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any

from ..bandit import BanditSpec
from ..bandit.settle import current_outcome
from ..errors import ArmUnknown, InputInvalid, shown
from ..features import Numeric
from ..features.schema import Categorical, Ordinal
from ..insights.executed import Executed
from ..insights.failures import FailurePatterns, detect_failure_patterns
from ..insights.failures.detecting import check_questions as check_failures
from ..insights.patterns import StrategyPatterns, analyze_strategy_patterns
from ..insights.patterns.analysis import check_questions as check_patterns
from ..persistence.database import reaching
from ..persistence.queries import query
from ..persistence.rows import log_row_from
from ..persistence.store import Store

__all__ = ["MOST_ROWS", "executions_of", "failures_of_log", "patterns_of_log"]

MOST_ROWS = 50_000
"""Rows of the log that are looked at: the newest ones, and all others about the same decisions."""

_PAGE = 500
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
    names = _default_cells(store.own_spec) if by is None else _checked_cells(store.own_spec, by)
    rows = await _executions(store, _seconds(time_window))
    return await asyncio.to_thread(
        partial(
            analyze_strategy_patterns,
            rows,
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
    rows = await _executions(store, _seconds(time_window))
    return await asyncio.to_thread(
        partial(
            detect_failure_patterns,
            rows,
            min_occurrences,
            max_length=max_length,
            false_discovery_rate=false_discovery_rate,
        )
    )


async def _executions(store: Store, window_s: float | None) -> list[Executed]:
    since = None if window_s is None else clock.time() - window_s
    rows: list[Any] = []
    with reaching():
        behind = max(0, await store.log.last_seq() - MOST_ROWS)
        async with store.pool.acquire() as connection, connection.transaction(readonly=True):
            listed = connection.cursor(query("reported_executions"), store.bandit, behind, prefetch=_PAGE)
            async for row in listed:
                rows.append(row)  # noqa: PERF401 - a comprehension over a cursor holds the loop no less
    found = await asyncio.to_thread(executions_of, rows, store.own_spec)
    return [e for e in found if since is None or (e.time is not None and e.time >= since)]


def executions_of(rows: Iterable[Any], spec: BanditSpec) -> list[Executed]:
    """One execution of each decision that counts: its outcome as corrected, in the order of the reports.

    rows : of ``reported_executions``. Decisions whose report was retracted, has expired or is not complete
    yet are left out; an arm that the spec no longer has stands without parameters.
    """
    found: list[tuple[int, Executed]] = []
    for decision_id, listed in groupby(rows, key=lambda row: row["decision_id"]):
        group = list(listed)
        history = [log_row_from(row) for row in group]
        last, outcome = history[-1], current_outcome(history, spec)
        if last.reward is None or (outcome is None and any(row.outcome is not None for row in history)):
            continue
        try:
            arm = spec.arms.locate(last.arm_id)[1]
            strategy, parameters = arm.strategy, dict(arm.parameters)
        except ArmUnknown:
            strategy, parameters = last.arm_id.partition("(")[0], {}
        told: dict[str, Any] = {}
        if outcome is not None:
            told = {
                "success": outcome.success,
                "duration_s": outcome.duration_s,
                "cost": outcome.cost,
                "timed_out": outcome.timed_out,
                "error_codes": outcome.error_codes,
            }
        context = json.loads(group[0]["context"])
        execution = Executed(
            decision_id,
            strategy,
            parameters,
            {name: value for name, value in context.items() if value is not None},
            reward=last.reward,
            time=history[0].reported_at,
            **told,
        )
        found.append((history[0].seq, execution))
    return [execution for _, execution in sorted(found, key=lambda pair: pair[0])]


def _seconds(time_window: timedelta | float | None) -> float | None:
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


def _default_cells(spec: BanditSpec) -> tuple[str, ...]:
    """The first categorical feature, for the type of task, and the first ordinal one, for its complexity."""
    first = [
        next((name for name, feature in spec.context.items() if isinstance(feature, kind)), None)
        for kind in (Categorical, Ordinal)
    ]
    return tuple(name for name in first if name is not None)


def _checked_cells(spec: BanditSpec, by: Sequence[str]) -> tuple[str, ...]:
    usable = [name for name, feature in spec.context.items() if not isinstance(feature, Numeric)]
    if isinstance(by, str) or len(set(by)) != len(by) or not set(by) <= set(usable):
        raise InputInvalid(
            "these are no features to make cells of",
            expected=f"different ones out of {usable}, which are not numeric",
            found=shown(by),
            fix="for example by=['task_type', 'complexity']; by=[] compares strategies over all contexts",
        )
    return tuple(by)
