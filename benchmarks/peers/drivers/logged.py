"""The log that off-policy estimators are timed on: the same arrays for every library."""

from __future__ import annotations

from typing import Any

import numpy as np

from .traffic import LOGGED, LOGGED_ARMS

__all__ = ["arrays"]


def arrays() -> dict[str, Any]:
    """Rewards, arms, propensities (n,); the target's pmf and modelled rewards (n, K)."""
    rng = np.random.default_rng(1)
    logging = rng.random((LOGGED, LOGGED_ARMS)) + 0.1
    logging /= logging.sum(axis=1, keepdims=True)
    target = rng.random((LOGGED, LOGGED_ARMS)) ** 3 + 0.01
    target /= target.sum(axis=1, keepdims=True)
    drawn = logging.cumsum(axis=1) < rng.random((LOGGED, 1))
    arm = np.minimum(drawn.sum(axis=1), LOGGED_ARMS - 1)
    return {
        "reward": (rng.random(LOGGED) < 0.5).astype(float),
        "arm": arm,
        "propensity": logging[np.arange(LOGGED), arm],
        "target": target,
        "q": rng.random((LOGGED, LOGGED_ARMS)),
    }
