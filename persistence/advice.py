"""What was advised about running executions, as rows; and what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from ..canonical import canonical_json
from .queries import query

__all__ = ["AdviceRow", "advice_and_outcomes", "advice_of_decisions", "drop_advice", "insert_advice"]

_DROPPED_AT_ONCE = 5000


class AdviceRow(NamedTuple):
    """One piece of advice. asked_at : seconds since 1970. document : values and stakes, as plain JSON."""

    decision_id: str
    elapsed_s: float
    asked_at: float
    action: str
    target_arm: str | None
    document: dict[str, Any]


async def insert_advice(pool: asyncpg.Pool, bandit: str, rows: Sequence[AdviceRow]) -> None:
    """Insert rows; what is stored already stays. Safe to repeat after a failure."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[5] = [canonical_json(row.document) for row in rows]
    await pool.execute(query("insert_advice"), bandit, *columns)


async def advice_and_outcomes(
    pool: asyncpg.Pool, bandit: str, since: float, most: int
) -> list[tuple[AdviceRow, dict[str, Any] | None]]:
    """The newest ``most`` pieces of advice since a time, the oldest first, and their decisions' outcomes."""
    rows = await pool.fetch(query("advice_and_outcomes"), bandit, since, most)
    return [(_row(row), None if row["outcome"] is None else json.loads(row["outcome"])) for row in rows]


async def advice_of_decisions(
    pool: asyncpg.Pool, bandit: str, decision_ids: Sequence[str]
) -> list[AdviceRow]:
    """All that was advised on some decisions, by decision and seconds."""
    return [_row(row) for row in await pool.fetch(query("advice_of_decisions"), bandit, decision_ids)]


def _row(row: asyncpg.Record) -> AdviceRow:
    return AdviceRow(
        row["decision_id"],
        row["elapsed_s"],
        row["asked_at"],
        row["action"],
        row["target_arm"],
        json.loads(row["document"]),
    )


async def drop_advice(pool: asyncpg.Pool, bandit: str, before: float) -> int:
    """Delete what was asked before a time, a page a transaction; returns how many."""
    dropped = 0
    while True:
        done = await pool.execute(query("drop_advice"), bandit, before, _DROPPED_AT_ONCE)
        dropped += (count := int(done.rpartition(" ")[2]))
        if count < _DROPPED_AT_ONCE:
            return dropped
