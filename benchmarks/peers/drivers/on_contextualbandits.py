"""contextualbandits: online linear policies, one ``predict`` and one ``partial_fit`` a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from contextualbandits.online import LinTS, LinUCB  # type: ignore[import-not-found, unused-ignore]

from .traffic import ARMS, CONTEXTS, MANY_ARMS, REWARDS, SEEN

PACKAGES = ["contextualbandits", "numpy"]

SAMPLED = "samples; no propensity"

Run = Callable[[int], None]


def entries() -> list[tuple[str, str, str, Callable[[], Run]]]:
    """What is measured."""
    return [
        ("online linucb 10", "LinUCB", "", lambda: _online(LinUCB, ARMS)),
        ("online linucb 1000", "LinUCB", "", lambda: _online(LinUCB, MANY_ARMS)),
        ("online lints 10", "LinTS", SAMPLED, lambda: _online(LinTS, ARMS)),
        ("online lints 1000", "LinTS", SAMPLED, lambda: _online(LinTS, MANY_ARMS)),
    ]


def _online(policy: Any, count: int) -> Run:
    # φ begins with a 1, so no intercept is added.
    learner = policy(nchoices=count, fit_intercept=False, random_state=1, njobs=1)
    contexts = [np.array([row]) for row in CONTEXTS]
    rewards = [np.array([reward]) for reward in REWARDS]
    seen = np.arange(SEEN * count)
    learner.fit(
        np.concatenate([contexts[i % 256] for i in seen]),
        seen % count,
        np.concatenate([rewards[i % 256] for i in seen]),
    )

    def run(n: int) -> None:
        for i in range(n):
            context = contexts[i & 255]
            learner.partial_fit(context, learner.predict(context), rewards[i & 255])

    return run
