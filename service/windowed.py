"""A learner that is fed with the newest rows of the stored log, when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from ..bandit.expecting import window_start
from ..bandit.log import LogRow
from ..persistence.queries import query
from ..persistence.store import Store

__all__ = ["RowLearner", "Windowed"]

_PAGE = 500


class RowLearner(Protocol):
    """What learns from rows: those behind ``first`` and up to ``seq`` are known."""

    first: int
    seq: int

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Take the next row in."""


T = TypeVar("T", bound=RowLearner)


class Windowed(Generic[T]):
    """Follows the log from question to question; who asks in another process is told the same.

    ``known`` : what was learned; None before the first question. Callers take turns.
    """

    def __init__(self, store: Store, name: str, make: Callable[[int], T]) -> None:
        self._store, self._name, self._make = store, name, make
        self.known: T | None = None
        self._newest: LogRow | None = None

    async def learner(self) -> T:
        """What is known; made, from nothing, where nobody has asked yet."""
        if self.known is None:
            self.known, self._newest = await asyncio.to_thread(self._make, 0), None
        return self.known

    async def catch_up(self) -> T:
        """Read and learn what is new, or the whole window where the log is another one."""
        last = await self._store.log.last_seq()
        base = int(await self._store.pool.fetchval(query("base_seq"), self._name) or 0)
        first = window_start(last, base)
        known = self.known
        if known is None or known.first != first or not await self._stands(known, last):
            known, self._newest = await asyncio.to_thread(self._make, first), None
        while known.seq < last:
            page = await self._store.log.after(known.seq, min(_PAGE, last - known.seq))
            if not page:
                break
            await asyncio.to_thread(_absorb, known, page)
            self._newest = page[-1][0]
        self.known = known
        return known

    async def _stands(self, known: T, last: int) -> bool:
        """Tell whether the log still is what was read: behind a failover it may be another."""
        if self._newest is None or known.seq > last:
            return known.seq == known.first
        rows = await self._store.log.after(known.seq - 1, 1)
        return bool(rows) and rows[0][0] == self._newest


def _absorb(known: RowLearner, page: list[tuple[LogRow, dict[str, object] | None]]) -> None:
    for row, context in page:
        known.absorb(row, context)
