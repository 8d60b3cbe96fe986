"""Connections: a pool on a DSN, with time limits, and errors that say what to do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import SplitResult, parse_qs, urlsplit

import asyncpg

from ..errors import DatabaseRefused, DatabaseUnavailable, NyxError
from .gate import Gate, passing
from .migrations import migrate
from .queries import Connection
from .sessions import session_settings

__all__ = ["UNREACHABLE", "close_pool", "connect", "reaching", "refused", "snapshot", "unavailable"]

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # it is shut down, starts up, or an administrator ended the session
    asyncpg.InsufficientResourcesError,  # no connection, memory or disk space is left
    asyncpg.PostgresSystemError,  # its disk fails
    asyncpg.InternalServerError,  # so it says also where a quota or a limit of its account is used up
    asyncpg.ReadOnlySQLTransactionError,  # after a failover: this is a standby now
    asyncpg.TransactionRollbackError,  # a deadlock or a serialisation failure: the next try may pass
)
"""What asyncpg raises when the server is away, or refuses for now: the same call may succeed later."""

_OUTAGE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
    asyncpg.ReadOnlySQLTransactionError,
)

_PORTED = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
"""A host, with a port or without; of an IPv6 address in brackets."""

_SETUP_FIX = (
    "start the server, correct the DSN (postgresql://user@host/database) or the role's rights,"
    " or leave the DSN out to use the embedded server"
)
_FIX = "start the server, or wait until it answers, and send the same call again"


def unavailable(found: str, fix: str = _FIX) -> DatabaseUnavailable:
    """The error for a database that does not answer."""
    return DatabaseUnavailable(
        "the database cannot be used",
        expected="a Postgres server (14 or newer) that answers",
        found=found,
        fix=fix,
    )


def refused(error: Exception) -> DatabaseRefused:
    """The error for a statement that the server answers with an error, now and later."""
    return DatabaseRefused(
        "the database refused a statement",
        expected="a schema and rights as the migrations make them, and values that Postgres can hold",
        found=_told(error),
        fix="compare the rights and tables of schema nyx with the migrations; nothing was written",
    )


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what asyncpg raises inside into ``DatabaseUnavailable`` or ``DatabaseRefused``."""
    try:
        yield
    except NyxError:
        raise
    except UNREACHABLE as error:
        raise unavailable(_told(error)) from error
    except asyncpg.PostgresError as error:
        raise refused(error) from error


async def connect(
    dsn: str,
    *,
    connections: int = 4,
    timeout_s: float = 10.0,
    away: bool = False,
    gate: Gate | None = None,
) -> asyncpg.Pool:
    """Open a pool on a database whose schema is brought up to date.

    away : only make the pool, for a server that does not answer now; ``prepare`` does the rest.
    gate : whoever wants a connection passes it.

    Raises
    ------
    DatabaseUnavailable : no server, no such database, or no permission. The password is never shown.
    SchemaMismatch : the database was migrated by a version that this one does not know.
    """
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0 if away else 1,
            max_size=connections,
            timeout=timeout_s,
            command_timeout=60.0,
            server_settings=session_settings(dsn),
            reset=_nothing_to_reset,
            setup=None if gate is None else gate.admit,
        )
    except (ValueError, OverflowError) as error:  # its text may repeat the DSN, and with it the password
        raise unavailable(f"{type(error).__name__} for {_shown(dsn)}", _SETUP_FIX) from None
    except (*UNREACHABLE, asyncpg.PostgresError) as error:
        raise unavailable(f"{_told(error)} for {_shown(dsn)}", _SETUP_FIX) from error
    if not away:
        try:
            await prepare(pool, _shown(dsn))
        except BaseException:
            await close_pool(pool)
            raise
    return pool


async def prepare(pool: asyncpg.Pool, shown: str = "the database") -> None:
    """Bring the schema up to date; ``shown`` : what errors call the database.

    Raises
    ------
    DatabaseUnavailable, DatabaseRefused, SchemaMismatch : as in ``connect``.
    """
    try:
        with passing():
            async with pool.acquire() as connection:
                await migrate(connection)
    except (*UNREACHABLE, asyncpg.InsufficientPrivilegeError) as error:
        raise unavailable(f"{_told(error)} for {shown}", _SETUP_FIX) from error
    except asyncpg.PostgresError as error:
        raise refused(error) from error  # a migration of ours that fails is no outage


def may_pass(error: BaseException) -> bool:
    """Tell whether what keeps the database from being used is an outage, which ends without our doing."""
    cause = error.__cause__
    return isinstance(error, DatabaseUnavailable) and isinstance(cause, _OUTAGE)


async def _nothing_to_reset(_connection: asyncpg.Connection) -> None:
    """Nothing is set for a session, so that giving a connection back is no statement of its own."""


async def close_pool(pool: asyncpg.Pool, timeout_s: float = 10.0) -> None:
    """Close the connections politely if that is quick, and at once otherwise."""
    try:
        await asyncio.wait_for(pool.close(), timeout_s)
    except UNREACHABLE:
        pool.terminate()
    except BaseException:
        pool.terminate()
        raise


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")


def _shown(dsn: str) -> str:
    """Where a DSN points, without its password."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "a DSN that cannot be read"
    # A password with an unescaped / ? or # ends up in the wrong part, with the @ behind it.
    if parts.scheme not in {"postgresql", "postgres"} or "@" in parts.path + parts.query + parts.fragment:
        return "a DSN that cannot be read"
    hosts = _hosts(parts)
    if not all(_PORTED.fullmatch(host) for host in hosts.split(",")):
        return "a DSN that cannot be read"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{hosts}{parts.path}"


def place(dsn: str) -> str:
    """Where a DSN points, without whoever goes there: host or socket, port and database."""
    try:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
        host = parts.hostname or ",".join(options.get("host", ()))
        port = None if "," in parts.netloc else parts.port
    except ValueError:
        return ""
    if "," in parts.netloc:
        return f"{_hosts(parts)}{parts.path}"
    return f"{host}:{port or ','.join(options.get('port', ())) or 5432}{parts.path}"


def _hosts(parts: SplitResult) -> str:
    """Each host with its port, where one is named: there may be several, which ``hostname`` cannot tell."""
    return parts.netloc.rpartition("@")[2].lower()


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """Give a connection on which several reads agree with each other."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
