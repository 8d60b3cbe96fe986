"""How the asynchronous client notes cancelled executions: behind the back of who is cancelled."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from ...errors import NyxError
from .answers import ServedDecision

__all__ = ["AbandonsSoon"]

_LOG = logging.getLogger("nyx_learning")


class AbandonsSoon(ABC):
    """``abandon_soon``, as ``LearningEngine`` has it; closing the client waits for what it began."""

    def __init__(self) -> None:
        self._noting: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def abandon(self, decision: ServedDecision | str) -> None:
        """Note that an execution was cancelled."""

    def abandon_soon(self, decision: ServedDecision | str) -> asyncio.Future[None]:
        """``abandon`` without waiting: a cancelled caller has no time; closing the client waits for it."""
        noting = asyncio.create_task(self.abandon(decision), name="nyx-abandon")
        self._noting.add(noting)
        noting.add_done_callback(self._noted)
        return noting

    def _noted(self, noting: asyncio.Task[None]) -> None:
        self._noting.discard(noting)
        error = None if noting.cancelled() else noting.exception()
        if isinstance(error, NyxError):
            _LOG.warning("an abandoned execution was not noted: %s", error)

    async def _all_noted(self) -> None:
        if self._noting:
            await asyncio.wait(list(self._noting))
