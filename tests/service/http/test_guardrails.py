"""Overrides and budgets over HTTP: who ordered what, once, and what executions may use."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from nyx_learning import BanditSpec
from nyx_learning.bandit.guardrails import Budget, Guardrails
from nyx_learning.service.http.keys import KeyFile, Role

from .conftest import Serve

PATH = "/v1/bandits/orchestration"
PIN = {"rule": "pin", "arms": ["direct"], "reason": "an outage of <b>workers</b>'; --"}


async def test_an_override_is_ordered_once_obeyed_listed_and_revoked(
    serve: Serve, keys: KeyFile, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    _, writing = keys.create("orchestrator", Role.WRITER)
    _, ordering = keys.create("ada", Role.ADMIN)
    client = await serve(key=ordering)
    (await client.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    as_writer = {"Authorization": f"Bearer {writing}"}
    assert (await client.post(f"{PATH}/overrides", json=PIN, headers=as_writer)).status_code == 403
    first = await client.post(f"{PATH}/overrides", json=PIN)
    assert first.status_code == 200, first.text
    assert (first.json()["author"], first.json()["seq"], first.json()["reason"]) == ("ada", 1, PIN["reason"])
    again = await client.post(f"{PATH}/overrides", json=PIN)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await client.post(f"{PATH}/overrides", json={**PIN, "reason": "another"})
    assert (other.status_code, other.json()["code"]) == (409, "guardrail_conflict")
    assert (await client.get(f"{PATH}/overrides", headers=as_writer)).json() == {"overrides": [first.json()]}
    for i in range(4):
        told = await client.post(f"{PATH}/decisions", json={"context": contexts(i)}, headers=as_writer)
        assert told.json()["arm_id"] == "direct"
    end = f"{PATH}/overrides/1/revocation"
    assert (await client.post(end, json={"reason": "over"}, headers=as_writer)).status_code == 403
    ended = [await client.post(end, json={"reason": "over"}) for _ in range(2)]
    assert [answer.status_code for answer in ended] == [200, 200]
    assert ended[0].json() == ended[1].json() == first.json()
    assert (await client.post(end, json={"reason": "another"})).status_code == 422
    assert (await client.get(f"{PATH}/overrides")).json() == {"overrides": []}
    assert (await client.get(PATH)).json()["state_seq"] == 2


BAD: tuple[dict[str, Any], ...] = (
    {"rule": "pin", "arms": ["nothing"], "reason": "x"},
    {"rule": "pin", "arms": ["\ud800"], "reason": "x"},
    {"rule": "DROP TABLE", "arms": [], "reason": "x"},
    {"rule": "pin", "arms": ["direct"], "reason": "\x00"},
    {"rule": "pin", "arms": ["direct"], "reason": " "},
    {"rule": "pin", "arms": ["direct"], "reason": "x" * 501},
    {"rule": "pin", "arms": ["direct"]},
    {"rule": "pin", "arms": ["direct"], "reason": "x", "author": "another"},
    {"rule": "pin", "arms": ["direct"], "reason": "x", "until": 1},
    {"rule": "pin", "arms": ["direct"], "reason": "x", "until": 10**400},
    {"rule": "cap", "arms": ["direct"], "reason": "x", "share": 1},
    {"rule": "ramp", "arms": ["direct"], "reason": "x", "share": 0.1, "rows": 10**30},
)


async def test_orders_that_do_not_fit_are_refused_and_write_nothing(client: httpx.AsyncClient) -> None:
    kind = {"Content-Type": "application/json"}
    for body in BAD:
        answer = await client.post(f"{PATH}/overrides", content=json.dumps(body), headers=kind)
        assert answer.status_code == 422, (body, answer.text)
    for seq in ("0", "-1", "x", "9" * 40, "1;--"):
        answer = await client.post(f"{PATH}/overrides/{seq}/revocation", json={"reason": "x"})
        assert answer.status_code in {404, 422}, answer.text
    assert (await client.get(PATH)).json()["state_seq"] == 0


async def test_a_hard_budget_is_held_settled_and_told(
    serve: Serve, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    client = await serve()
    limited = replace(spec, guardrails=Guardrails(budgets=(Budget("money", "cost", 1.0, hard=True),)))
    (await client.post("/v1/bandits", json=limited.to_dict())).raise_for_status()
    for name in ("a", "b"):
        asked = {"context": contexts(0), "decision_id": name}
        (await client.post(f"{PATH}/decisions", json=asked)).raise_for_status()
    hold = {"maximum": {"cost": 0.75}}
    for _ in range(2):
        held = await client.post("/v1/decisions/a/reservation", json=hold)
        assert (held.status_code, held.json()) == (200, {"decision_id": "a", "amounts": {"money": 0.75}})
    more = await client.post("/v1/decisions/b/reservation", json=hold)
    assert (more.status_code, more.json()["code"]) == (409, "budget_exhausted")
    for odd in ({"self": 1}, {"decision": 1}, {"cost": -1}, {}):
        refused = await client.post("/v1/decisions/b/reservation", json={"maximum": odd})
        assert refused.status_code == 422, refused.text
    settled = await client.post("/v1/decisions/a/settlement", json={"used": {"cost": 0.25}})
    assert settled.status_code == 200, settled.text
    (left,) = (await client.get(f"{PATH}/budgets")).json()["budgets"]
    assert (left["name"], left["held"], left["spent"], left["left"]) == ("money", 0.0, 0.25, 0.75)
