"""Migrations apply once and in order, however many start at once, and never over an unknown schema."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from nyx_learning.errors import InputInvalid, SchemaMismatch
from nyx_learning.persistence.migrations import known_migrations, migrate, outstanding_migrations, rehearse

CATALOGUE = (
    """
    SELECT 'column', table_name::text, column_name::text, data_type::text, is_nullable::text,
           column_default::text
    FROM information_schema.columns WHERE table_schema = 'nyx'
    """,
    """
    SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid),
           convalidated::text
    FROM pg_constraint WHERE connamespace = 'nyx'::regnamespace
    """,
    "SELECT 'index', tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'nyx'",
    """
    SELECT 'relation', c.oid::regclass::text, c.relkind::text, pg_get_expr(c.relpartbound, c.oid),
           obj_description(c.oid, 'pg_class'), pg_get_partkeydef(c.oid), c.relacl::text
    FROM pg_class c WHERE c.relnamespace = 'nyx'::regnamespace
    """,
    """
    SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text
    FROM pg_proc p WHERE p.pronamespace = 'nyx'::regnamespace
    """,
    """
    SELECT 'comment', a.attrelid::regclass::text, a.attname::text, col_description(a.attrelid, a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'nyx'::regnamespace AND col_description(a.attrelid, a.attnum) IS NOT NULL
    """,
)


async def catalogue(connection: asyncpg.Connection) -> list[tuple[str, ...]]:
    """All that the schema is made of, as text."""
    found = [tuple(map(str, row)) for look in CATALOGUE for row in await connection.fetch(look)]
    return sorted(found)


@pytest.fixture
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_dsn)
    yield opened
    await opened.close()


def test_numbers_are_dense_and_checksums_are_of_the_files() -> None:
    migrations = known_migrations()
    assert [m.number for m in migrations] == list(range(1, len(migrations) + 1))
    for migration in migrations:
        assert migration.checksum == hashlib.blake2b(migration.sql.encode(), digest_size=16).hexdigest()


async def test_fresh_then_repeated(connection: asyncpg.Connection) -> None:
    names = [f"{m.number:04d}_{m.name}" for m in known_migrations()]
    assert await migrate(connection) == names
    before = await catalogue(connection)
    assert await migrate(connection) == []
    assert await catalogue(connection) == before
    noted = await connection.fetch("SELECT number, name, checksum FROM nyx.migration ORDER BY number")
    assert [tuple(row) for row in noted] == [(m.number, m.name, m.checksum) for m in known_migrations()]


@pytest.mark.parametrize("number", [m.number for m in known_migrations()[:-1]])
async def test_step_by_step_is_the_same_schema(connection: asyncpg.Connection, number: int) -> None:
    """A database that was stopped at each number ends like a fresh one."""
    await migrate(connection)
    fresh = await catalogue(connection)
    assert len(fresh) > 200
    await connection.execute("DROP SCHEMA nyx CASCADE")
    titles = [m.title for m in known_migrations()]
    stopped = [m.title for m in known_migrations() if m.number <= number]
    assert await migrate(connection, number) == stopped
    assert await migrate(connection, number) == []
    assert await migrate(connection) == titles[len(stopped) :]
    assert await catalogue(connection) == fresh


async def test_a_rehearsal_leaves_nothing(connection: asyncpg.Connection) -> None:
    titles = [m.title for m in known_migrations()]
    assert await rehearse(connection) == titles
    assert not await connection.fetchval("SELECT to_regnamespace('nyx') IS NOT NULL")
    await migrate(connection, 3)
    before = await catalogue(connection)
    assert await rehearse(connection) == titles[3:]
    assert await catalogue(connection) == before
    await connection.execute("CREATE TABLE nyx.decision_key ()")  # in the way
    with pytest.raises(asyncpg.DuplicateTableError):
        await rehearse(connection)


@pytest.mark.parametrize("number", [0, 2, 999])
async def test_numbers_that_cannot_be_reached(connection: asyncpg.Connection, number: int) -> None:
    await migrate(connection, 3)
    with pytest.raises(InputInvalid, match="cannot be brought to"):
        await migrate(connection, number)
    assert len(await outstanding_migrations(connection)) == len(known_migrations()) - 3


async def test_eight_at_once(database_dsn: str) -> None:
    async def one() -> list[str]:
        opened = await asyncpg.connect(database_dsn)
        try:
            return await migrate(opened)
        finally:
            await opened.close()

    applied = await asyncio.gather(*(one() for _ in range(8)))
    assert sorted(map(len, applied)) == [0] * 7 + [len(known_migrations())]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("INSERT INTO nyx.migration VALUES (9999, 'from_the_future', 'x')", "9999 'from_the_future'"),
        ("UPDATE nyx.migration SET checksum = 'edited' WHERE number = 1", "checksum edited"),
    ],
)
async def test_an_unknown_schema_is_refused_and_left_alone(
    connection: asyncpg.Connection, statement: str, named: str
) -> None:
    await migrate(connection)
    await connection.execute(statement)
    before = await connection.fetch("SELECT * FROM nyx.migration ORDER BY number")
    with pytest.raises(SchemaMismatch) as caught:
        await migrate(connection)
    assert named in caught.value.found
    assert await connection.fetch("SELECT * FROM nyx.migration ORDER BY number") == before


async def test_a_failing_migration_leaves_nothing(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE SCHEMA nyx")
    await connection.execute("CREATE TABLE nyx.log (in_the_way integer)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(connection)
    tables = await connection.fetch(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'nyx'"
    )
    assert [row[0] for row in tables] == ["log"]
