"""Thompson sampling on a hierarchical linear model: the default policy."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting
from .hierarchical import HierarchicalModel

__all__ = ["HierTs"]


class HierTs(Policy):
    """One Bayesian linear model for all arms; an arm is chosen as often as it is the best under it.

        r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise,   p_a = Σ_ratios w·P(arm a's part is the best)

    ``policies.hierarchical`` tells the model and its settings. The pmf is that of independent normals with
    the posterior marginals of the arm-dependent part φ·θ_s + z·λ_s: uncertainty that all arms share cannot
    change which of them is best. It is an integral computed by quadrature, so that the propensity is exact.
    The pmfs of the ratios are weighed by their posterior probabilities.

    The sd that is sampled is the posterior sd times min(1, ``caution``·√(1 + n/``caution_rows``)): greedy
    while there are few rewards to spend, in full later, so that it never locks in.

    Choose it when contexts recur or arms share parameters, and when some hundred rewards must be enough.

    References
    ----------
    Russo et al. (2018), A Tutorial on Thompson Sampling, §§3–4; Hong et al. (2022), Hierarchical Bayesian
    Bandits, AISTATS.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        self._model = HierarchicalModel(setting)
        self._caution, self._caution_rows = setting.number("caution"), setting.number("caution_rows")
        self._sd, self._part = np.zeros(len(setting.arms)), np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        model = self._model
        model.score(phi)
        caution = min(1.0, self._caution * sqrt(1.0 + model.n / self._caution_rows))
        kernels.hierarchical.mixture_pmf(
            model.mean, model.own, model.weight, caution, eligible, self._sd, self._part, out
        )

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        self._model.score(phi)
        return self._model.moments()
