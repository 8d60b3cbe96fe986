"""Executions that agents report, as rows: many in one statement, each kept once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from ..canonical import canonical_json, digest
from .queries import query

__all__ = [
    "ExecutionRow",
    "KnownExecution",
    "drop_executions",
    "insert_executions",
    "known_executions",
    "recorded_executions",
]

_DROPPED_AT_ONCE = 5000


class ExecutionRow(NamedTuple):
    """One execution. result : what was reported, as plain JSON. reported_at : seconds since 1970."""

    execution_id: str
    reported_at: float
    agent_id: str
    agent_type: str | None
    decision_id: str | None
    result: dict[str, Any]

    @property
    def digest(self) -> str:
        """Hash of what was reported, the time aside: a report that is sent again has another one."""
        told = {name: value for name, value in self.result.items() if name != "time"}
        return digest([self.agent_id, self.agent_type, self.decision_id, told])


class KnownExecution(NamedTuple):
    """What is stored under an id already."""

    agent_id: str
    digest: str


async def insert_executions(
    pool: asyncpg.Pool, bandit: str, rows: Sequence[ExecutionRow]
) -> dict[str, KnownExecution]:
    """Insert rows with different ids; returns what is stored already under those that were not inserted.

    Safe to repeat after a failure.
    """
    columns: list[list[Any]] = [
        [row.execution_id for row in rows],
        [row.reported_at for row in rows],
        [row.agent_id for row in rows],
        [row.agent_type for row in rows],
        [row.decision_id for row in rows],
        [canonical_json(row.result) for row in rows],
        [row.digest for row in rows],
    ]
    async with pool.acquire() as connection:
        done = await connection.fetch(query("insert_executions"), bandit, *columns)
        inserted = {row["execution_id"] for row in done}
        others = [row.execution_id for row in rows if row.execution_id not in inserted]
        if not others:
            return {}
        # Committed by now: the insert waited for whoever was writing them.
        return _known(await connection.fetch(query("execution_digests"), bandit, others))


async def known_executions(
    pool: asyncpg.Pool, bandit: str, execution_ids: Sequence[str]
) -> dict[str, KnownExecution]:
    """What is stored under these ids."""
    return _known(await pool.fetch(query("execution_digests"), bandit, execution_ids))


async def recorded_executions(pool: asyncpg.Pool, bandit: str, since: float, most: int) -> list[ExecutionRow]:
    """The newest ``most`` executions since a time, the oldest first."""
    rows = await pool.fetch(query("recorded_executions"), bandit, since, most)
    return [_row(row) for row in rows]


async def drop_executions(pool: asyncpg.Pool, bandit: str, before: float) -> int:
    """Delete what was reported before a time, a page a transaction; returns how many."""
    dropped = 0
    while True:
        done = await pool.execute(query("drop_executions"), bandit, before, _DROPPED_AT_ONCE)
        dropped += (count := int(done.rpartition(" ")[2]))
        if count < _DROPPED_AT_ONCE:
            return dropped


def _known(rows: Sequence[asyncpg.Record]) -> dict[str, KnownExecution]:
    return {row["execution_id"]: KnownExecution(row["agent_id"], row["digest"]) for row in rows}


def _row(row: asyncpg.Record) -> ExecutionRow:
    return ExecutionRow(**{**row, "result": json.loads(row["result"])})
