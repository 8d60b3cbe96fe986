"""The core of the durable path on every Postgres from 14 to 18 that is here.

Programs are looked for where the embedded server looks, and in the folders that ``NYX_POSTGRES_BINS`` names;
``make test-postgres`` runs far more of the tests on each.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    LearningEngine,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.errors import DatabaseRefused, RewardConflict
from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.persistence.embedded.binaries import newest_of_each_major
from nyx_learning.persistence.migrations import grant_roles
from nyx_learning.service.doctor import examine_database

SPEC = BanditSpec(
    "anywhere",
    [Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    ContextSchema(task=Categorical(["code", "text"])),
    policy=PolicySpec("ucb1", floor=0.2),
    seed=3,
    bucket_rows=16,
)


@pytest.fixture(params=[14, 15, 16, 17, 18])
def server(request: pytest.FixtureRequest, postgres_server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    if request.param == postgres_server.version:
        yield postgres_server
        return
    named = filter(None, os.environ.get("NYX_POSTGRES_BINS", "").split(os.pathsep))
    found = newest_of_each_major(map(Path, named))
    if request.param not in found:
        pytest.skip(f"no programs of Postgres {request.param} here: name their folder in NYX_POSTGRES_BINS")
    folder = Path(tempfile.mkdtemp(prefix="nyx-version-", dir="/tmp"))
    try:
        with start(folder, binaries=found[request.param].folder, durable=False) as running:
            yield running
    finally:
        shutil.rmtree(folder)


async def test_the_core(server: EmbeddedServer) -> None:
    """Two engines at once: exactly once, corrected, retained, verified, restored, least rights."""
    admin = await asyncpg.connect(server.dsn)
    await admin.execute("CREATE DATABASE anywhere TEMPLATE template0")
    await admin.close()
    dsn = server.dsn_of("anywhere")
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(await LearningEngine.open(SPEC, dsn, deadline_s=60.0))
            for _ in range(2)
        ]

        async def work(i: int) -> None:
            own = opened[i % 2]
            decision = await own.select_arm({"task": ("code", "text")[i % 2]}, f"wf-{i}")
            receipts = await asyncio.gather(*(e.update_reward(decision, reward=i % 8 / 8) for e in opened))
            assert sorted(receipt.applied for receipt in receipts) == [False, True]

        await asyncio.gather(*(work(i) for i in range(120)))
        engine, other = opened
        with pytest.raises(RewardConflict):
            await engine.update_reward("wf-1", reward=1.0)
        await engine.update_reward("wf-1", reward=1.0, corrects=0)
        await engine.retract("wf-2")
        behind = await engine.select_arm({"task": "code"}, durable=False)
        await engine.update_reward(behind, Outcome(success=True))
        report = await engine.verify()
        assert report.ok, report.first_divergence
        assert (report.decisions, report.rewards) == (121, 123)
        for each in opened:
            await each._replica.catch_up()
        assert engine._learner.sums.digest() == other._learner.sums.digest()
        told = await engine.retain(0.0)
        assert (told.base_seq, told.decisions) == (123, 121)
        report = await engine.verify()
        assert report.ok, report.first_divergence
        again = await stack.enter_async_context(await LearningEngine.open(SPEC, dsn, deadline_s=60.0))
        assert again._learner.sums.digest() == engine._learner.sums.digest()
        connection = await asyncpg.connect(dsn)
        await grant_roles(connection)
        failed = [f for f in (await examine_database(dsn)).findings if f.state == "fail"]
        assert {finding.check for finding in failed} <= {"fsync", "synchronous_commit", "full_page_writes"}
        stepped_down = f"{dsn}&options=-crole%3Dnyx_reader"
        reader = await asyncpg.connect(stepped_down)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute("DELETE FROM nyx.decision_key")
        await reader.close()
        with pytest.raises(DatabaseRefused):
            await LearningEngine.open(replace(SPEC, name="new"), stepped_down)
        await connection.execute("DROP OWNED BY nyx_reader, nyx_writer; DROP ROLE nyx_reader, nyx_writer")
        await connection.close()
    admin = await asyncpg.connect(server.dsn)
    await admin.execute("DROP DATABASE anywhere WITH (FORCE)")
    await admin.close()
