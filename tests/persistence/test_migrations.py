"""Migrations apply once and in order, however many start at once, and never over an unknown schema."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from nyx_learning.errors import SchemaMismatch
from nyx_learning.persistence.migrations import known_migrations, migrate
from nyx_learning.persistence.queries import query

CATALOGUE = """
    SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text
    FROM information_schema.columns WHERE table_schema = 'nyx' ORDER BY 1, 2
"""


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
    before = await connection.fetch(CATALOGUE)
    assert await migrate(connection) == []
    assert await connection.fetch(CATALOGUE) == before
    noted = await connection.fetch("SELECT number, name, checksum FROM nyx.migration ORDER BY number")
    assert [tuple(row) for row in noted] == [(m.number, m.name, m.checksum) for m in known_migrations()]


async def test_step_by_step_is_the_same_schema(connection: asyncpg.Connection, database_dsn: str) -> None:
    """A database that was stopped at each number ends like a fresh one."""
    await migrate(connection)
    fresh = await connection.fetch(CATALOGUE)
    await connection.execute("DROP SCHEMA nyx CASCADE")
    await connection.execute(query("create_schema"))
    await connection.execute(query("create_migrations"))
    first = known_migrations()[0]
    await connection.execute(first.sql)
    await connection.execute(query("note_migration"), first.number, first.name, first.checksum)
    assert await migrate(connection) == [f"{m.number:04d}_{m.name}" for m in known_migrations()[1:]]
    assert await connection.fetch(CATALOGUE) == fresh


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
