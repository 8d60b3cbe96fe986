"""The short way to decisions and outcomes answers as the documented routes do; garbage waits for a pause."""

import gc
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nyx_learning import BanditSpec
from nyx_learning.service.http import app as application
from nyx_learning.service.http.bandits import Bandits
from nyx_learning.service.http.pauses import Pauses

from .conftest import Serve

PATH = "/v1/bandits/orchestration"


def _said(document: dict[str, Any]) -> dict[str, Any]:
    """What both say: details of problems depend on what a process remembers; of two reports one applies."""
    if "code" in document:
        return {part: document[part] for part in ("type", "title", "status", "code", "fix", "retryable")}
    return {part: value for part, value in document.items() if part != "applied"}


async def test_both_ways_answer_the_same(
    serve: Serve,
    applications: Any,
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = await serve()
    (await short.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    monkeypatch.setattr(application, "Direct", lambda framework: framework)
    transport = httpx.ASGITransport(await applications(), raise_app_exceptions=False)
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


@pytest.mark.parametrize("path", [f"{PATH}/decisions", f"{PATH}/beliefs"])
async def test_a_mistake_of_the_server_is_a_problem_on_either_way_and_logged(
    client: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("<secret>")

    monkeypatch.setattr(Bandits, "get", broken)
    answer = await client.post(path, json={"context": {}})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert 'status="500"} 1.0' in (await client.get("/metrics")).text


async def test_a_caller_that_goes_amid_its_body_is_no_mistake(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    app: Any = client._transport.app  # type: ignore[attr-defined]
    messages = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"9")]
    path = {"path": f"{PATH}/decisions", "query_string": b"", "headers": headers}
    await app({"type": "http", "method": "POST", **path}, receive, send)
    assert sent == []
    assert not [record for record in caplog.records if record.exc_info]


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
