"""Optimistic Thompson sampling on a hierarchical linear model: the default policy."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from .. import kernels
from .base import Contenders, Floats, Mask, Policy, Setting
from .hierarchical import HierarchicalModel

__all__ = ["HierTs"]


class HierTs(Policy):
    """One Bayesian linear model for all arms; an arm is chosen as often as its optimistic sample is largest.

        r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise
        p_a = Σ_ratios w·P(X_a is the largest),   X_a ~ N(mean_a + optimism·sd_a, (c·own_a)²) independent

    ``policies.hierarchical`` tells the model and its settings. mean_a and sd_a are the posterior's of the
    arm's expected reward; own_a is the sd of its own part φ·θ_s + z·λ_s: uncertainty that all arms share
    cannot change which of them is best. The pmf is an integral computed by quadrature, so that the
    propensity is exact; those of the ratios are weighed by their posterior probabilities.

    ``optimism`` directs exploration to what is unknown, as an upper confidence bound does. What is sampled
    around it, c = min(1, ``caution``·√(1 + n/``caution_rows``)), keeps the choice from being deterministic,
    so that the log supports other policies; it grows with the rewards n, so that a long run never locks in.
    ``optimism=0, caution=1`` is plain Thompson sampling.

    Choose it when contexts recur or arms share parameters, and when some hundred rewards must be enough.

    References
    ----------
    Vaswani et al. (2020), Old Dog Learns New Tricks: Randomized UCB for Bandit Problems, AISTATS; Russo et
    al. (2018), A Tutorial on Thompson Sampling, §§3–4; Hong et al. (2022), Hierarchical Bayesian Bandits,
    AISTATS.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        self._model = HierarchicalModel(setting)
        self._caution, self._caution_rows = setting.number("caution"), setting.number("caution_rows")
        self._optimism = setting.number("optimism")
        self._center, self._sd, self._part = np.zeros((3, len(setting.arms)))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        model = self._model
        model.score(phi)
        kernels.hierarchical.mixture_pmf(
            model.mean,
            model.own,
            model.whole,
            model.weight,
            self._optimism,
            self._spread,
            eligible,
            self._center,
            self._sd,
            self._part,
            out,
        )

    def masses(self, phi: Floats, eligible: Mask, floor: float, out: npt.NDArray[np.int64]) -> None:  # noqa: D102
        model = self._model
        arguments = (*model.scoring(), model.weight, self._optimism, self._spread, eligible, floor, out)
        kernels.hierarchical.mixture_masses(phi, *arguments)

    @property
    def _spread(self) -> float:
        return min(1.0, self._caution * sqrt(1.0 + self._model.n / self._caution_rows))

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        self._model.score(phi)
        return self._model.moments()

    def contenders(self, phi: Floats) -> Contenders:  # noqa: D102
        return self._model.contenders(phi)
