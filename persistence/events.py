"""Events of monitors in the log, and how far the monitors have come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..bandit.events import EPOCH, EventRow
from ..canonical import canonical_json
from .queries import Connection, query
from .rows import event_from

__all__ = ["append_events", "events_between", "load_progress", "save_progress"]


async def events_between(
    connection: Connection, bandit: str, above: int, last: int | None = None
) -> list[EventRow]:
    """The events with numbers above ``above``, and up to ``last`` if it is given."""
    rows = await connection.fetch(query("events_between"), bandit, above, last)
    return [event_from(row) for row in rows]


async def append_events(
    connection: Connection, bandit: str, drafts: Sequence[EventRow], time: float
) -> list[EventRow]:
    """Append, in one transaction, those that do not stand in the log yet; returns these with their numbers.

    A new epoch of an arm is left out where the arm has had one since the cause: its rows are gone already.
    """
    async with connection.transaction():
        # In a statement of its own: the next one then sees all that was committed before.
        last = int(await connection.fetchval(query("lock_bandit"), bandit) or 0)
        since = min(draft.cause for draft in drafts)
        known = await events_between(connection, bandit, since)
        keys = {event.key for event in known if event.spec_hash == drafts[0].spec_hash}
        fresh: list[EventRow] = []
        for draft in drafts:
            begun = {unit for event in known if event.seq > draft.cause for unit in event.epochs}
            if draft.key in keys or (draft.kind == EPOCH and begun & draft.epochs.keys()):
                continue
            fresh.append(draft.numbered(last + len(fresh) + 1, time))
        for event in fresh:
            document = canonical_json(event.to_dict())
            await connection.execute(
                query("append_event"), bandit, event.seq, event.kind, document, time, event.digest
            )
        if fresh:
            await connection.execute(query("advance_bandit"), bandit, fresh[-1].seq)
    return fresh


async def load_progress(connection: Connection, bandit: str, spec_hash: str) -> Mapping[str, Any] | None:
    """What ``save_progress`` wrote for a spec; None where nothing is."""
    row = await connection.fetchrow(query("monitoring"), bandit, spec_hash)
    return None if row is None else json.loads(row["progress"])


async def save_progress(
    connection: Connection, bandit: str, spec_hash: str, progress: Mapping[str, Any], first: int
) -> None:
    """Store how far the monitors have come; retention leaves the rows from ``first`` on alone."""
    async with connection.transaction():
        document = canonical_json(progress)
        await connection.execute(query("save_monitoring"), bandit, spec_hash, progress["seq"], document)
        await connection.execute(query("hold_rows"), bandit, "monitors", first - 1)
