"""Expectations are functions of the log: windows, restarts, alarms, and what they refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    BaselineMetrics,
    Categorical,
    ContextSchema,
    Numeric,
    Outcome,
    PerformanceMetrics,
    Range,
    Strategy,
    detect_performance_anomalies,
)
from nyx_learning.bandit.events import ALARM, EPOCH, EventRow
from nyx_learning.bandit.expecting import WINDOW, Expectations, window_start
from nyx_learning.bandit.log import LogRow, OtherRow, RewardRow
from nyx_learning.errors import ArmUnknown, ContextInvalid, InputInvalid
from nyx_learning.features import Encoder

SCHEMA = ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10))
SPEC = BanditSpec(
    "expected",
    [Strategy("direct"), Strategy("parallel", {"workers": [2, 4], "timeout_s": [30, 60]})],
    SCHEMA,
    seed=3,
)
ARMS = SPEC.arms.units
ASKED: dict[str, Any] = {"task": "code", "size": 4.0}


def row(
    seq: int, arm: str, context: dict[str, Any], outcome: dict[str, Any] | None, **fields: Any
) -> RewardRow:
    phi = Encoder(SCHEMA).encode(context)[1]
    base = RewardRow(
        "expected", seq, f"d-{seq}", arm, 0, SPEC.encoding, tuple(phi), 0.2, 40000, 0.6, outcome, {}, None
    )
    return base._replace(**fields)


def history(n: int, seed: int = 1) -> list[LogRow]:
    rng = np.random.default_rng(seed)
    rows: list[LogRow] = []
    for seq in range(1, n + 1):
        arm = int(rng.integers(len(ARMS)))
        task, size = ("code", "text")[int(rng.integers(2))], float(rng.uniform(0, 10))
        seconds = math.exp(2.0 + 0.3 * arm + 0.05 * size + 0.3 * rng.normal())
        outcome: dict[str, Any] = {"success": bool(rng.random() < 0.9 - 0.1 * arm)}
        if seq % 7:
            outcome |= {"duration_s": seconds, "cost": 0.01 * seconds}
        rows.append(row(seq, ARMS[arm], {"task": task, "size": size}, outcome))
    return rows


def absorbed(rows: list[LogRow], spec: BanditSpec = SPEC, first: int = 0) -> Expectations:
    known = Expectations(spec, first)
    for each in rows:
        known.absorb(each)
    return known


def told(known: Expectations, name: str = "direct") -> dict[str, Any]:
    return known.predict_workflow_performance(ASKED, name).to_dict()


def test_windows_hold_at_least_so_many_rows_and_begin_at_multiples() -> None:
    assert [window_start(last) for last in (0, 1, WINDOW, 2 * WINDOW - 1)] == [0] * 4
    assert window_start(2 * WINDOW) == WINDOW
    assert window_start(3 * WINDOW + 5) == 2 * WINDOW
    assert window_start(3 * WINDOW + 5, base=2 * WINDOW + 9) == 2 * WINDOW + 9


def test_asking_changes_nothing_and_a_restart_says_the_same() -> None:
    rows = history(300)
    quiet = absorbed(rows)
    asked = Expectations(SPEC)
    for each in rows:
        asked.absorb(each)
        if each.seq % 3 == 0:
            told(asked, ("direct", "parallel", "parallel(timeout_s=60,workers=4)")[each.seq % 9 // 3])
    for name in ("direct", "parallel", "parallel(timeout_s=30,workers=2)"):
        assert json.dumps(told(quiet, name)) == json.dumps(told(asked, name))


def test_what_is_told_is_near_the_truth_and_says_on_what_it_rests() -> None:
    prediction = absorbed(history(1500)).predict_workflow_performance(ASKED, "direct")
    assert prediction.success_probability == pytest.approx(0.9, abs=0.06)
    assert prediction.duration_s.value == pytest.approx(math.exp(2.2), rel=0.12)
    assert prediction.duration_s.low == pytest.approx(math.exp(2.2 - 1.645 * 0.3), rel=0.2)
    assert prediction.duration_s.high == pytest.approx(math.exp(2.2 + 1.645 * 0.3), rel=0.2)
    assert prediction.cost.value == pytest.approx(0.01 * math.exp(2.2), rel=0.12)
    assert 200 < prediction.duration_s.rows < prediction.success.rows < 400
    assert (prediction.first_seq, prediction.state_seq, prediction.coverage) == (0, 1500, 0.9)
    assert not prediction.cold
    assert prediction.notes == ()


def test_a_strategy_is_its_arms_as_they_were_used() -> None:
    known = absorbed(history(1500))
    each = [known.predict_workflow_performance(ASKED, name) for name in ARMS[1:]]
    whole = known.predict_workflow_performance(ASKED, "parallel")
    values = [one.duration_s.value for one in each]
    assert min(v for v in values if v) < (whole.duration_s.value or 0) < max(v for v in values if v)
    assert whole.success.rows == sum(one.success.rows for one in each)
    assert (whole.duration_s.high or 0) > (each[0].duration_s.high or 0)


def test_cold_is_wide_and_says_so() -> None:
    none = Expectations(SPEC).predict_workflow_performance(ASKED, "direct")
    assert none.cold
    assert (none.duration_s.value, none.duration_s.low, none.cost.high) == (None, None, None)
    assert none.success_probability == 0.5
    assert (none.success.low or 0) < 0.05
    assert "no execution of 'direct' is known" in none.notes[0]
    one = absorbed([row(1, "direct", ASKED, {"success": True, "duration_s": 10.0})])
    lent = one.predict_workflow_performance(ASKED, "parallel")
    assert lent.duration_s.cold
    assert lent.duration_s.rows == 0
    assert (lent.duration_s.high or 0) > 20 * (lent.duration_s.value or 0) > 0
    assert lent.cost.value is None


def test_corrections_parts_and_other_rows_teach_nothing() -> None:
    rows = history(40)
    known, same = absorbed(rows), absorbed(rows)
    extra: list[LogRow] = [
        row(41, "direct", ASKED, {"success": False, "duration_s": 900.0}, taken=40000),
        row(42, "direct", ASKED, {"duration_s": 900.0}, units=None, reward=None, state="pending"),
        row(43, "direct", ASKED, None),
        OtherRow(44),
        row(45, "elsewhere", ASKED, {"success": False}),
    ]
    for each in extra:
        known.absorb(each)
    assert {**told(known), "state_seq": 40} == told(same)


def test_rows_of_another_encoding_are_encoded_again() -> None:
    rows = [each for each in history(60) if isinstance(each, RewardRow)]
    other, same = Expectations(SPEC), absorbed(list(rows))
    contexts = np.random.default_rng(1)
    for each in rows:
        contexts.integers(5)
        context = {
            "task": ("code", "text")[int(contexts.integers(2))],
            "size": float(contexts.uniform(0, 10)),
        }
        contexts.normal()
        contexts.random()
        other.absorb(each._replace(encoding="other", phi=(1, 2)), context)
    assert told(other) == told(same)


def test_alarms_make_what_they_concern_wide_again() -> None:
    before = absorbed(history(600))
    behind = absorbed(history(600))
    behind.absorb(
        EventRow("expected", 601, ALARM, "duration", "direct", 600, {}, {"expectation": "restarted"}, "x")
    )
    behind.absorb(
        EventRow("expected", 602, EPOCH, "reward", "direct", 600, {}, {"epochs": {"direct": 1}}, "x")
    )

    def width(known: Expectations, name: str) -> tuple[float, float]:
        p = known.predict_workflow_performance(ASKED, name)
        return (p.duration_s.high or 0) / (p.duration_s.low or 1), (p.success.high or 0) - (
            p.success.low or 0
        )

    assert width(behind, "direct") > width(before, "direct")
    assert width(behind, "direct")[1] > 1.5 * width(before, "direct")[1]
    other = "parallel(timeout_s=30,workers=2)"
    assert width(behind, other) == pytest.approx(width(before, other), rel=0.15)


def test_a_space_of_parameters_predicts_arms_and_strategies() -> None:
    spec = BanditSpec("space", [Strategy("a"), Strategy("b", {"x": Range(0.0, 1.0)})], seed=1)
    rng = np.random.default_rng(2)
    known = Expectations(spec)
    for seq in range(1, 401):
        x = float(rng.integers(0, 9)) / 8
        phi = [65536, *spec.arms.encode(1, {"x": x})]
        outcome = {"success": True, "duration_s": math.exp(1.0 + 2.0 * x + 0.1 * rng.normal())}
        known.absorb(
            RewardRow(
                "space",
                seq,
                f"d-{seq}",
                f"b(x={x})",
                0,
                spec.encoding,
                tuple(phi),
                0.5,
                1,
                0.0,
                outcome,
                {},
                None,
            )
        )
    low, high, whole = (
        known.predict_workflow_performance({}, name).duration_s.value
        for name in ("b(x=0.0)", "b(x=1.0)", "b")
    )
    assert low is not None
    assert high is not None
    assert whole is not None
    assert low < 0.6 * whole < whole < 0.7 * high


def test_many_arms_and_columns_share_a_model() -> None:
    wide = ContextSchema(**{f"f{i}": Numeric(0, 1) for i in range(200)})
    spec = BanditSpec("wide", [Strategy(f"s{i}", {"n": [1, 2]}) for i in range(100)], wide, seed=1)
    known = Expectations(spec)
    assert len(set(known._slots)) == 1


@pytest.mark.parametrize(
    ("context", "name", "error"),
    [
        ({"task": "code"}, "direct", ContextInvalid),
        ({"task": "code", "size": math.nan}, "direct", ContextInvalid),
        ({"task": "code", "size": 1.0, "colour": "red"}, "direct", ContextInvalid),
        (ASKED, "sideways", ArmUnknown),
        (ASKED, "parallel(workers=3)", ArmUnknown),
        (ASKED, None, ArmUnknown),
        (ASKED, ["direct"], ArmUnknown),
    ],
)
def test_bad_questions_are_refused(context: dict[str, Any], name: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as refused:
        Expectations(SPEC).predict_workflow_performance(context, name)
    assert "fix:" in str(refused.value)


def test_rows_out_of_turn_are_refused_and_change_nothing() -> None:
    known = absorbed(history(20))
    before = told(known)
    for seq in (20, 22):
        with pytest.raises(InputInvalid):
            known.absorb(OtherRow(seq))
    assert told(known) == before


def test_a_bandit_in_one_process_expects_what_its_log_says() -> None:
    spec = BanditSpec("alone", [Strategy("direct"), Strategy("parallel")], SCHEMA, seed=3)
    bandit = Bandit(spec)
    context: dict[str, Any] = {"size": 4.0}
    for i in range(120):
        context["task"] = ("code", "text")[i % 2]
        decision = bandit.select_arm(context, f"d-{i}")
        seconds = {"code": 10.0, "text": 300.0}[context["task"]] * (1.0 + i % 5 / 20)
        bandit.update_reward(decision, Outcome(success=i % 6 > 0, duration_s=seconds))
        if i == 60:
            asked = bandit.predict_workflow_performance(context, "direct")
            assert asked.state_seq == bandit.seq
        if i % 40 == 0:
            bandit.update_reward(decision, Outcome(success=True, duration_s=1.0), corrects=0)
    text = bandit.to_json()
    told = bandit.predict_workflow_performance({"task": "code", "size": 4.0}, "direct")
    assert told.state_seq == bandit.seq == 123
    assert told.duration_s.value == pytest.approx(11.0, rel=0.1)
    assert bandit.to_json() == text
    again = Bandit.from_json(text)
    assert again.predict_workflow_performance({"task": "code", "size": 4.0}, "direct") == told
    with pytest.raises(ContextInvalid):
        bandit.predict_workflow_performance({"task": "code"}, "direct")


def test_an_execution_is_judged_by_what_was_predicted_of_it() -> None:
    """300 s are usual for half of all executions, and odd for those in a context where 10 are expected."""
    rng = np.random.default_rng(4)
    rows: list[LogRow] = []
    for seq in range(1, 401):
        task = ("code", "text")[int(rng.integers(2))]
        seconds = {"code": 10.0, "text": 300.0}[task] * math.exp(0.2 * rng.normal())
        outcome = {"success": True, "duration_s": seconds, "tokens": 1000.0 + seq % 9}
        rows.append(row(seq, "direct", {"task": task, "size": 4.0}, outcome))
    told = absorbed(rows).predict_workflow_performance(ASKED, "direct")
    history = [PerformanceMetrics.from_outcome(r.outcome) for r in rows if isinstance(r, RewardRow)]
    plain = BaselineMetrics.from_history(history)
    slow = PerformanceMetrics(duration_s=300.0, tokens=1004.0, cost=5.0)
    assert detect_performance_anomalies(slow, plain) == []
    (found,) = detect_performance_anomalies(slow, told.baseline(plain))
    assert (found.metric, found.severity) == ("duration_s", "critical")
    assert 5.0 < found.expected.low < 10.0 < found.expected.high < 20.0
    assert detect_performance_anomalies(PerformanceMetrics(duration_s=13.0), told.baseline()) == []
    cold = absorbed(rows[:5]).predict_workflow_performance(ASKED, "direct")
    assert dict(cold.baseline().quantiles) == {}
