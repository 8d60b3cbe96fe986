"""What every driver plays with: contexts, rewards, and how much was seen before the clock runs."""

from __future__ import annotations

import random

ARMS = 10
MANY_ARMS = 1000
COLUMNS = 16
"""Length of φ; its first element is 1."""
SEEN = 3
"""Rewards of each arm before the first timed round."""
HORIZON = 10_000
"""Rounds of a simulated replication: what is longer is played as several."""
MEANS = tuple(0.3 + 0.05 * a for a in range(ARMS))
"""Success probabilities of the simulated arms."""

LOGGED, LOGGED_ARMS = 100_000, 10
"""Rows and arms of the log that off-policy estimators are timed on."""
BOOTSTRAPS = 100

_CYCLE = 256
_RNG = random.Random(1)  # noqa: S311  # traffic, not a secret

CONTEXTS = [[1.0, *(_RNG.uniform(-1, 1) for _ in range(COLUMNS - 1))] for _ in range(_CYCLE)]
REWARDS = [_RNG.random() for _ in range(_CYCLE)]
SUCCESSES = [int(_RNG.random() < 0.6) for _ in range(_CYCLE)]


def horizons(rounds: int) -> list[int]:
    """Lengths of the replications that make up so many rounds."""
    whole, rest = divmod(rounds, HORIZON)
    return [HORIZON] * whole + [rest] * (rest > 0)
