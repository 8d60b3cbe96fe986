"""Questions about the log over HTTP are answered as the engine answers them, and change nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from nyx_learning import BanditSpec
from nyx_learning.errors import Overloaded
from nyx_learning.service.http.analyses import Analyses

from .conftest import Serve

PATH = "/v1/bandits/orchestration"
ROUNDS = 40


async def _fill(client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]) -> None:
    asked = [{"context": contexts(i), "decision_id": f"d{i}"} for i in range(ROUNDS)]
    (await client.post(f"{PATH}/decisions/batch", json={"requests": asked})).raise_for_status()
    reports = [
        {
            "decision_id": f"d{i}",
            "outcome": {
                "success": i % 4 != 0,
                "duration_s": 10.0 + i % 7,
                "cost": 0.5,
                "error_codes": ["timeout", "refused"] if i % 4 == 0 else [],
            },
        }
        for i in range(ROUNDS)
    ]
    told = (await client.post(f"{PATH}/outcomes/batch", json={"reports": reports})).json()
    assert told["refused"] == 0


async def test_every_question_is_answered_from_the_log(
    client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]
) -> None:
    await _fill(client, contexts)

    async def get(what: str, **query: Any) -> dict[str, Any]:
        answer = await client.get(f"{PATH}/{what}", params=query)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def post(what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await client.post(f"{PATH}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    assert (await get("anomalies")) == {"anomalies": []}
    assert (await get("monitoring")) == {"monitoring": None}
    assert (await get("patterns", min_count=5))["executions"] == ROUNDS
    failures = await get("failures")
    assert failures["with_errors"] == ROUNDS // 4
    assert {tuple(code["sequence"]) for code in failures["codes"]} == {("timeout",), ("refused",)}
    assert [trend["metric"] for trend in (await get("trends", metrics=["cost"]))["trends"]] == ["cost"]
    predicted = await post("predictions", {"context": contexts(0), "arm": "direct"})
    assert 0.0 < predicted["success"]["value"] < 1.0
    advice = await post("adaptation", {"decision_id": "d0", "current": {"duration_s": 5}})
    assert advice["action"] == "continue"
    advised = await post("recommendation", {"context": contexts(0), "predict": True})
    assert advised["reasons"]
    assert advised["prediction"]["strategy"] == advised["arm_id"]
    tuned = await post("parameters", {"current": {"workers": 4}, "strategy": "parallel"})
    assert tuned["arm_id"].startswith("parallel(")
    assert (await get("opportunities"))["executions"] == ROUNDS
    assert (await get("agents", agent_type="coder"))["agent_type"] == "coder"
    explained = await client.get("/v1/decisions/d3/explain")
    assert (explained.status_code, explained.json()["decision_id"]) == (200, "d3"), explained.text
    assert (await client.get("/v1/decisions/none/explain")).status_code == 404
    assert (await client.get(PATH)).json()["state_seq"] == ROUNDS


async def test_the_report_tells_of_arms_and_judges_beside_the_holdout(
    serve: Serve, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    client = await serve()
    held = replace(spec, holdout=0.5)
    (await client.post("/v1/bandits", json=held.to_dict())).raise_for_status()
    empty = (await client.get(f"{PATH}/report")).json()
    assert (empty["decisions"], empty["verdict"], empty["learner"]) == (0, None, None)
    assert empty["why_no_verdict"]
    unfounded = await client.get(f"{PATH}/report", params={"form": "html"})
    assert (unfounded.status_code, unfounded.json()["code"]) == (422, "support_missing")
    await _fill(client, contexts)
    told = (await client.get(f"{PATH}/report", params={"metric": "success"})).json()
    assert (told["decisions"], told["rewards"]) == (ROUNDS, ROUNDS)
    assert sum(arm["decisions"] for arm in told["arms"]) == ROUNDS
    assert [arm["arm_id"] for arm in told["arms"]] == list(held.arms.units)
    assert sum(arm["successes"] for arm in told["arms"]) == ROUNDS - ROUNDS // 4
    assert told["verdict"]["status"] == "not enough evidence"
    page = await client.get(f"{PATH}/report", params={"form": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Not enough evidence" in page.text


async def test_executions_are_stored_once_and_are_their_decision_s_outcome(
    client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]
) -> None:
    asked = {"context": contexts(0), "decision_id": "a"}
    (await client.post(f"{PATH}/decisions", json=asked)).raise_for_status()
    report = {"agent_id": "agent-7", "result": {"success": True, "quality": 0.5}, "decision_id": "a"}
    first, again = [await client.post(f"{PATH}/executions", json=report) for _ in range(2)]
    assert (first.status_code, first.json()["applied"]) == (200, True), first.text
    assert first.json()["receipt"]["applied"]
    assert (again.status_code, again.json()["applied"]) == (200, False)
    other = {**report, "result": {"success": False}}
    assert (await client.post(f"{PATH}/executions", json=other)).status_code == 409
    alone = {"agent_id": "<b>'; --", "result": {"success": True}, "execution_id": "e"}
    assert (await client.post(f"{PATH}/executions", json=alone)).json()["decision_id"] is None
    odd: tuple[dict[str, Any], ...] = (
        {"agent_id": "\x00"},
        {"result": {}},
        {"result": {"success": 1}},
        {"metrics": {"luck": 1}},
    )
    for wrong in odd:
        assert (await client.post(f"{PATH}/executions", json={**alone, **wrong})).status_code == 422, wrong
    unknown = await client.post(f"{PATH}/executions", json={**report, "decision_id": "none"})
    assert unknown.status_code == 404


QUERIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("anomalies", {"limit": 0}),
    ("anomalies", {"before": "x"}),
    ("trends", {"metrics": "nothing"}),
    ("trends", {"coverage": "nan"}),
    ("trends", {"time_window_s": -1}),
    ("patterns", {"by": "size"}),
    ("patterns", {"min_count": 10**30}),
    ("failures", {"max_length": 99}),
    ("opportunities", {"threshold_improvement": "nan"}),
    ("opportunities", {"by": "'; DROP TABLE"}),
    ("agents", {}),
    ("report", {"metric": "<script>"}),
    ("report", {"confidence": 1}),
    ("report", {"min_lift": "inf"}),
)
BODIES: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("predictions", {"context": {"task": "code", "size": 1}, "arm": "'; DROP TABLE nyx.log; --"}, 422),
    ("predictions", {"context": {}, "arm": "direct"}, 422),
    ("recommendation", {"context": {}}, 422),
    ("recommendation", {"context": {"task": "code", "size": 1}, "eligible": ["<b>"]}, 422),
    ("parameters", {"current": {"workers": 3}, "strategy": "parallel"}, 422),
    ("parameters", {"current": {}, "strategy": "parallel", "max_change": 1e308}, 422),
    ("adaptation", {"decision_id": "none", "current": {"duration_s": 1}}, 404),
    ("adaptation", {"decision_id": "none", "current": {"<b>": 1}}, 422),
    ("adaptation", {"decision_id": "none", "current": {}, "stakes": {"luck": 1}}, 422),
    ("adaptation", {"decision_id": "\x00", "current": {}}, 422),
)


async def test_questions_out_of_their_domain_are_refused(client: httpx.AsyncClient) -> None:
    for what, query in QUERIES:
        answer = await client.get(f"{PATH}/{what}", params=query)
        assert answer.status_code == 422, (what, query, answer.text)
        assert all(answer.json()[part] for part in ("title", "expected", "found", "fix"))
    for what, body, status in BODIES:
        answer = await client.post(f"{PATH}/{what}", json=body)
        assert answer.status_code == status, (what, body, answer.text)


async def test_analyses_take_turns_and_too_many_are_refused() -> None:
    analyses, release, ran = Analyses(1), asyncio.Event(), []

    async def analyse(number: int) -> None:
        async with analyses.turn():
            await release.wait()
            ran.append(number)

    tasks = [asyncio.create_task(analyse(i)) for i in range(9)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        async with analyses.turn():
            ran.append(-1)
    release.set()
    await asyncio.gather(*tasks)
    assert ran == list(range(9))
    async with analyses.turn():
        ran.append(9)
