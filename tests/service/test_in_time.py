"""Deadlines of many futures under one timer: each keeps its own."""

import asyncio
from typing import Any

from nyx_learning.service.in_time import Deadlines


class Clock:
    """When futures were released, in milliseconds of a clock that is moved by hand."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()
        self.loop.time = lambda: self.now  # type: ignore[method-assign]

    async def show(self, ms: int, began: float) -> None:
        self.now = began + ms / 1e3
        for _ in range(4):
            await asyncio.sleep(0)


async def test_each_future_is_released_at_its_deadline() -> None:
    clock = Clock()
    began, deadlines = clock.now, Deadlines()
    after = [50, 60, 20, 60, 90, 10]  # not in order, as where callers give their own
    futures: list[asyncio.Future[Any]] = [clock.loop.create_future() for _ in after]
    for future, ms in zip(futures, after, strict=True):
        deadlines.add(future, began + ms / 1e3)
    for ms in (5, 15, 25, 55, 65, 95):
        await clock.show(ms, began)
        assert [future.done() for future in futures] == [limit <= ms for limit in after]
    assert all(future.result() is None for future in futures)


async def test_what_is_done_or_cancelled_in_time_stays_so() -> None:
    clock = Clock()
    began, deadlines = clock.now, Deadlines()
    futures: list[asyncio.Future[Any]] = [clock.loop.create_future() for _ in range(4)]
    for future in futures:
        deadlines.add(future, began + 0.05)
    futures[0].set_result("stored")
    futures[1].cancel()
    futures[2].set_exception(ValueError("refused"))
    await clock.show(60, began)
    assert futures[0].result() == "stored"
    assert futures[1].cancelled()
    assert isinstance(futures[2].exception(), ValueError)
    assert futures[3].result() is None


async def test_nothing_piles_up_and_later_ones_get_a_timer_again() -> None:
    clock = Clock()
    began, deadlines = clock.now, Deadlines()
    for _ in range(1000):
        done = clock.loop.create_future()
        deadlines.add(done, began + 30.0)
        done.set_result(1)
    assert len(deadlines._waiting) <= 1
    await clock.show(30_001, began)
    late: asyncio.Future[Any] = clock.loop.create_future()
    deadlines.add(late, clock.now + 0.05)
    await clock.show(30_100, began)
    assert late.done()
