"""UCB1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Ucb1"]


class Ucb1(Policy):
    """The arm with the largest upper confidence bound; arms without rewards first.

        index_a = m̂_a + √(α ln t / 2n_a),   t = Σ n

    α = 4 is UCB1; α = 1 is the tighter bound of most experiments. Regret is at most
    Σ 8 ln T/Δ + (1 + π²/3) ΣΔ for α = 4 and rewards in [0, 1]. Choose it where context does not matter and
    every decision must be explained by two numbers.

    References
    ----------
    Auer, Cesa-Bianchi & Fischer (2002), Machine Learning 47, Theorem 1.
    """

    def __init__(self, setting: Setting) -> None:
        self._alpha = setting.number("alpha")
        self._index = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.ucb1_index(reading, self._alpha, self._index)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.indices.argmax_pmf(self._index, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
