"""Engines of two strategies, each a bandit of its own on one database for all tests of these adapters."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import asyncpg
import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, LearningEngine, PolicySpec, Strategy
from nyx_learning.persistence.embedded import EmbeddedServer
from nyx_learning.service.integrations import BlockingEngine

Counts: TypeAlias = dict[str, int]
_NUMBER = itertools.count(1)
_SPEC = BanditSpec(
    name="integrated",
    seed=3,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["code", "text"])),
    policy=PolicySpec("ucb1", floor=0.3),
)


@pytest.fixture(scope="package")
def shared_dsn(postgres_server: EmbeddedServer) -> Iterator[str]:
    """One database, so that the schema is built once."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgres_server.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, execute("CREATE DATABASE integrations TEMPLATE template0")).result()
        yield postgres_server.dsn_of("integrations")
        pool.submit(asyncio.run, execute("DROP DATABASE integrations WITH (FORCE)")).result()


@pytest.fixture
def two_ways() -> BanditSpec:
    """Two strategies, one with a parameter; a bandit that no other test has."""
    return replace(_SPEC, name=f"integrated-{next(_NUMBER)}")


@pytest.fixture
async def engine(shared_dsn: str, two_ways: BanditSpec) -> AsyncIterator[LearningEngine]:
    """An engine of a bandit of the test's own."""
    async with await LearningEngine.open(two_ways, shared_dsn, deadline_s=60.0) as opened:
        yield opened


@pytest.fixture
def blocking(shared_dsn: str, two_ways: BanditSpec) -> Iterator[BlockingEngine]:
    """The same, for code without a loop."""
    with BlockingEngine.open(two_ways, shared_dsn, deadline_s=60.0) as opened:
        yield opened


@pytest.fixture
async def final_counts(engine: LearningEngine, shared_dsn: str) -> Callable[[], Awaitable[Counts]]:
    """What is stored when the engine has closed, and with it written all that was not waited for."""

    async def counts() -> Counts:
        await engine.close()
        async with await LearningEngine.open(engine.spec, shared_dsn) as again:
            return await again.counts()

    return counts
