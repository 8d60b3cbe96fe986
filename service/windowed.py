"""A learner that is fed with the newest rows of the stored log, when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from ..bandit.expecting import window_start
from ..bandit.log import LogRow
from ..persistence.store import Store

__all__ = ["RowLearner", "Windowed"]

_PAGE = 500


class RowLearner(Protocol):
    """What learns from rows: those behind ``first`` and up to ``seq`` are known."""

    @property
    def first(self) -> int:
        """Number of the row behind which they begin."""

    @property
    def seq(self) -> int:
        """Number of the last one."""

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Take the next row in."""


T = TypeVar("T", bound=RowLearner)


class Windowed(Generic[T]):
    """Follows the log from question to question; who asks in another process is told the same.

    ``known`` : what was learned; None before the first question. Callers take turns.
    """

    def __init__(self, store: Store, make: Callable[[int], T]) -> None:
        self._store, self._make = store, make
        self.known: T | None = None
        self._mark: str | None = None  # of the last row that is known

    async def learner(self) -> T:
        """What is known; made, from nothing, where nobody has asked yet."""
        if self.known is None:
            self.known, self._mark = await asyncio.to_thread(self._make, 0), None
        return self.known

    async def catch_up(self) -> T:
        """Read and learn what is new, or the whole window where the log is another one.

        One short query where nothing is new.
        """
        known = self.known
        last, base, mark = await self._store.log.window(0 if known is None else known.seq)
        first = window_start(last, base)
        # Behind a failover the log may be another one.
        stands = known is not None and known.first == first and known.seq <= last and mark == self._mark
        if known is None or not stands:
            known, self._mark = await asyncio.to_thread(self._make, first), None
        elif known.seq == last:
            return known
        while known.seq < last:
            page = await self._store.log.after(known.seq, min(_PAGE, last - known.seq))
            if not page:
                break
            await asyncio.to_thread(_absorb, known, page)
        self.known = known
        _, _, self._mark = await self._store.log.window(known.seq)
        return known


def _absorb(known: RowLearner, page: list[tuple[LogRow, dict[str, object] | None]]) -> None:
    for row, context in page:
        known.absorb(row, context)
