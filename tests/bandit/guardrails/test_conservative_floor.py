"""Conservative mode keeps (1 − α) of the baseline at all times, with the error that is stated: played out."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from nyx_learning import Bandit, BanditSpec, Outcome, PolicySpec, Strategy
from nyx_learning.bandit.guardrails import Breaker, Guardrails

ALPHA, DELTA = 0.3, 0.1
MEANS = {"base": 0.5, "worthless": 0.0, "poor": 0.1, "fair": 0.4}
RUNS, ROUNDS = 30, 200
LIMIT = binom.ppf(0.999, RUNS, DELTA)


def falls_below(policy: PolicySpec, seed: int, guardrails: Guardrails | None = None) -> bool:
    """Whether what is expected of the chosen arms is ever below (1 − α) of the baseline's."""
    spec = BanditSpec(
        "kept",
        [Strategy(name) for name in MEANS],
        policy=policy,
        baseline_arm="base",
        seed=seed,
        guardrails=guardrails,
    )
    bandit, luck, earned = Bandit(spec), np.random.default_rng(seed).random(ROUNDS), 0.0
    for t in range(ROUNDS):
        decision = bandit.select_arm({}, f"{t}")
        earned += MEANS[decision.arm_id]
        if earned < (1 - ALPHA) * MEANS["base"] * (t + 1) - 1e-9:
            return True
        bandit.update_reward(decision, Outcome(success=bool(luck[t] < MEANS[decision.arm_id])))
    return False


@pytest.mark.parametrize(
    ("name", "rails"),
    [("ucb1", None), ("thompson_beta", Guardrails(Breaker(window=8, failures=8, probe_share=0.02)))],
)
def test_the_floor_holds_in_simulation(name: str, rails: Guardrails | None) -> None:
    """P(ever below) ≤ δ = .1 for each run: the limit is exceeded with probability .001 at most."""
    policy = PolicySpec(name, floor=0.05, conservative=ALPHA, conservative_delta=DELTA)
    assert sum(falls_below(policy, seed, rails) for seed in range(RUNS)) <= LIMIT


def test_without_it_the_floor_does_not_hold() -> None:
    policy = PolicySpec("ucb1", floor=0.05)
    assert sum(falls_below(policy, seed) for seed in range(RUNS)) > LIMIT


def test_an_order_has_the_last_word_over_it() -> None:
    """What a person pins is served, whatever it costs: and the reason says that it was ordered."""
    who: dict[str, Any] = {"author": "ada", "reason": "a test"}
    policy = PolicySpec("ucb1", floor=0.05, conservative=ALPHA)
    bandit = Bandit(
        BanditSpec("kept", [Strategy(n) for n in MEANS], policy=policy, baseline_arm="base", seed=1)
    )
    assert bandit.select_arm({}, "free").reason == "conservative"
    bandit.override("pin", "poor", **who)
    assert bandit.select_arm({}, "pinned").arm_id == "poor"
    assert bandit.select_arm({}, "again").reason.startswith("guarded:pin")
