"""Decisions, outcomes and beliefs over HTTP say what the engine says, and change what it would change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from nyx_learning import Bandit, BanditSpec

PATH = "/v1/bandits/orchestration"


async def test_a_decision_is_that_of_the_pure_bandit(
    client: httpx.AsyncClient, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    pure = Bandit(spec)
    for i in range(5):
        asked = {"context": contexts(i), "decision_id": f"wf/{i}"}
        told = (await client.post(f"{PATH}/decisions", json=asked)).json()
        expected = pure.select_arm(contexts(i), decision_id=f"wf/{i}")
        assert (told["arm_id"], told["propensity"]) == (expected.arm_id, expected.propensity)
        assert tuple(told["pmf"]) == expected.pmf
        receipt = (await client.post(f"/v1/decisions/wf%2F{i}/outcome", json={"reward": i / 5})).json()
        assert receipt["seq"] == pure.update_reward(expected, reward=i / 5).seq == i + 1


async def test_the_same_id_is_the_same_decision_and_another_question_a_conflict(
    client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]
) -> None:
    asked = {"context": contexts(0), "decision_id": "wf-1"}
    first = await client.post(f"{PATH}/decisions", json=asked)
    again = await client.post(f"{PATH}/decisions", json=asked)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await client.post(f"{PATH}/decisions", json={**asked, "context": contexts(1)})
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["code"] == "decision_conflict"


async def test_outcomes_count_once_are_corrected_and_retracted(
    client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]
) -> None:
    await client.post(f"{PATH}/decisions", json={"context": contexts(0), "decision_id": "a"})
    report = {"outcome": {"success": True, "quality": 0.5}}
    first = (await client.post("/v1/decisions/a/outcome", json=report)).json()
    again = (await client.post("/v1/decisions/a/outcome", json=report)).json()
    assert (first["applied"], again["applied"], again["seq"]) == (True, False, first["seq"])
    assert (await client.post("/v1/decisions/a/outcome", json={"reward": 0.1})).status_code == 409
    corrected = (await client.post("/v1/decisions/a/outcome", json={"reward": 0.1, "corrects": 0})).json()
    assert (corrected["seq"], corrected["reward"], corrected["revision"]) == (2, 0.1, 1)
    assert (await client.post("/v1/decisions/a/outcome", json={"retract": True})).json()[
        "state"
    ] == "retracted"
    stored = (await client.get("/v1/decisions/a")).json()
    assert (stored["state"], stored["reward"], stored["reports"]) == ("retracted", None, 3)
    assert stored["decision"]["decision_id"] == "a"


async def test_batches_refuse_what_cannot_be_right_and_go_on_where_the_log_refuses(
    client: httpx.AsyncClient, contexts: Callable[[int], dict[str, Any]]
) -> None:
    asked = [{"context": contexts(i), "decision_id": f"b{i}"} for i in range(3)]
    answer = await client.post(f"{PATH}/decisions/batch", json={"requests": asked})
    assert [d["decision_id"] for d in answer.json()["decisions"]] == ["b0", "b1", "b2"]
    bad = await client.post(f"{PATH}/decisions/batch", json={"requests": [*asked, {"context": {}}]})
    assert (bad.status_code, bad.json()["title"][:7]) == (422, "item 3:")
    reports = [{"decision_id": "b0", "reward": 0.5}, {"decision_id": "nobody's", "reward": 0.5}]
    told = (await client.post(f"{PATH}/outcomes/batch", json={"reports": reports})).json()
    assert told["refused"] == 1
    assert told["receipts"][0]["applied"]
    assert told["receipts"][1]["error"]["code"] == "decision_unknown"
    wrong = [{"decision_id": "b1", "reward": 0.5}, {"decision_id": "b2", "reward": 7}]
    assert (await client.post(f"{PATH}/outcomes/batch", json={"reports": wrong})).status_code == 422
    assert (await client.get("/v1/decisions/b1")).json()["state"] == "pending"


async def test_beliefs_change_nothing(
    client: httpx.AsyncClient, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    told = (await client.post(f"{PATH}/beliefs", json={"context": contexts(0)})).json()
    assert [belief["arm_id"] for belief in told["beliefs"]] == list(spec.arms.units)
    assert (await client.get(PATH)).json()["state_seq"] == told["state_seq"] == 0


async def test_a_bandit_is_listed_shown_and_goes_over_to_a_changed_spec(
    client: httpx.AsyncClient, spec: BanditSpec
) -> None:
    assert (await client.get("/v1/bandits")).json() == {"bandits": ["orchestration"]}
    assert (await client.get(PATH)).json()["spec"] == spec.to_dict()
    changed = replace(spec, seed=8)
    assert (await client.post("/v1/bandits", json=changed.to_dict())).status_code == 200
    assert (await client.get(PATH)).json()["spec_hash"] == changed.spec_hash
    back = await client.post("/v1/bandits", json=spec.to_dict())
    assert (back.status_code, back.json()["code"]) == (409, "spec_superseded")


async def test_a_name_may_hold_what_paths_hold(client: httpx.AsyncClient, spec: BanditSpec) -> None:
    odd = replace(spec, name="team/a b?#%2F·<b>")
    assert (await client.post("/v1/bandits", json=odd.to_dict())).status_code == 200
    path = "/v1/bandits/team%2Fa%20b%3F%23%252F%C2%B7%3Cb%3E"
    asked = {"context": {"task": "code", "size": 1}, "decision_id": "../x?y=1#z"}
    told = await client.post(f"{path}/decisions", json=asked)
    assert (told.status_code, told.json()["bandit"]) == (200, odd.name)
    unnamed = await client.post("/v1/decisions/..%2Fx%3Fy%3D1%23z/outcome", json={"reward": 1})
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "input_invalid")
    named = {"bandit": odd.name}
    told = await client.post("/v1/decisions/..%2Fx%3Fy%3D1%23z/outcome", json={"reward": 1}, params=named)
    assert told.json()["applied"]


BAD = (
    (f"{PATH}/decisions", b"{", 400),
    (f"{PATH}/decisions", b"[1]", 422),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": NaN}}', 422),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": 1e999}}', 422),
    (f"{PATH}/decisions", b'{"context": {"task": "\\ud800", "size": 1}, "decision_id": "x"}', 400),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": 1}, "decision_id": "\\ud800"}', 400),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": 1}, "decision_id": "\\u0000"}', 422),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": 1}, "deadline_s": -1}', 422),
    (f"{PATH}/decisions", b'{"context": {"task": "code", "size": 1}, "sql": "; DROP TABLE"}', 422),
    (f"{PATH}/decisions", b"[" * 100_000, 400),
    (f"{PATH}/decisions", b'{"context": {"size": ' + b"9" * 10_000 + b"}}", 400),
    (f"{PATH}/decisions/batch", b'{"requests": []}', 422),
    ("/v1/decisions/x/outcome", b'{"reward": 0.5, "part": {"success": true}}', 404),
    ("/v1/decisions/%00/outcome", b'{"reward": 0.5}', 422),
    ("/v1/decisions/x/outcome?bandit=%00", b'{"reward": 0.5}', 404),
    ("/v1/bandits/none/decisions", b'{"context": {}}', 404),
    ("/v1/bandits", b'{"format": 1}', 422),
    ("/v1/nothing", b"{}", 404),
)


async def test_bad_requests_are_problems_of_four_parts(client: httpx.AsyncClient) -> None:
    unsaid = await client.post(f"{PATH}/decisions", content=b'{"context": {}}')
    assert (unsaid.status_code, "content-type" in unsaid.json()["title"]) == (422, True)
    for path, body, status in BAD:
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (path, body[:60], answer.text)
        told = answer.json()
        assert told["status"] == status
        assert all(told[part] for part in ("type", "title", "code", "expected", "found", "fix"))
