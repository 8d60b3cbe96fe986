"""The short way to decisions and outcomes answers as the documented routes do; garbage waits for a pause."""

import gc
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

from nyx_learning import BanditSpec
from nyx_learning.service.http.direct import Direct
from nyx_learning.service.http.pauses import Pauses

from .conftest import Serve

PATH = "/v1/bandits/orchestration"


def _without_short_way(app: FastAPI) -> FastAPI:
    short: Any = Direct
    app.user_middleware = [each for each in app.user_middleware if each.cls is not short]
    app.middleware_stack = app.build_middleware_stack()
    return app


def _said(document: dict[str, Any]) -> dict[str, Any]:
    """What both say: details of problems depend on what a process remembers; of two reports one applies."""
    if "code" in document:
        return {part: document[part] for part in ("type", "title", "status", "code", "fix", "retryable")}
    return {part: value for part, value in document.items() if part != "applied"}


async def test_both_ways_answer_the_same(
    serve: Serve, applications: Any, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    short = await serve()
    (await short.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    routed = _without_short_way(await applications())
    transport = httpx.ASGITransport(routed, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as long:
        good = {"context": contexts(0), "decision_id": "a"}
        requests: tuple[tuple[str, Any, dict[str, str]], ...] = (
            (f"{PATH}/decisions", good, {}),
            (f"{PATH}/decisions", {**good, "context": contexts(1)}, {}),
            (f"{PATH}/decisions", {"context": {}}, {}),
            (f"{PATH}/decisions", [1], {}),
            ("/v1/bandits/none/decisions", good, {}),
            ("/v1/bandits//decisions", good, {}),
            ("/v1/bandits/decisions", good, {}),
            ("/v1/bandits/a%0Ab/decisions", good, {}),
            ("/v1/decisions/a/outcome", {"reward": 0.5}, {}),
            ("/v1/decisions/a/outcome", {"reward": 0.5}, {"bandit": spec.name}),
            ("/v1/decisions/a/outcome", {"reward": 0.25}, {"bandit": spec.name}),
            ("/v1/decisions/a/outcome", {"reward": 7}, {}),
            ("/v1/decisions/a/outcome", {"reward": 0.5}, {"bandit": "none"}),
            ("/v1/decisions/b/outcome", {"reward": 0.5}, {}),
            ("/v1/decisions//outcome", {"reward": 0.5}, {}),
        )
        for path, body, query in requests:
            answers = [await client.post(path, json=body, params=query) for client in (short, long)]
            one, other = ((a.status_code, a.headers["content-type"], _said(a.json())) for a in answers)
            assert one == other, path
        for client in (short, long):
            assert (await client.get(f"{PATH}/decisions")).status_code == 404
        route = 'route="/v1/bandits/{name:path}/decisions",status="200"'
        for client in (short, long):
            text = (await client.get("/metrics")).text
            assert f'nyx_request_seconds_count{{method="POST",{route}}} 1.0' in text


async def test_full_collections_wait_for_a_quiet_moment_but_not_for_ever() -> None:
    pauses, before = Pauses(), gc.get_threshold()
    begin = pauses._collected_at
    assert not pauses.due(begin + 1.0)
    pauses.asked(begin + 99.9)
    assert not pauses.due(begin + 100.0)
    assert pauses.due(begin + 101.0)
    pauses.asked(begin + 999.9)
    assert pauses.due(begin + 1000.0)
    async with pauses.kept():
        assert gc.get_threshold()[2] > 100_000
        pauses.settle()
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
