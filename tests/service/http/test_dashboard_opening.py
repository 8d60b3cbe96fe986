"""The dashboard while a bandit is on its way, and where a page cannot be made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import DatabaseUnavailable
from nyx_learning.service.http.dashboard import pages

from .test_dashboard_pages import shown

PATH = "/ui/decisions?bandit=orchestration"


def _client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_a_page_says_that_its_bandit_is_being_opened_and_shows_it_then(
    applications: Callable[..., Awaitable[FastAPI]], spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _client(await applications()) as first:
        (await first.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    really, go_on, begun = LearningEngine.open, asyncio.Event(), 0

    async def slowly(*arguments: Any, **named: Any) -> LearningEngine:
        nonlocal begun
        begun += 1
        await go_on.wait()
        return await really(*arguments, **named)

    app = await applications()
    monkeypatch.setattr(LearningEngine, "open", slowly)
    async with _client(app) as client:
        for _ in range(2):
            answer = await client.get(PATH)
            assert (answer.status_code, answer.headers["refresh"]) == (202, "2")
            assert "orchestration is being opened" in shown(answer.text)
            assert 'href="/ui/decisions?bandit=orchestration"' in answer.text
            assert answer.headers["cache-control"] == "no-store"
        assert begun == 1
        assert (await client.get("/ui/decisions?bandit=none")).status_code == 404
        assert (await client.get("/")).status_code == 200
        go_on.set()
        assert (await client.get("/v1/bandits/orchestration")).status_code == 200  # waits for it
        answer = await client.get(PATH)
        assert (answer.status_code, "refresh" in answer.headers) == (200, False)


async def test_an_opening_that_fails_is_told_and_one_that_goes_on_ends_with_its_server(
    applications: Callable[..., Awaitable[FastAPI]], spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _client(await applications()) as first:
        (await first.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    app = await applications()

    async def not_now(*_: Any, **__: Any) -> LearningEngine:
        raise DatabaseUnavailable("away", expected="it", found="nothing", fix="wait")

    async def never(*_: Any, **__: Any) -> LearningEngine:
        await asyncio.Event().wait()
        raise AssertionError

    async with _client(app) as client:
        monkeypatch.setattr(LearningEngine, "open", not_now)
        answer = await client.get(PATH)
        assert (answer.status_code, "database_unavailable" in shown(answer.text)) == (503, True)
        monkeypatch.setattr(LearningEngine, "open", never)
        assert (await client.get(PATH)).status_code == 202


async def test_what_nobody_expected_is_a_page_in_four_parts(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("<secret>")

    monkeypatch.setattr(pages, "frame_of", broken)
    answer = await client.get("/ui/health?bandit=orchestration")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    text = shown(answer.text)
    for part in ("the server made a mistake", "Expected a page", "Found ZeroDivisionError", "What to do"):
        assert part in text
    assert "secret" not in answer.text
