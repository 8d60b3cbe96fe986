"""One connection on a database as it is, for commands that look at the schema or change it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from .database import UNREACHABLE, unavailable
from .sessions import session_settings

__all__ = ["connected"]

_FIX = "start the server, or correct the DSN (postgresql://user@host/database) or the role's rights"


@asynccontextmanager
async def connected(dsn: str, *, timeout_s: float = 10.0) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection; nothing is migrated.

    Raises
    ------
    DatabaseUnavailable : no server, no such database, or no permission. The DSN is never shown.
    """
    try:
        connection = await asyncpg.connect(
            dsn, timeout=timeout_s, command_timeout=60.0, server_settings=session_settings(dsn)
        )
    except (ValueError, OverflowError) as error:  # its text may repeat the DSN, and with it the password
        raise unavailable(f"{type(error).__name__}: a DSN that cannot be read", _FIX) from None
    except (*UNREACHABLE, asyncpg.PostgresError) as error:
        raise unavailable(f"{type(error).__name__}: {str(error)[:200]}", _FIX) from error
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=timeout_s)
        except UNREACHABLE:
            connection.terminate()
