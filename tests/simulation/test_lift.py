"""Lift over an incumbent: the compiled loop takes the learner's decisions, and the arithmetic is by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nyx_learning import PolicySpec, Strategy
from nyx_learning.errors import InputInvalid
from nyx_learning.simulation import lift
from nyx_learning.simulation.lift import Lift, Warm, measure_lift
from nyx_learning.simulation.worlds import SCENARIOS, Cells


@pytest.mark.parametrize(
    "policy", [PolicySpec("hier_ts"), PolicySpec("hier_ucb"), PolicySpec("hier_ucb", part="own")]
)
@pytest.mark.parametrize("warm", [None, Warm(40), Warm(40, 0.8)])
@pytest.mark.parametrize("name", ["interaction", "parameter_grid_composite"])
def test_the_loop_takes_the_learners_decisions(
    policy: PolicySpec, warm: Warm | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = measure_lift(SCENARIOS[name], policy, replications=2, rounds=30, seed=5, warm=warm)
    monkeypatch.setattr(lift, "LOOPED", ())
    slow = measure_lift(SCENARIOS[name], policy, replications=2, rounds=30, seed=5, warm=warm)
    np.testing.assert_array_equal(fast.cumulative, slow.cumulative)
    np.testing.assert_array_equal(fast.final, slow.final)


def test_lift_of_the_incumbent_is_one_and_of_uniform_known() -> None:
    world = SCENARIOS["main_effect"]
    fixed = measure_lift(world, PolicySpec("fixed", floor=0.0), replications=3, rounds=3000)
    assert fixed.cumulative == pytest.approx(1.0, abs=0.02)
    assert fixed.final == pytest.approx(1.0, abs=1e-9)
    uniform = measure_lift(world, PolicySpec("uniform"), replications=2, rounds=10)
    assert uniform.final == pytest.approx(np.mean(world.means) / 0.6, abs=1e-6)


def test_shares_and_means_by_hand() -> None:
    found = Lift(np.array([1.1, 1.2, 1.3, 1.5]), np.array([1.0, 1.0, 1.0, 2.0]), 0.5)
    share, error = found.share(1.2)
    assert share == 0.75
    assert error == pytest.approx(0.2165, abs=1e-4)
    assert found.share(1.2, final=True)[0] == 0.25
    assert found.mean()[0] == pytest.approx(0.6375)


def test_a_history_of_the_incumbents_alone_teaches_only_of_it() -> None:
    world = Cells([Strategy("a"), Strategy("b")], [[0.2, 0.9]], ["t"], baseline_arm="a")
    warm = measure_lift(world, PolicySpec("hier_ts"), replications=20, rounds=20, warm=Warm(200))
    cold = measure_lift(world, PolicySpec("hier_ts"), replications=20, rounds=20)
    assert warm.mean()[0] > cold.mean()[0]


def test_a_world_without_an_incumbent_is_refused() -> None:
    world = Cells([Strategy("a"), Strategy("b")], [[0.2, 0.9]], ["t"])
    with pytest.raises(InputInvalid, match="needs an incumbent"):
        measure_lift(world, PolicySpec("uniform"), replications=1)
