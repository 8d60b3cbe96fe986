"""Monitors in simulations: the production code, row by row; and the checks of ``validate`` about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning import Bandit, Monitors, PolicySpec
from nyx_learning.errors import SpecInvalid
from nyx_learning.service.cli import main
from nyx_learning.simulation.blocks import Block
from nyx_learning.simulation.contender import Contender
from nyx_learning.simulation.play import play, play_with_learner
from nyx_learning.simulation.validation import drift
from nyx_learning.simulation.validation.check import Effort
from nyx_learning.simulation.validation.drift import (
    FOUR_ARMS,
    Delay,
    DriftRegret,
    FalseAlarms,
    watched,
)
from nyx_learning.simulation.worlds import PROBLEM_1, Delayed, Gaussian, Orchestration, Piecewise, World

FALLS = Piecewise([[0.9, 0.5, 0.4], [0.1, 0.5, 0.4], [0.1, 0.2, 0.9]], 300)
WORLDS: dict[str, World] = {
    "changes": FALLS,
    "changes, late rewards": Delayed(FALLS, fixed=30),
    "graded": Piecewise([[0.8, 0.5], [0.3, 0.5]], 400, sd=0.1),
    "nothing changes": Gaussian([0.5, 0.9], sd=0.1),
}
POLICIES = {
    "thompson_beta": PolicySpec("thompson_beta", floor=0, idle_discount=0.99),
    "thompson_beta with a floor": PolicySpec("thompson_beta", a=0.5),
    "kl_ucb": PolicySpec("kl_ucb", floor=0),
    "ucb1": PolicySpec("ucb1", idle_discount=0.98),
    "uniform": PolicySpec("uniform"),
}
ROUNDS = 1200


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("world", WORLDS)
def test_a_loop_comes_to_the_alarms_that_the_monitors_come_to(world: str, policy: str) -> None:
    contender = Contender("x", POLICIES[policy], monitors=Monitors(), bucket_rows=20)
    quick = play(WORLDS[world], contender, ROUNDS, seed=3, replication=5)
    real = play_with_learner(WORLDS[world], contender, ROUNDS, seed=3, replication=5)
    assert quick.learner is None
    assert real.learner is not None
    np.testing.assert_array_equal(quick.arms, real.arms)
    np.testing.assert_array_equal(quick.rewards, real.rewards)
    assert quick.begun == real.begun
    assert bool(real.begun) == (world != "nothing changes")


def test_a_window_that_is_full_is_rebuilt_alike() -> None:
    world = Piecewise([[0.8], [0.8], [0.3]], 1200)
    contender = Contender("x", PolicySpec("uniform"), monitors=Monitors())
    quick = play(world, contender, 3600, seed=1)
    assert quick.begun == play_with_learner(world, contender, 3600, seed=1).begun
    assert quick.begun[-1][0] >= 2400


@pytest.mark.parametrize("world", [FALLS, Orchestration(drift_round=300, arrival_s=None, lost=0.0)])
def test_the_simulator_does_what_a_bandit_does(world: World) -> None:
    """The same rewards, told to ``Bandit``: the same arms, and its events at the same rounds."""
    contender = Contender("x", PolicySpec("thompson_beta"), monitors=Monitors(), bucket_rows=64)
    spec = contender.bandit_spec(world, 7)
    played = play_with_learner(world, contender, 700, seed=7, replication=2)
    bandit, block = Bandit(spec), world.rounds(7, 2, 0, 700)
    for t in range(700):
        decision = bandit.select_arm(block.contexts[block.which[t]], f"2/{t}")
        assert decision.arm == played.arms[t]
        bandit.update_reward(decision, reward=int(block.rewards[t, decision.arm]) / 65536)
    rewarded = {
        receipt.seq: int(receipt.decision_id.partition("/")[2]) for receipt in bandit.receipts.values()
    }
    units = spec.arms.units
    begun = tuple(
        (rewarded[event.cause], tuple(units.index(name) for name in event.epochs))
        for event in bandit.events
        if event.epochs
    )
    assert played.begun == begun
    assert played.learner is not None
    assert played.learner.sums.digest() == bandit.learner.sums.digest()


def test_policies_without_a_loop_are_watched_too() -> None:
    contender = Contender(
        "x",
        PolicySpec("hier_ts", floor=0, past_epochs=0.1),
        monitors=Monitors(duration=False),
        bucket_rows=64,
    )
    played = play(FALLS, contender, 900, seed=1)
    assert played.learner is not None
    assert [arms for t, arms in played.begun if t >= 300]


def test_a_watched_contender_is_another_block() -> None:
    plain, policy = Contender("x", POLICIES["ucb1"]), POLICIES["ucb1"]
    contenders = [
        plain,
        Contender("x", policy, monitors=Monitors()),
        Contender("x", policy, monitors=Monitors(evidence=7)),
        Contender("x", policy, bucket_rows=5),
    ]
    keys = [Block(PROBLEM_1, c, 100, 0, (100,), 0, 1).key for c in contenders]
    assert len(set(keys)) == 4
    assert "monitors" not in plain.to_dict()
    for contender in contenders:
        again = Contender.from_dict(json.loads(json.dumps(contender.to_dict())))
        assert again.to_dict() == contender.to_dict()
        assert Contender.of_spec(again.bandit_spec(PROBLEM_1, 3), "x").monitors == contender.monitors


def test_a_watched_contender_cannot_be_sampled() -> None:
    with pytest.raises(SpecInvalid, match="cannot be sampled"):
        Contender("x", PolicySpec("thompson_beta", floor=0), sampled=True, monitors=Monitors())


def _simulated(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert main(["simulate", "--json", "--replications", "2", "--seed", "2", *options]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_simulate_with_monitors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = ["--world", "pb1", "--policies", "kl_ucb:floor=0,idle_discount=0.999", "--bucket-rows", "25"]
    plain, with_monitors = _simulated(capsys, *asked), _simulated(capsys, *asked, "--monitors")
    assert plain["policies"][0]["monitors"] is None
    assert with_monitors["policies"][0]["monitors"] == Monitors().to_dict()
    assert with_monitors["policies"][0]["mean_regret"] < 0.6 * plain["policies"][0]["mean_regret"]
    file = tmp_path / "simulation.json"
    document = {"world": "pb1", "policies": asked[3], "bucket_rows": 25, "monitors": Monitors().to_dict()}
    file.write_text(json.dumps(document), encoding="utf-8")
    assert _simulated(capsys, "--spec", str(file))["policies"] == with_monitors["policies"]


@pytest.mark.parametrize("monitors", [{"evidence": 0.0}, {"vigilance": 3}])
def test_monitors_that_cannot_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monitors: dict[str, Any]
) -> None:
    file = tmp_path / "simulation.json"
    file.write_text(json.dumps({"world": "pb1", "monitors": monitors}), encoding="utf-8")
    assert main(["simulate", "--spec", str(file), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["fix"]


def test_checks_of_drift_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitors that cry wolf, and monitors that sleep."""

    def stream(evidence: float) -> Contender:
        return Contender("x", PolicySpec("uniform", floor=0.0), monitors=Monitors(evidence=evidence))

    falls = "best arm .8 to .4"
    effort = Effort(6, 6)
    assert DriftRegret(watched("thompson_beta"), FOUR_ARMS[falls], falls, 1500, 54.0, effort).run(
        full=False
    ).measured == pytest.approx(50, abs=25)
    monkeypatch.setattr(drift, "_WATCHED_STREAM", stream(3.0))
    assert FalseAlarms(0.8, 1.5, effort).run(full=False).status == "fail"
    monkeypatch.setattr(drift, "_WATCHED_STREAM", stream(80.0))
    assert Delay(0.8, 0.4, 35.0, Effort(20, 20)).run(full=False).status == "fail"
    sleeping = Contender("x", watched("thompson_beta").policy, monitors=Monitors(evidence=80), bucket_rows=25)
    assert DriftRegret(sleeping, FOUR_ARMS[falls], falls, 1500, 54.0, effort).run(full=False).status == "fail"
