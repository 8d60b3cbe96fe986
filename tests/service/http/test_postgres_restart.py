"""Postgres is restarted under load, seen through the client: nothing acknowledged is lost, or doubled."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from nyx_learning import AsyncNyxClient, BanditSpec
from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.service.http.bandits import Bandits
from nyx_learning.service.settings import Settings

EACH = 40


def started(folder: Path) -> EmbeddedServer:
    """The folder's server, of the version of Postgres that is tested."""
    return start(folder, binaries=Settings.read().postgres_bin, durable=False)


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nyx-restart-", dir="/tmp"))  # a socket's path is short
    yield folder
    shutil.rmtree(folder)


async def test_postgres_restarts_under_load_and_nothing_is_lost_or_doubled(
    home: Path, applications: Callable[..., Awaitable[FastAPI]], spec: BanditSpec
) -> None:
    server = await asyncio.to_thread(started, home)
    app = await applications(dsn=server.dsn, deadline_s=0.05)
    acknowledged: dict[str, float] = {}
    enough, away, spooled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(client: AsyncNyxClient, worker: int) -> None:
        for i in range(EACH):
            if i == EACH // 2:
                await away.wait()  # the second half begins while there is no server
            decision = await client.select_arm({"task": "code", "size": i % 10}, f"{worker}/{i}")
            receipt = await client.update_reward(decision, reward=i / EACH)
            acknowledged[decision.decision_id] = i / EACH
            if len(acknowledged) == 8:
                enough.set()
            if "spooled" in {decision.mode, receipt.state}:
                spooled.set()

    transport = httpx.ASGITransport(app)
    async with AsyncNyxClient(
        "http://localhost", spec.name, transport=transport, deadline_s=90, patience_s=90
    ) as client:
        await client.create_bandit(spec)
        workers = [asyncio.create_task(work(client, worker)) for worker in range(4)]
        await asyncio.wait_for(enough.wait(), 90)
        await asyncio.to_thread(server.close)
        away.set()
        await asyncio.wait_for(spooled.wait(), 90)
        server = await asyncio.to_thread(started, home)
        try:
            async with asyncio.timeout(90):
                await asyncio.gather(*workers)
            bandits: Bandits = app.state.bandits
            engine = bandits.opened[spec.name]
            async with asyncio.timeout(90):
                while engine.health().spool.records:  # noqa: ASYNC110 (a thread writes it)
                    await asyncio.sleep(0.01)
            rows = await _rows(server.dsn)
            assert len(rows) == 4 * EACH == len(acknowledged)
            assert {row["decision_id"]: row["reward"] for row in rows} == acknowledged
            verified = await engine.verify()
            assert verified.ok, verified.first_divergence
        finally:
            await app.state.bandits.opened[spec.name].close()
            await asyncio.to_thread(server.close)


async def _rows(dsn: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch("SELECT decision_id, reward FROM nyx.log ORDER BY seq")
    finally:
        await connection.close()
