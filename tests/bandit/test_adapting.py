"""Mid-run adaptation: hazards by hand, values by independent computation, decisions that follow from them."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from nyx_learning.bandit.adapting import (
    AdaptationRecommendation,
    AdaptationStakes,
    should_adapt_workflow,
)
from nyx_learning.bandit.lifetimes import EDGES, WEIGHT, Lifetimes
from nyx_learning.errors import InputInvalid
from nyx_learning.features.monitors import PerformanceMetrics


def ask(known: Lifetimes, seconds: float, **options: Any) -> AdaptationRecommendation:
    asked: dict[str, Any] = {"known": known, "arm_id": "direct", "retries": False} | options
    expected = asked.pop("expected", None)
    return should_adapt_workflow(PerformanceMetrics(duration_s=seconds), expected, **asked)


@pytest.fixture
def known() -> Lifetimes:
    """Successes of 'direct' within 8 to 12 s, failures from 100 to 140 s; 'parallel' is quick and sure."""
    known = Lifetimes()
    for i in range(60):
        known.learn("direct", 8.0 + i % 5, True)
        if i % 2:
            known.learn("direct", 100.0 + i % 41, False)
        known.learn("parallel", 4.0 + i % 3, i % 20 > 0)
    return known


def test_steps_are_thirds_of_an_octave() -> None:
    assert EDGES[0] == 1 / 64
    assert all(b / a == pytest.approx(2 ** (1 / 3), rel=1e-15) for a, b in itertools.pairwise(EDGES))


def test_hazards_by_hand() -> None:
    known = Lifetimes()
    for seconds, success in ((1.1, True), (1.1, False), (1.1, None), (5.1, True)):
        known.learn("a", seconds, success)
    curve = known.curve("a")
    step = EDGES.index(next(edge for edge in EDGES if edge > 1.1))
    # At risk: all four, the stopped one for half; later the last.
    assert curve.running[step - 1 : step + 2] == (4.0, 3.5, 1.0)
    root = 2 * 1 / (2 * 3.5 + 4 + 1)
    parent = (1 + WEIGHT * root) / (3.5 + WEIGHT)
    assert curve.success[step] == pytest.approx((1 + WEIGHT * parent) / (3.5 + WEIGHT), rel=1e-15)
    assert curve.failure[step] == curve.success[step]
    assert len(curve.success) == EDGES.index(next(edge for edge in EDGES if edge > 5.1)) + 1


def test_censored_executions_bias_nothing() -> None:
    """Kaplan and Meier: stopping at random leaves the curve where it is."""
    rng = random.Random(3)  # noqa: S311 - a test's draws
    whole, cut = Lifetimes(), Lifetimes()
    for _ in range(4000):
        seconds, success = 20.0 * rng.lognormvariate(0.0, 0.6), rng.random() < 0.6
        whole.learn("a", seconds, success)
        stop = 20.0 * rng.lognormvariate(0.5, 0.6)
        cut.learn("a", min(seconds, stop), success if seconds <= stop else None)
    full, part = ask(whole, 0.0, arm_id="a"), ask(cut, 0.0, arm_id="a")
    assert full.success_probability == pytest.approx(0.6, abs=0.03)
    assert part.success_probability == pytest.approx(full.success_probability, abs=0.04)
    median, censored = whole.curve("a").median(), cut.curve("a").median()
    assert median == pytest.approx(20.0, rel=0.06)
    assert censored == pytest.approx(median, rel=0.05)


def test_order_and_pooling() -> None:
    rows = [("ab"[i % 2], 3.0 + i % 17, i % 3 > 0, i % 4) for i in range(80)]
    forth, back = Lifetimes(), Lifetimes()
    for arm, seconds, success, cell in rows:
        forth.learn(arm, seconds, success, cell)
    for arm, seconds, success, cell in reversed(rows):
        back.learn(arm, seconds, success, cell)
    assert forth.curve("a", 2) == back.curve("a", 2)
    stranger = forth.curve("never used", "nor this")
    assert stranger.running == (0.0,) * len(stranger.running)
    assert max(stranger.success) > 0.0  # lent by all others


def test_values_match_an_independent_computation(known: Lifetimes) -> None:
    """Continue's value, by summing over the ends of the steps one by one, for every time at which to stop."""
    stakes = AdaptationStakes(success=2.0, failure=0.5, abort=0.25, time_cost=0.003)
    told = ask(known, 0.0, stakes=stakes)
    curve = known.curve("direct")
    best = -1e9
    for stop in range(1, len(curve.success) + 1):
        alive, value = 1.0, 0.0
        for k in range(stop):
            low = EDGES[k - 1] if k else 0.0
            middle = (low + EDGES[k]) / 2
            value += alive * curve.success[k] * (2.0 - 0.003 * middle)
            value += alive * curve.failure[k] * (0.5 - 0.003 * middle)
            alive *= 1 - curve.success[k] - curve.failure[k]
        best = max(best, value + alive * (0.25 - 0.003 * EDGES[stop - 1]))
    assert told.values["continue"] == pytest.approx(best, rel=1e-12)
    assert told.values["abort"] == 0.25


