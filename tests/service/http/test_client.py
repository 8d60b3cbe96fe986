"""The Python clients: the engine's calls, tried again with the same ids, and a fallback that is honest."""

import asyncio
import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nyx_learning import AsyncNyxClient, BanditSpec, LearningEngine, NyxClient, Outcome
from nyx_learning.bandit.adapting import AdaptationStakes
from nyx_learning.bandit.advice_record import ActionRecord, AdaptationRecord
from nyx_learning.errors import (
    DatabaseUnavailable,
    DecisionConflict,
    InputInvalid,
    OutcomeInvalid,
    RewardConflict,
)
from nyx_learning.features.monitors import PerformanceMetrics
from nyx_learning.service.client import (
    ServedReceipt,
    asking,
    asking_blocking,
    asking_stored,
    asking_stored_blocking,
    asynchronous,
    blocking,
)
from nyx_learning.service.client.calls import Call
from nyx_learning.service.integrations import learned

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
        explained = await client.explain(decision)
        assert explained["arm_id"] == decision.arm_id
        assert (await client.retract(decision)).state == "retracted"
        assert (await client.health())["ok"]


async def test_the_client_asks_and_orders_as_the_engine_does(
    applications: Callable[..., Awaitable[FastAPI]],
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
) -> None:
    transport = httpx.ASGITransport(await applications())
    async with AsyncNyxClient(URL, spec.name, transport=transport, patience_s=60) as client:
        await client.create_bandit(spec)
        asked = [{"context": contexts(i), "decision_id": f"b{i}"} for i in range(3)]
        decisions = await client.select_arms(asked)
        assert [decision.decision_id for decision in decisions] == ["b0", "b1", "b2"]
        outcome = Outcome(success=True, duration_s=3.0)
        told = await client.update_rewards(
            [{"decision_id": "b0", "outcome": outcome}, {"decision_id": "none", "reward": 1.0}]
        )
        assert isinstance(told[0], ServedReceipt)
        assert isinstance(told[1], Mapping)
        judged = {"nyx.decision.id": "b1", "gen_ai.evaluation.name": "success"}
        (receipt,) = await client.report_evaluations([{**judged, "gen_ai.evaluation.score.value": 1}])
        assert isinstance(receipt, ServedReceipt)
        assert receipt.applied
        pinned = await client.override("pin", "direct", reason="an outage")
        assert await client.overrides() == [pinned]
        assert (pinned.author, pinned.arms) == ("local", ("direct",))
        assert await client.revoke(pinned.seq, reason="over") == pinned
        assert (await client.predict_workflow_performance(contexts(0), "direct")).strategy == "direct"
        metrics = PerformanceMetrics(duration_s=1.0)
        assert not (await client.should_adapt_workflow(metrics, decision="b2")).should_adapt
        assert (await client.record_execution("agent", {"success": True}, metrics))["applied"]
        assert (await client.recommend_strategy(contexts(0)))["reasons"]
        assert (await client.optimize_parameters({"workers": 4}, strategy="parallel", max_step=1))["reasons"]
        assert len(await client.analyze_performance_trends(metrics=["cost", "reward"])) == 2
        assert (await client.analyze_strategy_patterns())["executions"] == 2
        assert (await client.analyze_agent_performance_by_type("coder"))["n"] == 0
        assert (await client.analyze_resource_patterns())["executions"] == 2
        assert (await client.analyze_temporal_patterns())["executions"] == 2
        assert (await client.detect_failure_patterns())["with_errors"] == 0
        assert (await client.identify_optimization_opportunities())["opportunities"] == []
        assert (await client.report())["rewards"] == 2
        assert (await client.anomalies(), await client.budgets(), await client.monitoring()) == ([], [], None)
        with pytest.raises(InputInvalid):
            await client.reserve("b2", cost=1.0)
        with pytest.raises(InputInvalid):
            await client.settle("b2", cost=1.0)


async def test_stored_patterns_and_the_record_of_advice_come_over_http(
    applications: Callable[..., Awaitable[FastAPI]],
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
) -> None:
    transport = httpx.ASGITransport(await applications())
    async with AsyncNyxClient(URL, spec.name, transport=transport, deadline_s=60, patience_s=60) as client:
        await client.create_bandit(spec)
        assert await client.patterns() is None
        decided = await client.select_arms(
            [{"context": contexts(i), "decision_id": f"d{i}"} for i in range(6)]
        )
        outcomes = [Outcome(success=True, duration_s=2.0 + i) for i in range(5)]
        await client.update_rewards(
            [{"decision_id": f"d{i}", "outcome": outcome} for i, outcome in enumerate(outcomes)]
        )
        first = await client.refresh_patterns(min_count=5)
        assert (first["version"], first["executions"], first["seq"]) == (1, 5, 5)
        assert await client.refresh_patterns(min_count=5) == first == await client.patterns()
        assert (await client.refresh_patterns(min_count=6))["version"] == 2
        assert await client.patterns(1) == first
        assert (await client.pattern_evolution())["versions"] == [1, 2]
        with pytest.raises(InputInvalid, match="version 9"):
            await client.patterns(9)
        arm = decided[0].arm_id
        told: dict[str, Any] = {
            "context": {"task": decided[0].context["task"]},
            "arms": [arm],
            "error_codes": [],
        }
        evidence = {**told, "first_seq": 1, "last_seq": 5, "rows": 5, "chosen": 1}
        rows = await client.evidence({"evidence": evidence})
        alike = [d for d in decided[:5] if (d.arm_id, d.context["task"]) == (arm, told["context"]["task"])]
        assert [row["decision_id"] for row in rows] == [d.decision_id for d in alike]
        assert (await client.adaptation_record()).actions == ()
        with pytest.raises(InputInvalid):
            await client.adaptation_record(-1.0)


