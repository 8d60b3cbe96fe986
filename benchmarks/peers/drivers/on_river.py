"""River: policies online, and ``bandit.evaluate`` in a world of its interface."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from river import bandit, proba

from .traffic import ARMS, CONTEXTS, HORIZON, MANY_ARMS, MEANS, REWARDS, SEEN, SUCCESSES, horizons

PACKAGES = ["river"]

SAMPLED = "samples; no propensity"

Run = Callable[[int], None]


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    return [
        ("online ucb1 10", "UCB", "", lambda: _plain(_ucb(), REWARDS)),
        ("online thompson_beta 10", "ThompsonSampling", SAMPLED, lambda: _plain(_thompson(), SUCCESSES)),
        ("online linucb 10", "LinUCBDisjoint", "", lambda: _contextual(ARMS)),
        ("online linucb 1000", "LinUCBDisjoint", "", lambda: _contextual(MANY_ARMS)),
        ("rounds ucb1", "bandit.evaluate", "", lambda: _evaluate(_ucb())),
        ("rounds thompson_sampled", "bandit.evaluate", "", lambda: _evaluate(_thompson())),
    ]


def _ucb() -> Any:
    return bandit.UCB(delta=1, seed=1)


def _thompson() -> Any:
    return bandit.ThompsonSampling(reward_obj=proba.Beta(1, 1), seed=1)


def _plain(policy: Any, rewards: list[Any]) -> Run:
    arms = list(range(ARMS))
    for i in range(SEEN * ARMS):
        policy.update(i % ARMS, rewards[i % 256])

    def run(n: int) -> None:
        for i in range(n):
            policy.update(policy.pull(arms), rewards[i & 255])

    return run


def _contextual(count: int) -> Run:
    policy: Any = bandit.LinUCBDisjoint(alpha=1.0, beta=1.0, seed=1)
    arms = list(range(count))
    contexts = [{f"x{j}": x for j, x in enumerate(row)} for row in CONTEXTS]
    for i in range(SEEN * count):
        policy.update(i % count, contexts[i % 256], REWARDS[i % 256])

    def run(n: int) -> None:
        for i in range(n):
            j = i & 255
            policy.update(policy.pull(arms, contexts[j]), contexts[j], REWARDS[j])

    return run


class _Actions:
    n = ARMS

    def seed(self, seed: int) -> None:
        """Nothing is drawn from the actions."""


class _World:
    """Bernoulli arms, behind the methods that ``bandit.evaluate`` calls: as little as that can cost."""

    def __init__(self, horizon: int) -> None:
        self.action_space = _Actions()
        self.horizon = horizon
        self.played = 0

    def reset(self, *, seed: int) -> None:
        self.draw = random.Random(seed).random  # noqa: S311

    def step(self, arm: int) -> tuple[None, float, bool, bool, dict[str, Any]]:
        self.played += 1
        return None, float(self.draw() < MEANS[arm]), self.played >= self.horizon, False, {}


def _evaluate(policy: Any) -> Run:
    def run(n: int) -> None:
        for horizon in horizons(n):
            for _ in bandit.evaluate([policy], _World(min(horizon, HORIZON)), n_episodes=1, seed=1):
                pass

    return run
