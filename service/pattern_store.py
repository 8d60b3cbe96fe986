"""Patterns of a bandit, found, stored in versions, and remembered: asking again costs no reading."""

from __future__ import annotations

import asyncio
import json
import time as clock
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..canonical import canonical_json
from ..errors import InputInvalid, shown
from ..features.trends import TrendRow, analyze_trends
from ..insights.evolution import PatternEvolution, pattern_evolution
from ..insights.executed import Executed
from ..insights.failures import Change, detect_failure_patterns
from ..insights.opportunities import identify_optimization_opportunities
from ..insights.opportunities.identifying import check_threshold
from ..insights.patterns import analyze_strategy_patterns
from ..insights.patterns.analysis import check_questions
from ..insights.resources import analyze_resource_patterns
from ..insights.temporal import analyze_temporal_patterns
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

__all__ = ["PatternBook", "patterns_document"]

_MOST_VERSIONS = 1000
_TREND_METRICS = ("reward", "success", "duration_s", "cost", "retries")


class PatternBook:
    """The stored patterns of one bandit; the newest version is remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: PatternSnapshot | None = None
        self._known_at = -1
        self._turn = asyncio.Lock()

    async def refresh(
        self,
        time_window: timedelta | float | None,
        by: Sequence[str] | None,
        min_occurrences: int,
        min_count: int,
        threshold_improvement: float,
        false_discovery_rate: float,
        keep: int,
    ) -> PatternSnapshot:
        """``LearningEngine.refresh_patterns``."""
        check_questions(min_count, 0.95, false_discovery_rate)
        check_threshold(threshold_improvement)
        detect_failure_patterns([], min_occurrences, false_discovery_rate=false_discovery_rate)
        _check_whole("keep", keep, _MOST_VERSIONS)
        window_s, cells = window_of(time_window), cells_of_spec(self._store.own_spec, by)
        parameters: dict[str, Any] = {
            "by": list(cells),
            "min_occurrences": min_occurrences,
            "min_count": min_count,
            "threshold_improvement": float(threshold_improvement),
            "false_discovery_rate": float(false_discovery_rate),
        }
        async with self._turn:
            with reaching():
                last = await self._store.log.last_seq()
                asked = PatternSnapshot(
                    self._store.bandit, 0, last, clock.time(), window_s, 0, parameters, {}
                )
                newest = await newest_snapshot(self._store)
                if newest is not None and same_question(newest, asked):
                    return self._remember(newest, last)
            rows = await read_executions(self._store, window_s, last)
            changes = await read_changes(self._store)
            document = await asyncio.to_thread(patterns_document, rows, cells, changes, **_named(parameters))
            found = PatternSnapshot(
                self._store.bandit, 0, last, asked.found_at, window_s, len(rows), parameters, document
            )
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


def patterns_document(
    rows: Sequence[Executed],
    by: Sequence[str],
    changes: Sequence[Change],
    *,
    min_occurrences: int,
    min_count: int,
    threshold_improvement: float,
    false_discovery_rate: float,
) -> dict[str, Any]:
    """All that patterns are stored of: the metadata document."""
    rate = false_discovery_rate
    failures = detect_failure_patterns(rows, min_occurrences, false_discovery_rate=rate, changes=changes)
    opportunities = identify_optimization_opportunities(
        rows, threshold_improvement, by=by, failures=failures, min_count=min_count, false_discovery_rate=rate
    )
    found = {
        "strategy_patterns": analyze_strategy_patterns(
            rows, by, min_count=min_count, false_discovery_rate=rate
        ).to_dict(),
        "failure_patterns": failures.to_dict(),
        "optimization_opportunities": opportunities.to_dict(),
        "performance_trends": [
            trend.to_dict() for trend in analyze_trends(_trend_rows(rows), _TREND_METRICS)
        ],
        "resource_patterns": analyze_resource_patterns(
            rows, min_count=min_count, false_discovery_rate=rate
        ).to_dict(),
        "temporal_patterns": analyze_temporal_patterns(
            rows, by, min_count=min_count, false_discovery_rate=rate
        ).to_dict(),
    }
    # As it is read back: lists, and not tuples.
    document: dict[str, Any] = json.loads(canonical_json(found))
    return document


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


def _named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != "by"}


def _check_whole(name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InputInvalid(
            f"{name} is unusable",
            expected=f"a whole number from 1 to {most}",
            found=shown(value),
            fix=f"leave {name} out, or choose one of these",
        )
    return value
