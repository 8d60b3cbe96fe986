"""Recommendations and optimised parameters: against decisions, against arithmetic by hand, and bad input."""

import json
from collections.abc import Iterable
from math import sqrt
from typing import Any

import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    ExecutionResult,
    PolicySpec,
    Range,
    Strategy,
)
from nyx_learning.errors import ArmUnknown, ContextInvalid, EligibilityEmpty, InputInvalid, OutcomeInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.patterns import analyze_strategy_patterns
from nyx_learning.insights.recommending import optimize_parameters, recommend_strategy

CODE: dict[str, Any] = {"task": "code"}


def bandit(policy: str = "hier_ts", *, holdout: float = 0.0, staged: bool = False, rows: int = 60) -> Bandit:
    grid: dict[str, Any] = {"workers": [8, 2, 4, 16]}
    if staged:
        grid["wait_s"] = Range(1, 100)
    spec = BanditSpec(
        name="recommended",
        seed=5,
        strategies=[Strategy("direct"), Strategy("parallel", grid)],
        context=ContextSchema(task=Categorical(["code", "text"])),
        policy=PolicySpec(policy, floor=0.05),
        baseline_arm="direct",
        holdout=holdout,
    )
    made = Bandit(spec)
    worth = {2: 0.3, 4: 0.5, 8: 0.7, 16: 0.4}
    for i in range(rows):
        decision = made.select_arm({"task": ("code", "text")[i % 2]})
        base = worth[decision.parameters["workers"]] if decision.parameters else 0.45  # type: ignore[index]
        made.update_reward(decision, reward=base + 0.02 * (i % 5 - 2))
    return made


def probabilities(told: Any) -> dict[str, float]:
    every = [(told.arm_id, told.probability), *((a.arm_id, a.probability) for a in told.alternatives)]
    return dict(every)


@pytest.mark.parametrize("policy", ["hier_ts", "ucb1", "square_cb", "uniform"])
@pytest.mark.parametrize(
    "order", [None, ("cap", "parallel(workers=8)"), ("exclude", "direct"), ("pin", "parallel")]
)
def test_the_probability_is_that_of_a_decision(policy: str, order: tuple[str, str] | None) -> None:
    made = bandit(policy)
    if order is not None:
        share = 0.1 if order[0] == "cap" else None
        made.override(order[0], order[1], share=share, author="ada", reason="why not")
    told = recommend_strategy(made.learner, CODE, alternatives=100)
    decision = made.select_arm(CODE, "asked")
    served = {made.spec.arms.units[i]: mass / 2**32 for i, mass in enumerate(decision.pmf)}
    assert probabilities(told) == {name: served[name] for name in probabilities(told)}
    assert sum(probabilities(told).values()) == 1.0
    json.dumps(told.to_dict(), allow_nan=False)
    if policy != "uniform":
        means = {belief.arm_id: belief.mean for belief in made.beliefs(CODE)}
        assert told.expected_reward == max(means[name] for name in probabilities(told))
        best = [told.probability_best, *(other.probability_best for other in told.alternatives)]
        assert sum(share or 0.0 for share in best) == pytest.approx(1.0, abs=1e-9)


def test_a_holdout_and_a_kill_switch_count() -> None:
    made = bandit(holdout=0.25)
    plain = probabilities(recommend_strategy(bandit().learner, CODE, alternatives=9))
    assert sum(plain.values()) == 1.0
    told = probabilities(recommend_strategy(made.learner, CODE, alternatives=9))
    learner = {belief.arm_id: belief.probability for belief in made.beliefs(CODE)}
    assert told["direct"] == pytest.approx(0.25 + 0.75 * learner["direct"])
    assert told["parallel(workers=8)"] == pytest.approx(0.75 * learner["parallel(workers=8)"])
    made.override("kill_switch", author="ada", reason="incident 12")
    killed = recommend_strategy(made.learner, CODE)
    assert (killed.arm_id, killed.probability) == ("direct", 1.0)
    assert [rail.rule for rail in killed.guardrails if rail.acted] == ["kill_switch"]
    assert any("incident 12" in sentence for sentence in killed.reasons)


def test_expired_orders_do_not_count() -> None:
    made = bandit()
    made.override("exclude", "parallel", author="ada", reason="slow", until=100.0, time=50.0)
    assert recommend_strategy(made.learner, CODE, time=60.0).arm_id == "direct"
    assert recommend_strategy(made.learner, CODE, time=100.0).strategy == "parallel"


def test_asking_leaves_no_trace_and_answers_the_same() -> None:
    made = bandit()
    before = made.to_json()
    first = recommend_strategy(made.learner, CODE)
    optimize_parameters(
        made.learner, {"workers": 2}, [ExecutionResult(True, reward=1.0, parameters={"workers": 4})]
    )
    assert recommend_strategy(made.learner, CODE) == first
    assert made.to_json() == before


