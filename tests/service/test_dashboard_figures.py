"""The dashboard's rewards are those that are learned: the fold's own counts, sums and squares, arm by arm."""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine, RewardSpec
from nyx_learning.errors import OutcomeInvalid, RewardConflict, RewardTooLate
from nyx_learning.persistence import dashboard
from nyx_learning.persistence.dashboard import arm_records, bandit_records, stretches
from nyx_learning.rewards import Outcome

from .conftest import OpenEngine

UNITS = 1 << 16
REFUSED = (OutcomeInvalid, RewardConflict, RewardTooLate)
WINDOW_S = 1e9


async def tell_in_every_way(engine: LearningEngine, dice: random.Random, contexts: Any) -> None:
    """Reports, parts, corrections, retractions, abandonments, silence and what comes behind it."""
    keys = [f"wf-{i}" for i in range(120)]
    for i, key in enumerate(keys):
        await engine.select_arm(contexts(i), key)
    for key in keys:
        told = dice.choice(("reward", "outcome", "part", "pending", "nothing", "abandon"))
        if told == "reward":
            await engine.update_reward(key, reward=dice.random())
        elif told == "outcome":
            await engine.update_reward(key, Outcome(success=dice.random() < 0.5, duration_s=3.0))
        elif told == "part":
            await engine.update_reward(key, part={"user_feedback": dice.random()}, source="user")
            await engine.update_reward(key, part={"success": True}, source="tests")
        elif told == "pending":
            await engine.update_reward(key, part={"user_feedback": dice.random()}, source="user")
        elif told == "abandon":
            await engine.abandon(await engine.decision(key))
    for key in dice.sample(keys, 60):
        try:
            if dice.random() < 0.3:
                await engine.retract(key)
            elif dice.random() < 0.5:
                await engine.update_reward(key, reward=dice.random(), corrects=0)
            else:
                await engine.update_reward(key, Outcome(success=dice.random() < 0.5), source="second")
        except REFUSED:
            continue
    assert await engine.expire(2e12)
    for key in dice.sample(keys, 40):
        try:
            await engine.update_reward(key, reward=dice.random(), source="late")
        except REFUSED:
            continue


@pytest.mark.parametrize(("aggregate", "late"), [("final", "learn"), ("mean", "log")])
async def test_means_and_their_spread_are_those_of_the_fold(
    open_engine: OpenEngine,
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
    database_dsn: str,
    aggregate: Literal["final", "mean"],
    late: Literal["learn", "log"],
) -> None:
    reward = RewardSpec(
        weights={"success": 1, "usefulness": 1},
        window_s=WINDOW_S,
        default=0.25,
        aggregate=aggregate,
        late=late,
    )
    engine = await open_engine(replace(spec, reward=reward))
    await tell_in_every_way(engine, random.Random(11), contexts)  # noqa: S311 - not a secret
    known = {
        arm: row[:3].tolist()  # n, Σr, Σr²
        for arm, row in zip(engine.spec.arms.units, engine._learner.sums.totals, strict=True)
        if row[0]
    }
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=1) as pool:
        arms = await arm_records(pool, spec.name)
        found = await stretches(pool, spec.name)
        (bandit,) = await bandit_records(pool)
    assert set(arms) == set(known)
    for arm, (n, total, square) in known.items():
        assert arms[arm].n == n, arm
        mean, variance = total / n / UNITS, (square - total**2 / n) / max(1, n - 1) / UNITS**2
        assert arms[arm].mean == pytest.approx(mean, abs=1e-5), arm
        assert arms[arm].sd == pytest.approx(variance**0.5, abs=1e-4), arm
    n, total = (sum(each[i] for each in known.values()) for i in (0, 1))
    assert bandit.rewards == n
    assert bandit.mean == pytest.approx(total / n / UNITS, abs=1e-5)
    assert sum(each.n for each in found) == n
    whole = sum(each.n * each.mean for each in found)
    assert whole == pytest.approx(total / UNITS, abs=1e-3)
    assert [each.first_seq for each in found] == sorted(each.first_seq for each in found)
    assert all(each.succeeded <= each.known <= each.n for each in found)


async def test_only_the_newest_are_read_and_each_once(
    open_engine: OpenEngine, spec: BanditSpec, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest three decisions, one of them corrected; the correction of an old one is no newer."""
    engine = await open_engine(spec)
    for i in range(6):
        await engine.select_arm({"task": "code", "size": 1.0}, f"d{i}")
        await engine.update_reward(f"d{i}", Outcome(success=i % 2 == 0))
    await engine.update_reward("d5", Outcome(success=True), corrects=0)
    await engine.update_reward("d0", reward=0.5, corrects=0)
    monkeypatch.setattr(dashboard, "REWARDS_MAX", 3)
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=1) as pool:
        (found,) = await stretches(pool, spec.name)
        arms = await arm_records(pool, spec.name)
    assert (found.first_seq, found.last_seq, found.n, found.known, found.succeeded) == (4, 6, 3, 3, 2)
    folded: dict[str, float] = defaultdict(float)
    for i in (3, 4, 5):
        status = await engine.rewards(f"d{i}")
        folded[(await engine.decision(f"d{i}")).arm_id] += status.reward or 0.0
    assert {arm: each.n * each.mean for arm, each in arms.items()} == pytest.approx(dict(folded))
