"""Load on one bandit from one process: rates and latencies of the durable calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    Decision,
    Flag,
    LearningEngine,
    Monitors,
    Numeric,
    Ordinal,
    Outcome,
    RewardSpec,
    Strategy,
)

__all__ = [
    "Load",
    "context",
    "measure_alone",
    "measure_one_process",
    "measure_statements",
    "outcome",
    "rounds",
    "spec",
]


@dataclass(frozen=True, slots=True)
class Load:
    """Blocks of so many operations, by so many tasks."""

    blocks: int
    operations: int
    tasks: int


def spec(name: str, monitors: Monitors | None = None) -> BanditSpec:
    """Ten arms and the default policy."""
    return BanditSpec(
        name=name,
        seed=7,
        strategies=[
            Strategy("direct"),
            Strategy("parallel", {"workers": [2, 4, 8], "timeout_s": [30, 60, 120]}),
        ],
        context=ContextSchema(
            task_type=Categorical(["research", "coding", "analysis"]),
            complexity=Ordinal(["simple", "moderate", "complex"]),
            input_tokens=Numeric(low=1, high=200_000, log=True),
            urgent=Flag(),
        ),
        reward=RewardSpec(reference_time_s=30.0),
        baseline_arm="direct",
        monitors=monitors,
    )


def context(i: int) -> dict[str, Any]:
    """The i-th context."""
    return {
        "task_type": ("research", "coding", "analysis")[i % 3],
        "complexity": ("simple", "moderate", "complex")[i // 3 % 3],
        "input_tokens": 1 + i * 7919 % 200_000,
        "urgent": i % 2 == 0,
    }


def outcome(i: int) -> Outcome:
    """The i-th outcome."""
    return Outcome(success=i % 5 != 0, duration_s=5.0 + i % 60, quality=(i % 11) / 10)


async def rounds(
    tasks: int, operations: int, work: Callable[[int], Awaitable[object]]
) -> tuple[float, list[float]]:
    """Let tasks share the operations; returns their rate a second, and each one's milliseconds."""
    numbers = iter(range(operations))
    times: list[float] = []
    clock = time.perf_counter

    async def one() -> None:
        for i in numbers:
            began = clock()
            await work(i)
            times.append((clock() - began) * 1e3)

    began = clock()
    await asyncio.gather(*(one() for _ in range(tasks)))
    return operations / (clock() - began), times


@dataclass(slots=True)
class Alone:
    """Milliseconds of calls that nobody else disturbs."""

    select_ms: list[float] = field(default_factory=list)
    update_ms: list[float] = field(default_factory=list)
    behind_ms: list[float] = field(default_factory=list)


async def measure_alone(dsn: str, load: Load) -> Alone:
    """One call after the other."""
    found = Alone()
    count = max(load.operations // 20, 200)
    async with await LearningEngine.open(spec("alone"), dsn, deadline_s=30.0) as engine:
        for _ in range(load.blocks):
            decisions: list[Decision] = []

            async def select(i: int, decisions: list[Decision] = decisions) -> None:
                decisions.append(await engine.select_arm(context(i)))

            async def update(i: int, decisions: list[Decision] = decisions) -> None:
                await engine.update_reward(decisions[i], outcome(i))

            found.select_ms += (await rounds(1, count, select))[1][count // 10 :]
            found.update_ms += (await rounds(1, count, update))[1][count // 10 :]
            for i in range(count):
                began = time.perf_counter()
                await engine.select_arm(context(i), durable=False)
                found.behind_ms.append((time.perf_counter() - began) * 1e3)
                await asyncio.sleep(0)
    return found


@dataclass(slots=True)
class Single:
    """Rates a second by block, and milliseconds of each call."""

    select_rates: list[float] = field(default_factory=list)
    select_ms: list[float] = field(default_factory=list)
    update_rates: list[float] = field(default_factory=list)
    update_ms: list[float] = field(default_factory=list)
    both_rates: list[float] = field(default_factory=list)
    both_ms: list[float] = field(default_factory=list)
    lags: list[Lag] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the monitors were behind the log at the end of a block, and how long they took to its end."""

    rows: int
    seconds: float


async def measure_one_process(dsn: str, load: Load, monitors: Monitors | None = None) -> Single:
    """Many tasks at once, blocks of selections and of reports by turns; the first block of each warms up.

    ``monitors`` : they run in the same process. Each block begins when they have seen the one before.
    """
    found = Single()
    own = spec("single" if monitors is None else "watched", monitors)
    # An orchestrator has them anyway: making them is not what is measured.
    contexts = [context(i) for i in range(load.operations)]
    outcomes = [outcome(i) for i in range(load.operations)]
    async with await LearningEngine.open(own, dsn, deadline_s=30.0) as engine:
        for block in range(load.blocks + 1):
            decisions: list[Decision] = []

            async def select(i: int, decisions: list[Decision] = decisions) -> None:
                decisions.append(await engine.select_arm(contexts[i]))

            async def update(i: int, decisions: list[Decision] = decisions) -> None:
                await engine.update_reward(decisions[i], outcomes[i])

            async def both(i: int) -> None:
                await engine.update_reward(await engine.select_arm(contexts[i]), outcomes[i])

            selected = await rounds(load.tasks, load.operations, select)
            updated = await rounds(load.tasks, load.operations, update)
            done = await rounds(load.tasks, load.operations // 2, both)
            lag = await _lag(engine)
            if block:
                found.lags += [] if lag is None else [lag]
                found.select_rates.append(selected[0])
                found.select_ms += selected[1]
                found.update_rates.append(updated[0])
                found.update_ms += updated[1]
                found.both_rates.append(done[0])
                found.both_ms += done[1]
    return found


async def _lag(engine: LearningEngine) -> Lag | None:
    """None where there are no monitors. Returns when they have seen all rows."""
    status = await engine.monitoring()
    if status is None:
        return None
    rows, began = status.lag_rows, time.perf_counter()
    while status is not None and status.lag_rows:
        await asyncio.sleep(0.02)
        status = await engine.monitoring()
    return Lag(rows, time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Counted:
    """Of an execution, which selects and reports."""

    statements: float
    transactions: float


async def measure_statements(dsn: str, load: Load) -> Counted:
    """Count all that the process sends while it works at load, and what the server counts as transactions."""
    sent: list[str] = []
    async with await LearningEngine.open(spec("counted"), dsn, deadline_s=30.0) as engine:

        async def both(i: int) -> None:
            await engine.update_reward(await engine.select_arm(context(i)), outcome(i))

        await _log_all(engine, sent)
        before = await _transactions(dsn)
        await rounds(load.tasks, load.operations, both)
        statements = len(sent)
        after = await _transactions(dsn)
    return Counted(statements / load.operations, (after - before) / load.operations)


async def _log_all(engine: LearningEngine, sent: list[str]) -> None:
    pool: asyncpg.Pool = engine._pool  # noqa: SLF001 (what it sends is to be counted)
    free = pool.get_max_size() - pool.get_size() + pool.get_idle_size()
    connections = [await pool.acquire() for _ in range(free)]
    for connection in connections:
        connection.add_query_logger(lambda record: sent.append(record.query))
    for connection in connections:
        await pool.release(connection)


async def _transactions(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    await asyncio.sleep(1.5)  # the server's counters lag a second behind
    found = await connection.fetchval(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    await connection.close()
    return int(found)
