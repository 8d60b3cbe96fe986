"""Letting other tasks run: a caller that is answered from memory, again and again, never waits."""

from __future__ import annotations

import asyncio

__all__ = ["LettingGo"]

_OFTEN_S = 0.01


class LettingGo:
    """Gives the event loop a turn every 10 ms, so that what brings the database back is not starved."""

    def __init__(self) -> None:
        self._at = 0.0

    async def now_and_then(self) -> None:
        """Let others run, if they have not lately."""
        now = asyncio.get_running_loop().time
        if now() - self._at > _OFTEN_S:
            await asyncio.sleep(0)
            self._at = now()