def test_gain_over_the_baseline_is_of_independent_means() -> None:
    made = bandit("ucb1", rows=80)
    told = recommend_strategy(made.learner, CODE)
    known = {belief.arm_id: belief for belief in made.beliefs(CODE)}
    best, base = known[told.arm_id], known["direct"]
    assert told.gain == pytest.approx(best.mean - base.mean)
    sd = sqrt(best.sd**2 + base.sd**2)
    assert told.gain_low == pytest.approx(best.mean - base.mean - 1.959964 * sd, abs=1e-6)
    assert told.gain_high == pytest.approx(best.mean - base.mean + 1.959964 * sd, abs=1e-6)


def test_patterns_are_told_and_change_no_number() -> None:
    made = bandit()
    rows = [
        Executed(
            f"e{i}", ("direct", "parallel")[i % 2], context=CODE, success=i % 2 == 1 or i % 8 == 0, reward=0.5
        )
        for i in range(200)
    ]
    patterns = analyze_strategy_patterns(rows, ["task"])
    told = recommend_strategy(made.learner, CODE, patterns)
    assert any("100 recorded executions of parallel (task code) 100.0% succeeded" in r for r in told.reasons)
    bare = recommend_strategy(made.learner, CODE)
    assert told.expected_reward == bare.expected_reward
    assert len(told.reasons) == len(bare.reasons) + 1
    elsewhere = recommend_strategy(made.learner, {"task": "text"}, patterns.patterns)
    assert not any("recorded executions" in sentence for sentence in elsewhere.reasons)


def test_a_space_of_parameters_is_recommended_from() -> None:
    made = bandit(staged=True)
    told = recommend_strategy(made.learner, CODE)
    assert set(told.parameters) in ({"workers", "wait_s"}, set())
    assert told.arms == 2
    assert made.spec.arms.locate(told.arm_id)[1].parameters == told.parameters
    json.dumps(told.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"workflow_input": {"task": 7}}, ContextInvalid),
        ({"workflow_input": CODE, "eligible": ["never"]}, ArmUnknown),
        ({"workflow_input": CODE, "exclude": ["direct", "parallel"]}, EligibilityEmpty),
        ({"workflow_input": CODE, "alternatives": -1}, InputInvalid),
        ({"workflow_input": CODE, "historical_patterns": ["much"]}, InputInvalid),
    ],
)
def test_bad_questions_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        recommend_strategy(bandit(rows=0).learner, **arguments)


def test_nothing_is_left_where_all_are_barred() -> None:
    made = bandit(rows=0)
    made.override("pause", "parallel", author="ada", reason="slow")
    with pytest.raises(EligibilityEmpty, match="no arm to recommend"):
        recommend_strategy(made.learner, CODE, eligible=["parallel"])


def results(parameters: dict[str, Any], rewards: Iterable[float], **more: Any) -> list[ExecutionResult]:
    return [ExecutionResult(r > 0.5, parameters=parameters, reward=r, **more) for r in rewards]


def test_without_evidence_parameters_stay() -> None:
    told = optimize_parameters(bandit(rows=0).learner, {"workers": 4})
    assert not told.changed
    assert told.parameters == {"workers": 4}
    assert told.arm_id == "parallel(workers=4)"
    assert told.probability_better is not None
    assert told.probability_better < 0.9


def test_a_step_is_bounded_and_the_best_farther_on_is_named() -> None:
    made = bandit("ucb1", rows=400)
    one = optimize_parameters(made.learner, {"workers": 2})
    assert (one.parameters, one.changed, one.considered) == ({"workers": 4}, True, 1)
    assert one.best_known == {"workers": 8}
    assert any("farther than one step" in sentence for sentence in one.reasons)
    assert optimize_parameters(made.learner, {"workers": 2}, max_step=2).parameters == {"workers": 8}
    assert optimize_parameters(made.learner, {"workers": 16}).parameters == {"workers": 8}
    best = optimize_parameters(made.learner, {"workers": 8})
    assert not best.changed
    assert best.gain is not None
    assert best.gain < 0.0
    still = optimize_parameters(made.learner, {"workers": 2}, max_step=0)
    assert (still.changed, still.candidate, still.considered) == (False, None, 0)


def test_the_gain_is_that_of_the_means_by_hand() -> None:
    made = bandit("ucb1", rows=0)
    low, high = (0.2, 0.3, 0.4, 0.5), (0.5, 0.6, 0.7)
    history = results({"workers": 2}, low) + results({"workers": 4}, high)
    told = optimize_parameters(made.learner, {"workers": 2}, history)
    variance = sum((x - 0.35) ** 2 for x in low) / 3 / 4 + sum((x - 0.6) ** 2 for x in high) / 2 / 3
    assert told.gain == pytest.approx(0.25, abs=1e-4)
    assert told.gain_low == pytest.approx(0.25 - 1.959964 * sqrt(variance), abs=1e-4)
    assert (told.changed, told.history_used, told.current_rewards, told.candidate_rewards) == (True, 7, 4, 3)


