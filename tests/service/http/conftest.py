"""A server's application on the test's database, without a socket; and clients that speak to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from fastapi import FastAPI

from nyx_learning import BanditSpec
from nyx_learning.service.http.app import create_app
from nyx_learning.service.http.keys import KeyFile
from nyx_learning.service.http.options import ServeOptions

Serve: TypeAlias = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
async def applications(database_dsn: str, keys: KeyFile) -> AsyncIterator[Callable[..., Awaitable[FastAPI]]]:
    """Start applications on one database; they are ended behind the test, as a server would."""
    async with AsyncExitStack() as stack:

        async def started(**options: Any) -> FastAPI:
            standard = ServeOptions(dsn=database_dsn, keys=str(keys.path), connections=2, deadline_s=60.0)
            app = create_app(replace(standard, **options))
            await stack.enter_async_context(app.router.lifespan_context(app))
            return app

        yield started


@pytest.fixture
async def serve(applications: Callable[..., Awaitable[FastAPI]]) -> AsyncIterator[Serve]:
    """A client of an application; ``key`` is sent along."""
    async with AsyncExitStack() as stack:

        async def client(*, key: str | None = None, **options: Any) -> httpx.AsyncClient:
            app = await applications(**options)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            made = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
            return await stack.enter_async_context(made)

        yield client


@pytest.fixture
async def client(serve: Serve, spec: BanditSpec) -> httpx.AsyncClient:
    """A client of a server that has the bandit of ``spec``."""
    made = await serve()
    answer = await made.post("/v1/bandits", json=spec.to_dict())
    assert answer.status_code == 200, answer.text
    return made
