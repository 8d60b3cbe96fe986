"""Reward windows close by themselves: one server of all that share a database looks for what has passed.

Whoever holds an advisory lock leads, on a connection of its own; who does not get it asks again at the next
interval. Closing is exactly-once by itself: that one leads only spares the database the same look from many.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ...bandit import BanditSpec
from ...persistence.database import reaching
from ...persistence.queries import query
from ...persistence.rows import spec_from
from ...persistence.sessions import leader_session
from ...persistence.store import Store
from ..engine import LearningEngine
from ..retaining import expire_stored
from .bandits import Bandits

__all__ = ["Windows", "WindowsStatus"]

_LOG = logging.getLogger("nyx_learning")
_FIRST_S = 60.0
_AT_MOST = 1 / 20
_ENDING_S = 5.0


@dataclass(frozen=True, slots=True)
class WindowsStatus:
    """How this process closes reward windows.

    interval_s : 0: never. leading : this process does it for all. closed : decisions that it has closed.
    looked_age_s : seconds since it had last looked at all bandits; None for never. problem : of the last
    look, None for none.
    """

    interval_s: float
    leading: bool
    closed: int
    looked_age_s: float | None
    problem: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


class Windows:
    """Closes the decisions of every bandit of the database whose window has passed in silence.

    closed : is told a bandit and how many of its decisions were closed, behind each look; also none.
    """

    def __init__(self, bandits: Bandits, interval_s: float, closed: Callable[[str, int], None]) -> None:
        self._bandits, self._interval_s, self._tell = bandits, interval_s, closed
        self._closed = 0
        self._looked_at: float | None = None
        self._problem: str | None = None
        self._ending = asyncio.Event()
        self.leading = False

    def status(self) -> WindowsStatus:
        """As of now."""
        at = self._looked_at
        age = None if at is None else clock.monotonic() - at
        return WindowsStatus(self._interval_s, self.leading, self._closed, age, self._problem)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Close them meanwhile; ends behind the bandit whose decisions are being closed."""
        running = asyncio.create_task(self._run(), name="nyx-windows")
        try:
            yield
        finally:
            self.stop()
            await asyncio.wait([running], timeout=_ENDING_S)
            running.cancel()
            await asyncio.wait([running])

    def stop(self) -> None:
        """Look no more, and let another lead."""
        self._ending.set()

    async def _run(self) -> None:
        """Lead whenever nobody else does; without an interval, nothing."""
        if not self._interval_s:
            return
        while not self._ending.is_set():
            try:
                await self._try_to_lead()
            except Exception as error:  # noqa: BLE001 (whatever it is, the next round may pass)
                self._note(f"the database was not reached: {error!r:.200}")
            await self._pause(self._interval_s)

    async def _try_to_lead(self) -> None:
        connection = await leader_session(self._bandits.address, "nyx-windows")
        try:
            self.leading = await connection.fetchval(query("try_close_windows"))
            if not self.leading:
                self._problem = None  # it is another's
                return
            # Whoever leads anew may do so behind an outage: reports that waited for the database in some
            # process's spool come before what closes for want of them.
            await self._pause(min(self._interval_s, _FIRST_S))
            while self.leading and not self._ending.is_set():
                begin = clock.monotonic()
                await self._look()
                # A look reads every decision: where they are many, it comes more seldom.
                await self._pause(max(self._interval_s, (clock.monotonic() - begin) / _AT_MOST))
                await connection.fetchval(query("still_there"))  # whoever lost its connection leads no more
        finally:
            self.leading = False
            connection.terminate()

    async def _look(self) -> None:
        problem = None
        for name in await self._bandits.names():
            if self._ending.is_set():
                return
            try:
                count = await self._close(name)
            except Exception as error:  # noqa: BLE001 (the others' windows close all the same)
                problem = f"bandit '{name:.100}': {error!r:.200}"
                continue
            if count is not None:
                self._closed += count
                self._tell(name, count)
        self._note(problem)
        self._looked_at = clock.monotonic()

    async def _close(self, name: str) -> int | None:
        """How many decisions of a bandit were closed; None where nothing closes, or not now."""
        engine = self._bandits.opened.get(name)
        if engine is not None:
            closes = engine.spec.reward.window_s is not None and not _waits(engine)
            return len(await engine.expire(clock.time())) if closes else None
        pool = self._bandits.pool
        with reaching():
            spec: BanditSpec = spec_from(await pool.fetchval(query("newest_spec"), name))
        if spec.reward.window_s is None:
            return None
        return await expire_stored(Store(pool, spec), clock.time())

    def _note(self, problem: str | None) -> None:
        if problem is not None and self._problem is None:
            _LOG.warning("reward windows stay open: %s", problem)
        self._problem = problem

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            pass


def _waits(engine: LearningEngine) -> bool:
    """Whether reports wait for the database here: they come first. Such as it refuses hold up nothing."""
    health = engine.health()
    codes = {problem.code for problem in health.problems}
    return "database_away" in codes or (health.spool.records > 0 and "flush_refused" not in codes)
