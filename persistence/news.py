"""News of a bandit's log between processes: a heartbeat by NOTIFY, outside the transactions that write.

A notification only says that there is something to read: who misses one learns the same by polling. So none
is sent from inside a writing transaction, where all notifying commits of a database would queue for a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging

import asyncpg

from .database import UNREACHABLE
from .queries import Connection, query

__all__ = ["News"]

_LOG = logging.getLogger("nyx_learning")
_APART_S = 0.02
_AGAIN_S = 0.5
_POLITE_S = 1.0
_CONNECTIONS = 3  # one to listen, and those that decisions and rewards need
_LONGEST = 20  # digits of a number of the log


class News:
    """Tells other processes how far a bandit's log goes, and hears it from them.

    Needs a connection for itself, and does without where the pool has only one.
    """

    def __init__(self, pool: asyncpg.Pool, bandit: str) -> None:
        self._pool, self._bandit = pool, bandit
        # A channel's name is an identifier of Postgres: at most 63 bytes, and a bandit's may be longer.
        self.channel = f"nyx_{hashlib.blake2b(bandit.encode(), digest_size=16).hexdigest()}"
        self._seq = 0
        self._to_tell = asyncio.Event()
        self._heard = asyncio.Event()

    def tell(self, seq: int) -> None:
        """Let other processes know soon that the log goes up to ``seq``; returns at once."""
        if seq > self._seq:
            self._seq = seq
            self._to_tell.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when somebody told of more than this process has, and after ``timeout_s`` in any case."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        self._heard.clear()

    async def send(self) -> None:
        """Send what is to be told, never two notifications within 20 ms; runs until it is cancelled."""
        while True:
            await self._to_tell.wait()
            self._to_tell.clear()
            try:
                await self._pool.execute(query("notify"), self.channel, str(self._seq))
            except (*UNREACHABLE, asyncpg.PostgresError):
                _LOG.debug("a notification of bandit '%s' was not sent", self._bandit)
            await asyncio.sleep(_APART_S)

    async def listen(self) -> None:
        """Hear what is told, and connect again where the connection is lost; runs until it is cancelled."""
        if self._pool.get_max_size() < _CONNECTIONS:
            return
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._listen_on(connection)
            except (*UNREACHABLE, asyncpg.PostgresError) as error:
                _LOG.debug("bandit '%s' is followed by polling only: %r", self._bandit, error)
            await asyncio.sleep(_AGAIN_S)

    async def _listen_on(self, connection: Connection) -> None:
        lost = asyncio.Event()

        def end(_connection: Connection) -> None:
            lost.set()

        connection.add_termination_listener(end)
        try:
            await connection.add_listener(self.channel, self._hear)
            await lost.wait()
        finally:
            if not connection.is_closed():
                connection.remove_termination_listener(end)
                try:
                    async with asyncio.timeout(_POLITE_S):
                        await connection.remove_listener(self.channel, self._hear)
                except (*UNREACHABLE, asyncpg.PostgresError):
                    connection.terminate()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        # Whoever may connect may notify: what is told is only a reason to look.
        text = str(payload)
        if not (text.isdecimal() and len(text) < _LONGEST and int(text) <= self._seq):
            self._heard.set()
