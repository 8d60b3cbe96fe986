# mypy: disable-error-code="arg-type"
"""Target policies that learn, against running them in the world itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import BanditSpec, PolicySpec, Strategy
from nyx_learning.errors import InputInvalid, LogInvalid, NoOverlap
from nyx_learning.simulation.offpolicy import (
    IntervalSpec,
    LearnerTarget,
    LoggedData,
    cross_fit,
    dr_learning,
    replay_learning,
)

ARMS = ("a", "b", "c")
MEANS = np.array([0.2, 0.5, 0.8])


class Counting:
    """After m rows taken: the arm with the best mean so far gets 0.7, the others the rest."""

    def __init__(self, log: LoggedData) -> None:
        self.log = log
        self.n, self.total = np.full(3, 2.0), np.full(3, 1.0)
        self.taken: list[int] = []

    def pmf(self, row: int) -> np.ndarray[Any, Any]:
        found = np.full(3, 0.15)
        found[int(np.argmax(self.total / self.n))] = 0.7
        return found

    def learn(self, row: int) -> None:
        self.n[self.log.arm[row]] += 1
        self.total[self.log.arm[row]] += self.log.reward[row]
        self.taken.append(row)


def logged(seed: int, n: int, logging: list[float]) -> LoggedData:
    rng = np.random.default_rng(seed)
    arm = rng.choice(3, n, p=logging)
    reward = (rng.random(n) < MEANS[arm]).astype(float)
    return LoggedData(ARMS, arm, reward, np.array(logging)[arm])


def played(rounds: int, runs: int) -> float:
    """Mean reward of the policy's own runs."""
    rng = np.random.default_rng(77)
    total = 0.0
    for _ in range(runs):
        log = LoggedData(ARMS, [0] * rounds, [0.0] * rounds, [1.0] * rounds)
        policy = Counting(log)
        for _ in range(rounds):
            p = policy.pmf(0)
            arm = int(rng.choice(3, p=p))
            reward = float(rng.random() < MEANS[arm])
            total += reward
            policy.n[arm] += 1
            policy.total[arm] += reward
    return total / (rounds * runs)


@pytest.mark.parametrize("logging", [[1 / 3, 1 / 3, 1 / 3], [0.6, 0.2, 0.2]])
def test_rejection_gives_histories_of_the_policys_own_law(logging: list[float]) -> None:
    limit = 0.7 / min(logging)
    values, rounds = [], []
    for seed in range(60):
        log = logged(seed, 600, logging)
        policy = Counting(log)
        run = replay_learning(log, policy, limit=limit, seed=seed)
        assert run.taken.tolist() == policy.taken
        assert run.clipped == 0.0
        values.append(run.estimate.value)
        rounds.append(len(run.taken))
    truth = played(int(np.mean(rounds)), 80)
    error = np.std(values) / np.sqrt(60)
    assert abs(np.mean(values) - truth) < 4 * error + 0.006
    assert np.mean(rounds) == pytest.approx(600 / limit, rel=0.1)


def test_dr_for_learning_policies_is_near_the_truth_and_less_noisy_than_replay() -> None:
    doubly, replayed, truth = [], [], []
    for seed in range(30):
        log = logged(seed, 400, [0.5, 0.25, 0.25])
        run = dr_learning(log, Counting(log), cross_fit(log), quantile=0.0, seed=seed)
        doubly.append(run.estimate.value)
        truth.append(len(run.taken))
        assert np.isfinite(run.estimate.standard_error)
        replayed.append(replay_learning(log, Counting(log), limit=2.8, seed=seed).estimate.value)
    assert np.std(doubly) < np.std(replayed)
    # Scored on histories that grow up to about 150 rows: close to the mean of a run of that length.
    assert abs(np.mean(doubly) - played(int(np.mean(truth)), 80)) < 0.03


def test_a_learner_replays_a_log() -> None:
    log = logged(3, 400, [1 / 3] * 3)
    spec = BanditSpec(
        "replayed", [Strategy(arm) for arm in ("c", "a", "b")], policy=PolicySpec("thompson_beta"), seed=1
    )
    contexts: list[dict[str, Any]] = [{}] * len(log)
    run = replay_learning(log, LearnerTarget(spec, log, contexts), limit=3.0)
    again = replay_learning(log, LearnerTarget(spec, log, contexts), limit=3.0)
    assert run.taken.tolist() == again.taken.tolist()
    # It finds arm c, which is worth .8; the uniform log is worth .5.
    assert run.estimate.value > 0.6
    assert (log.arm[run.taken[-40:]] == 2).mean() > 0.7
    run = dr_learning(log, LearnerTarget(spec, log, contexts), cross_fit(log))
    assert 0.55 < run.estimate.value < 0.85
    with pytest.raises(LogInvalid, match="as many contexts"):
        LearnerTarget(spec, log, contexts[1:])
    other = BanditSpec("replayed", [Strategy("a"), Strategy("b")], seed=1)
    with pytest.raises(InputInvalid, match="other arms"):
        LearnerTarget(other, log, contexts)


def test_clipped_rows_are_told() -> None:
    log = logged(4, 300, [0.6, 0.2, 0.2])
    run = replay_learning(log, Counting(log), limit=1.0, how=IntervalSpec("clopper_pearson"))
    assert run.clipped > 0.1
    assert "were clipped" in run.estimate.notes[0]


def test_what_cannot_be_walked_through_is_refused() -> None:
    log = logged(5, 30, [0.6, 0.2, 0.2])
    with pytest.raises(LogInvalid, match="no propensity"):
        replay_learning(LoggedData(ARMS, log.arm, log.reward), Counting(log), limit=3.0)
    with pytest.raises(InputInvalid):
        replay_learning(log, Counting(log), limit=0.0)
    with pytest.raises(InputInvalid):
        dr_learning(log, Counting(log), cross_fit(log), quantile=2.0)
    with pytest.raises(NoOverlap):
        replay_learning(log.take(np.arange(1)), Counting(log), limit=1e9)
