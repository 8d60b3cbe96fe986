"""A log as a world: what its model says is near the truth, and its rows are what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nyx_learning.bandit import ArmTable, PolicySpec
from nyx_learning.errors import LogUnreadable, SpecInvalid, SupportMissing
from nyx_learning.service.cli.worlds import parse_world
from nyx_learning.simulation.interchange import LoggedChoice
from nyx_learning.simulation.runner import Contender, simulate
from nyx_learning.simulation.verdict import judged_log
from nyx_learning.simulation.verdict.modelled import fitted_world
from nyx_learning.simulation.worlds import Fitted, world_from_dict

Logs = Callable[..., list[LoggedChoice]]
RATES = {"x": (0.2, 0.5, 0.8), "y": (0.7, 0.4, 0.1)}


def test_the_model_is_near_the_truth_and_rows_are_the_sampling_unit(logged: Logs) -> None:
    rows = logged(6000, RATES)
    # Work of kind y becomes rare.
    log = judged_log([row for i, row in enumerate(rows) if row.context["kind"] == "x" or i % 6 == 1])
    world = fitted_world(log)
    drawn = world.rounds(1, 0, 0, 40_000)
    for c, context in enumerate(drawn.contexts):
        mine = drawn.which == c
        kind = str(context["kind"])
        assert mine.mean() == pytest.approx({"x": 0.75, "y": 0.25}[kind], abs=0.01)
        assert drawn.expected[mine][0] == pytest.approx(RATES[kind], abs=0.08)
        assert drawn.rewards[mine].mean(axis=0) / 2**16 == pytest.approx(drawn.expected[mine][0], abs=0.02)


def test_policies_learn_in_it_from_round_one(logged: Logs) -> None:
    world = fitted_world(judged_log(logged(3000, RATES)))
    contenders = [Contender(name, PolicySpec(name)) for name in ("uniform", "hier_ts")]
    found = simulate(world, contenders, 400, 20, seed=3)
    assert found.final("hier_ts")[0] < 0.6 * found.final("uniform")[0]
    # Mean regret of a uniform choice: .3 in both contexts.
    assert found.final("uniform")[0] == pytest.approx(400 * 0.3, rel=0.1)


def test_arms_stay_where_they_were_eligible_and_are_named_as_in_the_log(logged: Logs) -> None:
    rows = [
        row._replace(arm_id=f"run(workers={'abc'.index(row.arm_id) + 1})", pmf=None, eligible=None)
        for row in logged(900, RATES)
    ]
    kept = [
        row._replace(eligible=("run(workers=1)", "run(workers=2)")) if row.context["kind"] == "y" else row
        for row in rows
        if row.context["kind"] == "x" or row.arm_id != "run(workers=3)"
    ]
    world = fitted_world(judged_log(kept))
    assert set(ArmTable(world.strategies).ids) == {row.arm_id for row in kept}
    drawn = world.rounds(0, 0, 0, 100)
    for c, context in enumerate(drawn.contexts):
        expected = dict(zip(ArmTable(world.strategies).ids, drawn.expected[drawn.which == c][0], strict=True))
        assert np.isnan(expected["run(workers=3)"]) == (context["kind"] == "y")


def test_contexts_that_do_not_recur_get_a_linear_model(logged: Logs) -> None:
    rows = [
        row._replace(context={"size": i / 1000}, success=(i / 1000 > 0.5) == (row.arm_id == "a"))
        for i, row in enumerate(logged(1000, RATES))
    ]
    drawn = fitted_world(judged_log(rows)).rounds(0, 0, 0, 2000)
    size = np.array([float(drawn.contexts[c]["size"]) for c in drawn.which])
    assert (drawn.expected[size > 0.8, 0] > drawn.expected[size > 0.8, 1]).all()
    assert (drawn.expected[size < 0.2, 0] < drawn.expected[size < 0.2, 1]).all()


def test_graded_rewards_keep_their_mean(logged: Logs) -> None:
    world = fitted_world(judged_log(logged(3000, RATES, composite=True), "reward"))
    assert world.sd is not None
    assert world_from_dict(world.to_dict()) == world
    drawn = world.rounds(1, 0, 0, 40_000)
    assert drawn.rewards.mean() / 2**16 == pytest.approx(drawn.expected.mean(), abs=0.01)


def test_one_arm_is_no_world(logged: Logs) -> None:
    rows = [row._replace(arm_id="a", pmf=None, propensity=1.0) for row in logged(50, RATES)]
    with pytest.raises(SupportMissing):
        fitted_world(judged_log(rows))


def test_a_file_is_a_world_of_the_command_line(tmp_path: object) -> None:
    with pytest.raises(LogUnreadable):
        parse_world(f"log:{tmp_path}/gone.jsonl")


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [0]},
        {"rows": []},
        {"means": [[0.5]]},
        {"means": [[None, None]]},
        {"means": [[0.5, 1.5]]},
        {"contexts": []},
        {"contexts": [{"kind": 3}]},
        {"schema": [{"name": "kind", "kind": "none"}]},
        {"sd": 0.0},
        {"more": 1},
    ],
)
def test_unusable_documents_are_refused(change: dict[str, object]) -> None:
    document = {
        "kind": "fitted",
        "strategies": ["a", "b"],
        "schema": [{"name": "kind", "kind": "categorical", "levels": ["x", "y"]}],
        "contexts": [{"kind": "x"}],
        "rows": [3],
        "means": [[0.5, 0.6]],
    }
    assert isinstance(world_from_dict(document), Fitted)
    with pytest.raises(SpecInvalid):
        world_from_dict({**document, **change})
