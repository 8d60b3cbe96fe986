"""The targets over drawn worlds: truths by hand and against simulation, what is counted, what is judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.simulation.targets.judging import (
    PERIODS,
    TargetInWorld,
    from_document,
    judge_world,
    over_worlds,
    ratio_of_means,
    wilson,
)
from nyx_learning.simulation.targets.playing import Played, play_world, repeats
from nyx_learning.simulation.targets.prior import draw_world
from nyx_learning.simulation.targets.rewards import LEARNERS, TARGETS
from nyx_learning.simulation.targets.truths import Truths, truths_of
from nyx_learning.simulation.worlds.executing import executions
from nyx_learning.simulation.worlds.population import Profile
from nyx_learning.simulation.worlds.truth import expected_execution


@pytest.fixture(scope="module")
def played() -> Played:
    return play_world(7, 3)


# --- truths


def test_one_attempt_that_never_stops_by_hand() -> None:
    arm = Profile(10.0, 1e6, 0, 0.3, 0.0, 0.5)
    found = expected_execution(arm, size_sd=0.5)
    mean_size = math.exp(0.125)  # of a lognormal size with median 1
    assert found.success == pytest.approx(0.7, abs=1e-9)
    assert found.seconds == pytest.approx(10.0 * mean_size, rel=1e-6)
    assert found.sized_attempts == pytest.approx(mean_size, rel=1e-6)


def test_half_of_the_attempts_outlast_a_timeout_at_their_median() -> None:
    found = expected_execution(Profile(10.0, 10.0, 0, 0.0, 0.2, 0.5), size_sd=0.5)
    assert found.success == pytest.approx(0.8 * 0.5, abs=1e-9)
    assert found.seconds < 10.0


@pytest.mark.parametrize("number", [0, 2])
def test_truths_agree_with_simulated_executions(number: int) -> None:
    world, n = draw_world(number), 20_000
    truths = truths_of(world)
    drawn = executions(np.repeat(world.table[:1], n, axis=0), 1, 0, 0, lost=0.0)
    tokens = drawn["begun"] * drawn["size"] * world.tokens[0]
    for values, truth in (
        (drawn["success"], truths.success[0]),
        (drawn["duration_s"], truths.seconds[0]),
        (tokens, truths.tokens[0]),
    ):
        error = values.std(axis=0, ddof=1) / math.sqrt(n)
        assert np.all(np.abs(values.mean(axis=0) - truth) <= 4.5 * error)


def test_ceilings_by_hand() -> None:
    truths = Truths(
        success=np.array([[0.5, 0.8, 0.495], [0.5, 0.2, 0.9]]),
        seconds=np.array([[10.0, 9.0, 4.0], [10.0, 1.0, 12.0]]),
        tokens=np.array([[100.0, 50.0, 80.0], [100.0, 10.0, 120.0]]),
        shares=np.array([0.5, 0.5]),
        incumbent=0,
        own=np.array([0, 2]),
    )
    assert truths.most_successful.tolist() == [1, 2]
    found = truths.ceilings()
    assert found["success"] == pytest.approx((0.8 + 0.9) / 1.0 - 1.0)
    assert found["time"] == pytest.approx(1.0 - (4.0 + 10.0) / 20.0)  # .495 is within the tolerance
    assert found["resources"] == pytest.approx(1.0 - (50.0 + 100.0) / 200.0)


# --- what is played and counted


def test_repeats_count_from_the_third_of_a_pattern_on() -> None:
    assert repeats(np.array([], np.int64)) == 0
    assert repeats(np.array([-1, -1, -1, -1])) == 0
    assert repeats(np.array([4, 4])) == 0
    assert repeats(np.array([4, 4, 4, 4, 2, 2, 2])) == 2 + 1


def test_a_world_is_played_the_same_again_and_by_all_learners(played: Played) -> None:
    again = play_world(7, 3)
    assert set(played.learners) == {(start, name) for start in ("cold", "warm") for name in LEARNERS}
    for key, table in played.learners.items():
        np.testing.assert_array_equal(table, again.learners[key])
        assert table.shape == (3, 2, 4)
    # Whoever may only change parameters, and learns from another reward, chooses otherwise.
    assert not np.array_equal(played.learners["cold", "default"], played.learners["cold", "success"])


def test_nobody_succeeds_more_often_than_the_oracle(played: Played) -> None:
    for table in (played.incumbent, *played.learners.values()):
        assert np.all(table[..., 0] <= played.oracle[..., 0] + 1e-12)


# --- what is judged


def test_ratio_of_means_by_hand() -> None:
    ratio, error = ratio_of_means(np.array([2.0, 4.0]), np.array([4.0, 4.0]))
    assert ratio == 0.75
    assert error == pytest.approx(math.sqrt(2.0) / 4.0 / math.sqrt(2.0))
    assert ratio_of_means(np.array([0.0, 0.0]), np.array([0.0, 0.0])) == (1.0, 0.0)


def test_wilson_by_hand() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(5, 10) or (0.0, 0.0)
    assert low == pytest.approx(0.2366, abs=1e-4)
    assert high == pytest.approx(0.7634, abs=1e-4)


def test_every_target_of_a_world_is_judged(played: Played) -> None:
    found = judge_world(played)
    assert len(found) == len(TARGETS) * 2 * 2 * len(PERIODS)
    for one in found:
        assert from_document(one.to_dict()) == one
        assert one.asked == TARGETS[one.target].gain
    one = next(o for o in found if (o.target, o.start, o.period) == ("resources", "warm", "1-100"))
    mean = played.learners["warm", "default"][:, 0, 2].mean() / played.incumbent[:, 0, 2].mean()
    assert one.gain == pytest.approx(1.0 - mean)


def _one(world: int, gain: float, ceiling: float, *, kept: bool = True) -> TargetInWorld:
    return TargetInWorld(
        world, "time", "default, parameters", "cold", "1-100", 0.15, gain, 0.01, ceiling, 0, kept
    )


def test_worlds_are_counted_by_hand() -> None:
    worlds = [
        _one(0, 0.30, 0.40),  # surely met
        _one(1, 0.16, 0.20),  # met, not surely: .16 − 1.96 · .01 < .15
        _one(2, 0.10, 0.20),  # reachable, not met
        _one(3, 0.02, 0.05),  # out of reach
        _one(4, 0.50, 0.60, kept=False),  # at the cost of success
    ]
    (found,) = over_worlds(worlds)
    assert (found.worlds, found.reachable, found.met, found.surely_met) == (5, 4, 2, 1)
    assert (found.met_of_reachable, found.lost_success) == (2, 1)
    assert found.ceiling_shares is not None
    assert found.ceiling_shares[1] == pytest.approx((0.75 + 0.8) / 2)
    assert found.to_dict()["gains"][2] == pytest.approx(0.16)


def test_a_world_may_not_be_counted_twice() -> None:
    with pytest.raises(InputInvalid, match="cannot be judged"):
        over_worlds([_one(0, 0.1, 0.2), _one(0, 0.1, 0.2)])
    with pytest.raises(InputInvalid, match="cannot be judged"):
        over_worlds([])
