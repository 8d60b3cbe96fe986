# mypy: disable-error-code="arg-type"
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from nyx_learning.bandit import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.bandit.conservative import Conservative

ONE = 1 << 16


def totals(*arms: tuple[int, float]) -> np.ndarray:
    return np.array([[n, round(s * ONE)] for n, s in arms], np.int64)


def radius(n: int, delta: float) -> float:
    return math.sqrt(n / 2 * math.log(3 * n * (n + 1) / delta))


@pytest.mark.parametrize(
    ("baseline", "others"),
    [
        ((200, 120.0), (0, 0.0)),
        ((60, 36.0), (0, 0.0)),
        ((400, 240.0), (100, 20.0)),
        ((400, 240.0), (100, 70.0)),
    ],
)
def test_by_hand(baseline: tuple[int, float], others: tuple[int, float]) -> None:
    # α = .2, δ = .05: every μ₀ within S₀/n₀ ± c(n₀)/n₀ must leave μ-sum + n₀μ₀ ≥ .8(n₀ + n₁ + 1)μ₀.
    (n0, s0), (n1, s1) = baseline, others
    low, high = max(s0 - radius(n0, 0.05), 0) / n0, min((s0 + radius(n0, 0.05)) / n0, 1)
    earned = max(s1 - radius(n1, 0.05), 0) if n1 else 0.0
    balances = [earned + n0 * mu - 0.8 * (n0 + n1 + 1) * mu for mu in np.linspace(low, high, 1001)]
    allowed = Conservative(0.2, 0.05, 0).allows(totals(baseline, others))
    assert allowed == (min(balances) >= 0)


def test_starts_with_the_baseline_and_earns_room() -> None:
    guard = Conservative(0.1, 0.05, 1)
    assert not guard.allows(totals((0, 0), (0, 0), (0, 0)))
    assert not guard.allows(totals((0, 0), (3, 3), (0, 0)))
    assert guard.allows(totals((0, 0), (500, 300), (0, 0)))
    # The room is used up by bad arms, and won back by good ones.
    assert not guard.allows(totals((60, 0), (500, 300), (40, 0)))
    assert guard.allows(totals((600, 540), (500, 300), (400, 360)))


class Careless(Conservative):
    """Believes what it has not seen."""

    def _radius(self, n: int) -> float:
        return -0.3 * math.sqrt(n)


def violated(guard: Conservative | None, seed: int, rounds: int) -> bool:
    """A policy as bad as can be: it always wants the worthless arm. Are 70 % of the baseline ever lost?"""
    mean = [0.5, 0.0]
    uniform = np.random.default_rng(seed).random(rounds)
    n, s = [0, 0], [0, 0]
    earned = 0.0
    for t in range(rounds):
        table = np.array([[n[0], s[0] * ONE], [n[1], s[1] * ONE]])
        arm = int(guard is None or guard.allows(table))
        earned += mean[arm]
        if earned < 0.7 * 0.5 * (t + 1) - 1e-9:
            return True
        n[arm] += 1
        s[arm] += int(uniform[t] < mean[arm])
    return False


def test_safety_against_a_policy_that_wants_the_worst() -> None:
    # P(violation) ≤ δ = .2, tested at 99.9 %: at most 27 of 80.
    guard = Conservative(0.3, 0.2, 0)
    assert sum(violated(guard, seed, 1500) for seed in range(80)) <= binom.ppf(0.999, 80, 0.2)


def test_the_safety_test_can_fail() -> None:
    assert all(violated(None, seed, 10) for seed in range(3))
    assert sum(violated(Careless(0.3, 0.2, 0), seed, 1500) for seed in range(30)) > 20


def bandit(**changes: object) -> Bandit:
    settings = {"floor": 0.01, "conservative": 0.3} | changes
    return Bandit(
        BanditSpec(
            "kept",
            [Strategy("base"), Strategy("good"), Strategy("bad")],
            policy=PolicySpec("ucb1", **settings),
            baseline_arm="base",
        )
    )


def test_decisions_say_why_and_log_the_exact_propensity() -> None:
    kept = bandit()
    first = kept.select_arm({})
    assert (first.arm_id, first.reason) == ("base", "conservative")
    assert first.pmf == (2**32 - 2, 1, 1)  # one unit each while there is a floor
    assert first.propensity == (2**32 - 2) / 2**32
    assert bandit(floor=0).select_arm({}).pmf == (2**32, 0, 0)
    assert [b.probability for b in kept.beliefs({})] == [unit / 2**32 for unit in first.pmf]
    assert kept.select_arm({}, eligible=["good"]).reason == "only_arm"
    without = kept.select_arm({}, exclude=["base"])
    assert (without.reason, without.pmf) == ("policy", (0, 2**31, 2**31))


def test_the_policy_takes_over_and_the_ledger_verifies() -> None:
    kept, means = bandit(), {"base": 0.5, "good": 0.9, "bad": 0.0}
    rng = np.random.default_rng(2)
    for _ in range(700):
        decision = kept.select_arm({})
        kept.update_reward(decision, reward=float(rng.random() < means[decision.arm_id]))
    reasons = [decision.reason for decision in kept.decisions.values()]
    # Three rows of the baseline pay for one that is worth nothing: 3 ≥ .7·4.
    assert reasons[:4] == ["conservative"] * 3 + ["policy"]
    assert reasons[4] == "conservative"
    assert reasons[-50:].count("policy") > 40
    assert kept.verify().ok
