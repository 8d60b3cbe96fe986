"""What the comparison with the baseline arm takes as evidence, and how often it errs."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.bandit.guardrails import Guardrails, Service
from nyx_learning.bandit.guardrails.comparison import Comparison
from nyx_learning.bandit.guardrails.sentry import Sentry
from nyx_learning.bandit.log import RewardRow

APPRENTICE = Service(shares=(0.02, 0.1, 0.5, 0.95), agreement=0.6)
WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}


def spec_with(service: Service, holdout: float = 0.0) -> BanditSpec:
    return BanditSpec(
        "compared",
        [Strategy("a"), Strategy("b"), Strategy("c")],
        policy=PolicySpec("uniform"),
        baseline_arm="a",
        holdout=holdout,
        guardrails=Guardrails(service=service),
        seed=5,
    )


@pytest.mark.parametrize("order", [("kill_switch",), ("shadow",), ("pin", "a"), ("exclude", ["b", "c"])])
def test_a_baseline_arm_that_is_served_for_certain_says_nothing_of_the_learner(order: Any) -> None:
    """A learner that nobody saw at work does not rise while it is switched off."""
    bandit = Bandit(spec_with(APPRENTICE))
    bandit.override(*order, **WHO)
    for i in range(120):
        decision = bandit.select_arm({}, f"{i}")
        assert (decision.arm_id, decision.propensity) == ("a", 1.0)
        bandit.update_reward(decision, reward=0.5)
    assert len(bandit.events) == 1  # the order itself
    assert bandit._sentry is not None
    told = bandit._sentry.progress()["service"]
    assert (told["step"], told["rows"], told["agreed"], told["count"]) == (0, 0, 0.0, 120)


def test_an_apprentice_that_is_worse_is_let_up_as_seldom_as_is_said_however_small_its_share() -> None:
    """It earns .4 less than the baseline arm, ten times the tolerance, but is served .02 of decisions only.

    At δ = .05, within 500 rewards each, 40 runs: a binomial of 40 and .05 exceeds the limit with probability
    < .001.
    """
    up = 0
    for seed in range(40):
        comparison = Comparison(Service(shares=APPRENTICE.shares, tolerance=0.04))
        drawn = np.random.default_rng(seed).random((500, 2))
        for chance, luck in drawn:
            other = comparison.share * 0.95
            chosen = bool(chance < other)
            reward = float(luck < (0.4 if chosen else 0.8))
            comparison.add(reward, other if chosen else 1 - other, of_baseline=not chosen)
            if comparison.step:
                up += 1
                break
    assert up <= binom.ppf(0.999, 40, 0.05)


def test_the_gain_is_unbiased_beside_a_holdout_cohort() -> None:
    """Σ over arms and rewards of chance · gain = Σ_{a≠b} q_a (μ_a − μ_b): exact, rows of the cohort aside."""
    spec = spec_with(Service(shares=(0.3, 0.9)), holdout=0.25)
    rng = np.random.default_rng(8)
    for _ in range(20):
        q = 0.3 * rng.dirichlet([1, 1, 1]) + 0.7 * np.array([1, 0, 0])
        mu, found = rng.uniform(0, 1, 3), 0.0
        for arm, name in enumerate("abc"):
            for reward, chance in ((1.0, mu[arm]), (0.0, 1 - mu[arm])):
                sentry, units = Sentry(spec), int(reward * 65536)
                row = RewardRow(
                    "compared", 1, "d", name, 0, "", (), 0.75 * q[arm], units, reward, {}, {}, None
                )
                sentry.absorb(row)
                found += q[arm] * chance * sentry.progress()["service"]["gained"]
        assert found == pytest.approx(q[1] * (mu[1] - mu[0]) + q[2] * (mu[2] - mu[0]), abs=1e-9)


def test_the_pmf_of_an_apprentice_is_its_steps_mixture_with_the_baseline() -> None:
    """q = s·p + (1 − s)·[a], with p = 1/3 of a policy that is uniform, at each step that it takes."""
    bandit = Bandit(spec_with(Service(shares=(0.1, 0.4, 0.9), tolerance=0.05)))
    steps, luck = set[float](), np.random.default_rng(3).random(900)
    for i in range(900):
        decision = bandit.select_arm({}, f"{i}")
        share = bandit.learner.guards.share
        assert share is not None
        steps.add(share)
        stated = [share / 3 + (1 - share), share / 3, share / 3]
        assert [mass / TOTAL for mass in decision.pmf] == pytest.approx(stated, abs=4 / TOTAL)
        assert decision.reason == "guarded:service"
        bandit.update_reward(decision, reward=float(luck[i] < (0.1 if decision.arm_id == "a" else 0.95)))
    assert steps == {0.1, 0.4, 0.9}
    assert bandit.verify().ok
