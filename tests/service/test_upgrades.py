# ruff: noqa: S608 (statements are made of names that stand in the catalogue)
"""A database of every released schema comes up to date with its data, verifies, and goes on learning."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Outcome
from nyx_learning.persistence.migrations import known_migrations, migrate

Contexts = Callable[[int], dict[str, Any]]
TABLES = ("bandit", "spec", "decision_key", "decision", "log", "abandoned", "checkpoint", "sums", "counted")
COLUMNS = """
    SELECT column_name::text FROM information_schema.columns
    WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position
"""


@pytest.fixture
def database_dsn(empty_dsn: str) -> str:
    """Without the schema: making it is a subject here."""
    return empty_dsn


async def columns(connection: asyncpg.Connection, schema: str, table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(COLUMNS, schema, table)]


async def contents(connection: asyncpg.Connection, table: str, names: list[str]) -> list[Any]:
    listed = ", ".join(f"{name}::text" for name in names)
    return [tuple(row) for row in await connection.fetch(f"SELECT {listed} FROM {table} ORDER BY {listed}")]


@pytest.mark.parametrize("number", [m.number for m in known_migrations()[:-1]])
async def test_from_every_schema(
    database_dsn: str, open_engine: Any, spec: BanditSpec, contexts: Contexts, number: int
) -> None:
    """What an engine stored is put into tables of an earlier schema, as far as that has the columns."""
    old = number < 3  # reports only, and rows that do not say who priced them
    engine = await open_engine(spec)
    for i in range(30):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        if i < 24:
            receipt = await engine.update_reward(decision, Outcome(success=i % 3 > 0, quality=i / 40))
            assert receipt.applied
    if not old:
        await engine.update_reward("wf-3", Outcome(success=True, quality=0.5), corrects=0)
        await engine.retract("wf-7")
    digests = {
        row.seq: row._replace(priced_by=None).digest
        for i in range(24)
        for row in (await engine.rewards(f"wf-{i}")).rows
    }
    before = engine.state_seq, engine._learner.sums.digest()
    await engine.close()

    connection = await asyncpg.connect(database_dsn)
    await connection.execute("ALTER SCHEMA nyx RENAME TO made")
    assert len(await migrate(connection, number)) == number
    kept = {}
    for table in TABLES:
        names = await columns(connection, "nyx", table)
        if names:  # counting came with 0002
            there = await columns(connection, "made", table)
            shared = [name for name in names if name in there]
            listed = ", ".join(shared)
            await connection.execute(f"INSERT INTO nyx.{table} ({listed}) SELECT {listed} FROM made.{table}")
            if table == "log" and old:
                await connection.executemany(
                    "UPDATE nyx.log SET digest = $2 WHERE seq = $1", list(digests.items())
                )
            kept[table] = shared, await contents(connection, f"nyx.{table}", shared)
    await connection.execute("DROP SCHEMA made CASCADE")

    engine = await open_engine(spec)
    assert (engine.state_seq, engine._learner.sums.digest()) == before
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert (report.decisions, report.rewards) == (30, 24 if old else 26)
    for table, (shared, rows) in kept.items():
        assert await contents(connection, f"nyx.{table}", shared) == rows, table
    assert not (await engine.update_reward("wf-1", Outcome(success=True, quality=1 / 40))).applied
    assert (await engine.update_reward("wf-25", reward=0.5)).applied
    assert (await engine.verify()).ok
    await connection.close()
