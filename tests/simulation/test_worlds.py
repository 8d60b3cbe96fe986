"""Worlds: their truth by hand, their draws against it, and what they have in common."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import Strategy
from nyx_learning.bandit.arms import ArmTable
from nyx_learning.errors import SpecInvalid
from nyx_learning.features import ONE, Categorical, ContextSchema, Encoder
from nyx_learning.rewards import price
from nyx_learning.simulation import RewardColumn, execution_table, read_rows
from nyx_learning.simulation.worlds import (
    KINDS,
    NEVER,
    PRESETS,
    PROBLEM_1,
    SCENARIOS,
    Bernoulli,
    Cells,
    Delayed,
    Fitted,
    Gaussian,
    History,
    Linear,
    Orchestration,
    Piecewise,
    RandomBernoulli,
    World,
    world_from_dict,
)

TABLE = execution_table(
    read_rows(
        [
            "task,arm,r\n",
            "a,x,1\n",
            "a,x,0\n",
            "a,x,0.5\n",
            "a,y,0.25\n",
            "b,x,0\n",
            "b,x,1\n",
            "b,z,1\n",
        ],
        "t.csv",
    ),
    arm=["arm"],
    context=["task"],
    pricing=RewardColumn("r"),
)
MODELLED = ContextSchema(kind=Categorical(["x", "y"]))
WORLDS: Mapping[str, World] = {
    "fitted": Fitted(
        [Strategy("a"), Strategy("b")],
        MODELLED,
        [{"kind": "x"}, {"kind": "y"}],
        [30, 10],
        [[0.2, 0.7], [0.5, None]],
    ),
    "fitted graded": Fitted(
        [Strategy("a"), Strategy("b")],
        MODELLED,
        [{"kind": "y"}, {"kind": "x"}],
        [1, 2],
        [[0.2, 0.7], [0.9, 0.4]],
        sd=0.3,
    ),
    "bernoulli": Bernoulli([0.9, 0.5, 0.1]),
    "random_bernoulli": RandomBernoulli(4),
    "gaussian": Gaussian([0.9, 0.5, 0.0], sd=0.3),
    "piecewise": Piecewise([[0.9, 0.1], [0.2, 0.8]], 400),
    "piecewise graded": Piecewise([[0.9, 0.1], [0.2, 0.8]], 400, sd=0.2),
    "linear": Linear.drawn(3, 4, seed=1),
    "linear graded": Linear.drawn(3, 4, seed=1, spread=0.2),
    "cells": SCENARIOS["interaction"],
    "cells graded": SCENARIOS["main_effect_composite"],
    "history": History(TABLE),
    "orchestration": Orchestration(drift_round=400),
    "delayed": Delayed(SCENARIOS["interaction"], mean=5.0, missing=0.1),
}


def test_every_kind_is_tried() -> None:
    assert {world.kind for world in WORLDS.values()} == set(KINDS)


# --- what all worlds keep


@pytest.mark.parametrize("name", WORLDS)
def test_a_document_makes_the_same_world(name: str) -> None:
    world = WORLDS[name]
    document = json.loads(json.dumps(world.to_dict(), allow_nan=False))
    again = world_from_dict(document)
    assert again == world
    assert again.to_dict() == world.to_dict()
    here, there = world.rounds(3, 1, 0, 50), again.rounds(3, 1, 0, 50)
    np.testing.assert_array_equal(here.rewards, there.rewards)
    np.testing.assert_array_equal(here.expected, there.expected)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_reaches_another_process_whole(name: str) -> None:
    world = WORLDS[name]
    world.rounds(3, 1, 0, 5)  # fills what is cached
    there = pickle.loads(pickle.dumps(world))
    assert there == world
    np.testing.assert_array_equal(there.rounds(3, 1, 5, 9).rewards, world.rounds(3, 1, 5, 9).rewards)


@pytest.mark.parametrize("name", WORLDS)
def test_rounds_are_the_same_however_they_are_cut(name: str) -> None:
    world = WORLDS[name]
    whole = world.rounds(3, 1, 0, 500)
    for start, stop in ((0, 500), (0, 7), (7, 500), (399, 401), (499, 500)):
        part = world.rounds(3, 1, start, stop)
        np.testing.assert_array_equal(part.rewards, whole.rewards[start:stop])
        np.testing.assert_array_equal(part.expected, whole.expected[start:stop])
        mine = [part.contexts[i] for i in part.which]
        assert mine == [whole.contexts[i] for i in whole.which[start:stop]]
        if whole.delays is not None:
            assert part.delays is not None
            np.testing.assert_array_equal(part.delays, whole.delays[start:stop])


@pytest.mark.parametrize("name", WORLDS)
def test_replications_and_seeds_differ(name: str) -> None:
    world = WORLDS[name]
    seen = {
        world.rounds(seed, replication, 0, 300).rewards.tobytes()
        for seed in (0, 1, 2**64 - 1)
        for replication in (0, 1, 2, 10**6)
    }
    assert len(seen) == 12


@pytest.mark.parametrize("name", WORLDS)
def test_rounds_fit_the_world(name: str) -> None:
    world = WORLDS[name]
    arms, encoder = len(ArmTable(world.strategies)), Encoder(world.schema)
    block = world.rounds(3, 1, 0, 300)
    assert block.rewards.shape == block.expected.shape == (300, arms)
    assert block.rewards.min() >= 0
    assert block.rewards.max() <= ONE
    assert np.nanmin(block.expected) >= 0.0
    assert np.nanmax(block.expected) <= 1.0
    for context in block.contexts[:50]:
        encoder.encode(context)
    if world.baseline_arm is not None:
        assert len(ArmTable(world.strategies).resolve([world.baseline_arm])) == 1


@pytest.mark.parametrize("name", WORLDS)
def test_means_are_those_of_the_draws(name: str) -> None:
    # By Monte Carlo: the mean surplus of each arm is a sum of independent terms in [-1, 1] with mean 0.
    world = WORLDS[name]
    surplus = []
    for replication in range(30):
        block = world.rounds(11, replication, 0, 800)
        surplus.append(np.nan_to_num(block.rewards / ONE - block.expected))
    sample = np.concatenate(surplus)
    error = sample.std(axis=0) / np.sqrt(len(sample))
    assert (np.abs(sample.mean(axis=0)) <= 4.5 * error + 1e-12).all(), "error rate 1e-5 an arm"


# --- one by one


def test_the_clipped_mean_of_a_normal_number() -> None:
    # N(0, 1) clipped: ½·0 + ∫₀¹ zφ + P(Z > 1) = (φ(0) − φ(1)) + .158655 = .156971 + .158655
    world = Gaussian([0.0, 0.5], sd=1.0)
    assert world.rounds(0, 0, 0, 1).expected[0] == pytest.approx([0.315626, 0.5], abs=1e-6)


def test_segments_change_at_their_rounds() -> None:
    block = PROBLEM_1.rounds(0, 0, 0, 6000)
    assert [row.tolist() for row in block.expected[[0, 999, 1000, 1999, 2000, 4999, 5999]]] == [
        [0.9, 0.5, 0.3],
        [0.9, 0.5, 0.3],
        [0.9, 0.2, 0.3],
        [0.9, 0.2, 0.3],
        [0.1, 0.2, 0.3],
        [0.1, 0.7, 0.5],
        [0.1, 0.7, 0.5],
    ]
    assert PROBLEM_1.horizon == 5000


def test_a_linear_world_is_its_coefficients() -> None:
    world = Linear([[0.5, 0.2, -0.3], [0.4, 0.0, 0.4]])
    block = world.rounds(1, 0, 0, 40)
    for i, context in enumerate(block.contexts):
        x, y = context["x0"], context["x1"]
        assert isinstance(x, float)
        assert isinstance(y, float)
        assert block.expected[i] == pytest.approx([0.5 + 0.2 * x - 0.3 * y, 0.4 + 0.4 * y])
        _, phi = Encoder(world.schema).encode(context)
        assert phi == [ONE, round(x * ONE), round(y * ONE)], "φ is exact"


def test_a_history_pays_what_was_recorded_and_only_there() -> None:
    block = History(TABLE).rounds(5, 0, 0, 4000)
    assert block.eligible == ((0, 1), (0, 2))
    a = block.which == 0
    assert abs(a.mean() - 4 / 7) < 0.04, "as often as there are executions"
    assert set(block.rewards[a, 0] / ONE) == {0.0, 0.5, 1.0}
    assert set(block.rewards[a, 1] / ONE) == {0.25}
    assert set(block.rewards[~a, 2] / ONE) == {1.0}
    assert np.isnan(block.expected[a, 2]).all()
    assert block.expected[a][0, :2].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_have_the_ceilings_that_they_name(name: str) -> None:
    world = SCENARIOS[name]
    arms = ArmTable(world.strategies)
    assert world.baseline_arm is not None
    incumbent = world.value(arms.index(world.baseline_arm))
    incumbents = {"main_effect": 0.60, "interaction": 0.62, "parameter_grid": 0.565217}
    ceilings = {"main_effect": 0.82, "interaction": 0.85, "parameter_grid": 1.46 * 0.565217}
    kind = name.removesuffix("_composite")
    assert incumbent == pytest.approx(incumbents[kind], abs=1e-9)
    assert world.ceiling == pytest.approx(ceilings[kind], abs=1e-6)
    best_fixed = max(world.value(a) for a in range(len(arms)))
    if kind == "interaction":
        assert best_fixed < 1.2 * incumbent, "no arm by itself is good enough"
    else:
        assert best_fixed == pytest.approx(world.ceiling), "one arm is best everywhere"
    assert len(arms) == (36 if kind == "parameter_grid" else 6)


def test_delays_by_hand_and_by_law() -> None:
    inner = Bernoulli([0.5, 0.5])
    fixed = Delayed(inner, fixed=7).rounds(0, 0, 0, 10)
    assert fixed.delays is not None
    assert (fixed.delays == 7).all()
    late = Delayed(inner, mean=4.0, missing=0.2).rounds(0, 0, 0, 40_000)
    assert late.delays is not None
    assert (late.delays[:, 0] == late.delays[:, 1]).all()
    known = late.delays[:, 0][late.delays[:, 0] != NEVER]
    assert len(known) / 40_000 == pytest.approx(0.8, abs=0.01)
    assert known.mean() == pytest.approx(4.0, abs=0.15)
    assert (known == 0).mean() == pytest.approx(1 / 5, abs=0.012), "P(0) = 1/(1 + mean)"
    twice = Delayed(Delayed(inner, fixed=3), fixed=4).rounds(0, 0, 0, 2)
    assert twice.delays is not None
    assert (twice.delays == 7).all()
    np.testing.assert_array_equal(late.rewards, inner.rounds(0, 0, 0, 40_000).rewards)


# --- the orchestration world


def test_rewards_are_the_prices_of_the_outcomes() -> None:
    world = Orchestration(drift_round=15)
    block = world.rounds(5, 2, 0, 30)
    seen: set[tuple[bool, bool, bool, bool]] = set()
    for t in range(30):
        for arm in range(block.rewards.shape[1]):
            outcome = world.outcome(5, 2, t, arm)
            value = price(outcome, world.reward, context=block.contexts[block.which[t]]).value
            assert round(value * ONE) == block.rewards[t, arm]
            seen.add(
                (
                    outcome.success,
                    outcome.timed_out,
                    outcome.quality is None,
                    outcome.user_feedback is None,
                )
            )
    assert len(seen) == 8, "a success with and without quality, a failure, a timeout; each with and without"


def test_the_truth_of_every_cell_is_that_of_many_executions() -> None:
    world = Orchestration(drift_round=10_000)
    total, squares, count = (np.zeros((2, 9, 13)) for _ in range(3))
    for replication in range(3):
        block = world.rounds(1, replication, 0, 20_000)
        phase = (np.arange(20_000) >= 10_000).astype(int)
        values = block.rewards / ONE
        for sums, term in ((total, values), (squares, values**2), (count, np.ones_like(values))):
            np.add.at(sums, (phase, block.which), term)
    mean = total / count
    error = np.sqrt((squares / count - mean**2) / count)
    z = (mean - world.expected) / error
    assert np.abs(z).max() < 4.5, "234 cells: error rate 2e-3"
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.2)


def test_no_strategy_is_best_everywhere_and_the_drift_moves_the_best() -> None:
    before, after = Orchestration().expected
    assert len(set(before.argmax(axis=1))) >= 4
    assert (before.argmax(axis=1) != after.argmax(axis=1)).any()
    incumbent, ceiling = before[:, 0].mean(), before.max(axis=1).mean()
    assert ceiling / incumbent == pytest.approx(1.205, abs=0.002)


def test_delays_follow_durations_and_some_reports_are_lost() -> None:
    block = Orchestration(arrival_s=20.0, lost=0.03).rounds(2, 0, 0, 3000)
    assert block.delays is not None
    assert (block.delays == NEVER).mean() == pytest.approx(0.03, abs=0.006)
    known = block.delays[block.delays != NEVER]
    assert known.max() == 480 // 20, "the longest timeout"
    prompt = Orchestration(arrival_s=None, lost=0.0).rounds(2, 0, 0, 50)
    assert prompt.delays is not None
    assert (prompt.delays == 0).all()


# --- refusals


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "no such"},
        {"kind": "bernoulli"},
        {"kind": "bernoulli", "means": [0.5], "colour": "red"},
        {"kind": "bernoulli", "means": [1.5]},
        {"kind": "bernoulli", "means": [float("nan")]},
        {"kind": "bernoulli", "means": "0.5"},
        {"kind": "bernoulli", "means": []},
        {"kind": "gaussian", "means": [0.5], "sd": 0.0},
        {"kind": "piecewise", "means": [[0.5, 0.4], [0.5]], "length": 10},
        {"kind": "piecewise", "means": [[0.5, 0.4]], "length": 0},
        {"kind": "random_bernoulli", "arms": True},
        {"kind": "linear", "coefficients": [[0.5, 0.6]]},
        {"kind": "delayed", "world": {"kind": "bernoulli", "means": [0.5]}, "fixed": 1, "mean": 2.0},
        {"kind": "delayed", "world": {"kind": "bernoulli", "means": [0.5]}, "fixed": -1},
        {"kind": "delayed", "world": {"kind": "bernoulli", "means": [0.5]}, "missing": 2},
        {"kind": "delayed", "world": 3},
        {"kind": "cells", "strategies": ["a"], "means": [[0.5]], "task_types": ["x", "y"]},
        {"kind": "cells", "strategies": [1], "means": [[0.5]], "task_types": ["x"]},
        {"kind": "cells", "strategies": ["a"], "means": [[1.0]], "task_types": ["x"], "sd": 0.1},
        {"kind": "orchestration", "lost": 1.0},
        {"kind": "orchestration", "weights": {"speed": 0}},
        {"kind": "history", "strategies": ["a"], "columns": [], "rewards": [0.5], "offsets": [0, 2]},
        {"kind": "history", "strategies": ["a"], "columns": [], "rewards": [2.0], "offsets": [0, 1]},
        {"kind": "history", "strategies": ["a"], "columns": [{}], "rewards": [0.5], "offsets": [0, 1]},
        [],
        None,
    ],
)
def test_what_is_no_world_is_refused_in_four_parts(document: Any) -> None:
    with pytest.raises(SpecInvalid) as caught:
        world_from_dict(document)
    assert all((caught.value.expected, caught.value.found, caught.value.fix))


def test_means_of_cells_fit_the_arms() -> None:
    with pytest.raises(SpecInvalid, match="means"):
        Cells([Strategy("a"), Strategy("b")], [[0.5]], ["x"])


def test_presets_are_worlds() -> None:
    assert {"pb1", "pb2", "orchestration", "main_effect", "interaction", "parameter_grid"} <= set(PRESETS)
