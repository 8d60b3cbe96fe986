"""The hierarchical policies learn at any level of reward and any spread, with the same settings."""

from __future__ import annotations

import numpy as np
import pytest

from nyx_learning import PolicySpec
from nyx_learning.simulation.lift import measure_lift
from nyx_learning.simulation.worlds import SCENARIOS, Cells


@pytest.mark.parametrize("policy", ["hier_ts", "hier_ucb"])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (-0.4, 1.0), (0.5, 0.5)], ids=["0.6", "0.2", "0.8"])
@pytest.mark.parametrize("sd", [None, 0.1, 0.2])
def test_much_of_the_way_from_uniform_to_the_ceiling_is_gone_in_a_hundred_rounds(
    policy: str, shift: float, scale: float, sd: float | None
) -> None:
    base = SCENARIOS["main_effect"]
    means = shift + scale * np.array(base.means)
    world = Cells(base.strategies, means.tolist(), base.task_types, sd=sd, baseline_arm=base.baseline_arm)
    found = measure_lift(world, PolicySpec(policy), replications=200, seed=3)
    uniform, ceiling = float(means.mean()), world.ceiling
    gone = (found.mean()[0] - uniform) / (ceiling - uniform)
    assert gone > {None: 0.2, 0.1: 0.4, 0.2: 0.4}[sd]
