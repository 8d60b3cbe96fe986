"""Verdicts on logs whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import (
    ArmUnknown,
    InputInvalid,
    LogInvalid,
    NoOverlap,
    NyxError,
    SupportMissing,
)
from nyx_learning.simulation.interchange import LoggedChoice
from nyx_learning.simulation.offpolicy import LoggedData
from nyx_learning.simulation.verdict import LOGGED, JudgedLog, Verdict, judge, judge_all, judged_log
from nyx_learning.simulation.verdict.targets import arm_table, spec_of_log, split

Logs = Callable[..., list[LoggedChoice]]
CLEAR = {"x": (0.5, 0.9, 0.5), "y": (0.5, 0.9, 0.5)}
EVEN = {"x": (0.5, 0.6, 0.5), "y": (0.5, 0.6, 0.5)}
PINNED = Path(__file__).parents[1] / "offpolicy" / "obp_pinned.json"


def arm(log: JudgedLog, name: str) -> Any:
    return arm_table(log, name, 0.0)


def of(log: JudgedLog, name: str, baseline: str = "a", **more: Any) -> Verdict:
    return judge(log, arm(log, name), name=name, baseline=baseline, **more)


# --- the four answers


def test_met_and_not_met(logged: Logs) -> None:
    log = judged_log(logged(1200, CLEAR))
    found = of(log, "b")
    assert (found.status, found.method, found.logging) == ("met", "mover_wilson", "fixed")
    assert found.contrast.low is not None
    assert found.contrast.low > 0.0
    assert found.lift.low is not None
    assert 0.2 < found.lift.low < 0.9
    assert found.more is None
    assert of(log, "c").status == "not met"
    # Met for every lift below the bound, and for none above.
    assert of(log, "b", min_lift=found.lift.low - 0.01).status == "met"
    assert of(log, "b", min_lift=found.lift.low + 0.01).status != "met"
    assert found.lift.high is not None
    assert of(log, "b", min_lift=found.lift.high + 0.01).status == "not met"


def test_not_enough_evidence_says_what_would_be(logged: Logs) -> None:
    rates = {"x": (0.5, 0.65, 0.5), "y": (0.5, 0.65, 0.5)}
    found = of(judged_log(logged(300, rates)), "b")
    assert found.status == "not enough evidence"
    assert found.more is not None
    assert found.more.decisions is not None
    assert found.more.best_decisions is not None
    assert found.more.best_decisions < found.more.decisions + 500
    assert {name for name, _ in found.more.arms} == {"a", "b"}
    assert sum(part for _, part in found.more.arms) == pytest.approx(1.0)


def test_unreachable_is_said(logged: Logs) -> None:
    high = {"x": (0.95, 0.99, 0.9), "y": (0.95, 0.99, 0.9)}
    found = of(judged_log(logged(1000, high)), "b")
    assert found.unreachable
    assert found.status == "not met"
    assert "unreachable" in found.reason
    assert found.ceiling.reachable == "no"
    assert not of(judged_log(logged(1000, EVEN)), "b").unreachable


def test_a_log_that_contradicts_itself_supports_nothing(logged: Logs) -> None:
    rows = logged(1200, CLEAR)
    wrong = [
        row._replace(
            pmf={"a": 0.2, "b": 0.5, "c": 0.3}, propensity={"a": 0.2, "b": 0.5, "c": 0.3}[row.arm_id]
        )
        for row in rows
    ]
    found = of(judged_log(wrong), "b")
    assert found.status == "not supported"
    assert " a was chosen" in found.reason


def test_choices_that_were_never_logged(logged: Logs) -> None:
    rows = [row for row in logged(1500, CLEAR, pmf=(0.5, 0.5, 0.0)) if row.arm_id != "c"]
    log = judged_log(rows, arms=("a", "b", "c"))
    with pytest.raises(NoOverlap) as caught:
        of(log, "c")
    assert "gives weight 0 to all" in caught.value.what
    assert "logged arms ['a', 'b'], its arms ['c']" in caught.value.found
    mostly = np.tile([0.0, 0.3, 0.7], (2, 1))
    found = judge(log, mostly, baseline="a")
    assert found.status == "not supported"
    assert found.support.outside == pytest.approx(0.7)
    assert any("never logged" in text for text in found.warnings)


def test_few_rows_are_no_lack_of_support(logged: Logs) -> None:
    log = judged_log(next([row] for row in logged(50, EVEN) if row.success))
    found = judge(log, np.full((1, 3), 1 / 3))
    # By the estimate 1.2 is needed of a success rate: that is chance, and nothing is outside of the log.
    assert found.support.outside == 0.0
    assert found.status == "not enough evidence"


# --- adaptive and composite


def test_adaptive_logs_get_the_sequence(logged: Logs) -> None:
    rows = logged(1500, CLEAR)
    log = judged_log(rows)
    peeked = of(log, "b", adaptive=True)
    assert (peeked.method, peeked.status) == ("empirical_bernstein_sequence", "met")
    once = of(log, "b")
    assert peeked.contrast.low is not None
    assert once.contrast.low is not None
    assert peeked.contrast.low < once.contrast.low
    # The pmf changes half way: nobody needs to say so.
    later = logged(1500, CLEAR, pmf=(0.2, 0.4, 0.4), seed=2)
    moved = [*rows[:750], *(row._replace(decision_id=f"e{row.line}", time=1e4) for row in later[:750])]
    assert judged_log(moved).logging == "adaptive"
    assert of(judged_log(moved), "b").method == "empirical_bernstein_sequence"
    assert any("fixed logging policy only" in w for w in of(judged_log(moved), "b", adaptive=False).warnings)


def test_composite_rewards_are_bet_on_and_never_wilson(logged: Logs) -> None:
    log = judged_log(logged(3000, CLEAR, composite=True), "reward")
    assert not log.binary
    found = of(log, "b")
    assert (found.method, found.status) == ("betting", "met")
    assert of(log, "b", adaptive=True).method == "empirical_bernstein_sequence"


def test_the_other_metric_stands_beside_and_claims_nothing(logged: Logs) -> None:
    rows = [row._replace(reward=0.5) for row in logged(900, CLEAR)]
    rows[7] = rows[7]._replace(reward=None)
    found = of(judged_log(rows), "b")
    assert found.status == "met"
    assert found.beside is not None
    assert (found.beside.metric, found.beside.rows, found.beside.method) == ("reward", 899, "betting")
    assert found.beside.lift.value == pytest.approx(0.0, abs=0.1)
    other = of(judged_log(rows, "reward"), "b")
    assert other.status != "met"
    assert other.beside is not None
    assert other.beside.metric == "success"
    alone = of(judged_log([row._replace(reward=None) for row in rows]), "b")
    assert alone.beside is None


def test_numeric_contexts_are_no_cells(logged: Logs) -> None:
    rows = [row._replace(context={"size": float(i)}) for i, row in enumerate(logged(400, CLEAR))]
    log = judged_log(rows)
    assert not log.finite
    assert log.logging == "fixed"  # one pmf for all rows
    found = judge(log, np.tile([0.0, 1.0, 0.0], (400, 1)), baseline="a")
    assert found.method == "betting"
    assert found.by_context == ()


@pytest.mark.parametrize("metric", ["success", "reward"])
@pytest.mark.parametrize("adaptive", [None, True])
def test_without_pmfs_the_answer_is_wider_or_the_same(
    logged: Logs, metric: Any, adaptive: bool | None
) -> None:
    whole, bare = (logged(2000, CLEAR, whole=w, composite=metric == "reward") for w in (True, False))
    for baseline in ("a", LOGGED):
        found = [of(judged_log(rows, metric), "b", baseline, adaptive=adaptive) for rows in (whole, bare)]
        lows = [one.contrast.low or 0.0 for one in found]
        assert lows[1] <= lows[0] + 1e-9
        assert abs((found[0].lift.value or 0.0) - (found[1].lift.value or 0.0)) < 0.25


def test_the_logging_policy_is_no_better_than_itself(logged: Logs) -> None:
    log = judged_log(logged(800, CLEAR))
    for adaptive in (None, True):
        found = judge(log, LOGGED, name=LOGGED, adaptive=adaptive)
        assert found.support.ess == pytest.approx(len(log))
        assert found.support.largest_weight == 1.0
        assert found.lift.value == pytest.approx(0.0)
        assert found.status in {"not met", "not enough evidence"}
        assert found.lift.low is not None
        assert found.lift.low <= 0.0


# --- several policies


def test_several_policies_share_the_error(logged: Logs) -> None:
    log = judged_log(logged(900, CLEAR))
    policies = {name: arm(log, name) for name in ("a", "b", "c")}
    together = judge_all(log, policies, baseline="a")
    alone = of(log, "b")
    assert [one.policy for one in together] == ["a", "b", "c"]
    assert together[1].candidates == 3
    assert together[1].contrast.low is not None
    assert alone.contrast.low is not None
    assert together[1].contrast.low < alone.contrast.low
    third = of(log, "b", confidence=1.0 - 0.05 / 3.0)
    assert together[1].contrast == third.contrast
    with pytest.raises(InputInvalid):
        judge_all(log, {})


# --- the log


def test_rows_that_say_nothing_are_left_out_and_counted(logged: Logs) -> None:
    rows = logged(600, CLEAR)
    rows[3] = rows[3]._replace(success=None)
    rows[5] = rows[5]._replace(reason="holdout", propensity=0.1, pmf={"a": 1.0}, arm_id="a")
    log = judged_log(rows)
    assert (len(log), log.without_metric, log.held_out) == (598, 1, 1)
    warnings = of(log, "b").warnings
    assert any("1 decisions without a success" in text for text in warnings)
    assert any("holdout" in text for text in warnings)


def test_the_holdouts_share_is_no_part_of_the_policys_propensity(logged: Logs) -> None:
    plain = judged_log(logged(300, CLEAR))
    scaled = [row._replace(propensity=(row.propensity or 0.0) * 0.9) for row in logged(300, CLEAR)]
    assert np.array_equal(judged_log(scaled).propensity, plain.propensity)
    held = scaled[0]._replace(decision_id="h", reason="holdout", propensity=0.1, pmf=None)
    bare = judged_log([held, *(row._replace(pmf=None) for row in scaled)])
    assert bare.propensity == pytest.approx(plain.propensity)


def test_rows_are_judged_in_the_order_of_decisions(logged: Logs) -> None:
    rows = logged(50, CLEAR)
    ids = [row.decision_id for row in rows]
    assert judged_log(rows[::-1]).data.decision_ids == tuple(ids)
    known = [row._replace(state_seq=i // 3, time=None) for i, row in enumerate(rows)]
    assert judged_log(known).data.decision_ids == tuple(ids)


def test_arms_to_choose_from_are_part_of_the_context(logged: Logs) -> None:
    rows = [
        row._replace(eligible=("a", "b", "c") if i % 3 else None) for i, row in enumerate(logged(60, CLEAR))
    ]
    log = judged_log(rows)
    assert len(log.contexts) == 4
    assert set(log.eligible) == {None, ("a", "b", "c")}


@pytest.mark.parametrize(
    ("change", "error", "what"),
    [
        ({"decision_id": "d1"}, LogInvalid, "twice"),
        ({"propensity": None, "pmf": None}, SupportMissing, "no logged propensity"),
    ],
)
def test_damaged_logs_are_refused(
    logged: Logs, change: dict[str, Any], error: type[NyxError], what: str
) -> None:
    rows = logged(40, CLEAR)
    rows[0] = rows[0]._replace(**change)
    with pytest.raises(error) as caught:
        of(judged_log(rows), "b")
    assert what in caught.value.what
    assert all((caught.value.expected, caught.value.found, caught.value.fix))


def test_what_cannot_be_asked_is_refused(logged: Logs) -> None:
    log = judged_log(logged(60, CLEAR))
    with pytest.raises(ArmUnknown):
        of(log, "b", "zzz")
    for wrong in ({"min_lift": float("nan")}, {"min_lift": -1.0}, {"confidence": 1.0}, {"confidence": True}):
        with pytest.raises(InputInvalid):
            of(log, "b", **wrong)
    for table in (np.ones((2, 3)), np.full((2, 2), 0.5), np.full((2, 3), np.nan)):
        with pytest.raises(InputInvalid):
            judge(log, table)
    with pytest.raises(SupportMissing) as caught:
        judged_log([])
    assert caught.value.what == "the log is empty"
    with pytest.raises(SupportMissing):
        judged_log([row._replace(success=None) for row in logged(5, CLEAR)])


# --- policies that learn


def test_what_learns_is_taught_by_earlier_rows_only(logged: Logs) -> None:
    rates = {"x": (0.5, 0.9, 0.1), "y": (0.5, 0.1, 0.9)}
    rows = logged(1200, rates)
    log = judged_log(rows)
    teacher = spec_of_log(log)
    assert list(teacher.spec.context) == ["kind"]
    table = teacher.table(log, PolicySpec("hier_ts"), taught=600)
    best = [table[log.contexts.index({"kind": x})].argmax() for x in "xy"]
    assert best == [1, 2]
    assert table.sum(axis=1) == pytest.approx(1.0)
    # The outcomes of the rows that judge have no part in it.
    other = [row if i < 600 else row._replace(success=not row.success) for i, row in enumerate(rows)]
    assert np.array_equal(teacher.table(judged_log(other), PolicySpec("hier_ts"), taught=600), table)
    assert np.array_equal(teacher.table(log, PolicySpec("uniform"), taught=0), np.full((2, 3), 1.0 / 3.0))
    with pytest.raises(ArmUnknown):
        teacher.table(log, PolicySpec("fixed", arm="zzz"), taught=0)


def test_a_fixed_arm_keeps_its_floor_and_gives_way_where_it_is_not_eligible(logged: Logs) -> None:
    rows = [row._replace(eligible=("b", "c")) if row.arm_id != "a" else row for row in logged(60, CLEAR)]
    log = judged_log([row._replace(pmf=None) for row in rows])
    table = arm_table(log, "a", 0.03)
    for x, only in enumerate(log.eligible):
        expected = [0.98, 0.01, 0.01] if only is None else [0.0, 0.5, 0.5]
        assert table[x] == pytest.approx(expected)


def test_arm_ids_become_strategies_where_they_are_a_grid(logged: Logs) -> None:
    names = {"a": "direct", "b": "parallel(workers=2)", "c": "parallel(workers=4)"}

    def renamed(names: dict[str, str]) -> JudgedLog:
        return judged_log([row._replace(arm_id=names[row.arm_id], pmf=None) for row in logged(60, CLEAR)])

    spec = spec_of_log(renamed(names)).spec
    assert [strategy.name for strategy in spec.strategies] == ["direct", "parallel"]
    odd = {"a": "p(w=1,t=1)", "b": "p(w=2,t=2)", "c": "q"}
    teacher = spec_of_log(renamed(odd))
    assert len(teacher.spec.strategies) == 3
    assert sorted(teacher.names.values()) == sorted(odd.values())
    table = teacher.table(renamed(odd), PolicySpec("thompson_beta"), taught=40)
    assert table.sum(axis=1) == pytest.approx(1.0)


def test_splits_by_hand() -> None:
    assert split(9, 1 / 3, 1 / 3, 1 / 3) == [(0, 3), (3, 6), (6, 9)]
    with pytest.raises(InputInvalid):
        split(1, 0.5, 0.5)


# --- the published example of Open Bandit Pipeline


def test_the_famous_twenty_percent_is_not_enough_evidence() -> None:
    given = json.loads(PINNED.read_text(encoding="utf-8"))["example"]
    rows, clicks = np.array(given["rows"]), np.array(given["clicks"])
    place = np.repeat(np.arange(240), rows)
    clicked = np.concatenate([np.arange(n) < c for n, c in zip(rows, clicks, strict=True)]).astype(float)
    item, position = np.divmod(place, 3)
    data = LoggedData(
        tuple(f"item{i:02}" for i in range(80)),
        item,
        clicked,
        np.full(len(place), given["propensity"][0]),
        np.full((len(place), 80), given["propensity"][0]),
        cell=position,
    )
    log = JudgedLog(data, tuple({"position": i} for i in range(3)), "success", eligible=(None,) * 3)
    table = (np.array(given["policy"]) / given["draws"]).reshape(80, 3).T.copy()
    # The pinned counts say nothing of the order; sorted by item, the log contradicts its uniform pmf.
    assert judge(log, table).status == "not supported"
    order = np.random.default_rng(1).permutation(len(log))
    shuffled = replace(data, arm=item[order], reward=clicked[order], cell=position[order])
    mixed = replace(log, data=shuffled)
    for adaptive in (None, True, False):
        found = judge(mixed, table, name="bts", adaptive=adaptive)
        assert found.status == "not enough evidence"
        assert found.reference.value == pytest.approx(0.0038, abs=6e-4)
