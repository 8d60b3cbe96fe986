"""Rows of guardrails in the log: read up to a number, and appended where they agree with those before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from ..bandit.events import EventRow
from ..canonical import canonical_json
from .queries import Connection, query
from .rows import event_from

__all__ = ["append_order", "guarding_key", "guardrail_events", "save_guarding"]


async def guardrail_events(
    connection: Connection | asyncpg.Pool, bandit: str, last: int | None = None
) -> list[EventRow]:
    """The rows of guardrails, in order; up to number ``last`` if it is given."""
    return [event_from(row) for row in await connection.fetch(query("guardrail_events"), bandit, last)]


async def append_order(
    pool: asyncpg.Pool, bandit: str, order: Callable[[list[EventRow]], EventRow], time: float
) -> EventRow:
    """Append what ``order`` makes of all rows of guardrails before it, under the lock on the bandit's row.

    Where ``order`` raises, nothing is written.
    """
    async with pool.acquire() as connection, connection.transaction():
        # In a statement of its own: the next one then sees all that was committed before.
        last = int(await connection.fetchval(query("lock_bandit"), bandit) or 0)
        event = order(await guardrail_events(connection, bandit)).numbered(last + 1, time)
        document = canonical_json(event.to_dict())
        await connection.execute(
            query("append_event"), bandit, event.seq, event.kind, document, time, event.digest
        )
        await connection.execute(query("advance_bandit"), bandit, event.seq)
    return event


def guarding_key(spec_hash: str) -> str:
    """Under which the progress of a spec's watching guardrails is stored, beside that of its monitors."""
    return f"guardrails {spec_hash}"


async def save_guarding(connection: Connection, bandit: str, key: str, progress: Mapping[str, Any]) -> None:
    """Store how far the watching guardrails have come; retention leaves the rows behind that alone."""
    async with connection.transaction():
        document = canonical_json(progress)
        await connection.execute(query("save_monitoring"), bandit, key, progress["seq"], document)
        await connection.execute(query("hold_rows"), bandit, "guardrails", progress["seq"])
