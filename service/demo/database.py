"""Where a demo stores: the database that was asked for, or an embedded one of the demo's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ...persistence.database import close_pool, connect
from ..opening import start_embedded
from ..settings import Settings

__all__ = ["demo_home", "opened"]


def demo_home(settings: Settings) -> Path:
    """The folder of the demo's embedded server: beside the user's own, which no demo's bandits fill.

    >>> demo_home(Settings.read({"NYX_DATA_HOME": "/data/postgres"})).as_posix()
    '/data/demo-postgres'
    """
    home = settings.data_home.resolve()
    return home.parent / f"demo-{home.name}"


@asynccontextmanager
async def opened(dsn: str | None) -> AsyncIterator[str]:
    """Give the DSN of a database that answers, its schema up to date; an embedded one runs as long.

    Parameters
    ----------
    dsn : of a Postgres server; None for ``NYX_DATABASE_URL``, and without that for the embedded one.

    Raises
    ------
    DatabaseUnavailable, SchemaMismatch, DatabaseSetupFailed : the database is of no use.
    """
    settings = Settings.read()
    asked = dsn or settings.database_url
    if asked is not None:
        await _check(asked)
        yield asked
        return
    server = await start_embedded(demo_home(settings), settings.postgres_bin)
    try:
        await _check(server.dsn)
        yield server.dsn
    finally:
        await asyncio.to_thread(server.close)


async def _check(dsn: str) -> None:
    await close_pool(await connect(dsn, connections=1))
