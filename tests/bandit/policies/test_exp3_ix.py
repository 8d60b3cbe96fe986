from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import Bandit, BanditSpec, Learner, PolicySpec, Strategy
from nyx_learning.bandit.sums import Sums, width
from nyx_learning.errors import InputInvalid

Make = Callable[..., Any]

ONE = 1 << 16


def bandit(arms: int = 3, **spec: Any) -> Bandit:
    policy = spec.pop("policy", PolicySpec("exp3_ix", floor=0.0))
    return Bandit(BanditSpec("exp3", [Strategy(f"s{i}") for i in range(arms)], policy=policy, seed=5, **spec))


def test_estimated_loss_by_hand(probe: Make) -> None:
    # K = 2, row 8: γ = ½√(ln 2/16); reward ¼ at propensity ½ → .75/(.5 + γ), in units of 2⁻³².
    increments = probe("exp3_ix", 2).policy.increments
    gamma = 0.5 * math.sqrt(math.log(2) / 16)
    [units] = increments(0.5, ONE // 4, 8)
    assert units / ONE**2 == pytest.approx(0.75 / (0.5 + gamma), abs=1e-9)
    assert increments(0.5, ONE, 8) == (0,)
    assert increments(0.0, 0, 8) == (0,)  # not chosen by the policy
    [later] = increments(0.5, ONE // 4, 800)
    assert units < later < 0.75 / 0.5 * ONE**2


def test_pmf_by_hand(probe: Make) -> None:
    # t = 1 + 3 + 2: η = √(ln 3/(3·6)); p ∝ e^(−ηL̂).
    reading = np.zeros((3, 6))
    reading[:, 0] = [3, 2, 0]
    reading[:, -1] = [1.5, 4.0, 0.0]
    p = probe("exp3_ix", 3, rate=2.0).learn(reading).pmf()
    weight = np.exp(-2.0 * math.sqrt(math.log(3) / 18) * np.array([1.5, 4.0, 0.0]))
    assert p == pytest.approx(weight / weight.sum(), rel=1e-12)


def test_the_statistic_follows_from_the_log() -> None:
    learner = bandit()
    expected = np.zeros(3, dtype=object)
    rng = np.random.default_rng(1)
    for seq in range(1, 101):
        decision = learner.select_arm({})
        reward = round(rng.random() * ONE) / ONE
        learner.update_reward(decision, reward=reward)
        gamma = 0.5 * math.sqrt(math.log(3) / (3 * seq))
        expected[decision.arm] += (1 - reward) / (decision.propensity + gamma)
    assert learner.learner.sums.totals[:, -1] / ONE**2 == pytest.approx(expected.astype(float), rel=1e-9)
    assert learner.verify().ok


def test_rows_may_come_in_any_order_and_be_taken_back() -> None:
    policy = Learner(bandit().spec)
    rows = [(i % 3, 0.1 + 0.008 * i, i * 500, i + 1) for i in range(100)]

    def fold(order: list[tuple[int, float, int, int]]) -> Sums:
        sums = Sums(3, 1, 4096, 1)
        for arm, propensity, reward, seq in order:
            sums.absorb(arm, 0, seq, [ONE], reward, further=policy.increments(propensity, reward, seq))
        return sums

    forward = fold(rows)
    assert fold(rows[::-1]).digest() == forward.digest()
    arm, propensity, reward, seq = rows[40]
    less = policy.increments(propensity, reward, seq)
    forward.absorb(arm, 0, seq, [ONE], reward, -1, further=less)
    assert forward.digest() == fold(rows[:40] + rows[41:]).digest()
    again = Sums.from_dict(forward.to_dict(), 3, 1, 4096, 1)
    assert again.digest() == forward.digest()
    assert again.totals.shape == (3, width(1, 1))


def test_the_estimate_is_optimistic_and_nearly_unbiased(probe: Make) -> None:
    # E[ℓ̂_a] = ℓ_a p_a/(p_a + γ), slightly below ℓ_a: implicit exploration.
    increments = probe("exp3_ix", 4).policy.increments
    p, loss, seq = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.25, 1.0, 0.75]), 400
    gamma = 0.5 * math.sqrt(math.log(4) / (4 * seq))
    for a in range(4):
        mean = p[a] * increments(float(p[a]), round((1 - loss[a]) * ONE), seq)[0] / ONE**2
        assert mean == pytest.approx(loss[a] * p[a] / (p[a] + gamma), rel=1e-8)
        assert mean < loss[a]


def test_a_holdout_cohort_adds_no_loss() -> None:
    learner = bandit(baseline_arm="s0", holdout=0.5)
    chosen = 0
    for _ in range(60):
        decision = learner.select_arm({})
        before = int(learner.learner.sums.totals[:, -1].sum())
        learner.update_reward(decision, reward=0.0)
        grew = int(learner.learner.sums.totals[:, -1].sum()) > before
        assert grew == (decision.reason == "policy")
        chosen += grew
    assert 0 < chosen < 60


def test_a_document_folds_the_statistic_again() -> None:
    learner = bandit(baseline_arm="s0", holdout=0.2)
    for i in range(30):
        learner.update_reward(learner.select_arm({}), reward=i / 30)
    again = Bandit.from_json(learner.to_json())
    assert again.select_arm({}) == learner.select_arm({})
    assert again.verify().ok


def test_sums_without_the_statistic_are_refused() -> None:
    spec = bandit().spec
    with pytest.raises(InputInvalid, match="estimated_loss"):
        Learner(spec, Sums(3, 1, spec.bucket_rows))


def test_survives_a_reversal_that_a_stochastic_policy_does_not() -> None:
    # The best arm changes sides at half time. Regret against the best fixed arm stays below the bound that
    # holds with probability .95: 4√(KT ln K) + (2√(KT/ln K) + 1) ln(2/.05), smaller than T here.
    rounds, learner = 3000, bandit(2, policy=PolicySpec("exp3_ix", floor=0.0))
    earned = 0.0
    for t in range(rounds):
        decision = learner.select_arm({})
        reward = float(decision.arm == (0 if t < 1000 else 1))
        earned += reward
        learner.update_reward(decision, reward=reward)
    bound = 4 * math.sqrt(2 * rounds * math.log(2)) + (
        2 * math.sqrt(2 * rounds / math.log(2)) + 1
    ) * math.log(40)
    assert 2000 - earned < bound < 0.5 * rounds
    assert learner.select_arm({}).pmf[1] > 0.9 * 2**32
