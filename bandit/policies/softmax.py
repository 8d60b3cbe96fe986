"""Boltzmann exploration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Softmax"]


class Softmax(Policy):
    """Arms by their means: a gap of one ``temperature`` costs a factor e.

        p_a = exp(m̂_a/τ) / Σ_j exp(m̂_j/τ),   m̂_a = Σr/n

    Eligible arms without rewards share all the mass first. Adding a number to all rewards changes nothing. A
    constant temperature explores for ever: regret is linear in T. Choose it where bad arms should be rare
    rather than absent, and a log with smooth propensities is wanted.

    References
    ----------
    Sutton & Barto (2018), Reinforcement Learning, §2.8; Cesa-Bianchi et al. (2017), Boltzmann exploration
    done right, NeurIPS (why no constant temperature is optimal).
    """

    def __init__(self, setting: Setting) -> None:
        self._rate = 1.0 / setting.number("temperature")
        self._mean = np.zeros(len(setting.arms))
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        kernels.indices.mean_index(reading, 0.0, self._mean)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        if not kernels.shares.share_untried(self._reading, eligible, out):
            kernels.shares.boltzmann_pmf(self._mean, self._rate, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
