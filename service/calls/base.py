"""What every part of the engine stands on: its parts, and whether they are still open."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ...errors import DatabaseUnavailable
from ..adapting import Adapting
from ..parts import Parts
from ..predicting import Predicting

if TYPE_CHECKING:
    from ..recording import Recording

__all__ = ["OpenParts"]


class OpenParts:
    """The parts of an open engine, and their end."""

    def __init__(self, parts: Parts) -> None:
        self.spec = parts.spec
        self._parts = parts
        self._pool, self._server = parts.pool, parts.server
        self._store, self._replica, self._learner = parts.store, parts.replica, parts.learner
        self._following = parts.following
        self._predicting = Predicting(parts.store, parts.spec)
        self._adapting = Adapting(parts.store, parts.spec)
        self._recording: Recording | None = None
        self._closing: asyncio.Task[None] | None = None
        self.thought_trees = parts.thought_trees
        """Scores for the user's own table: queued by ``update``, many at once by ``update_many``."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is waiting, store the sums, and let the database go; safe to call twice.

        Ends in bounded time also where the database is away; what could not be written then fails with
        ``DatabaseUnavailable``. A caller who is cancelled meanwhile hears of it when all is closed.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="nyx-close")
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await asyncio.wait([self._closing])
            raise

    async def _close(self) -> None:
        if self._recording is not None:
            await self._recording.finish()
        if not self._parts.availability.impaired:
            await self._adapting.advice.close()
        await self._parts.close()

    def _check_open(self) -> None:
        if self._closing is not None:
            raise DatabaseUnavailable(
                "the engine is closed",
                expected="a call inside 'async with await LearningEngine.open(…)'",
                found="a call after close()",
                fix="open the engine again",
            )

    @property
    def state_seq(self) -> int:
        """Last row of the log that this process has learned."""
        return self._replica.seq
