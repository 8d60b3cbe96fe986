"""Waiting for something, but not for longer than a deadline."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["in_time"]


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
