"""A real browser, and servers with simulated history; skipped where no Chromium is.

Run by ``make test-browser``: the files are named so that ``make test`` leaves them out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from nyx_learning import LearningEngine
from nyx_learning.persistence.embedded import EmbeddedServer

ROOT = Path(__file__).parents[2]
COMMAND = [str(Path(sys.executable).with_name("nyx-learning"))]
ROUNDS = 30
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}


def _chromium() -> str | None:
    named = os.environ.get("NYX_CHROMIUM")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return named or next((path for path in found if path), None)


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go: ``NYX_PICTURES``, or ``.browser`` in the checkout."""
    folder = Path(os.environ.get("NYX_PICTURES", ROOT / ".browser"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = _chromium()
    if path is None:
        pytest.skip("there is no Chromium: install one, or name it by NYX_CHROMIUM")
    with sync_playwright() as playwright:
        # Without its own sandbox: containers seldom allow one, and only own pages are loaded.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Browser contexts, each like a browser of its own; what pages complain about fails the test."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def opened(size: str = "desktop", **options: Any) -> BrowserContext:
            width, height = SIZES[size]
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            context.on("console", lambda m: complaints.append(m.text) if _is_fault(m.type, m.text) else None)
            context.on("weberror", lambda e: complaints.append(str(e.error)))
            return context

        yield opened
    assert complaints == []


def _is_fault(kind: str, text: str) -> bool:
    return kind == "error" and "the server responded with a status of 4" not in text


@contextmanager
def serving(dsn: str, keys: Path, *options: str) -> Iterator[str]:
    """A server as a process; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*COMMAND, "serve", "--json", "--port", str(port), "--dsn", dsn, "--keys", str(keys), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            _await(url)  # several workers open the socket a moment later
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _await(url: str) -> None:
    for _ in range(1200):
        try:
            if httpx.get(f"{url}/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server never answered")


@pytest.fixture(scope="session")
def history(postgres_server: EmbeddedServer) -> str:
    """A database with two days of a bandit."""
    _apart(_database(postgres_server.dsn, "browsed"))
    dsn = postgres_server.dsn_of("browsed")
    place = importlib.util.spec_from_file_location("fill_dashboard", ROOT / "scripts" / "fill_dashboard.py")
    assert place is not None
    assert place.loader is not None
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)

    async def filled() -> None:
        async with await LearningEngine.open(script.SPEC, dsn, deadline_s=60.0) as engine:
            await script.fill(engine, ROUNDS)

    _apart(filled())
    return dsn


def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread: playwright's own loop holds this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def address(history: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without keys, of two workers."""
    with serving(history, tmp_path_factory.mktemp("keys") / "none.json", "--workers", "2") as url:
        yield url


def ready(page: Page, url: str) -> None:
    """Go there, and wait until it is kept up to date and nothing is being computed."""
    page.goto(url)
    # Another worker than before may have answered: it opens the bandit first, and the page asks again.
    expect(page.locator("h1", has_text="is being opened")).to_have_count(0, timeout=120_000)
    expect(page.locator("html.on")).to_be_attached(timeout=120_000)
    expect(page.locator("[data-pending]")).to_have_count(0, timeout=120_000)
