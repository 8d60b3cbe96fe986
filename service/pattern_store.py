"""Patterns of a bandit, found, stored in versions, and remembered: asking again costs no reading."""

from __future__ import annotations

import asyncio
import json
import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from ..canonical import canonical_json
from ..errors import InputInvalid, shown
from ..features.trends import Trend, TrendRow, analyze_trends
from ..insights.evolution import PatternEvolution, pattern_evolution
from ..insights.executed import Executed
from ..insights.failures import Change, FailurePatterns, detect_failure_patterns
from ..insights.opportunities import OptimizationOpportunities, identify_optimization_opportunities
from ..insights.opportunities.identifying import check_threshold
from ..insights.patterns import StrategyPatterns, analyze_strategy_patterns
from ..insights.patterns.analysis import check_questions
from ..insights.resources import ResourcePatterns, analyze_resource_patterns
from ..insights.temporal import TemporalPatterns, analyze_temporal_patterns
from ..persistence.database import reaching
from ..persistence.patterns import (
    PatternSnapshot,
    newest_snapshot,
    newest_version,
    same_question,
    save_snapshot,
    snapshot_of,
    snapshots,
)
from ..persistence.store import Store
from .executed_log import read_changes, read_executions
from .finding import cells_of_spec, window_of

__all__ = ["AllPatterns", "PatternBook", "PatternQuestion", "all_patterns", "find_patterns"]

_MOST_VERSIONS = 1000
_TREND_METRICS = ("reward", "success", "duration_s", "cost", "retries")


@dataclass(frozen=True, slots=True)
class PatternQuestion:
    """What is asked of a log; see the engine's calls for each kind of patterns."""

    time_window: timedelta | float | None = None
    by: Sequence[str] | None = None
    min_occurrences: int = 3
    min_count: int = 20
    threshold_improvement: float = 0.15
    false_discovery_rate: float = 0.05

    def parameters(self) -> dict[str, Any]:
        """What patterns are computed with, beside the window and the cells."""
        return {
            "min_occurrences": self.min_occurrences,
            "min_count": self.min_count,
            "threshold_improvement": float(self.threshold_improvement),
            "false_discovery_rate": float(self.false_discovery_rate),
        }


def check_question(question: PatternQuestion) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    rate = question.false_discovery_rate
    check_questions(question.min_count, 0.95, rate)
    check_threshold(question.threshold_improvement)
    detect_failure_patterns([], question.min_occurrences, false_discovery_rate=rate)


async def find_patterns(
    store: Store, question: PatternQuestion, last: int | None = None
) -> tuple[int, AllPatterns]:
    """How many executions there are, and all patterns in them; nothing is stored.

    last : number of the log's last row, where it is known.

    Raises
    ------
    InputInvalid : a number or a name out of its domain; nothing is read.
    """
    check_question(question)
    cells = cells_of_spec(store.own_spec, question.by)
    rows = await read_executions(store, window_of(question.time_window), last)
    changes = await read_changes(store)
    return len(rows), await asyncio.to_thread(
        partial(all_patterns, rows, cells, changes, **question.parameters())
    )


