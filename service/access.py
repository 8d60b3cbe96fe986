"""A database, and a stored bandit by its name: commands have no spec, the database says what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..errors import InputInvalid
from ..persistence.database import close_pool, connect, reaching
from ..persistence.embedded import start
from ..persistence.queries import query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from .settings import Settings

__all__ = ["database_address", "stored_bandit"]


@asynccontextmanager
async def database_address(dsn: str | None = None) -> AsyncIterator[str]:
    """Give the DSN of the database that commands work on; the embedded server runs meanwhile if it is its.

    dsn : by default ``NYX_DATABASE_URL``, and without that the embedded server.

    Raises
    ------
    DatabaseUnavailable, DatabaseSetupFailed : the embedded server cannot be started.
    """
    settings = Settings.read()
    address = dsn or settings.database_url
    if address is not None:
        yield address
        return
    server = await asyncio.to_thread(start, settings.data_home, binaries=settings.postgres_bin)
    try:
        yield server.dsn
    finally:
        await asyncio.to_thread(server.close)


@asynccontextmanager
async def stored_bandit(name: str | None, dsn: str | None = None) -> AsyncIterator[Store]:
    """Open the store of a bandit with the newest spec that it was opened with.

    name : None where the database has one bandit. dsn : as ``database_address`` takes it.

    Raises
    ------
    InputInvalid : no such bandit, or none is named and there are several.
    DatabaseUnavailable, DatabaseSetupFailed, SchemaMismatch : the database is of no use.
    """
    async with database_address(dsn) as address:
        pool = await connect(address, connections=2)
        try:
            with reaching():
                names = [row["bandit"] for row in await pool.fetch(query("bandits"))]
                chosen = _chosen(name, names)
                document = await pool.fetchval(query("newest_spec"), chosen)
            yield Store(pool, spec_from(document))
        finally:
            await close_pool(pool)


def _chosen(name: str | None, names: list[str]) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    raise InputInvalid(
        "no bandit is named" if name is None else "there is no such bandit",
        expected=f"one of {names[:20]}" if names else "a database with a bandit",
        found="none" if name is None else repr(name),
        fix="name one with --bandit, or correct the DSN",
    )
