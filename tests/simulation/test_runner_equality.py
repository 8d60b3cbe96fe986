"""Compiled loops take the very decisions of the learner, on the same streams."""

from __future__ import annotations

import numpy as np
import pytest

from nyx_learning.bandit import PolicySpec
from nyx_learning.bandit.choice import Keyed
from nyx_learning.simulation import lockstep
from nyx_learning.simulation.contender import BANDIT_NAME, Contender
from nyx_learning.simulation.play import play, play_with_learner, tally
from nyx_learning.simulation.worlds import PROBLEM_1, Bernoulli, Delayed, Gaussian, Linear, World

WORLDS = {
    "bernoulli": Bernoulli([0.6, 0.2, 0.55, 0.7, 0.5]),
    "all arms tie": Bernoulli([0.5, 0.5, 0.5]),
    "gaussian": Gaussian([0.5, 0.95, 0.52], sd=0.1),
    "piecewise": PROBLEM_1,
    "fixed delay": Delayed(Bernoulli([0.6, 0.2, 0.55]), fixed=30),
}
POLICIES = {
    "ucb1": PolicySpec("ucb1", floor=0, alpha=1),
    "ucb1 with a floor": PolicySpec("ucb1", floor=0.05),
    "ucb_v": PolicySpec("ucb_v", floor=0),
    "kl_ucb": PolicySpec("kl_ucb", floor=0),
    "kl_ucb at ln t": PolicySpec("kl_ucb", floor=0, level="ln t", c=1.0),
    "moss": PolicySpec("moss", floor=0, horizon=1200),
    "epsilon_greedy": PolicySpec("epsilon_greedy", floor=0.02),
    "uniform": PolicySpec("uniform"),
    "thompson_beta": PolicySpec("thompson_beta", floor=0, a=0.5, b=2),
    "thompson_beta with a floor": PolicySpec("thompson_beta"),
    "kl_maillard": PolicySpec("kl_maillard", floor=0),
    "softmax": PolicySpec("softmax", temperature=0.2),
}
ROUNDS = 1200


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("world", WORLDS)
def test_a_loop_takes_the_arms_that_the_learner_takes(world: str, policy: str) -> None:
    place, contender = WORLDS[world], Contender(policy, POLICIES[policy])
    for replication in (0, 13):
        quick = play(place, contender, ROUNDS, seed=3, replication=replication)
        real = play_with_learner(place, contender, ROUNDS, seed=3, replication=replication)
        assert quick.learner is None
        assert real.learner is not None
        np.testing.assert_array_equal(quick.arms, real.arms)
        np.testing.assert_array_equal(quick.rewards, real.rewards)
        np.testing.assert_array_equal(quick.regret, real.regret)


@pytest.mark.parametrize("spread", [None, 0.1])
@pytest.mark.parametrize(("floor", "delta"), [(0.0, 0.0), (0.03, 0.0), (0.0, 0.05)])
def test_the_linear_loop_takes_the_arms_that_the_learner_takes(
    floor: float, delta: float, spread: float | None
) -> None:
    place = Linear.drawn(4, 5, seed=1, spread=spread)
    contender = Contender("x", PolicySpec("linucb", floor=floor, delta=delta))
    quick = play(place, contender, 600, seed=2, replication=4)
    real = play_with_learner(place, contender, 600, seed=2, replication=4)
    assert quick.learner is None
    np.testing.assert_array_equal(quick.arms, real.arms)
    np.testing.assert_array_equal(quick.rewards, real.rewards)
    np.testing.assert_array_equal(quick.regret, real.regret)


@pytest.mark.parametrize("world", WORLDS)
def test_a_tally_is_the_trajectory_at_the_checkpoints(world: str) -> None:
    place: World = WORLDS[world]
    contender, rounds = Contender("x", POLICIES["ucb1"]), np.array([1, 7, 500, ROUNDS])
    counted = tally(place, contender, ROUNDS, rounds, seed=3, replication=2)
    played = play_with_learner(place, contender, ROUNDS, seed=3, replication=2)
    for row, steps in zip(
        counted,
        (played.best - played.expected, played.expected, played.rewards, played.best_chosen),
        strict=True,
    ):
        np.testing.assert_array_equal(row, np.cumsum(steps)[rounds - 1])


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_the_keyed_uniform_is_the_learners(seed: int) -> None:
    base, work = lockstep.keyed.keyed_base(seed), np.empty(24, np.uint64)
    head = lockstep.keyed.message_head(BANDIT_NAME)
    keyed = Keyed(seed, BANDIT_NAME)
    for replication, number in ((0, 0), (9, 10), (10, 9), (99, 100_000_000), (9_999_999, 1)):
        mine = lockstep.keyed.keyed_uniform(base, head, replication, number, work)
        assert mine == keyed.uniform(f"{replication}/{number}", "arm")
