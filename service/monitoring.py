"""The leader: one process a bandit runs the monitors behind the commit, and appends what they conclude.

Whoever holds an advisory lock leads. The lock belongs to a connection of its own, on which the leader also
appends: a leader whose connection is gone has lost the lock and cannot append any more, so that two never
conclude the same. What it knows is computed from the log, and its progress is a cache of that: who takes over
finds the same alarms behind the same rows.

Nobody waits for the monitors: they read committed rows, in pages, in a thread, and take the lock on the
bandit's row only to append an event.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time as clock
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from ..bandit import BanditSpec
from ..bandit.events import EventRow
from ..bandit.watch import Watch
from ..errors import NyxError
from ..persistence.events import append_events, events_between, load_progress, save_progress
from ..persistence.queries import query
from ..persistence.rows import Row, any_row_from
from ..persistence.sessions import leader_session

__all__ = ["Monitoring", "MonitoringStatus"]

_LOG = logging.getLogger("nyx_learning")
_PAGE = 500
_POLL_S = 0.2
_AGAIN_S = 1.0
_SAVED_S = 1.0


@dataclass(frozen=True, slots=True)
class MonitoringStatus:
    """How far the monitors of a bandit are.

    leading : this process runs them. seq : the last row that they have seen, as far as it is known here.
    lag_rows : how many rows of the log they have not seen. events : how many this process has appended.
    """

    leading: bool
    seq: int
    lag_rows: int
    events: int


class Monitoring:
    """Tries to lead, leads while it can, and starts again when it could not.

    ``learned`` is awaited behind each append, so that this process learns of it without delay.
    """

    def __init__(self, dsn: str, spec: BanditSpec, learned: Callable[[], Awaitable[None]]) -> None:
        self._dsn, self._spec, self._learned = dsn, spec, learned
        self.leading = False
        self.seq = 0
        """Last row that the monitors of this process have seen; 0 while another process leads."""
        self.appended = 0
        self._told = False

    async def run(self) -> None:
        """Lead whenever nobody else does, until cancelled."""
        while True:
            try:
                await self._lead()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next term may pass)
                if not self._told:
                    _LOG.warning("the monitors of bandit '%s' wait: %r", self._spec.name, error)
                self._told = True
            await asyncio.sleep(_AGAIN_S)

    def lag(self, last: int) -> int | None:
        """Rows up to ``last`` that the monitors have not seen; None where this process does not run them."""
        return max(0, last - self.seq) if self.leading else None

    async def status(self, pool: asyncpg.Pool) -> MonitoringStatus:
        """How far the monitors are, whoever leads."""
        last = int(await pool.fetchval(query("last_seq"), self._spec.name) or 0)
        seq = (
            self.seq
            if self.leading
            else int(await pool.fetchval(query("monitored_seq"), self._spec.name) or 0)
        )
        return MonitoringStatus(self.leading, seq, max(0, last - seq), self.appended)

    async def _lead(self) -> None:
        connection = await leader_session(self._dsn, "nyx-monitors")
        try:
            while not await connection.fetchval(query("try_lead"), self._spec.name):  # noqa: ASYNC110 (a lock)
                await asyncio.sleep(_AGAIN_S)
            lead = _Lead(connection, self._spec, self)
            await lead.restore()
            self.leading, self._told = True, False
            await lead.follow()
        finally:
            self.leading, self.seq = False, 0
            connection.terminate()

    async def concluded(self, events: list[EventRow]) -> None:
        """Tell of events that were appended."""
        self.appended += len(events)
        for event in events:
            held = event.consequence.get("alert") == "held back"
            level = logging.INFO if held else logging.WARNING
            _LOG.log(level, "bandit '%s': %s", self._spec.name, event.describe())
        if events:
            await self._learned()


class _Lead:
    """One term as the leader, on one connection."""

    def __init__(self, connection: asyncpg.Connection, spec: BanditSpec, owner: Monitoring) -> None:
        self._connection, self._spec, self._owner = connection, spec, owner
        self._watch = Watch(spec)
        self._saved_seq, self._saved_at = -1, 0.0

    async def follow(self) -> None:
        """Watch every row that is committed."""
        while True:
            page = await self._rows(self._watch.seq)
            found = await asyncio.to_thread(self._absorb, page)
            if found:
                events = await append_events(self._connection, self._spec.name, found, clock.time())
                await self._owner.concluded(events)
            self._owner.seq = self._watch.seq
            await self._save()
            if len(page) < _PAGE:
                await asyncio.sleep(_POLL_S)

    async def restore(self) -> None:
        """Continue where the last leader was; from the log's first row on where that cannot be told."""
        name = self._spec.name
        base = int(await self._connection.fetchval(query("base_seq"), name) or 0)
        progress = await load_progress(self._connection, name, self._spec.spec_hash)
        if progress is not None:
            try:
                first = self._watch.restore(progress)
                if first > base:
                    await self._recall(first)
                    self._owner.seq = self._watch.seq
                    return
            except NyxError as error:
                _LOG.warning("the monitors of bandit '%s' begin anew: %s", name, error)
        self._watch = Watch(self._spec)
        if base:  # retention has dropped the rows before it
            self._watch.begin_at(base, await events_between(self._connection, name, 0, base))

    async def _recall(self, first: int) -> None:
        seq, last = first - 1, self._watch.seq
        while seq < last:
            page = [row for row in await self._rows(seq) if row["seq"] <= last]
            if not page:
                return
            await asyncio.to_thread(self._remember, page)
            seq = page[-1]["seq"]

    async def _rows(self, seq: int) -> list[Row]:
        return list(
            await self._connection.fetch(query("log_after"), self._spec.name, seq, _PAGE, self._spec.encoding)
        )

    def _absorb(self, page: list[Row]) -> list[EventRow]:
        found: list[EventRow] = []
        for row in page:
            found += self._watch.absorb(any_row_from(row), _context(row))
            clock.sleep(0)  # the interpreter goes to whoever waits for it: callers come first
        return found

    def _remember(self, page: list[Row]) -> None:
        for row in page:
            self._watch.recall(any_row_from(row), _context(row))

    async def _save(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._watch.seq > self._saved_seq and now - self._saved_at >= _SAVED_S:
            progress = self._watch.progress()
            first = self._watch.first_needed
            await save_progress(self._connection, self._spec.name, self._spec.spec_hash, progress, first)
            self._saved_seq, self._saved_at = self._watch.seq, now


def _context(row: Row) -> dict[str, object] | None:
    return None if row["context"] is None else json.loads(row["context"])
