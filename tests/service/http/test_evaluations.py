"""Scores of judges come in as OpenTelemetry's evaluation events, and are learned from once."""

from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec
from nyx_learning.errors import InputInvalid, OutcomeInvalid
from nyx_learning.service.evaluations import reports_of_evaluations

from .conftest import Serve

PATH = "/v1/bandits/orchestration"


def _event(name: str, value: object = None, *, about: object = "a", **further: object) -> dict[str, Any]:
    event = {"nyx.decision.id": about, "gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}
    return {**{key: told for key, told in event.items() if told is not None}, **further}


def test_an_event_is_a_part_of_an_outcome() -> None:
    told = reports_of_evaluations(
        [
            _event("Quality", 0.25, **{"gen_ai.response.id": "r-1"}),
            _event("success", None, **{"gen_ai.evaluation.score.label": "Fail"}),
            _event("success", 1),
            {
                "feature_flag.context.id": "b",
                "gen_ai.evaluation.name": "R",
                "gen_ai.evaluation.score.value": 2,
            },
        ],
        fields={"R": "usefulness"},
        scales={"R": (1, 5)},
    )
    assert [dict(report.part or {}) for report in told] == [
        {"quality": 0.25},
        {"success": False},
        {"success": True},
        {"usefulness": 0.25},
    ]
    assert [report.decision for report in told] == ["a", "a", "a", "b"]
    assert (told[0].source, told[0].identifier) == ("gen_ai.evaluation/Quality", "r-1")


@pytest.mark.parametrize(
    "event",
    [
        _event("Toxicity", 0.5),
        _event("quality", 1.5),
        _event("quality", True),
        _event("quality", float("nan")),
        _event("quality"),
        _event("success", 0.5),
        _event("quality", 0.5, about=None),
        _event("quality", 0.5, about=7),
        _event("x" * 200, 0.5),
        _event("quality", 0.5, **{"gen_ai.response.id": 7}),
    ],
)
def test_an_event_that_says_nothing_usable_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(OutcomeInvalid, match="item 1"):
        reports_of_evaluations([_event("quality", 0.5), event])


def test_fields_and_scales_that_cannot_be_meant_are_refused() -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"fields": {"R": "cost"}},
        {"scales": {"R": (1.0, 1.0)}},
        {"scales": {"R": (0.0, 1e999)}},
    )
    for wrong in odd:
        with pytest.raises(InputInvalid):
            reports_of_evaluations([], **wrong)


async def test_evaluations_are_learned_from_once(
    serve: Serve, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]]
) -> None:
    client = await serve()
    (await client.post("/v1/bandits", json=spec.to_dict())).raise_for_status()
    asked = {"context": contexts(0), "decision_id": "a"}
    (await client.post(f"{PATH}/decisions", json=asked)).raise_for_status()
    events = [_event("success", 1), _event("Judge", 4), _event("success", 1, about="nobody's")]
    batch = {"evaluations": events, "fields": {"Judge": "quality"}, "scales": {"Judge": [1, 5]}}
    first = (await client.post(f"{PATH}/evaluations", json=batch)).json()
    assert first["refused"] == 1
    assert [receipt["applied"] for receipt in first["receipts"][:2]] == [True, True]
    again = (await client.post(f"{PATH}/evaluations", json=batch)).json()
    assert [receipt["applied"] for receipt in again["receipts"][:2]] == [False, False]
    stored = (await client.get("/v1/decisions/a")).json()
    assert (stored["outcome"]["success"], stored["outcome"]["quality"]) == (True, 0.75)
    other = {**batch, "evaluations": [_event("Judge", 5)]}
    told = (await client.post(f"{PATH}/evaluations", json=other)).json()
    assert told["receipts"][0]["error"]["code"] == "reward_conflict"
    odd: tuple[dict[str, Any], ...] = (
        {"evaluations": []},
        {**batch, "scales": {"Judge": [1]}},
        {**batch, "fields": {"Judge": "<b>"}},
    )
    for wrong in odd:
        assert (await client.post(f"{PATH}/evaluations", json=wrong)).status_code == 422
