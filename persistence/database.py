"""Connections: a pool on a DSN, with time limits, and errors that say what to do."""

from __future__ import annotations

import re

import asyncpg

from ..errors import DatabaseUnavailable
from .migrations import migrate

__all__ = ["UNREACHABLE", "connect", "unavailable"]

UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
"""What asyncpg raises when the server is away, refuses, or goes away."""

_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*@")


def unavailable(found: str, fix: str) -> DatabaseUnavailable:
    """The error for a database that does not answer."""
    return DatabaseUnavailable(
        "the database cannot be used", expected="a Postgres server (14 or newer) that answers", found=found, fix=fix
    )


async def connect(dsn: str, *, connections: int = 4, timeout_s: float = 10.0) -> asyncpg.Pool:
    """Open a pool on a database whose schema is brought up to date.

    Raises
    ------
    DatabaseUnavailable : no server, no such database, or no permission. The password is never shown.
    SchemaMismatch : the database was migrated by a version that this one does not know.
    """
    shown = _PASSWORD.sub(r"\1***@", dsn)
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            timeout=timeout_s,
            command_timeout=60.0,
            # Plans of small statements that run thousands of times a second: compiling them only costs.
            server_settings={"application_name": "nyx-learning", "jit": "off"},
        )
    except (*UNREACHABLE, asyncpg.PostgresError, ValueError) as error:
        raise unavailable(
            f"{type(error).__name__} for {shown}: {str(error)[:200]}",
            "start the server, correct the DSN (postgresql://user@host/database), or leave it out to use the"
            " embedded one",
        ) from error
    try:
        async with pool.acquire() as connection:
            await migrate(connection)
    except BaseException:
        await pool.close()
        raise
    return pool
