"""Measured regret: replications of one contender in one world, each with a keyed stream of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...bandit import PolicySpec
from ..contender import Contender
from ..play import tally
from ..results import mean_and_error
from ..worlds.base import Floats, World

__all__ = ["SEED", "label", "mean_and_error", "regrets", "without_floor"]

SEED = 20_261
"""Of all simulations: a check finds the same in every run, on every machine."""


def without_floor(name: str, *, sampled: bool = False, label: str = "", **parameters: Any) -> Contender:
    """A policy as theory knows it, without an exploration floor; labelled by the parameters given."""
    text = " ".join(f"{key}={value}" for key, value in parameters.items())
    return Contender(label or f"{name} {text}".rstrip(), PolicySpec(name, floor=0.0, **parameters), sampled)


def label(contender: Contender) -> str:
    """The contender's label, marked where its choices are drawn in law instead of by the learner."""
    return f"{contender.label} (sampled)" if contender.sampled else contender.label


def regrets(contender: Contender, world: World, rounds: Sequence[int], replications: int) -> Floats:
    """Pseudo-regret Σ μ* − μ_a of each replication up to each of some ascending rounds, (R, C)."""
    checkpoints = np.array(rounds, np.int64)
    found = np.empty((replications, len(checkpoints)))
    for r in range(replications):
        found[r] = tally(world, contender, rounds[-1], checkpoints, seed=SEED, replication=r)[0]
    return found
