"""How many analyses of a log run at once: each reads many rows, and decisions share the processor with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from ...errors import Overloaded

__all__ = ["Analyses", "analysing"]


_WAITING_EACH = 8


class Analyses:
    """Lets so many analyses run at once and some more wait; beyond that, whoever asks may ask again."""

    def __init__(self, at_once: int) -> None:
        self._turns, self._asked = asyncio.Semaphore(at_once), 0
        self._most = at_once * (1 + _WAITING_EACH)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One analysis, when it is its turn.

        Raises
        ------
        Overloaded (retryable) : too many wait.
        """
        if self._asked >= self._most:
            raise Overloaded(
                "too many analyses of logs wait for their turn",
                expected=f"at most {self._most}",
                found="one more",
                fix="ask again in a second, or serve with a higher --analyses",
            )
        self._asked += 1
        try:
            async with self._turns:
                yield
        finally:
            self._asked -= 1


async def analysing(request: Request) -> AsyncIterator[None]:
    """For routes that analyse: a turn that ends with their answer."""
    analyses: Analyses = request.app.state.analyses
    async with analyses.turn():
        yield
