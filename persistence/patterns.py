"""Stored patterns: numbered versions of what was found in a bandit's log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..canonical import canonical_json
from .queries import query
from .rows import Row
from .store import Store

__all__ = [
    "PatternSnapshot",
    "newest_snapshot",
    "newest_version",
    "save_snapshot",
    "snapshot_of",
    "snapshots",
]


@dataclass(frozen=True, slots=True)
class PatternSnapshot:
    """Patterns as they were found.

    version : dense per bandit, from 1; 0 where it is not stored. seq : last row of the log that was read.
    found_at : seconds since 1970. window_s : back from then; None for all. executions : looked at.
    parameters : what was asked. metadata : ``strategy_patterns``, ``failure_patterns``,
    ``optimization_opportunities``, ``performance_trends``, ``resource_patterns``, ``temporal_patterns``,
    as ``to_dict`` of the results has them.
    """

    bandit: str
    version: int
    seq: int
    found_at: float
    window_s: float | None
    executions: int
    parameters: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "parameters": dict(self.parameters),
            "metadata": dict(self.metadata),
        }


async def newest_version(store: Store) -> int:
    """The newest version; 0 where there is none."""
    return int(await store.pool.fetchval(query("newest_pattern_version"), store.bandit) or 0)


async def newest_snapshot(store: Store) -> PatternSnapshot | None:
    """The newest version; None where there is none."""
    return _from(store.bandit, await store.pool.fetchrow(query("newest_patterns"), store.bandit))


async def snapshot_of(store: Store, version: int) -> PatternSnapshot | None:
    """One version; None where it is not stored, or not any more."""
    return _from(store.bandit, await store.pool.fetchrow(query("patterns_of_version"), store.bandit, version))


async def snapshots(store: Store, limit: int) -> list[PatternSnapshot]:
    """The newest versions, in their order."""
    rows = await store.pool.fetch(query("stored_patterns"), store.bandit, limit)
    return [found for row in rows if (found := _from(store.bandit, row)) is not None]


async def save_snapshot(store: Store, found: PatternSnapshot, keep: int) -> PatternSnapshot:
    """Store it as the next version, and drop all but the newest ``keep``.

    Where another process has stored the same question at the same row meanwhile, that one is the answer.
    """
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute(query("lock_patterns"), store.bandit)
        newest = _from(store.bandit, await connection.fetchrow(query("newest_patterns"), store.bandit))
        if newest is not None and same_question(newest, found):
            return newest
        version = 1 if newest is None else newest.version + 1
        await connection.execute(
            query("append_patterns"),
            store.bandit,
            version,
            found.seq,
            found.found_at,
            found.window_s,
            found.executions,
            canonical_json(dict(found.parameters)),
            canonical_json(dict(found.metadata)),
        )
        await connection.execute(query("drop_patterns"), store.bandit, version - keep)
    return replace(found, version=version)


def same_question(one: PatternSnapshot, other: PatternSnapshot) -> bool:
    """Tell whether two ask the same of the same rows; a window is the same where it is as long."""
    return (one.seq, one.window_s, dict(one.parameters)) == (
        other.seq,
        other.window_s,
        dict(other.parameters),
    )


def _from(bandit: str, row: Row | None) -> PatternSnapshot | None:
    if row is None:
        return None
    return PatternSnapshot(
        bandit,
        row["version"],
        row["seq"],
        row["found_at"],
        row["window_s"],
        row["executions"],
        json.loads(row["parameters"]),
        json.loads(row["metadata"]),
    )
