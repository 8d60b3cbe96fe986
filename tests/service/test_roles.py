"""Least privilege, with real roles: a reader reads, a writer appends, and only the owner removes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Outcome
from nyx_learning.errors import DatabaseRefused, DatabaseUnavailable
from nyx_learning.features.monitors import Monitors
from nyx_learning.persistence.advice import AdviceRow, insert_advice
from nyx_learning.persistence.database import reaching
from nyx_learning.persistence.migrations import grant_roles, migrate
from nyx_learning.persistence.retention import retain

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
async def owner(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_dsn)
    await migrate(opened)
    await grant_roles(opened)
    yield opened
    for role in ("nyx_reader", "nyx_writer"):
        await opened.execute(f"DROP OWNED BY {role}")
        await opened.execute(f"DROP ROLE {role}")
    await opened.close()


def as_role(dsn: str, role: str) -> str:
    # The server lets its owner in and nobody else: so the owner logs in, and steps down.
    return f"{dsn}&options=-crole%3D{role}"


FORBIDDEN = [
    "UPDATE nyx.log SET reward = 0",
    "DELETE FROM nyx.log",
    "TRUNCATE nyx.log",
    "UPDATE nyx.decision SET propensity = 0.5",
    "DELETE FROM nyx.decision",
    "UPDATE nyx.decision_key SET digest = 'x'",
    "DELETE FROM nyx.decision_key",
    "UPDATE nyx.spec SET document = '{}'",
    "DELETE FROM nyx.spec",
    "UPDATE nyx.bandit SET base_seq = 5",
    "UPDATE nyx.execution SET agent_id = 'x'",
    "DELETE FROM nyx.execution",
    "UPDATE nyx.advice SET action = 'x'",
    "DELETE FROM nyx.advice",
    "UPDATE nyx.pattern_snapshot SET seq = 5",
    "DELETE FROM nyx.bandit",
    "UPDATE nyx.decision_default SET propensity = 0.5",
    "DELETE FROM nyx.log_default",
    "INSERT INTO nyx.base VALUES ('b', 'e', 1, 1, 'd')",
    "INSERT INTO nyx.migration VALUES (9999, 'x', 'x')",
    "UPDATE nyx.migration SET checksum = 'x'",
    "CREATE TABLE nyx.mine ()",
    "ALTER TABLE nyx.log DROP CONSTRAINT log_report_key",
    "DROP TABLE nyx.log",
    "DROP SCHEMA nyx CASCADE",
    "SELECT * FROM nyx.drop_month('2020-01-01', '{}', '{}')",
    "CREATE OR REPLACE FUNCTION nyx.add_partitions(date, integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
]
APPENDING = [
    "INSERT INTO nyx.bandit (bandit) VALUES ('x')",
    "INSERT INTO nyx.decision_key VALUES ('b', 'x', '2020-01-01', 0, 'x')",
    "SELECT nyx.add_partitions('2020-01-01', 1)",
    "UPDATE nyx.bandit SET last_seq = 5",
    "INSERT INTO nyx.execution VALUES ('b', 'x', 0, 'a', NULL, NULL, '{}', 'd')",
    "INSERT INTO nyx.advice VALUES ('b', 'x', 0, 0, 'continue', NULL, '{}')",
    "INSERT INTO nyx.pattern_snapshot VALUES ('b', 1, 0, 0, NULL, 0, '{}', '{}')",
    "DELETE FROM nyx.pattern_snapshot",
]


async def test_an_engine_needs_no_more_than_a_writers_rights(
    owner: asyncpg.Connection, database_dsn: str, open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec, as_role(database_dsn, "nyx_writer"))
    assert await engine._pool.fetchval("SELECT current_user") == "nyx_writer"
    partitions = await owner.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'nyx.log'::regclass"
    )
    assert partitions == 3  # made by the writer, who may not make tables
    for i in range(12):
        decision = await engine.select_arm(contexts(i), f"wf-{i}", durable=i % 2 == 0)
        await engine.update_reward(decision, Outcome(success=i % 3 > 0))
    await engine.retract("wf-3")
    await engine.abandon(await engine.select_arm(contexts(1), "wf-12"))
    await engine.record_execution("agent", {"success": True})
    row = AdviceRow("wf-1", 1.5, 1e9, "continue", None, {"values": {}})
    await insert_advice(engine._pool, spec.name, [row])
    assert [(await engine.refresh_patterns(min_count=n, keep=1)).version for n in (20, 21)] == [1, 2]
    await engine._replica.checkpoint()
    assert (await engine.verify()).ok
    with pytest.raises(DatabaseRefused) as caught, reaching():
        await retain([engine._store], 0.0, now=1e10)
    assert "InsufficientPrivilegeError" in caught.value.found
    assert (await engine.verify()).ok


async def test_monitors_and_imports_need_no_more(
    owner: asyncpg.Connection,
    database_dsn: str,
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    dsn = as_role(database_dsn, "nyx_writer")
    engine = await open_engine(replace(spec, monitors=Monitors()), dsn)
    for i in range(6):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=0.5)
    async with asyncio.timeout(30):
        while not await owner.fetchval("SELECT max(seq) FROM nyx.monitoring"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await owner.fetchval("SELECT count(*) FROM nyx.hold") == 1
    await engine.export_log(tmp_path / "log.jsonl")
    other = await open_engine(replace(spec, name="other"), dsn)
    lines = (tmp_path / "log.jsonl").read_text().replace('"orchestration"', '"other"')
    (tmp_path / "other.jsonl").write_text(lines)
    await other.import_log(tmp_path / "other.jsonl")
    assert await other.counts() == {"decisions": 6, "rewards": 6, "abandoned": 0}
    assert (await other.verify()).ok


async def refused(dsn: str, role: str, statements: list[str]) -> None:
    connection = await asyncpg.connect(as_role(dsn, role))
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            pytest.fail(f"{role}: {statement}: {await connection.execute(statement)}")
    await connection.close()


async def test_a_writer_cannot_change_what_is_written(owner: asyncpg.Connection, database_dsn: str) -> None:
    await refused(database_dsn, "nyx_writer", FORBIDDEN)


async def test_a_reader_cannot_write(
    owner: asyncpg.Connection, database_dsn: str, open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    await refused(database_dsn, "nyx_reader", [*FORBIDDEN, *APPENDING])
    engine = await open_engine(spec)
    await engine.update_reward(await engine.select_arm(contexts(0), "wf-0"), reward=0.5)
    connection = await asyncpg.connect(as_role(database_dsn, "nyx_reader"))
    assert await connection.fetchval("SELECT count(*) FROM nyx.log") == 1
    assert await connection.fetchval("SELECT count(*) FROM nyx.decision_key") == 1
    await connection.close()
    with pytest.raises((DatabaseRefused, DatabaseUnavailable)) as caught:
        await open_engine(spec, as_role(database_dsn, "nyx_reader"))
    assert "InsufficientPrivilegeError" in caught.value.found


async def test_granting_again_changes_nothing(owner: asyncpg.Connection) -> None:
    look = "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'nyx'::regnamespace ORDER BY 1"
    before = await owner.fetch(look)
    await grant_roles(owner)
    assert await owner.fetch(look) == before


async def test_a_definers_function_trusts_no_search_path(
    owner: asyncpg.Connection, database_dsn: str
) -> None:
    """Every function pins its own; a writer's objects of the same names are never called."""
    pinned = await owner.fetch(
        "SELECT proname, prosecdef, proconfig::text FROM pg_proc WHERE pronamespace = 'nyx'::regnamespace"
    )
    assert {row["proname"] for row in pinned if row["prosecdef"]} == {"add_partitions"}
    assert all("search_path=pg_catalog, pg_temp" in row["proconfig"] for row in pinned)
    connection = await asyncpg.connect(as_role(database_dsn, "nyx_writer"))
    await connection.execute("CREATE TEMP TABLE stolen ()")
    await connection.execute(
        "CREATE FUNCTION pg_temp.to_char(date, text) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$"
    )
    await connection.execute("SET search_path = pg_temp, pg_catalog")
    assert await connection.fetchval("SELECT nyx.add_partitions('2020-01-01', 1)") == 2
    await connection.close()