def test_a_change_needs_its_probability_and_its_gain() -> None:
    history = results({"workers": 2}, [0.4, 0.5, 0.6]) + results({"workers": 4}, [0.45, 0.55, 0.65])
    learner = bandit("ucb1", rows=0).learner
    doubtful = optimize_parameters(learner, {"workers": 2}, history)
    assert doubtful.probability_better is not None
    assert 0.5 < doubtful.probability_better < 0.9
    assert not doubtful.changed
    assert any("below 90.0%" in sentence for sentence in doubtful.reasons)
    assert optimize_parameters(learner, {"workers": 2}, history, confidence=0.6).changed
    assert not optimize_parameters(learner, {"workers": 2}, history, confidence=0.6, min_gain=0.2).changed


def test_history_joins_the_log_as_rows_of_history_do() -> None:
    made, twin = bandit(), bandit()
    history = results({"workers": 16}, [0.9] * 12, context=CODE)
    told = optimize_parameters(made.learner, {"workers": 8}, history, context=CODE)
    twin.learn_history([(CODE, "parallel(workers=16)", 0.9)] * 12)
    after = optimize_parameters(twin.learner, {"workers": 8}, context=CODE)
    assert (told.gain, told.gain_low, told.changed) == (after.gain, after.gain_low, after.changed)
    assert told.state_seq == 60


def test_history_that_is_known_already_or_fits_nothing_is_left_out() -> None:
    made = bandit()
    history = [
        *results({"workers": 16}, [0.9], decision_id="#3"),
        *results({"workers": 5}, [0.9]),
        *results({"workers": 16}, [0.9], context={"weather": "fine"}),
        *results({}, [0.9], strategy="direct"),
        ExecutionResult(True, parameters={"workers": 16}),
        *results({"workers": 16}, [0.9, 0.9], execution_id="sent twice"),
    ]
    told = optimize_parameters(made.learner, {"workers": 8}, history)
    assert (told.history_used, told.history_skipped) == (3, 4)


def test_ranges_move_by_a_share_of_their_value() -> None:
    made = bandit(staged=True)
    told = optimize_parameters(made.learner, {"workers": 4, "wait_s": 40.0}, max_change=0.25)
    assert told.considered == 3 * 5 - 1
    assert told.candidate is not None
    assert 30.0 <= told.candidate["wait_s"] <= 50.0  # type: ignore[operator]
    edge = optimize_parameters(made.learner, {"workers": 4, "wait_s": 1.0}, max_step=0, confidence=0.5)
    assert edge.considered == 2


def test_guardrails_keep_parameters_out() -> None:
    made = bandit("ucb1", rows=400)
    made.override("pause", "parallel(workers=4)", author="ada", reason="dear")
    told = optimize_parameters(made.learner, {"workers": 2})
    assert (told.changed, told.considered) == (False, 0)
    assert any("guardrails" in sentence for sentence in told.reasons)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (({},), InputInvalid, "no mapping"),
        (({"workers": 3},), InputInvalid, "does not offer"),
        (({"workers": True},), InputInvalid, "does not offer"),
        (({"threads": 3},), InputInvalid, "whose parameters"),
        (({"workers": 4}, [{"success": True}]), InputInvalid, "not made of executions"),
    ],
)
def test_bad_parameters_are_refused(arguments: tuple[Any, ...], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        optimize_parameters(bandit(rows=0).learner, *arguments)


@pytest.mark.parametrize(
    "options", [{"max_step": 1.5}, {"confidence": 1.0}, {"max_change": -1.0}, {"min_gain": float("nan")}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid, match="out of its domain"):
        optimize_parameters(bandit(rows=0).learner, {"workers": 4}, **options)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ArmUnknown):
        optimize_parameters(bandit(rows=0).learner, {"workers": 4}, strategy="never")


def test_results_come_back_from_their_documents() -> None:
    result = ExecutionResult(
        success=False,
        duration_s=0.0,
        timed_out=True,
        error_codes=("late", "late"),
        parameters={"workers": 4},
        context=CODE,
        reward=0.0,
        agent_type="coder",
        execution_id="run-1",
        time=5.0,
    )
    assert ExecutionResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert result.to_dict()["reward"] == 0.0
    with pytest.raises(OutcomeInvalid, match="no result"):
        ExecutionResult.from_dict({"succes": True})
    with pytest.raises(OutcomeInvalid):
        ExecutionResult(success="yes")  # type: ignore[arg-type]