def test_waiting_stops_paying_between_successes_and_failures(known: Lifetimes) -> None:
    stakes = AdaptationStakes(time_cost=0.005)
    early, late = ask(known, 2.0, stakes=stakes), ask(known, 20.0, stakes=stakes)
    assert (early.action, early.should_adapt, late.action) == ("continue", False, "abort")
    assert 12.0 <= (early.until_s or 0.0) < 20.0
    assert late.until_s is None
    assert (early.success_probability or 0.0) > 0.6
    assert (late.success_probability or 0.0) < 0.1
    assert "waiting has stopped paying" in late.reasons


def test_retry_and_switch(known: Lifetimes) -> None:
    stakes = AdaptationStakes(time_cost=0.001, retry_carry=0.0, switch_carry=0.0)
    again = ask(known, 20.0, stakes=stakes, retries=True)
    assert (again.action, again.arm_id) == ("retry", None)
    other = ask(known, 20.0, stakes=stakes, retries=True, alternatives=["parallel", "never used"])
    assert (other.action, other.arm_id) == ("switch", "parallel")
    assert other.values["switch"] > other.values["retry"] > other.values["abort"]
    dear = AdaptationStakes(time_cost=0.001, switch_cost=0.8, retry_carry=0.0, switch_carry=0.0)
    assert ask(known, 20.0, stakes=dear, retries=True, alternatives=["parallel"]).action == "retry"
    doomed = AdaptationStakes(time_cost=0.001, retry_carry=1.0)
    assert ask(known, 20.0, stakes=doomed, retries=True).values["retry"] < again.values["retry"] / 2


def test_extend_a_limit_that_cuts_successes_off(known: Lifetimes) -> None:
    stakes = AdaptationStakes(time_cost=0.005)
    told = ask(known, 5.0, stakes=stakes, limit_s=7.5)
    assert told.action == "extend"
    assert 12.0 <= (told.until_s or 0.0) < 20.0
    assert told.values["extend"] > told.values["continue"]
    roomy = ask(known, 5.0, stakes=stakes, limit_s=50.0)
    assert (roomy.action, roomy.until_s) == ("continue", ask(known, 5.0, stakes=stakes).until_s)


def test_a_limit_within_a_step_changes_nothing_of_the_whole(known: Lifetimes) -> None:
    stakes = AdaptationStakes(time_cost=0.0)
    whole = ask(known, 0.0, stakes=stakes).values["continue"]
    for limit in (7.9, 9.3, 11.0):
        parts = ask(known, 0.0, stakes=stakes, limit_s=limit).values
        assert parts["extend"] == pytest.approx(whole, rel=1e-12)
        assert parts["continue"] < whole


def test_what_is_expected_stretches_time(known: Lifetimes) -> None:
    typical = known.curve("direct").median()
    assert typical is not None
    plain = ask(known, 5.0)
    slow = ask(known, 50.0, expected=PerformanceMetrics(duration_s=10 * typical))
    assert slow.values == pytest.approx(plain.values, rel=1e-9)
    assert slow.until_s == pytest.approx(10 * (plain.until_s or 0.0), rel=1e-9)


