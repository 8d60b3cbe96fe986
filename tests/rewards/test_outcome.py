"""Outcome: what is refused, what survives a round trip, what is derived."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import OutcomeInvalid
from nyx_learning.rewards import Outcome, ValidationResult

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)

units = st.floats(0.0, 1.0)
amounts = st.floats(0.0, 1e12)
counts = st.integers(0, 2**40)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
checks = st.builds(
    ValidationResult,
    name=names,
    passed=st.booleans(),
    weight=st.floats(1e-6, 1e6),
    required=st.booleans(),
    score=st.none() | units,
)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    fields: dict[str, Any] = {"success": draw(st.booleans()), "timed_out": draw(st.booleans())}
    for name in ("quality", "usefulness", "format_compliance", "goal_achievement", "goal_alignment"):
        fields[name] = draw(st.none() | units)
    for name in ("user_feedback", "business_impact"):
        fields[name] = draw(st.none() | units)
    for name in ("duration_s", "cost"):
        fields[name] = draw(st.none() | amounts)
    for name in ("input_tokens", "output_tokens", "retries", "agents_succeeded", "agents_failed"):
        fields[name] = draw(st.none() | counts)
    fields["validation_results"] = draw(st.lists(checks, max_size=3))
    fields["error_codes"] = draw(st.lists(names, max_size=3))
    fields["agent_type"] = draw(st.none() | names)
    return Outcome(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"success": None},
        {"success": "yes"},
        {"success": 1},
        {"success": True, "duration_s": -1.0},
        {"success": True, "duration_s": float("nan")},
        {"success": True, "duration_s": float("inf")},
        {"success": True, "duration_s": "3"},
        {"success": True, "quality": 1.0000001},
        {"success": True, "quality": -0.1},
        {"success": True, "quality": True},
        {"success": True, "cost": -0.01},
        {"success": True, "tokens": 1.5},
        {"success": True, "retries": -1},
        {"success": True, "tokens": 3, "input_tokens": 4},
        {"success": True, "error_codes": [""]},
        {"success": True, "error_codes": ["a\0b"]},
        {"success": True, "error_codes": "timeout"},
        {"success": True, "validation_results": [{"name": "a"}]},
        {"success": True, "validation_results": [{"name": "a", "passed": True, "weight": 0.0}]},
        {"success": True, "validation_results": [{"name": "a", "passed": True, "score": 2.0}]},
        {"success": True, "model": "x" * 201},
        {"success": True, "speed": 0.5},
    ],
)
def test_bad_fields_are_refused_in_four_parts(fields: dict[str, Any]) -> None:
    with pytest.raises(OutcomeInvalid) as caught:
        Outcome(**fields)
    text = str(caught.value)
    for part in ("[outcome_invalid]", "expected:", "found:", "fix:"):
        assert part in text


def test_the_error_names_the_field_and_the_value() -> None:
    with pytest.raises(OutcomeInvalid, match="duration_s") as caught:
        Outcome(success=True, duration_s=-1.0)
    assert caught.value.found == "-1.0"
    assert caught.value.expected == "greater than or equal to 0"


@pytest.mark.parametrize("document", [None, [], "x", {1: True}])
def test_documents_that_are_no_mapping_are_refused(document: Any) -> None:
    with pytest.raises(OutcomeInvalid):
        Outcome.from_dict(document)


def test_only_success_is_needed_and_nothing_is_filled_in() -> None:
    assert Outcome(success=False).to_dict() == {"success": False}
    assert Outcome(success=True).quality is None


def test_an_outcome_is_frozen() -> None:
    outcome = Outcome(success=True, quality=0.5)
    with pytest.raises(ValueError, match="frozen"):
        outcome.quality = 0.9
    assert outcome.quality == 0.5


def test_total_tokens_needs_the_total_or_both_parts() -> None:
    assert Outcome(success=True, tokens=10).total_tokens == 10
    assert Outcome(success=True, input_tokens=3, output_tokens=4).total_tokens == 7
    assert Outcome(success=True, input_tokens=3).total_tokens is None
    assert Outcome(success=True, tokens=10, input_tokens=3, output_tokens=4).total_tokens == 10


def test_negative_zero_is_zero() -> None:
    outcome = Outcome(success=True, duration_s=-0.0, quality=-0.0)
    assert json.dumps(outcome.to_dict()) == '{"success": true, "duration_s": 0.0, "quality": 0.0}'


def test_digest_is_pinned() -> None:
    outcome = Outcome(success=True, duration_s=12, error_codes=("timeout",))
    assert (
        outcome.digest
        == Outcome.from_dict({"error_codes": ["timeout"], "duration_s": 12.0, "success": True}).digest
    )
    assert outcome.digest == "74fc77a20b0a2806d7c5530391100661"


@LAW
@given(outcomes())
def test_round_trips_keep_everything(outcome: Outcome) -> None:
    stored = json.loads(json.dumps(outcome.to_dict()))
    again = Outcome.from_dict(stored)
    assert again == outcome
    assert again.digest == outcome.digest
    assert pickle.loads(pickle.dumps(outcome)) == outcome


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(success=False, timed_out=False, retries=0, duration_s=0.0),
        Outcome(success=True, timed_out=True, tokens=3, model="m", cost=-0.0),
        Outcome(success=True, error_codes=("b", "a", "b")),
        Outcome(success=False, validation_results=(ValidationResult(name="v", passed=False, score=0.5),)),
    ],
)
def test_the_document_is_the_models_own(outcome: Outcome) -> None:
    own = outcome.model_dump(mode="json", exclude_defaults=True)
    assert outcome.to_dict() == own
    assert list(outcome.to_dict()) == list(own)
    assert {type(value) for value in outcome.to_dict().values()} == {type(value) for value in own.values()}
