"""Optimism on a hierarchical linear model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Contenders, Floats, Mask, Policy, Setting
from .hierarchical import HierarchicalModel

__all__ = ["HierUcb"]


class HierUcb(Policy):
    """The arm with the largest posterior mean plus ``width`` posterior sds, under one Bayesian model for all
    arms.

        index_a = E[φ·θ₀ + φ·θ_s + z·λ_s] + width·sd_a

    ``policies.hierarchical`` tells the model and its settings; mean and sd are those of the mixture over its
    ratios. ``part`` "whole": sd of the arm's expected reward; "own": of the arm-dependent part φ·θ_s + z·λ_s,
    which leaves out what all arms share and thus cannot change which one is best. Deterministic apart from
    the floor. Choose it for short runs, when contexts recur or arms share parameters: with one sd it spends
    little on exploration.

    References
    ----------
    Srinivas et al. (2010), Gaussian process optimization in the bandit setting, ICML (a Bayesian upper
    confidence bound); Hong et al. (2022), Hierarchical Bayesian Bandits, AISTATS.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        self._model = HierarchicalModel(setting)
        self._width = setting.number("width")
        self._own = setting.parameters["part"] == "own"
        self._index = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        model = self._model
        model.score(phi)
        variance = model.own if self._own else model.whole
        kernels.indices.mixture_index(model.mean, variance, model.weight, self._width, self._index)
        kernels.indices.argmax_pmf(self._index, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        self._model.score(phi)
        return self._model.moments()

    def contenders(self, phi: Floats) -> Contenders:  # noqa: D102
        return self._model.contenders(phi)