def test_the_record_of_advice_is_the_engine_s_value() -> None:
    one = ActionRecord("retry", 30, 25, 20, 0.5, 0.25, -0.25, 0.05, None)
    transport, asked = _answering(httpx.Response(200, json=AdaptationRecord((one,), 30).to_dict()))
    with NyxClient(URL, "b", transport=transport) as client:
        record = client.adaptation_record(60.0)
    assert record == AdaptationRecord((one,), 30)
    assert record.stakes().retry_cost > AdaptationStakes().retry_cost
    assert asked[0].url.params["time_window_s"] == "60.0"


async def test_a_cancelled_call_is_abandoned_over_http_too(
    applications: Callable[..., Awaitable[FastAPI]], spec: BanditSpec
) -> None:
    transport, entered = httpx.ASGITransport(await applications()), asyncio.Event()
    context = {"task": "code", "size": 1}
    async with AsyncNyxClient(URL, spec.name, transport=transport, deadline_s=60, patience_s=60) as client:
        await client.create_bandit(spec)

        @learned(client, context=context, decision_id=lambda: "hangs")
        async def work(*, strategy: str) -> str:
            entered.set()
            await asyncio.sleep(60)
            return strategy

        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    # Closing the client has waited for it.
    async with AsyncNyxClient(URL, spec.name, transport=transport, patience_s=60) as client:
        told = await client.rewards("hangs")
        assert (told["state"], told["reward"]) == ("abandoned", None)
        await client.abandon("hangs")  # again: nothing changes
        assert (await client.rewards("hangs"))["reports"] == told["reports"]
        decision = await client.select_arm(context, "done", deadline_s=60)
        await client.update_reward(decision, reward=1.0)
        with pytest.raises(RewardConflict):
            await client.abandon(decision)
        with pytest.raises(OutcomeInvalid, match="something else"):
            await client._send(_ending("done", abandon=True, retract=True), 60)
        batch = [{"decision_id": "done", "abandon": True}]
        with pytest.raises(OutcomeInvalid, match="within a batch"):
            await client.update_rewards(batch)


def _ending(decision_id: str, **told: bool) -> Call[Any]:
    return Call("POST", f"/v1/decisions/{decision_id}/outcome", dict, told)


def test_the_abandonment_of_a_fallback_is_not_sent() -> None:
    transport, asked = _answering(httpx.ConnectError("no"))
    with NyxClient(URL, "b", transport=transport, deadline_s=0.1, fallback="direct") as client:
        decision = client.select_arm({"task": "code"}, "x")
        tried = len(asked)
        client.abandon(decision)
    assert len(asked) == tried


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
        NyxClient(URL, "b", transport=transport, deadline_s=2.0) as client,
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


@pytest.mark.parametrize(
    ("one", "other"),
    [(asynchronous, blocking), (asking, asking_blocking), (asking_stored, asking_stored_blocking)],
)
def test_the_two_clients_differ_in_nothing_but_waiting(one: ModuleType, other: ModuleType) -> None:
    waiting = Path(inspect.getfile(one)).read_text(encoding="utf-8")
    for ours, theirs in (
        # A cancelled task has no time: only the client of tasks notes that behind its back.
        ("from .abandoning import AbandonsSoon\n", ""),
        (", AbandonsSoon", ""),
        ("await self._all_noted()\n", ""),
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
        ("AsyncQuestions", "Questions"),
        ("AsyncStored", "Stored"),
        ("from .asking_stored import", "from .asking_stored_blocking import"),
        ("from .asking import", "from .asking_blocking import"),
        ("asynchronous", "blocking"),
    ):
        waiting = waiting.replace(ours, theirs)
    plain = Path(inspect.getfile(other)).read_text(encoding="utf-8")
    assert _body(waiting) == _body(plain)


def _body(text: str) -> str:
    """The code behind the module's docstring, without its line breaks: names differ in length."""
    return re.sub(r"[\s()]+|,(?=\s*\))", "", text.split("from __future__ import annotations", 1)[1])


ASKED = {
    "abandon",
    "abandon_soon",
    "adaptation_record",
    "analyze_agent_performance_by_type",
    "analyze_performance_trends",
    "analyze_resource_patterns",
    "analyze_temporal_patterns",
    "analyze_strategy_patterns",
    "anomalies",
    "beliefs",
    "budgets",
    "close",
    "detect_failure_patterns",
    "evidence",
    "explain",
    "health",
    "identify_optimization_opportunities",
    "monitoring",
    "optimize_parameters",
    "override",
    "overrides",
    "pattern_evolution",
    "patterns",
    "predict_workflow_performance",
    "recommend_strategy",
    "record_execution",
    "refresh_patterns",
    "report",
    "reserve",
    "retract",
    "revoke",
    "rewards",
    "select_arm",
    "select_arms",
    "settle",
    "should_adapt_workflow",
    "update_reward",
    "update_rewards",
}


def test_the_clients_have_the_engine_s_calls() -> None:
    def calls(kind: type) -> dict[str, inspect.Signature]:
        named = inspect.getmembers(kind, inspect.isfunction)
        return {name: inspect.signature(call) for name, call in named if not name.startswith("_")}

    engine, client = calls(LearningEngine), calls(AsyncNyxClient)
    assert set(engine) & set(client) >= ASKED
    assert set(client) - set(engine) == {"create_bandit", "report_evaluations"}
    for name in set(engine) & set(client):
        extra = set(client[name].parameters) - set(engine[name].parameters) - {"requests", "limits"}
        assert not extra, (name, extra)
