"""The leader of the watching guardrails: one process a bandit feeds them with what is committed.

Whoever holds an advisory lock leads, on a connection of its own, as the leader of the monitors does
(``monitoring``). It is another lock: a burst of errors must not wait for the monitors to catch up. What is
concluded is appended as an event and learned by every process like any row of the log.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from ..bandit import BanditSpec
from ..bandit.events import EventRow
from ..bandit.guardrails.sentry import Sentry
from ..errors import NyxError
from ..persistence.events import append_events, load_progress
from ..persistence.guardrails import guarding_key, save_guarding
from ..persistence.queries import query
from ..persistence.rows import Row, any_row_from
from ..persistence.sessions import leader_session

__all__ = ["Sentinel"]

_LOG = logging.getLogger("nyx_learning")
_PAGE = 2000
_POLL_S = 0.05
_AGAIN_S = 1.0
_SAVED_S = 1.0


class Sentinel:
    """Tries to lead, leads while it can, and starts again when it could not.

    ``learned`` is awaited behind each append, so that this process learns of it without delay.
    """

    def __init__(self, dsn: str, spec: BanditSpec, learned: Callable[[], Awaitable[None]]) -> None:
        self._dsn, self._spec, self._learned = dsn, spec, learned
        self.leading = False
        self._told = False
        self._key = guarding_key(spec.spec_hash)

    async def run(self) -> None:
        """Lead whenever nobody else does, until cancelled."""
        while True:
            try:
                await self._lead()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next term may pass)
                if not self._told:
                    _LOG.warning("the guardrails of bandit '%s' wait: %r", self._spec.name, error)
                self._told = True
            await asyncio.sleep(_AGAIN_S)

    async def _lead(self) -> None:
        connection = await leader_session(self._dsn, "nyx-guardrails")
        try:
            while not await connection.fetchval(query("try_guard"), self._spec.name):  # noqa: ASYNC110 (a lock)
                await asyncio.sleep(_AGAIN_S)
            sentry = await self._restored(connection)
            self.leading, self._told = True, False
            await self._follow(connection, sentry)
        finally:
            self.leading = False
            connection.terminate()

    async def _restored(self, connection: asyncpg.Connection) -> Sentry:
        """Go on where the last leader was; from the log's first row where that cannot be told."""
        name = self._spec.name
        base = int(await connection.fetchval(query("base_seq"), name) or 0)
        progress = await load_progress(connection, name, self._key)
        if progress is not None:
            try:
                sentry = Sentry.restored(self._spec, progress)
                if sentry.seq >= base:
                    return sentry
            except NyxError as error:
                _LOG.warning("the guardrails of bandit '%s' begin anew: %s", name, error)
        sentry = Sentry(self._spec)
        sentry.seq = base  # retention has dropped the rows before it
        return sentry

    async def _follow(self, connection: asyncpg.Connection, sentry: Sentry) -> None:
        saved_at, saved = 0.0, -1
        while True:
            page = await connection.fetch(
                query("log_after"), self._spec.name, sentry.seq, _PAGE, self._spec.encoding
            )
            found = await asyncio.to_thread(_absorbed, sentry, page) if page else []
            if found:
                events = await append_events(connection, self._spec.name, found, clock.time())
                for event in events:
                    _LOG.warning("bandit '%s': %s", self._spec.name, event.describe())
                await self._learned()
            now = asyncio.get_running_loop().time()
            if sentry.seq > saved and now - saved_at >= _SAVED_S:
                await save_guarding(connection, self._spec.name, self._key, sentry.progress())
                saved_at, saved = now, sentry.seq
            if len(page) < _PAGE:
                await asyncio.sleep(_POLL_S)


def _absorbed(sentry: Sentry, page: Sequence[Row]) -> list[EventRow]:
    found: list[EventRow] = []
    for row in page:
        found += sentry.absorb(any_row_from(row))
    return found
