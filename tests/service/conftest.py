"""Engines on a fresh database, and a check that the event loop is left as it was found."""

import asyncio
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg
import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, LearningEngine, Numeric, PolicySpec, Strategy

OpenEngine: TypeAlias = Callable[..., Awaitable[LearningEngine]]
Sql: TypeAlias = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def database_dsn(migrated_dsn: str) -> str:
    """With the schema: what opening an empty database does is subject of few tests, which say so."""
    return migrated_dsn


@pytest.fixture
def spec() -> BanditSpec:
    """Four arms, five columns, and enough exploration that decisions differ."""
    return BanditSpec(
        name="orchestration",
        seed=7,
        strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4, 8]})],
        context=ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10)),
        policy=PolicySpec("ucb1", floor=0.2),
        baseline_arm="direct",
        holdout=0.1,
        bucket_rows=16,
    )


@pytest.fixture
def contexts() -> Callable[[int], dict[str, Any]]:
    """The context of the i-th workflow."""
    return lambda i: {"task": ("code", "text", "else")[i % 3], "size": i % 11 + 0.25}


@pytest.fixture
async def open_engine(database_dsn: str, clean_loop: None) -> AsyncIterator[OpenEngine]:
    """Open engines on the test's database; they are closed behind the test."""
    engines: list[LearningEngine] = []

    async def opened(spec: BanditSpec, dsn: str = database_dsn, **options: Any) -> LearningEngine:
        options.setdefault("deadline_s", 60.0)  # a busy machine is no outage
        options.setdefault("patience_s", 30.0)
        engine = await LearningEngine.open(spec, dsn, **options)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        await engine.close()


@pytest.fixture
async def sql(database_dsn: str) -> AsyncIterator[Sql]:
    """Run statements on the test's database, beside every engine and as its owner."""
    connection = await asyncpg.connect(database_dsn)

    async def run(statement: str, *arguments: Any) -> list[Any]:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]

    yield run
    await connection.close()


@pytest.fixture
async def debug_loop() -> None:
    """asyncio's debug mode, which complains about more, and takes twice the time."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 60.0


@pytest.fixture
async def clean_loop(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fails where a task is left behind, or an exception of one was never looked at."""
    before = asyncio.all_tasks()
    yield
    for _ in range(3):
        await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    assert not left
    gc.collect()
    logged = itertools.chain(caplog.get_records("setup"), caplog.get_records("call"), caplog.records)
    complaints = [r.getMessage() for r in logged if r.name == "asyncio" and r.levelno >= logging.WARNING]
    assert not complaints
