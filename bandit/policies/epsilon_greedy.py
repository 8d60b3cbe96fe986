"""ε-greedy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["EpsilonGreedy"]


class EpsilonGreedy(Policy):
    """The best sample mean with probability 1 − ε, any eligible arm with probability ε.

        p_a = (1 − ε)·[a ∈ argmax m̂]/|argmax| + ε/E,   m̂_a = Σr/n, and ∞ for an arm without rewards

    Regret is linear in T for a constant ε. Choose it where simplicity is worth more than regret.

    References
    ----------
    Sutton & Barto (2018), Reinforcement Learning, §2.2.
    """

    def __init__(self, setting: Setting) -> None:
        self._epsilon = setting.number("epsilon")
        self._index = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.mean_index(reading, math.inf, self._index)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.indices.argmax_pmf(self._index, eligible, out)
        out *= 1.0 - self._epsilon
        out += eligible * (self._epsilon / eligible.sum())

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
