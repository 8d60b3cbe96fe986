"""What advice promised beside what came: followed or not, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nyx_learning.bandit.adapting import AdaptationStakes
from nyx_learning.bandit.advice_record import AdaptationRecord, GivenAdvice, Lessons, adaptation_record

STAKES = AdaptationStakes(time_cost=0.01, retry_cost=0.1)
VALUES = {"abort": 0.0, "retry": 0.3, "continue": 0.2}


def told(name: str, action: str, outcome: dict[str, Any] | None, elapsed_s: float = 10.0) -> GivenAdvice:
    return GivenAdvice(name, elapsed_s, action, VALUES, STAKES, outcome)


def record(*given: GivenAdvice) -> AdaptationRecord:
    return adaptation_record(given)


def test_waiting_is_worth_how_it_ended_less_the_time_from_then_on() -> None:
    found = record(
        told("a", "continue", {"success": True, "duration_s": 30.0}),  # 1 − .2
        told("b", "continue", {"success": False, "duration_s": 20.0}),  # 0 − .1
        told("c", "continue", {"success": False, "timed_out": True, "duration_s": 40.0}),  # .3 − .3
        told("d", "continue", None),
    ).of("continue")
    assert found is not None
    assert (found.advised, found.reported, found.followed, found.ignored_gain) == (4, 3, 3, None)
    assert found.expected == pytest.approx(0.2)
    assert found.realised == pytest.approx((0.8 - 0.1 + 0.0) / 3)
    assert found.difference == pytest.approx(0.7 / 3 - 0.2)
    gaps = [0.6, -0.3, -0.2]
    middle = sum(gaps) / 3
    assert found.standard_error == pytest.approx((sum((g - middle) ** 2 for g in gaps) / 2 / 3) ** 0.5)


def test_an_abort_that_was_not_followed_tells_what_it_would_have_brought() -> None:
    found = record(
        told("a", "abort", {"success": False, "timed_out": True, "duration_s": 11.0}),
        told("b", "abort", {"success": False, "duration_s": 110.0}),  # waiting came to −1
        told("c", "abort", {"success": True, "duration_s": 60.0}),  # waiting came to .5
    ).of("abort")
    assert found is not None
    assert (found.reported, found.followed, found.realised) == (3, 1, 0.0)
    assert found.ignored_gain == pytest.approx((1.0 - 0.5) / 2)
    assert found.standard_error is None


def test_restarts_are_known_by_their_retries_and_teach_their_cost() -> None:
    failed = {"success": False, "duration_s": 30.0, "retries": 1}  # 0 − .2 − .1, promised .3
    found = record(*(told(f"{i}", "retry", failed) for i in range(20)))
    one = found.of("retry")
    assert one is not None
    assert one.difference == pytest.approx(-0.6)
    assert found.stakes(STAKES).retry_cost == pytest.approx(0.1 + 0.6 * 20 / 40)
    assert found.stakes(STAKES).switch_cost == STAKES.switch_cost
    waited = record(told("a", "retry", {"success": True, "duration_s": 30.0})).of("retry")
    assert waited is not None
    assert waited.followed == 0
    assert waited.ignored_gain == pytest.approx(0.3 - 0.8)


def test_a_lesson_never_makes_a_restart_cheaper_than_free() -> None:
    won = {"success": True, "duration_s": 11.0, "retries": 1}
    assert record(*(told(f"{i}", "retry", won) for i in range(50))).stakes(STAKES).retry_cost == 0.0


def test_of_a_decision_and_an_action_the_earliest_counts_in_any_order() -> None:
    outcome = {"success": True, "duration_s": 30.0}
    given = [told("a", "continue", outcome, at) for at in (20.0, 5.0, 10.0)]
    assert record(*given) == record(*reversed(given))
    found = record(*given)
    one = found.of("continue")
    assert (found.advised, one and one.advised) == (3, 1)
    assert one is not None
    assert one.realised == pytest.approx(1.0 - 0.25)


def test_what_cannot_be_judged_is_not() -> None:
    # Without a duration; ended before the advice.
    odd: list[dict[str, Any]] = [
        {"success": True},
        {"success": True, "duration_s": 3.0},
    ]  # no duration; ended before the advice
    one = record(*(told(f"{i}", "continue", outcome) for i, outcome in enumerate(odd))).of("continue")
    assert one is not None
    assert (one.advised, one.reported, one.expected) == (2, 0, None)
    assert record() == AdaptationRecord((), 0)
    assert json.loads(json.dumps(record(told("a", "abort", None)).to_dict()))["advised"] == 1


def test_lessons_are_the_records_stakes_decision_by_decision() -> None:
    outcomes = [
        {"success": i % 3 == 0, "duration_s": 20.0 + i, "retries": i % 4, "timed_out": i % 5 == 0}
        for i in range(40)
    ]
    given = [
        [told(f"d{i}", action, outcomes[i], at) for at, action in ((9.0, "continue"), (12.0, "retry"))]
        + [told(f"d{i}", ("retry", "switch")[i % 2], outcomes[i], 15.0)]
        for i in range(40)
    ]
    for each in given:
        each[-1] = GivenAdvice(
            each[-1].decision_id, 15.0, each[-1].action, {**VALUES, "switch": 0.4}, STAKES, each[-1].outcome
        )
    lessons = Lessons()
    for each in given:
        lessons.learn(reversed(each))  # in any order within a decision
    wanted = record(*(one for each in given for one in each))
    restarts = {action: wanted.of(action) for action in ("retry", "switch")}
    assert {action: one.followed for action, one in restarts.items() if one} == {
        action: lessons.followed(action) for action in restarts
    }
    found, same = lessons.stakes(STAKES), wanted.stakes(STAKES)
    assert (found.retry_cost, found.switch_cost) == pytest.approx((same.retry_cost, same.switch_cost))
    assert found.retry_cost > STAKES.retry_cost


def test_lessons_are_shares_of_what_is_won() -> None:
    failed = {"success": False, "duration_s": 30.0, "retries": 1}
    lessons, twice = Lessons(), Lessons()
    double = AdaptationStakes(success=2.0, time_cost=0.02, retry_cost=0.2)
    for i in range(20):
        lessons.learn([told(f"{i}", "retry", failed)])
        worth = {name: 2.0 * value for name, value in VALUES.items()}
        twice.learn([GivenAdvice(f"{i}", 10.0, "retry", worth, double, failed)])
    assert lessons.stakes().retry_cost == pytest.approx(twice.stakes().retry_cost)
    assert lessons.stakes(double).retry_cost == pytest.approx(0.2 + 2.0 * 0.6 * 20 / 40)
    assert Lessons().stakes(double) is double
