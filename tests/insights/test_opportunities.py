"""Opportunities: against the estimators of simulation; planted, confounded and empty worlds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import detect_failure_patterns
from nyx_learning.insights.opportunities import identify_optimization_opportunities
from nyx_learning.insights.opportunities.estimating import gain_of, retired, shifted, switched
from nyx_learning.insights.opportunities.logged import choices_of
from nyx_learning.insights.patterns import analyze_strategy_patterns
from nyx_learning.simulation.offpolicy import dr

ARMS = [("direct", {}), *(("parallel", {"workers": w}) for w in (2, 4, 8))]
IDS = ["direct", "parallel(workers=2)", "parallel(workers=4)", "parallel(workers=8)"]


def world(seed: int, n: int = 1000, *, effect: float = 0.0, confounding: float = 0.0) -> list[Executed]:
    """Arm 1 is better by ``effect`` for code; with confounding, arm 2 is chosen for the easy tasks."""
    rng = np.random.default_rng([seed, 7])
    found = []
    for i in range(n):
        task, easy = ("code", "text")[rng.integers(2)], rng.random() < 0.5
        p = np.array([0.25] * 4)
        if confounding:
            p = np.array([0.1, 0.1, 0.7, 0.1]) if easy else np.array([0.3, 0.3, 0.1, 0.3])
        a = int(rng.choice(4, p=p))
        mean = 0.5 + (confounding if easy else -confounding) + (effect if a == 1 and task == "code" else 0.0)
        found.append(
            Executed(
                f"e{i}",
                *ARMS[a],
                {"task": task},
                reward=float(np.clip(rng.normal(mean, 0.2), 0.0, 1.0)),
                cost=1.0 + 0.5 * (a == 1) + rng.random(),
                arm_id=IDS[a],
                propensity=float(p[a]),
                chances=dict(zip(IDS, p.tolist(), strict=True)),
                seq=i + 1,
            )
        )
    return found


def test_gains_are_those_of_the_doubly_robust_estimator() -> None:
    rows = world(1, 400, effect=0.2, confounding=0.2)
    choices = choices_of(rows, ["task"], 0)
    assert choices is not None
    everywhere = np.ones(len(choices), bool)
    chances = choices.chances
    assert chances is not None
    one = np.zeros((400, 4))
    one[:, 1] = 1.0
    without = chances.copy()
    without[:, 2] = 0.0
    without /= without.sum(axis=1, keepdims=True)
    moved = chances.copy()
    moved[:, 1] += moved[:, 2] + moved[:, 3]
    moved[:, 2:] = 0.0
    for shift, target in (
        (switched(choices, everywhere, 1), one),
        (retired(choices, everywhere, 2), without),
        (shifted(choices, everywhere, [0, 1, 1, 1]), moved),
    ):
        assert shift is not None
        weight = target[np.arange(400), choices.arm] / choices.propensity
        there = dr(choices.reward, weight, choices.arm, target, choices.q)
        assert shift.gain.mean() + choices.reward.mean() == pytest.approx(there.value)
        assert shift.weight == pytest.approx(weight)
        gain = gain_of(choices, shift)
        assert gain is not None
        assert gain.value * gain.share == pytest.approx(shift.gain.mean())


def test_a_planted_improvement_is_found_with_its_gain() -> None:
    found = [identify_optimization_opportunities(world(s, effect=0.2), by=["task"]) for s in range(6)]
    best = [r.opportunities[0] for r in found if r.opportunities]
    assert len(best) == 6
    assert {(o.kind, o.cell, o.arms) for o in best} == {("strategy", (("task", "code"),), (IDS[1],))}
    # The policy chooses it for one in four already: .2 · 3/4 is left.
    assert sum(o.low <= 0.15 <= o.high for o in best) >= 5
    one = best[0]
    assert one.share == pytest.approx(0.5, abs=0.1)
    assert one.total == pytest.approx(one.gain * one.share)
    cost = next(c for c in one.changes if c.metric == "cost")
    assert cost.low < 0.375 < cost.high
    assert (one.risk.level, one.risk.offered) == ("low", 1.0)
    assert one.evidence.to_dict()["context"] == {"task": "code"}
    assert one.evidence.chosen == sum(
        e.arm_id == IDS[1] and e.context["task"] == "code" for e in world(0, effect=0.2)
    )
    assert json.loads(json.dumps(found[0].to_dict()))["opportunities"][0]["kind"] == "strategy"
    assert "choose parallel(workers=2) where task code" in found[0].to_text()


def test_nothing_is_told_where_nothing_differs() -> None:
    wrong = sum(
        bool(identify_optimization_opportunities(world(s, 500), 0.0, by=["task"]).opportunities)
        for s in range(30)
    )
    assert wrong <= 5  # 5 % of 30 is 1.5; above 5 comes with probability .003


def test_few_that_all_succeeded_are_no_opportunity() -> None:
    ids, shares = [f"s{i}" for i in range(8)], np.array([0.3, 0.3, *[0.1] * 4, 0.0, 0.0])
    wrong = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rows = [
            Executed(
                f"e{i}",
                ids[a],
                reward=float(rng.random() < 0.95),
                arm_id=ids[a],
                propensity=float(shares[a]),
                chances=dict(zip(ids[:6], shares[:6].tolist(), strict=True)),
            )
            for i, a in enumerate(rng.choice(8, 300, p=shares).tolist())
        ]
        wrong += bool(identify_optimization_opportunities(rows, 0.02).opportunities)
    assert wrong <= 3  # 5 % of 12 is .6; above 3 comes with probability .003


def test_intervals_are_at_the_level_of_what_is_told() -> None:
    rng = np.random.default_rng(5)
    rows = [
        Executed(
            f"e{i}",
            *ARMS[int(a)],
            reward=float(np.clip(rng.normal((0.3, 0.6, 0.6, 0.6)[int(a)], 0.2), 0, 1)),
            arm_id=IDS[a],
            propensity=0.25,
            chances=dict.fromkeys(IDS, 0.25),
        )
        for i, a in enumerate(rng.integers(0, 4, 1000).tolist())
    ]
    found = identify_optimization_opportunities(rows, 0.05)
    one = next(o for o in found.opportunities if o.kind == "strategy")
    assert len(one.alternatives) == 2
    choices = choices_of(rows, (), 0)
    assert choices is not None
    gain = gain_of(choices, switched(choices, np.ones(len(choices), bool), choices.arms.index(one.arms[0])))
    assert gain is not None
    level = 1.0 - 0.05 * len(found.opportunities) / found.asked
    assert (one.low, one.high) == pytest.approx(gain.interval(level))


def test_raw_means_are_fooled_where_this_is_not() -> None:
    fooled = told = 0
    for seed in range(6):
        rows = world(seed, confounding=0.2)
        raw = analyze_strategy_patterns(
            [Executed(e.execution_id, e.arm_id or "", context=e.context, reward=e.reward) for e in rows],
            ["task"],
        )
        fooled += any(
            m.metric == "reward" and m.finding == "higher"
            for p in raw.patterns
            for m in p.metrics
            if p.strategy == IDS[2]
        )
        told += bool(identify_optimization_opportunities(rows, by=["task"]).opportunities)
    assert fooled == 6
    assert told <= 1


def test_a_parameter_and_an_arm_to_retire() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for i in range(1500):
        a = int(rng.integers(4))
        mean = (0.6, 0.35, 0.6, 0.6)[a]
        rows.append(
            Executed(
                f"e{i}",
                *ARMS[a],
                reward=float(np.clip(rng.normal(mean, 0.1), 0, 1)),
                arm_id=IDS[a],
                propensity=0.25,
                chances=dict.fromkeys(IDS, 0.25),
            )
        )
    found = identify_optimization_opportunities(rows)
    kinds = {o.kind: o for o in found.opportunities}
    parameter, retire = kinds["parameter"], kinds["retire"]
    assert (parameter.strategy, parameter.parameter) == ("parallel", "workers")
    assert {str(parameter.value), *parameter.alternatives} == {"4", "8"}
    # Of parallel with another value than 4, half have 2 and gain .25, half have 8 and gain nothing.
    assert parameter.low < 0.125 < parameter.high
    assert retire.arms == (IDS[1],)
    assert retire.low < 0.25 < retire.high
    assert retire.share == pytest.approx(0.25)


def test_a_failure_is_worth_what_executions_without_it_have_more() -> None:
    rng = np.random.default_rng(6)
    rows = []
    for i in range(600):
        bad = rng.random() < 0.3
        strategy = "ab"[int(rng.integers(2))]
        reward = (0.5 if strategy == "a" else 0.7) - 0.3 * bad + rng.normal(0, 0.05)
        codes = ("throttled",) if bad else ()
        rows.append(Executed(f"e{i}", strategy, reward=float(reward), error_codes=codes))
    found = identify_optimization_opportunities(rows, failures=detect_failure_patterns(rows))
    (one,) = found.opportunities
    assert (one.kind, one.basis, one.error_codes) == ("failure", "association", ("throttled",))
    assert one.low < 0.3 < one.high
    assert one.evidence.rows == sum(bool(e.error_codes) for e in rows)
    assert "by association" in one.to_text()


def test_without_overlap_there_is_no_answer() -> None:
    rows = [
        Executed(
            f"e{i}", "ab"[i % 2], {}, {"t": "xy"[i % 2]}, reward=0.9 - i % 2 / 2 + i % 5 / 99, propensity=1.0
        )
        for i in range(400)
    ]
    apart = identify_optimization_opportunities(rows, by=["t"])
    assert apart.opportunities == ()
    for few in ([], rows[:1], world(1)[:15], [Executed("e", "a", reward=0.5)] * 30):
        found = identify_optimization_opportunities(few)
        assert found.opportunities == ()
        assert found.reason is not None
        assert found.reason.startswith("not enough evidence")
        assert found.to_text()


def test_what_could_not_be_chosen_is_left_out() -> None:
    rows = [e for e in world(2, effect=0.3) if e.context["task"] == "code"]
    barred = [
        Executed(
            e.execution_id,
            e.strategy,
            e.parameters,
            e.context,
            reward=e.reward,
            arm_id=e.arm_id,
            propensity=1 / 3,
            chances={a: 1 / 3 for a in IDS if a != IDS[1]},
        )
        for e in rows
        if e.arm_id != IDS[1]
    ]
    mostly = identify_optimization_opportunities([*barred, *rows[:200]], by=["task"])
    assert all(IDS[1] not in o.arms for o in mostly.opportunities)
    half = identify_optimization_opportunities([*barred[:150], *rows], by=["task"])
    one = next(o for o in half.opportunities if o.kind == "strategy")
    assert one.arms == (IDS[1],)
    assert one.risk.offered == pytest.approx(len(rows) / (150 + len(rows)))


@pytest.mark.parametrize("threshold", [-0.1, "much", True, float("nan"), 11.0])
def test_bad_thresholds_are_refused(threshold: Any) -> None:
    with pytest.raises(InputInvalid) as caught:
        identify_optimization_opportunities([], threshold)
    assert "0.15" in caught.value.expected
