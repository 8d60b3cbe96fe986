"""Processes hear of each other's rows by a heartbeat; who misses one hears the next, or polls."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.news import News

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


@pytest.fixture
async def pool(database_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    made = await connect(database_dsn)
    yield made
    await close_pool(made)


@pytest.fixture
async def started(pool: asyncpg.Pool) -> AsyncIterator[Callable[[str], News]]:
    """News whose sending and hearing run until the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(bandit: str) -> News:
        news = News(pool, bandit)
        tasks.extend(asyncio.create_task(work) for work in (news.send(), news.listen()))
        return news

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def listening(pool: asyncpg.Pool, count: int) -> list[int]:
    async with asyncio.timeout(30):
        while len(found := await pool.fetch(LISTENERS)) < count:  # noqa: ASYNC110 (polling the server)
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # they are listed a moment before they hear
    return [row["pid"] for row in found]


async def heard(news: News, timeout_s: float = 5.0) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await news.wait(timeout_s)
    return loop.time() - began < timeout_s


async def test_told_and_heard(started: Callable[[str], News], pool: asyncpg.Pool) -> None:
    one, two, other = started("b" * 100), started("b" * 100), started("c")
    await listening(pool, 3)
    one.tell(3)
    assert await heard(two)
    assert not await heard(other, 0.1)
    assert not await heard(one, 0.1)  # one's own news is none


async def test_at_most_one_in_20_ms(started: Callable[[str], News], pool: asyncpg.Pool) -> None:
    one = started("b")
    received: list[str] = []
    loop = asyncio.get_running_loop()
    async with pool.acquire() as connection:

        def hear(*arguments: object) -> None:
            received.append(str(arguments[3]))

        await connection.add_listener(one.channel, hear)
        began = loop.time()
        for seq in range(1, 201):
            one.tell(seq)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(30):
            while received[-1:] != ["200"]:  # noqa: ASYNC110 (what the server sends)
                await asyncio.sleep(0.001)
        took = loop.time() - began
        await connection.remove_listener(one.channel, hear)
    assert len(received) <= 1 + took / 0.02


async def test_a_lost_connection_is_made_again(
    started: Callable[[str], News], pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.persistence.news._AGAIN_S", 0.01)
    one = started("b")
    (pid,) = await listening(pool, 1)
    await pool.execute("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(30):
        while pid in (found := await listening(pool, 1)):  # noqa: ASYNC110 (polling the server)
            await asyncio.sleep(0.01)
    assert found != [pid]
    other = News(pool, "b")
    other.tell(9)
    sending = asyncio.create_task(other.send())
    assert await heard(one)
    sending.cancel()


async def test_anything_may_be_told(started: Callable[[str], News], pool: asyncpg.Pool) -> None:
    """Whoever may connect may notify: it is a reason to look, and nothing more."""
    one = started("b")
    await listening(pool, 1)
    for payload in ("", "-1", "x" * 7000, "9" * 5000):
        await pool.execute("SELECT pg_notify($1, $2)", one.channel, payload)
        assert await heard(one)


async def test_without_a_connection_to_spare_nobody_listens(database_dsn: str) -> None:
    pool = await connect(database_dsn, connections=2)
    news = News(pool, "b")
    await news.listen()
    assert await pool.fetchval("SELECT 1") == 1
    await close_pool(pool)
