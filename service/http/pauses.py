"""When the process looks for garbage: while nobody waits.

A full collection visits every object that lives, and nothing else is done meanwhile: a tenth of a second
where twenty thousand decisions are remembered. So young objects are looked at often, which takes no time, all
of them in a quiet second, and those that stay for good not at all.
"""

from __future__ import annotations

import asyncio
import gc
import time as clock
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Pauses"]

_YOUNG, _OLDER, _NEVER = 2000, 10, 1_000_000
_LOOK_S = 0.5
_QUIET_S = 0.5
_APART_S = 60.0
_LATEST_S = 900.0


class Pauses:
    """Collects garbage in quiet moments; ``asked`` is called for each request."""

    def __init__(self) -> None:
        self._asked_at = 0.0
        self._collected_at = clock.monotonic()

    def asked(self, now: float) -> None:
        """Note that somebody waits for an answer. ``now`` : of the monotonic clock."""
        self._asked_at = now

    @staticmethod
    def settle() -> None:
        """Look at everything once, then leave what is there alone: the code, and what was opened for good."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Meanwhile, full collections are made here alone."""
        before = gc.get_threshold()
        gc.set_threshold(_YOUNG, _OLDER, _NEVER)
        looking = asyncio.create_task(self._look(), name="nyx-pauses")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])
            gc.set_threshold(*before)
            gc.unfreeze()

    def due(self, now: float) -> bool:
        """Whether this is a moment for a full collection."""
        since = now - self._collected_at
        return since > _LATEST_S or (since > _APART_S and now - self._asked_at > _QUIET_S)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.due(clock.monotonic()):
                gc.collect()
                self._collected_at = clock.monotonic()
