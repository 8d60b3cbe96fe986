"""EXP3-IX."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ... import ieee
from ...features import ONE
from .. import kernels
from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Exp3Ix"]


class Exp3Ix(Policy):
    """Exponential weights on estimated losses; no assumption on how rewards come about.

        p_a ∝ exp(−η_t L̂_a),   L̂_a = Σ (1 − r)/(p + γ_s),   η_t = 2γ_t = rate·√(ln K / (K t))

    A further integer statistic holds L̂: each rewarded decision for the arm adds (1 − r)/(p + γ_s), in units
    of 2⁻³², with the *logged* propensity p and γ at the row's own number s in the sequence. So it is
    additive, may be taken back exactly, and weighs delayed rewards by the probability with which they were
    really chosen. t is the number of rewards plus one. Rows that the policy did not choose (a holdout cohort)
    add no loss. Choose it where rewards may react to what is chosen, or drift in ways that no model covers.

    References
    ----------
    Neu (2015), Explore no more: improved high-probability regret bounds for non-stochastic bandits, NeurIPS,
    Algorithm 1 and Corollary 1 (anytime).
    """

    def __init__(self, setting: Setting) -> None:
        arms = len(setting.arms)
        # With one arm ln K is 0, and so would γ be.
        self._square = setting.number("rate") ** 2 * ieee.log(max(arms, 2)) / arms
        self._place = setting.further
        self._loss = np.zeros(arms)
        self._rate = 0.0
        self._reading: Floats

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:  # noqa: D102
        if propensity == 0.0:
            return (0,)
        gamma = 0.5 * sqrt(self._square / seq)
        return (round((ONE - reward) * (ONE / (propensity + gamma))),)

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading
        self._rate = sqrt(self._square / (1.0 + kernels.shares.total(reading)))
        np.negative(reading[:, self._place], out=self._loss)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.shares.boltzmann_pmf(self._loss, self._rate, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
