"""A line becomes a decision and the row of its reward, or is refused for what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, Numeric, Range, RewardSpec, Strategy
from nyx_learning.errors import ArmUnknown, ContextInvalid, LogInvalid, NyxError, OutcomeInvalid
from nyx_learning.service.authentic import Authenticity
from nyx_learning.simulation.interchange import Fitted, Fitter, choice_from

SPEC = BanditSpec(
    "demo",
    [Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10, optional=True)),
    reward=RewardSpec(weights={"success": 0.5, "quality": 0.5}),
)
GOOD: dict[str, Any] = {
    "decision_id": "a",
    "context": {"task": "code", "size": 5},
    "arm_id": "direct",
    "reward": 0.5,
}


def fitted(spec: BanditSpec = SPEC, **fields: Any) -> Fitted:
    fitter = Fitter(spec, epochs=[0, 1, 2], state_seq=7, reported_at=99.0)
    found = fitter.fit(choice_from({**GOOD, **fields}, 1))
    assert Authenticity(spec).imported_problem(found.decision) is None
    assert Authenticity(spec).problem(found.decision) is not None, "another decided it"
    return found


def test_by_hand() -> None:
    decision, row, dropped = fitted(time=60.0, arm_id="parallel(workers=4)")
    assert (decision.mode, decision.reason, decision.propensity, decision.stages) == (
        "imported",
        "imported",
        0.0,
        (),
    )
    assert (decision.arm, decision.epoch, decision.state_seq, decision.time) == (2, 2, 7, 60.0)
    assert (decision.strategy, decision.parameters) == ("parallel", {"workers": 4})
    assert decision.phi == (65536, 65536, 0, 0, 0, 0)
    assert row is not None
    assert (row.units, row.reward, row.propensity, row.epoch, row.reported_at) == (32768, 0.5, 0.0, 2, 99.0)
    assert (row.seq, row.state, row.outcome, row.priced_by, dropped) == (
        0,
        "final",
        None,
        SPEC.spec_hash,
        False,
    )


def test_a_propensity_that_is_known_weighs_as_logged() -> None:
    decision, row, _ = fitted(propensity=0.25)
    assert row is not None
    assert (decision.propensity, row.propensity) == (0.25, 0.25)


def test_the_holdout_is_not_the_policys_choice() -> None:
    decision, row, _ = fitted(propensity=0.1, reason="holdout")
    assert row is not None
    assert (decision.reason, decision.propensity, row.propensity) == ("holdout", 0.1, 0.0)
    assert fitted(reason="because").decision.reason == "imported"


def test_a_pmf_says_the_propensity() -> None:
    decision, row, _ = fitted(pmf={"direct": 0.25, "parallel(workers=2)": 0.75})
    assert row is not None
    assert (decision.pmf, decision.propensity) == ((1 << 30, 3 << 30, 0), 0.25)
    thirds = fitted(
        pmf={"direct": 1 / 3, "parallel(workers=2)": 1 / 3, "parallel(workers=4)": 1 / 3}
    ).decision
    assert thirds.pmf == (1431655765,) * 3


def test_an_outcome_is_priced_by_the_spec() -> None:
    row = fitted(reward=None, outcome={"success": True, "quality": 0.5}).row
    assert row is not None
    assert (row.reward, row.outcome, row.pricing["components"]) == (
        0.75,
        {"success": True, "quality": 0.5},
        {"success": 1.0, "quality": 0.5},
    )
    success = fitted(reward=None, success=True).row
    assert success is not None
    assert success.reward == 1.0
    assert fitted(reward=None).row is None


def test_the_reward_that_was_logged_counts() -> None:
    outcome = {"success": True, "quality": 0.5}
    agreeing, other = fitted(reward=0.75, outcome=outcome), fitted(reward=0.7, outcome=outcome)
    assert agreeing.row is not None
    assert other.row is not None
    assert (agreeing.row.outcome, agreeing.outcome_dropped) == (outcome, False)
    assert (other.row.outcome, other.row.reward, other.outcome_dropped) == (None, 0.7, True)


def test_an_outcome_without_a_price_leaves_the_reward() -> None:
    spec = BanditSpec("demo", [Strategy("direct")], reward=RewardSpec(weights={"usefulness": 1.0}))
    fitter = Fitter(spec, epochs=[0], state_seq=0)
    line = {"decision_id": "a", "context": {}, "arm_id": "direct", "outcome": {"success": True}}
    found = fitter.fit(choice_from({**line, "reward": 0.5}, 1))
    assert found.row is not None
    assert (found.row.reward, found.outcome_dropped) == (0.5, True)
    with pytest.raises(OutcomeInvalid):
        fitter.fit(choice_from(line, 1))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"arm_id": "sequential"}, ArmUnknown),
        ({"arm_id": "parallel"}, ArmUnknown),
        ({"context": {"task": "code", "speed": 1}}, ContextInvalid),
        ({"context": {}}, ContextInvalid),
        ({"context": {"task": 7}}, ContextInvalid),
        ({"context": {"task": "a\x00b"}}, ContextInvalid),
        ({"context": {"task": "code", "size": "5"}}, ContextInvalid),
        ({"eligible": ["parallel"]}, LogInvalid),
        ({"eligible": ["nothing"]}, ArmUnknown),
        ({"pmf": {"direct": 0.5, "sequential": 0.5}}, ArmUnknown),
        ({"pmf": {"direct": 0.5, "parallel(workers=2)": 0.5}, "eligible": ["direct"]}, ArmUnknown),
        ({"outcome": {"quality": 0.5}}, OutcomeInvalid),
        ({"outcome": {"success": True, "speed": 1}}, OutcomeInvalid),
        ({"outcome": {"success": True, "quality": 1.5}}, OutcomeInvalid),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], error: type[NyxError]) -> None:
    with pytest.raises(error):
        fitted(**fields)


def test_a_space_that_is_too_large_to_list() -> None:
    spec = BanditSpec("wide", [Strategy("direct"), Strategy("tuned", {"share": Range(0.0, 1.0)})])
    assert spec.arms.staged
    fitter = Fitter(spec, epochs=[0, 0], state_seq=0)
    line = {
        "decision_id": "a",
        "context": {},
        "arm_id": "tuned(share=0.25)",
        "reward": 1.0,
        "propensity": 0.5,
    }
    decision, row, _ = fitter.fit(choice_from(line, 1))
    assert row is not None
    assert (decision.arm, decision.parameters, row.phi) == (1, {"share": 0.25}, decision.phi)
    assert Authenticity(spec).imported_problem(decision) is None
    with pytest.raises(LogInvalid):
        fitter.fit(choice_from({**line, "pmf": {"tuned(share=0.25)": 1.0}}, 1))
