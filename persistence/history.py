"""Whether the database still is the one whose log was read: behind a failover it may lack the last rows."""

from __future__ import annotations

import asyncio

import asyncpg

from .database import UNREACHABLE
from .queries import query

__all__ = ["History"]


class History:
    """Watches the timeline of the server's write-ahead log: a new one begins with each promotion or restore.

    Where replication is asynchronous, rows that were acknowledged may be missing from then on, and others
    stand under their numbers.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._timeline: str | None = None
        self._asked_at = 0.0

    async def is_another(self, *, within_s: float = 0.0) -> bool:
        """Tell whether the database has gone on from an earlier moment since this was last asked.

        ``within_s`` : an answer is that old at most.
        """
        now = asyncio.get_running_loop().time()
        if now - self._asked_at < within_s:
            return False
        self._asked_at = now
        try:
            timeline = await self._pool.fetchval(query("timeline"))
        except UNREACHABLE:
            raise
        except asyncpg.PostgresError:
            return False  # a service that hides its write-ahead log: it keeps one history itself
        if timeline is None:
            return False
        before, self._timeline = self._timeline, timeline
        return before not in {None, timeline}
