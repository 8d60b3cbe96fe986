"""MABWiser: one ``predict`` and one ``partial_fit`` a round."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mabwiser.mab import MAB, LearningPolicy  # type: ignore[import-not-found, unused-ignore]

from .traffic import ARMS, COLUMNS, CONTEXTS, MANY_ARMS, MEANS, REWARDS, SEEN, SUCCESSES, horizons

PACKAGES = ["mabwiser", "numpy"]

LOOP = "predict + partial_fit in a loop; its Simulator replays a history"

Run = Callable[[int], None]


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    ucb1 = LearningPolicy.UCB1(alpha=1.0)
    thompson = LearningPolicy.ThompsonSampling()
    linucb = LearningPolicy.LinUCB(alpha=1.0)
    lints = LearningPolicy.LinTS(alpha=1.0)
    sampled = "samples; no propensity"
    return [
        ("online ucb1 10", "UCB1", "", lambda: _plain(ucb1, REWARDS)),
        ("online thompson_beta 10", "ThompsonSampling", sampled, lambda: _plain(thompson, SUCCESSES)),
        ("online linucb 10", "LinUCB", "", lambda: _contextual(linucb, ARMS)),
        ("online linucb 1000", "LinUCB", "", lambda: _contextual(linucb, MANY_ARMS)),
        ("online lints 10", "LinTS", sampled, lambda: _contextual(lints, ARMS)),
        ("online lints 1000", "LinTS", sampled, lambda: _contextual(lints, MANY_ARMS)),
        ("rounds ucb1", "UCB1", LOOP, lambda: _loop(ucb1)),
        ("rounds thompson_sampled", "ThompsonSampling", LOOP, lambda: _loop(thompson)),
        ("rounds linucb", "LinUCB", LOOP, lambda: _linear_loop(linucb)),
    ]


def _fitted(policy: Any, rewards: list[Any], count: int, *, contextual: bool) -> MAB:
    mab = MAB(list(range(count)), policy, seed=1, n_jobs=1)
    seen = range(SEEN * count)
    contexts = [CONTEXTS[i % 256] for i in seen] if contextual else None
    mab.fit([i % count for i in seen], [rewards[i % 256] for i in seen], contexts)
    return mab


def _plain(policy: Any, rewards: list[Any]) -> Run:
    mab = _fitted(policy, rewards, ARMS, contextual=False)

    def run(n: int) -> None:
        for i in range(n):
            mab.partial_fit([mab.predict()], [rewards[i & 255]])

    return run


def _contextual(policy: Any, count: int) -> Run:
    mab = _fitted(policy, REWARDS, count, contextual=True)

    def run(n: int) -> None:
        for i in range(n):
            context = [CONTEXTS[i & 255]]
            mab.partial_fit([mab.predict(context)], [REWARDS[i & 255]], context)

    return run


def _loop(policy: Any) -> Run:
    def run(n: int) -> None:
        draw = random.Random(1).random  # noqa: S311
        for horizon in horizons(n):
            mab = _fitted(policy, SUCCESSES, ARMS, contextual=False)
            for _ in range(horizon):
                arm = mab.predict()
                mab.partial_fit([arm], [int(draw() < MEANS[arm])])

    return run


def _linear_loop(policy: Any) -> Run:
    def run(n: int) -> None:
        rng = random.Random(1)  # noqa: S311
        for horizon in horizons(n):
            mab = _fitted(policy, SUCCESSES, ARMS, contextual=True)
            for _ in range(horizon):
                context = [[1.0, *(rng.uniform(-1, 1) for _ in range(COLUMNS - 1))]]
                arm = mab.predict(context)
                mab.partial_fit([arm], [int(rng.random() < MEANS[arm])], context)

    return run
