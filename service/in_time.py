"""Waiting for something, but not for longer than a deadline."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

__all__ = ["Deadlines", "in_time"]


async def in_time(future: asyncio.Future[Any], deadline: float) -> bool:
    """Wait until a future is done or the event loop's clock shows ``deadline``; tells whether it is done.

    Who waits may be cancelled; the future is never. Its result or error is left to the caller.
    """
    if future.done():
        return True
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def release(_done: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_at(deadline, release)
    future.add_done_callback(release)
    try:
        await waiter
    finally:
        timer.cancel()
        future.remove_done_callback(release)
    return future.done()


class Deadlines:
    """Deadlines of many futures under one timer: a future that is not done by its deadline becomes None.

    Most calls end long before their deadline, and a timer for each would cost more than all else that
    waiting costs.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[Any], deadline: float) -> None:
        """Give a future until the event loop's clock shows ``deadline``."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        if waiting and deadline < waiting[-1][0]:  # shorter than those before: a timer of its own
            timer = future.get_loop().call_at(deadline, _expire, future)
            future.add_done_callback(lambda _done: timer.cancel())
            return
        waiting.append((deadline, future))
        if self._timer is None:
            self._timer = future.get_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        waiting = self._waiting
        loop = asyncio.get_running_loop()
        now = loop.time()
        while waiting and (waiting[0][0] <= now or waiting[0][1].done()):
            _expire(waiting.popleft()[1])
        self._timer = loop.call_at(waiting[0][0], self._expire) if waiting else None


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)
