"""One embedded Postgres for a session (one per worker with xdist), and a fresh database per test."""

import asyncio
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.persistence.migrations import migrate

from .safeguards import logging_as_it_was

_NUMBER = itertools.count(1)
_COPYING = 15
_BEGIN = (
    "bandit/test_golden_decisions.py",
    "persistence/test_embedded_lifetime.py",
    "simulation/test_runner_equality.py",
    "persistence/test_embedded_folder.py",
    "simulation/test_watched.py",
    "persistence/test_migrations.py",
)
"""Files that compile most kernels, beside such as need none: else two workers compile the same at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those files begin; all others keep their order."""
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(_BEGIN)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(autouse=True)
def logging_left_as_found() -> Iterator[None]:
    """Fails a test that leaves the project's logger otherwise than it was: later ones would be deaf."""
    with logging_as_it_was():
        yield


@pytest.fixture(scope="module", autouse=True)
def old_objects_at_rest() -> None:
    """What lives before a file's tests is left out of collections, which took half a second each."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedServer) -> str:
    """Name of a database with the schema and nothing in it; whoever is connected to it hinders copies."""
    name = "migrated"
    _execute(postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE template0")
    _connected(postgres_server.dsn_of(name), migrate)
    return name


@pytest.fixture
def empty_dsn(postgres_server: EmbeddedServer) -> Iterator[str]:
    """Address of an empty database that lives as long as the test."""
    with _database(postgres_server, "template0") as dsn:
        yield dsn


@pytest.fixture
def migrated_dsn(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    """The same with the schema, which takes a third of the time that an engine needs to make it."""
    with _database(postgres_server, migrated_template) as dsn:
        yield dsn


@pytest.fixture
def database_dsn(empty_dsn: str) -> str:
    """Address of the test's database; folders whose tests are not about the schema begin with it."""
    return empty_dsn


@contextmanager
def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{next(_NUMBER)}"
    # Copying files takes half the time of logging every page, the standard from 15 on.
    how = "STRATEGY FILE_COPY" if server.version >= _COPYING else ""
    _execute(server.dsn, f"CREATE DATABASE {name} TEMPLATE {template} {how}")
    yield server.dsn_of(name)
    _execute(server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(dsn: str, statement: str) -> None:
    _connected(dsn, lambda connection: connection.execute(statement))


def _connected(dsn: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await work(connection)
        finally:
            await connection.close()

    # In a thread: the loop of an asynchronous test is neither used nor replaced.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()
