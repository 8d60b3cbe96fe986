"""One embedded Postgres for a session (one per worker with xdist), and a fresh database per test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from nyx_learning.persistence.embedded import EmbeddedServer, start

_NUMBER = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def spool_home() -> Iterator[Path]:
    """Where engines of the tests, and of the programs that they start, spool to."""
    folder = Path(tempfile.mkdtemp(prefix="nyx-spool-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NYX_SPOOL", str(folder))
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_binaries() -> Path | None:
    named = os.environ.get("NYX_POSTGRES_BIN")
    return Path(named) if named else None


@pytest.fixture(scope="session")
def postgres_server(postgres_binaries: Path | None) -> Iterator[EmbeddedServer]:
    # Not below pytest's own folder: for root that one is closed to the account that runs Postgres.
    folder = Path(tempfile.mkdtemp(prefix="nyx-tests-", dir="/tmp"))
    try:
        with start(folder, binaries=postgres_binaries, durable=False) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database_dsn(postgres_server: EmbeddedServer) -> Iterator[str]:
    """Address of an empty database that lives as long as the test."""
    name = f"test_{next(_NUMBER)}"
    _execute(postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgres_server.dsn_of(name)
    _execute(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(dsn: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # In a thread: the loop of an asynchronous test is neither used nor replaced.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()
