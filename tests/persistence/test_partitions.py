"""Decisions and the log stand in partitions by month: made ahead, found by their day, unique all the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import asyncpg
import pytest

from nyx_learning.persistence.migrations import migrate
from nyx_learning.persistence.partitions import prepare_partitions
from nyx_learning.persistence.queries import query
from nyx_learning.persistence.rows import day_of

DAY = 86_400.0
OLD, OLDER = day_of(400 * DAY), day_of(900 * DAY)
PARTS = """
    SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = $1::regclass ORDER BY 1
"""
DECISION = """
    INSERT INTO nyx.decision
        (bandit, decision_id, decided_on, spec_hash, encoding, state_seq, decided_at, context, phi, stages,
         pmf, arm_id, propensity, epoch, reason, mode, digest)
    VALUES ('b', $1, $2, 's', 'e', 0, $3, '{}', '{65536}', '[]', '{1}', 'a', 1, 0, 'policy', 'normal', $1)
"""
ROW = """
    INSERT INTO nyx.log
        (bandit, seq, decided_on, kind, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward,
         pricing, digest)
    VALUES ('b', $1, $2, 'reward', $3, 'a', 0, 'e', '{65536}', 1, 65536, 1, '{}', 'd')
"""


@pytest.fixture
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_dsn)
    await migrate(opened)
    await opened.execute("INSERT INTO nyx.bandit (bandit) VALUES ('b')")
    await opened.execute("INSERT INTO nyx.spec (bandit, spec_hash, document) VALUES ('b', 's', '{}')")
    yield opened
    await opened.close()


async def store(connection: asyncpg.Connection, key: str, time: float) -> None:
    """A decision and its row, as writers put them there."""
    await connection.execute("INSERT INTO nyx.decision_key VALUES ('b', $1, $2, 0, $1)", key, day_of(time))
    await connection.execute(DECISION, key, day_of(time), time)
    last = await connection.fetchval("UPDATE nyx.bandit SET last_seq = last_seq + 1 RETURNING last_seq")
    await connection.execute(ROW, last, day_of(time), key)


WHERE = {
    "decision": "SELECT decision_id, relname::text FROM nyx.decision t JOIN pg_class c ON c.oid = t.tableoid",
    "log": "SELECT decision_id, relname::text FROM nyx.log t JOIN pg_class c ON c.oid = t.tableoid",
}


async def where(connection: asyncpg.Connection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in await connection.fetch(WHERE[table])}


def test_days() -> None:
    assert day_of(None) == date(1970, 1, 1)
    assert day_of(-0.5) == date(1969, 12, 31)
    assert day_of(DAY - 0.001) == date(1970, 1, 1)
    assert day_of(1.7e9) == date(2023, 11, 14)
    assert day_of(1e300) == day_of(2_900_000 * DAY) > date(9900, 1, 1)
    assert day_of(-1e300) == day_of(-700_000 * DAY)


async def test_the_day_is_that_of_the_migration(connection: asyncpg.Connection) -> None:
    """Python and SQL place alike what was stored before there were partitions."""
    sql = """
        SELECT date '1970-01-01'
               + greatest(least(floor(coalesce($1::float8, 0) / 86400), 2900000), -700000)::integer
    """
    for time in (None, 0.0, -0.5, DAY, DAY - 1e-6, 1.7e9, 1e300, -1e300, 1_763_856_000.0, 2**52 + 0.5):
        assert await connection.fetchval(sql, time) == day_of(time)


async def test_every_key_begins_with_the_bandit(connection: asyncpg.Connection) -> None:
    """So the tables can be distributed by it."""
    keys = await connection.fetch(
        "SELECT r.relname::text AS t, c.conname::text AS name, a.attname::text AS first"
        " FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid"
        " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
        " WHERE c.contype IN ('p', 'u', 'f') AND c.connamespace = 'nyx'::regnamespace"
    )
    assert len(keys) > 20
    others = {row["t"] for row in keys if row["first"] != "bandit"}
    assert others == {"migration"}


async def test_partitions_are_made_ahead_by_any_number_of_processes(database_dsn: str) -> None:
    first = await asyncpg.connect(database_dsn)
    await migrate(first)

    async def one() -> int:
        opened = await asyncpg.connect(database_dsn)
        try:
            return await prepare_partitions(opened)
        finally:
            await opened.close()

    assert sorted(await asyncio.gather(*(one() for _ in range(6)))) == [0, 0, 0, 0, 0, 4]
    months = await first.fetch(
        "SELECT to_char((now() AT TIME ZONE 'UTC') + make_interval(months => n), 'YYYY_MM')"
        " FROM generate_series(0, 1) n"
    )
    for parent in ("decision", "log"):
        names = [row[0] for row in await first.fetch(PARTS, f"nyx.{parent}")]
        assert names == [*(f"{parent}_{month[0]}" for month in months), f"{parent}_default"]
    await first.close()


async def test_rows_without_a_partition_wait_in_the_default_one(connection: asyncpg.Connection) -> None:
    for key, time in (("old", 400 * DAY), ("older", 900 * DAY)):
        await store(connection, key, time)
    assert set((await where(connection, "decision")).values()) == {"decision_default"}
    before = await connection.fetch("SELECT * FROM nyx.log ORDER BY seq")
    assert await connection.fetchval("SELECT nyx.add_partitions('1990-01-01', 2)") == 4
    await connection.execute("UPDATE nyx.decision_key SET decided_on = decided_on")  # nobody is locked out
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await connection.execute("SELECT nyx.add_partitions('1990-01-01', 25)")
    await store(connection, "later", 7_400 * DAY)
    assert await connection.fetchval("SELECT nyx.add_partitions($1, 1)", day_of(7_400 * DAY)) == 2
    assert await where(connection, "decision") == {
        "old": "decision_default",
        "older": "decision_default",
        "later": "decision_1990_04",
    }
    assert (await where(connection, "log"))["later"] == "log_1990_04"
    assert await connection.fetch("SELECT * FROM nyx.log WHERE seq < 3 ORDER BY seq") == before


async def test_what_is_unique(connection: asyncpg.Connection) -> None:
    await store(connection, "one", 8_000 * DAY)
    with pytest.raises(asyncpg.UniqueViolationError):  # the id, whatever the day
        await connection.execute(
            "INSERT INTO nyx.decision_key VALUES ('b', 'one', $1, 0, 'x')", day_of(9_000 * DAY)
        )
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(DECISION, "one", day_of(8_000 * DAY), 8_000 * DAY)
    with pytest.raises(asyncpg.UniqueViolationError) as caught:  # the same report of the decision, once more
        await connection.execute(ROW, 2, day_of(8_000 * DAY), "one")
    assert "log_default_bandit_decision_id_kind" in str(caught.value) or "log_report_key" in str(caught.value)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(DECISION, "without a key", OLD, 400 * DAY)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(ROW, 2, OLD, "without a key")


def scanned(plan: dict[str, Any]) -> set[str]:
    """Tables that a plan looks into when it is run."""
    found = {plan["Relation Name"]} if "Relation Name" in plan and plan.get("Actual Loops") else set()
    return found.union(*(scanned(part) for part in plan.get("Plans", ())))


async def test_queries_look_only_where_something_can_be(connection: asyncpg.Connection) -> None:
    """By the plans of the statements as they run, also once Postgres makes one plan for all values."""
    await connection.fetchval("SELECT nyx.add_partitions('2001-01-01', 6)")
    for number in range(12):
        await store(connection, f"wf-{number}", (11_340 + 10 * number) * DAY)  # February to May 2001
    await connection.execute("ANALYZE")
    ids = ["wf-0", "wf-1"]
    day = day_of(11_340 * DAY)
    statements = [
        ("decisions_by_id", ("b", ids), {"decision_key", "decision_2001_01"}),
        ("rewards_by_decision", ("b", ids, day, day), {"log_2001_01"}),
        ("adoptions", ("b",), {"log_default"}),
    ]
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute("SELECT set_config('plan_cache_mode', $1, false)", mode)
        for name, values, expected in statements:
            number = len(values)
            listed = ", ".join(f"${i + 1}" for i in range(number))
            kinds = {"decisions_by_id": "text, text[]", "adoptions": "text"}.get(
                name, "text, text[], date, date"
            )
            await connection.execute(f"PREPARE looked ({kinds}) AS {query(name)}")
            told = await connection.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looked ({_literals(values)})"
            )
            await connection.execute("DEALLOCATE looked")
            assert listed
            assert scanned(json.loads(told)[0]["Plan"]) <= expected, (mode, name, told)


def _literals(values: tuple[Any, ...]) -> str:
    listed = [f"ARRAY{value!r}" if isinstance(value, list) else f"'{value}'" for value in values]
    return ", ".join(listed)