class PatternBook:
    """The stored patterns of one bandit; the newest version is remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: PatternSnapshot | None = None
        self._known_at = -1
        self._turn = asyncio.Lock()

    async def refresh(self, question: PatternQuestion, keep: int) -> PatternSnapshot:
        """``LearningEngine.refresh_patterns``."""
        check_question(question)
        _check_whole("keep", keep, _MOST_VERSIONS)
        cells = cells_of_spec(self._store.own_spec, question.by)
        window_s, parameters = window_of(question.time_window), {**question.parameters(), "by": list(cells)}
        async with self._turn:
            with reaching():
                last = await self._store.log.last_seq()
                asked = PatternSnapshot(
                    self._store.bandit, 0, last, clock.time(), window_s, 0, parameters, {}
                )
                newest = await newest_snapshot(self._store)
                if newest is not None and same_question(newest, asked):
                    return self._remember(newest, last)
            rows, patterns = await find_patterns(self._store, question, last)
            document = await asyncio.to_thread(patterns.document)
            found = replace(asked, executions=rows, metadata=document)
            with reaching():
                return self._remember(await save_snapshot(self._store, found, keep), last)

    async def newest(self, state_seq: int) -> PatternSnapshot | None:
        """``LearningEngine.patterns``: from memory while the log is where it was."""
        if self._known is not None and self._known_at == state_seq:
            return self._known
        with reaching():
            if self._known is None or await newest_version(self._store) != self._known.version:
                found = await newest_snapshot(self._store)
                if found is None:
                    return None
                self._known = found
        self._known_at = state_seq
        return self._known

    async def version(self, version: int) -> PatternSnapshot:
        """One stored version.

        Raises
        ------
        InputInvalid : it is not stored, or not any more.
        """
        with reaching():
            found = await snapshot_of(self._store, _check_whole("version", version, 1 << 62))
            if found is None:
                newest = await newest_version(self._store)
                raise InputInvalid(
                    f"patterns of version {version} are not stored",
                    expected=f"a version up to {newest}" if newest else "a stored version: there is none yet",
                    found=str(version),
                    fix="refresh_patterns() stores the next version; old ones are dropped",
                )
        return found

    async def evolution(self, versions: int) -> PatternEvolution:
        """``LearningEngine.pattern_evolution``."""
        _check_whole("versions", versions, _MOST_VERSIONS)
        with reaching():
            stored = await snapshots(self._store, versions)
        told = [(one.version, one.metadata) for one in stored]
        return await asyncio.to_thread(pattern_evolution, told)

    def _remember(self, found: PatternSnapshot, seq: int) -> PatternSnapshot:
        self._known, self._known_at = found, seq
        return found


@dataclass(frozen=True, slots=True)
class AllPatterns:
    """Everything that patterns are stored of."""

    strategies: StrategyPatterns
    failures: FailurePatterns
    opportunities: OptimizationOpportunities
    trends: tuple[Trend, ...]
    resources: ResourcePatterns
    times: TemporalPatterns

    @property
    def reason(self) -> str | None:
        """Why there is nothing at all, where there is nothing."""
        reasons = (
            self.strategies.reason,
            self.failures.reason,
            self.opportunities.reason,
            self.resources.reason,
        )
        return self.strategies.reason if all(reasons) else None

    def document(self) -> dict[str, Any]:
        """The metadata document, as it is read back: lists, and not tuples."""
        found: dict[str, Any] = json.loads(
            canonical_json(
                {
                    "strategy_patterns": self.strategies.to_dict(),
                    "failure_patterns": self.failures.to_dict(),
                    "optimization_opportunities": self.opportunities.to_dict(),
                    "performance_trends": [trend.to_dict() for trend in self.trends],
                    "resource_patterns": self.resources.to_dict(),
                    "temporal_patterns": self.times.to_dict(),
                }
            )
        )
        return found

    def to_text(self) -> str:
        """For people."""
        trends = "\n".join(f"{trend.metric}: {trend.reason}" for trend in self.trends)
        parts = {
            "Strategies": self.strategies.to_text(),
            "Failures": self.failures.to_text(),
            "Opportunities": self.opportunities.to_text(),
            "Resources": self.resources.to_text(),
            "Times": self.times.to_text(),
            "Trends": trends,
        }
        return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" for title, text in parts.items())


def all_patterns(
    rows: Sequence[Executed],
    by: Sequence[str],
    changes: Sequence[Change] = (),
    *,
    min_occurrences: int = 3,
    min_count: int = 20,
    threshold_improvement: float = 0.15,
    false_discovery_rate: float = 0.05,
) -> AllPatterns:
    """All patterns of some executions."""
    rate = false_discovery_rate
    failures = detect_failure_patterns(rows, min_occurrences, false_discovery_rate=rate, changes=changes)
    return AllPatterns(
        analyze_strategy_patterns(rows, by, min_count=min_count, false_discovery_rate=rate),
        failures,
        identify_optimization_opportunities(
            rows,
            threshold_improvement,
            by=by,
            failures=failures,
            min_count=min_count,
            false_discovery_rate=rate,
        ),
        analyze_trends(_trend_rows(rows), _TREND_METRICS),
        analyze_resource_patterns(rows, min_count=min_count, false_discovery_rate=rate),
        analyze_temporal_patterns(rows, by, min_count=min_count, false_discovery_rate=rate),
    )


def _trend_rows(rows: Sequence[Executed]) -> list[TrendRow]:
    return [
        TrendRow(
            e.time,
            {
                "reward": e.reward,
                "success": None if e.success is None else float(e.success),
                "duration_s": e.duration_s,
                "cost": e.cost,
                "retries": e.retries,
            },
        )
        for e in rows
        if e.time is not None
    ]


def _check_whole(name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InputInvalid(
            f"{name} is unusable",
            expected=f"a whole number from 1 to {most}",
            found=shown(value),
            fix=f"leave {name} out, or choose one of these",
        )
    return value
