"""A database that cannot be used: an error with four parts, no password in it, and nothing left behind."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nyx_learning.errors import DatabaseRefused, DatabaseUnavailable, SchemaMismatch
from nyx_learning.persistence.database import close_pool, connect, reaching
from nyx_learning.persistence.migrations import migrate
from nyx_learning.persistence.queries import query

SECRET = "hunter2"  # noqa: S105 (what must never be shown)
_ROLES = itertools.count(1)


@pytest.fixture
async def owner(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_dsn)
    yield opened
    await opened.close()


def four_parts(error: DatabaseUnavailable) -> str:
    assert error.retryable
    assert error.what and error.expected and error.found and error.fix  # noqa: PT018
    assert SECRET not in str(error)
    assert SECRET not in repr(error.__cause__)
    return error.found


def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def refusal(dsn: str, **options: float) -> str:
    tasks = asyncio.all_tasks()
    with pytest.raises(DatabaseUnavailable) as caught:
        await connect(dsn, **options)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    return four_parts(caught.value)


async def test_nobody_listens() -> None:
    port = closed_port()
    found = await refusal(f"postgresql://me:{SECRET}@127.0.0.1:{port}/learning")
    assert f"postgresql://me@127.0.0.1:{port}/learning" in found


async def test_somebody_listens_who_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        found = await refusal(f"postgresql://me:{SECRET}@127.0.0.1:{port}/x", timeout_s=0.3)
    assert "TimeoutError" in found


async def test_no_such_database(database_dsn: str) -> None:
    parts = urlsplit(database_dsn)
    found = await refusal(urlunsplit(parts._replace(path="/nowhere")))
    assert "InvalidCatalogNameError" in found


@pytest.mark.parametrize(
    "dsn",
    [
        f"host=localhost password={SECRET}",
        f"mysql://me:{SECRET}@localhost/x",
        f"postgresql://me:{SECRET}@localhost:port/x",
        f"postgresql://me:{SECRET}/{SECRET}@localhost/x",
        f"postgresql://me:1/{SECRET}@localhost/x",
        f"postgresql://me:1#{SECRET}@localhost/x",
        f"postgresql://me:1?{SECRET}@localhost/x",
        f"postgresql://[{SECRET}@localhost/x",
        "",
    ],
)
async def test_an_unreadable_dsn_is_not_repeated(dsn: str) -> None:
    found = await refusal(dsn, timeout_s=2.0)
    assert "a DSN that cannot be read" in found


async def test_a_wrong_password(
    postgres_server: object, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded server asks for none, so a server of three lines does: it sends what Postgres would."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if await reader.readexactly(length - 4) == b"\x04\xd2\x16\x2f":  # "with encryption?"
            writer.write(b"N")
            await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
        await reader.readexactly(1)
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        fields = b'SFATAL\x00C28P01\x00Mpassword authentication failed for user "me"\x00\x00'
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseUnavailable) as caught:
            await connect(f"postgresql://me:{SECRET}@127.0.0.1:{port}/x")
    assert "InvalidPasswordError" in four_parts(caught.value)


@pytest.fixture
async def as_role(owner: asyncpg.Connection, database_dsn: str) -> AsyncIterator[Callable[..., object]]:
    """DSN of the test's database under which statements run as a role with the given rights."""
    made: list[str] = []

    async def role(*grants: str) -> str:
        name = f"reader_{next(_ROLES)}"
        await owner.execute(f"CREATE ROLE {name} LOGIN")
        made.append(name)
        for grant in grants:
            await owner.execute(f"{grant} TO {name}")
        # The server lets its owner in and nobody else: so the owner logs in, and steps down.
        return f"{database_dsn}&options=-crole%3D{name}"

    yield role
    for name in made:
        await owner.execute(f"DROP OWNED BY {name}")
        await owner.execute(f"DROP ROLE {name}")


async def test_a_role_that_may_not_make_the_schema(as_role: Callable[..., object]) -> None:
    found = await refusal(await as_role())  # type: ignore[misc]
    assert "InsufficientPrivilegeError" in found


async def test_a_read_only_session(database_dsn: str) -> None:
    found = await refusal(f"{database_dsn}&options=-cdefault_transaction_read_only%3Don")
    assert "ReadOnlySQLTransactionError" in found


async def test_a_role_that_may_use_a_finished_schema(
    owner: asyncpg.Connection, as_role: Callable[..., object]
) -> None:
    """No right to change the schema is needed where nothing is to be changed."""
    await migrate(owner)
    dsn = await as_role("GRANT USAGE ON SCHEMA nyx", "GRANT SELECT ON ALL TABLES IN SCHEMA nyx")  # type: ignore[misc]
    pool = await connect(dsn)
    assert await pool.fetchval(query("last_seq"), "nobody") is None
    with pytest.raises(DatabaseRefused) as caught, reaching():
        await pool.execute(query("register_bandit"), "x")
    assert "InsufficientPrivilegeError" in caught.value.found
    assert not caught.value.retryable
    await close_pool(pool)


async def test_a_newer_schema(owner: asyncpg.Connection, database_dsn: str) -> None:
    await migrate(owner)
    await owner.execute("INSERT INTO nyx.migration VALUES (9999, 'later', 'x')")
    with pytest.raises(SchemaMismatch):
        await connect(database_dsn)
    counted = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'nyx-learning' AND datname = current_database()"
    )
    async with asyncio.timeout(30):
        while await owner.fetchval(counted):  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)


async def test_closing_does_not_wait_for_ever(database_dsn: str) -> None:
    pool = await connect(database_dsn)
    busy = asyncio.create_task(pool.execute("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        await close_pool(pool, timeout_s=0.2)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await busy


async def test_errors_of_our_own_pass_unchanged() -> None:
    error = SchemaMismatch("a", expected="b", found="c", fix="d")
    with pytest.raises(SchemaMismatch) as caught, reaching():
        raise error
    assert caught.value is error
