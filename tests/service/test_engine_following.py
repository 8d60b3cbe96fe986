"""What one process learns is in another's memory soon: by a notification, and without one by polling."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.persistence.news import News

Contexts = Callable[[int], dict[str, Any]]
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


async def listening(sql: Any, count: int) -> list[int]:
    async with asyncio.timeout(60):
        while len(found := await sql(LISTENERS)) < count:  # noqa: ASYNC110 (polling the server)
            await asyncio.sleep(0.02)
    return [pid for (pid,) in found]


async def lag(one: LearningEngine, two: LearningEngine, context: dict[str, Any]) -> float:
    """Seconds from a receipt to the number in the other's memory."""
    now = asyncio.get_running_loop().time
    receipt = await one.update_reward(await one.select_arm(context), reward=0.5)
    began = now()
    async with asyncio.timeout(20):
        while two.state_seq < receipt.seq:  # noqa: ASYNC110 (polling the other's memory)
            await asyncio.sleep(0.001)
    return now() - began


async def test_a_notification_brings_it(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.service.following._POLL_S", 60.0)
    one, two = await open_engine(spec), await open_engine(spec)
    await listening(sql, 2)
    lags = [await lag(one, two, contexts(i)) for i in range(5)]
    assert max(lags) < 5.0  # far below the poll
    assert one._learner.sums.digest() == two._learner.sums.digest()


async def test_a_lost_notification_is_made_up_for(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is told at all: polling alone keeps within a second."""
    monkeypatch.setattr(News, "tell", lambda *_: None)
    one, two = await open_engine(spec, deadline_s=10.0), await open_engine(spec)
    lags = sorted([await lag(one, two, contexts(i)) for i in range(12)])
    assert lags[-2] < 1.0  # the rest is the machine's


async def test_whoever_was_cut_off_listens_again(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.service.following._POLL_S", 60.0)
    monkeypatch.setattr("nyx_learning.persistence.news._AGAIN_S", 0.01)
    one, two = await open_engine(spec), await open_engine(spec)
    pids = await listening(sql, 2)
    for pid in pids:
        await sql("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(10):
        while set(pids) & set(await listening(sql, 2)):  # noqa: ASYNC110 (polling the server)
            await asyncio.sleep(0.02)
    assert await lag(one, two, contexts(1)) < 5.0