def test_cold_and_beyond_all_that_is_known(known: Lifetimes) -> None:
    cold = Lifetimes()
    for _ in range(19):
        cold.learn("direct", 5.0, True)
    told = ask(cold, 1e6)
    assert (told.action, told.enough_evidence, told.values) == ("continue", False, {})
    assert told.reasons == ("not enough evidence: 19 executions are known, and 20 needed",)
    beyond = ask(known, 5000.0)
    assert beyond.action == "abort"
    assert "continue" not in beyond.values
    assert any("none of 150 known executions" in reason for reason in beyond.reasons)
    assert beyond.to_dict()["should_adapt"] is True


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"seconds": None}, "'duration_s' of current_performance"),
        ({"seconds": 1e12}, "'duration_s' of current_performance"),
        ({"limit_s": float("nan")}, "the limit of the execution"),
        ({"limit_s": True}, "the limit of the execution"),
        ({"alternatives": ["direct"]}, "alternative to itself"),
        ({"expected": {"duration_s": 3}}, "'expected_performance' cannot be judged"),
    ],
)
def test_bad_questions(known: Lifetimes, bad: dict[str, Any], says: str) -> None:
    with pytest.raises(InputInvalid, match=says):
        ask(known, **({"seconds": 3.0} | bad))


@pytest.mark.parametrize(
    "bad",
    [
        {"time_cost": -1.0},
        {"retry_carry": 1.5},
        {"success": float("inf")},
        {"success": 0.0},
        {"abort": "0"},
        {"switch_cost": None},
    ],
)
def test_bad_stakes(bad: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid, match="stakes"):
        AdaptationStakes(**bad)


@pytest.mark.parametrize(
    ("seconds", "success"), [(-1.0, True), (float("nan"), True), (1e12, False), (True, True), (3.0, 1)]
)
def test_bad_executions_teach_nothing(seconds: float, success: bool) -> None:
    known = Lifetimes()
    with pytest.raises(InputInvalid, match="cannot be learned from"):
        known.learn("direct", seconds, success)
    assert known.executions == 0
    assert known.arms == ()


def test_hope_is_for_what_stops_have_hidden() -> None:
    """Where nobody was stopped there is none; where most were, half a standard error."""
    whole, cut = Lifetimes(), Lifetimes()
    for i in range(40):
        whole.learn("a", 5.0 + i % 20, i % 2 == 0)
        cut.learn("a", 5.0 + i % 20 if i % 4 == 0 else 4.0, i % 2 == 0 if i % 4 == 0 else None)
    assert whole.hopeful("a") == whole.curve("a")
    plain, hoped = cut.curve("a"), cut.hopeful("a")
    step = len(plain.success) - 3
    assert plain.hidden[step] > 0.7
    own, every, a = plain.running[step], plain.running_all[step], plain.success[step]
    error = (a * (1.0 - a) / (own + WEIGHT + 0.1 * every)) ** 0.5
    assert hoped.success[step] == pytest.approx(a + 0.5 * plain.hidden[step] * error, rel=1e-12)
    assert all(s + f <= 1.0 for s, f in zip(hoped.success, hoped.failure, strict=True))
    assert hoped.failure == plain.failure


def test_waiting_is_put_off_where_stops_hide_what_it_would_bring() -> None:
    """All but a few were stopped at 30 s: the advice waits beyond what is expected to pay."""
    known = Lifetimes()
    for i in range(30):
        known.learn("direct", 10.0 + i % 9, True)
        known.learn("direct", 30.0, None)
    for i in range(5):
        known.learn("direct", 40.0 + 8 * i, i == 0)
    stakes = AdaptationStakes(time_cost=0.025)
    told = ask(known, 32.0, stakes=stakes)
    best = max(told.values, key=lambda name: told.values[name])
    assert (told.action, best) == ("continue", "abort")
    assert "few were seen to run so long: to wait is also to learn" in told.reasons
