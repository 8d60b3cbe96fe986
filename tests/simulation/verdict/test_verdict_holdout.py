"""A real bandit with a holdout: its cohorts, from decision to verdict."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.errors import SupportMissing
from nyx_learning.simulation.interchange import LoggedChoice, choice_from, document_of
from nyx_learning.simulation.verdict import judge_holdout, judged_log
from nyx_learning.simulation.verdict.holdout import cohorts


def played(rounds: int, holdout: float, rates: dict[str, float], seed: int = 5) -> list[LoggedChoice]:
    """What a bandit that learns logs of itself, as it is exported."""
    spec = BanditSpec(
        "held",
        [Strategy(name) for name in rates],
        policy=PolicySpec("thompson_beta", floor=0.05),
        baseline_arm="old",
        holdout=holdout,
        seed=seed,
    )
    bandit, chance = Bandit(spec), random.Random(seed)  # noqa: S311 (a seeded simulation)
    rows = []
    for i in range(rounds):
        decision = bandit.select_arm({}, decision_id=f"wf-{i}", time=float(i))
        reward = float(chance.random() < rates[decision.arm_id])
        bandit.update_reward(decision, reward=reward)
        document = document_of(decision, bandit.rewards(decision.decision_id), spec)
        rows.append(choice_from({**document, "success": bool(reward)}, i + 1))
    return rows


@pytest.fixture(scope="module")
def rows() -> list[LoggedChoice]:
    return played(1500, 0.25, {"old": 0.3, "new": 0.85})


def test_the_cohorts_are_logged_with_their_shares(rows: list[LoggedChoice]) -> None:
    log = cohorts(rows)
    assert len(log) == len(rows)
    assert log.data.arms == ("learner", "holdout")
    held = log.data.arm == 1
    assert held.mean() == pytest.approx(0.25, abs=0.04)
    assert log.data.logging is not None
    assert log.data.logging == pytest.approx(np.tile([0.75, 0.25], (len(rows), 1)))
    assert all(row.arm_id == "old" for row, one in zip(rows, held, strict=True) if one)


def test_a_learner_that_is_much_better_meets_the_target(rows: list[LoggedChoice]) -> None:
    found = judge_holdout(rows)
    assert (found.status, found.policy, found.baseline) == ("met", "learner", "holdout")
    assert found.method == "empirical_bernstein_sequence"
    assert found.reference.value == pytest.approx(0.3, abs=0.1)
    few = judge_holdout(rows[:60])
    assert few.status == "not enough evidence"
    assert few.more is not None
    same = judge_holdout(played(800, 0.25, {"old": 0.5, "new": 0.5}))
    assert same.status != "met"
    assert judge_holdout(rows, "reward").status == "met"


def test_a_cohort_that_does_not_have_its_share_supports_nothing(rows: list[LoggedChoice]) -> None:
    lost = [row for i, row in enumerate(rows) if row.reason != "holdout" or i % 2]
    found = judge_holdout(lost)
    assert found.status == "not supported"
    assert "contradicts" in found.reason


def test_the_time_before_the_holdout_is_left_out(rows: list[LoggedChoice]) -> None:
    before = [
        row._replace(decision_id=f"b-{row.decision_id}") for row in played(100, 0.0, {"old": 0.3, "new": 0.9})
    ]
    early = [row._replace(state_seq=0, time=-1.0) for row in before]
    assert len(cohorts([*early, *rows])) == len(rows)


def test_a_log_without_a_holdout_is_refused(rows: list[LoggedChoice]) -> None:
    for chosen in (
        [row for row in rows if row.reason != "holdout"],
        [row for row in rows if row.reason == "holdout"],
        [],
    ):
        with pytest.raises(SupportMissing) as caught:
            judge_holdout(chosen)
        assert "no two cohorts" in caught.value.what


def test_the_learners_log_is_judged_without_the_holdout(rows: list[LoggedChoice]) -> None:
    log = judged_log(rows)
    assert log.held_out == sum(row.reason == "holdout" for row in rows)
    assert log.logging == "adaptive"
    assert log.data.logging is not None
    own = log.data.logging[np.arange(len(log)), log.data.arm]
    assert log.propensity == pytest.approx(own)
