"""News for open pages, as server-sent events: one look at a bandit for all who watch it in this process.

A change is told at once, at most twice a second; and once more when it has become quiet, for what was shown
from memory meanwhile. Pages then read themselves anew. With the news comes up to which row of the log this
process has learned: another may answer a page, and know less for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time as clock
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from ....errors import Overloaded
from ..problems import Refused

__all__ = ["Live", "ending"]

_LOG = logging.getLogger("nyx_learning")
_LOOK_S = 0.2
_APART_S = 0.5
_QUIET_S = 1.5
_ALIVE_S = 15.0
_STREAM_S = 600.0
_CHECK_S = 5.0

Look = Callable[[], Awaitable[object]]


class _Watched:
    """What one bandit's clients wait for."""

    def __init__(self) -> None:
        self.clients = 0
        self.number = 0
        self.told = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Wake all who wait."""
        self.number += 1
        self.told.set()
        self.told = asyncio.Event()


class Live:
    """Streams of news, and the looks behind them; ends with its server."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each = most, each
        self._clients, self._of = 0, Counter[str]()
        self._watched: dict[str | None, _Watched] = {}

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return self._clients

    def enter(self, owner: str | None) -> Callable[[], None]:
        """Take a place for one stream, at once; returns what gives it back.

        owner : whose it is; None for who has no key, where nobody needs one.

        Raises
        ------
        Overloaded (retryable) : there are as many as may be.
        Refused (429) : the owner has as many as one may have.
        """
        if owner is not None and self._of[owner] >= self._each:
            raise Refused(
                429,
                "streams_limited",
                "too many pages are kept up to date for this key",
                expected=f"at most {self._each} at once for each key",
                found=f"{self._of[owner]}",
                fix="close other pages, or give whoever shares the key one of their own",
            )
        if self._clients >= self._most:
            raise Overloaded(
                "too many pages are kept up to date by this process",
                expected=f"at most {self._most}",
                found=f"{self._clients}",
                fix="reload the page from time to time, or close others",
            )
        self._clients += 1
        if owner is not None:
            self._of[owner] += 1
        return partial(self._leave, owner)

    def _leave(self, owner: str | None) -> None:
        self._clients -= 1
        if owner is not None:
            self._of[owner] -= 1
            if not self._of[owner]:
                del self._of[owner]

    async def stream(
        self,
        subject: str | None,
        look: Look,
        gone: Callable[[], Awaitable[bool]],
        known: Callable[[], int],
    ) -> AsyncIterator[str]:
        """Server-sent events about a subject, until the client has gone, for ten minutes at most.

        look : what changes where the subject does. gone : the client left, or may no longer look. known : up
        to which row of its log this process has learned; 0 for all bandits together.
        """
        watched = self._watched.setdefault(subject, _Watched())
        watched.clients += 1
        if watched.task is None:
            watched.task = asyncio.create_task(self._follow(watched, look), name="nyx-dashboard-live")
        try:
            async for text in _events(watched, gone, known):
                yield text
        finally:
            watched.clients -= 1
            if watched.clients == 0:
                watched.task.cancel()
                if self._watched.get(subject) is watched:
                    del self._watched[subject]

    async def close(self) -> None:
        """End every look."""
        tasks = [watched.task for watched in self._watched.values() if watched.task is not None]
        self._watched = {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _follow(self, watched: _Watched, look: Look) -> None:
        seen: Any = None
        told_at, owed, again = -_APART_S, False, False
        while True:
            try:
                found = await look()
            except Exception as error:  # noqa: BLE001 (the next look may pass; health says what is wrong)
                _LOG.debug("a look for the dashboard failed: %r", error)
                found = ("away",)
            owed = owed or (seen is not None and found != seen)
            seen = found
            now = clock.monotonic()
            if owed and now - told_at >= _APART_S:
                watched.tell()
                told_at, owed, again = now, False, True
            elif again and now - told_at >= _QUIET_S:
                watched.tell()
                again = False
            await asyncio.sleep(_LOOK_S)


async def _events(
    watched: _Watched, gone: Callable[[], Awaitable[bool]], known: Callable[[], int]
) -> AsyncIterator[str]:
    begin = spoken = checked = clock.monotonic()
    number = watched.number
    yield f"retry: 1000\nevent: hello\ndata: {known()}\n\n"
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                if watched.number == number:
                    await watched.told.wait()
        now = clock.monotonic()
        if ending() or now - begin > _STREAM_S:
            return
        if watched.number != number:
            number, spoken = watched.number, now
            yield f"event: change\ndata: {known()}\n\n"
        elif now - spoken > _ALIVE_S:
            spoken = now
            yield ": alive\n\n"
        if now - checked > _CHECK_S:
            checked = now
            if await gone():
                return


def ending() -> bool:
    """Whether the server has been told to end: it waits for its answers, and a stream has no end of its own.

    (Its handler of signals is a method of the server, which knows.)
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        server = getattr(signal.getsignal(number), "__self__", None)
        if getattr(server, "should_exit", False) is True:
            return True
    return False
