"""The Python clients: the engine's calls, tried again with the same ids, and a fallback that is honest."""

import inspect
import math
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nyx_learning import AsyncNyxClient, BanditSpec, NyxClient, Outcome
from nyx_learning.errors import DatabaseUnavailable, DecisionConflict, InputInvalid, RewardConflict
from nyx_learning.service.client import asynchronous, blocking

URL = "http://localhost"


async def test_the_client_has_the_engine_s_calls(
    applications: Callable[..., Awaitable[FastAPI]],
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
) -> None:
    transport = httpx.ASGITransport(await applications())
    async with AsyncNyxClient(URL, spec.name, transport=transport, deadline_s=60) as client:
        await client.create_bandit(spec)
        decision = await client.select_arm(contexts(0), "wf/1", exclude=["parallel(workers=8)"])
        assert not decision.fallback
        shares = [stage["pmf"][stage["chosen"]] / 2**32 for stage in decision.stages]
        assert decision.propensity == math.prod(shares)
        assert await client.select_arm(contexts(0), "wf/1", exclude=["parallel(workers=8)"]) == decision
        with pytest.raises(DecisionConflict):
            await client.select_arm(contexts(1), "wf/1")
        receipt = await client.update_reward(decision, Outcome(success=True, quality=0.5))
        assert (receipt.applied, receipt.seq) == (True, 1)
        with pytest.raises(RewardConflict):
            await client.update_reward("wf/1", reward=0.1)
        corrected = await client.update_reward("wf/1", reward=0.1, corrects=receipt.revision)
        assert corrected.reward == 0.1
        assert len(await client.beliefs(contexts(0))) == len(spec.arms.units)
        assert (await client.rewards("wf/1"))["state"] == "corrected"
        assert (await client.retract(decision)).state == "retracted"
        assert (await client.health())["ok"]


def _answering(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A server that answers in this order, and what it was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    return httpx.MockTransport(answer), asked


RECEIPT = {
    "decision_id": "a",
    "seq": 1,
    "reward": 1.0,
    "applied": True,
    "components": {},
    "missing": [],
    "state": "final",
    "revision": 0,
}


def test_a_call_is_tried_again_with_the_same_content() -> None:
    lost, away = httpx.ConnectError("no"), httpx.Response(503, json={"code": "database_unavailable"})
    transport, asked = _answering(lost, away, httpx.Response(200, json=RECEIPT))
    with NyxClient(URL, "b", transport=transport, patience_s=30) as client:
        assert client.update_reward("a", reward=1.0).applied
    assert len(asked) == 3
    assert len({request.content for request in asked}) == 1


def test_an_id_is_made_before_the_first_try() -> None:
    transport, asked = _answering(httpx.ReadTimeout("slow"))
    with (
        NyxClient(URL, "b", transport=transport, deadline_s=0.4) as client,
        pytest.raises(DatabaseUnavailable),
    ):
        client.select_arm({"task": "code"})
    assert len(asked) > 1
    assert len({request.content for request in asked}) == 1
    assert re.search(rb'"decision_id":\s*"[0-9a-f]{32}"', asked[0].content)


def test_what_is_wrong_is_not_tried_again() -> None:
    problem = {"code": "context_invalid", "title": "no", "expected": "a", "found": "b", "fix": "c"}
    transport, asked = _answering(httpx.Response(422, json=problem))
    with NyxClient(URL, "b", transport=transport) as client, pytest.raises(InputInvalid, match="expected: a"):
        client.select_arm({})
    assert len(asked) == 1


def test_a_fallback_is_no_draw_and_nobody_learns_from_it() -> None:
    transport, asked = _answering(httpx.ConnectError("no"))
    arm = "parallel(mode=fast,timeout_s=30.5,workers=4)"
    with NyxClient(URL, "b", transport=transport, deadline_s=0.1, fallback=arm) as client:
        decision = client.select_arm({"task": "code"}, "x")
        tried = len(asked)
        receipt = client.update_reward(decision, reward=1.0)
    assert (decision.decision_id, decision.arm_id, decision.strategy) == ("x", arm, "parallel")
    assert decision.parameters == {"mode": "fast", "timeout_s": 30.5, "workers": 4}
    assert (decision.propensity, decision.mode, decision.reason) == (None, "fallback", "fallback")
    assert (receipt.applied, receipt.state, len(asked)) == (False, "fallback", tried)


def test_something_else_than_the_server_is_said_to_be_so() -> None:
    transport, _ = _answering(httpx.Response(404, text="<html>nginx</html>"))
    with (
        NyxClient(URL, "b", transport=transport) as client,
        pytest.raises(InputInvalid, match="no server of this kind"),
    ):
        client.retract("a")


def test_a_key_is_sent_and_shown_nowhere() -> None:
    transport, asked = _answering(httpx.Response(401, json={"code": "key_unknown"}))
    with NyxClient(URL, "b", key="nyx_1_secret", transport=transport) as client:
        with pytest.raises(InputInvalid) as caught:
            client.retract("a")
        assert "secret" not in f"{caught.value}{client!r}"
    assert asked[0].headers["authorization"] == "Bearer nyx_1_secret"


def test_the_two_clients_differ_in_nothing_but_waiting() -> None:
    waiting = Path(inspect.getfile(asynchronous)).read_text(encoding="utf-8")
    for ours, theirs in (
        ("async def ", "def "),
        ("await ", ""),
        ("__aenter__", "__enter__"),
        ("__aexit__", "__exit__"),
        ("aclose", "close"),
        ("asyncio.sleep", "clock.sleep"),
        ("import asyncio\n", ""),
        ("AsyncBaseTransport", "BaseTransport"),
        ("AsyncClient", "Client"),
        ("AsyncNyxClient", "NyxClient"),
        ("asynchronous", "blocking"),
    ):
        waiting = waiting.replace(ours, theirs)
    plain = Path(inspect.getfile(blocking)).read_text(encoding="utf-8")
    assert _body(waiting) == _body(plain)


def _body(text: str) -> str:
    return re.sub(r"\s+", " ", text.split("import time as clock", 1)[1])
