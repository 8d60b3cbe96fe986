"""The keyed cohort that is served the baseline arm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from nyx_learning import Bandit, BanditSpec
from nyx_learning.bandit.choice import TOTAL, Keyed

CONTEXT: dict[str, Any] = {"task": "coding", "size": 7.5, "urgent": True}


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_cohort_has_its_share(share: float, spec_of: Callable[..., BanditSpec]) -> None:
    spec = spec_of("uniform", holdout=share)
    learner = Bandit(spec).learner
    decisions = [learner.decide(CONTEXT, f"id-{i}") for i in range(8_000)]
    held = np.array([decision.reason == "holdout" for decision in decisions])
    expected = np.array([share, 1 - share]) * len(held)
    statistic = ((np.array([held.sum(), (~held).sum()]) - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, 1) > 1e-6
    # Membership is the id's alone: the same in any state, and not that of another bandit.
    keyed = Keyed(spec.seed, spec.name)
    units = round(share * TOTAL)
    assert held.tolist() == [keyed.uniform(f"id-{i}", "cohort") >= TOTAL - units for i in range(len(held))]
    # The draw of the arm is another one than the cohort's: the rest is served uniformly.
    arms = np.bincount([d.arm for d in decisions if d.reason == "policy"], minlength=8)
    even = arms.sum() / 8
    assert chi2.sf(((arms - even) ** 2 / even).sum(), 7) > 1e-6


def test_stages_and_propensity(spec_of: Callable[..., BanditSpec]) -> None:
    learner = Bandit(spec_of("uniform", 0.0, holdout=0.25, baseline_arm="recursive(depth=2)")).learner
    baseline, seen = learner.arms.locate("recursive(depth=2)")[0], set()
    for i in range(100):
        decision = learner.decide(CONTEXT, f"id-{i}")
        cohort, arm = decision.stages
        assert (cohort.name, cohort.names) == ("cohort", ("learner", "holdout"))
        assert cohort.pmf == (TOTAL * 3 // 4, TOTAL // 4)
        assert arm.chosen == decision.arm
        assert decision.pmf == arm.pmf
        seen.add(decision.reason)
        if decision.reason == "holdout":
            assert cohort.chosen == 1
            assert decision.arm == baseline
            assert arm.pmf == tuple(TOTAL * (i == baseline) for i in range(8))
            assert decision.propensity == 0.25
        else:
            assert (decision.reason, cohort.chosen) == ("policy", 0)
            assert arm.pmf == (TOTAL // 8,) * 8
            assert decision.propensity == 0.75 / 8
    assert seen == {"holdout", "policy"}


def test_a_cohort_whose_baseline_is_not_eligible_is_served_by_the_policy(
    spec_of: Callable[..., BanditSpec],
) -> None:
    learner = Bandit(spec_of("uniform", 0.0, holdout=0.25)).learner
    held = [f"id-{i}" for i in range(60) if learner.decide(CONTEXT, f"id-{i}").reason == "holdout"]
    assert len(held) > 5
    for decision_id in held:
        decision = learner.decide(CONTEXT, decision_id, exclude=["direct"])
        assert decision.reason == "policy"
        assert decision.stages[0].chosen == 1
        assert decision.pmf[0] == 0
        assert sum(decision.pmf) == TOTAL
        assert decision.propensity == decision.stages[0].probability * decision.stages[1].probability
        alone = learner.decide(CONTEXT, decision_id, eligible=["recursive(depth=1)"])
        assert (alone.reason, alone.propensity) == ("only_arm", 0.25)


def test_the_cohort_learns_verifies_and_restores(spec_of: Callable[..., BanditSpec]) -> None:
    bandit = Bandit(spec_of("exp3_ix", holdout=0.4))
    for i in range(40):
        bandit.update_reward(bandit.select_arm(CONTEXT), reward=i / 40)
    reasons = {decision.reason for decision in bandit.decisions.values()}
    assert reasons == {"holdout", "policy"}
    assert bandit.verify().ok
    again = Bandit.from_json(bandit.to_json())
    assert again.verify().ok
    assert again.select_arm(CONTEXT) == bandit.select_arm(CONTEXT)
    assert len(json.loads(again.to_json())["content"]["decisions"][0]["stages"]) == 2


def test_without_a_holdout_there_is_one_stage(spec_of: Callable[..., BanditSpec]) -> None:
    assert len(Bandit(spec_of("uniform")).select_arm(CONTEXT).stages) == 1
