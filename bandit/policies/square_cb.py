"""Inverse-gap weighting."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from .. import kernels
from .base import Contenders, Floats, Mask, Policy, Setting
from .hierarchical import HierarchicalModel
from .ridge import RidgeModel

__all__ = ["SquareCb"]


class SquareCb(Policy):
    """Arms by how far their prediction stays behind the best one: probabilities by a formula.

        p_a = 1 / (E + γ_t (ŷ_best − ŷ_a)) for the others, the rest to the best;   E eligible arms

    γ_t = γ √(E t), t = rewards so far (``schedule`` "sqrt"), or γ ("constant"). Arms that are best together
    share the rest. ŷ: posterior means of the hierarchical model, or of a ridge regression of each arm
    (``model``). For every vector f of true means, Σ p_a (f* − f_a) ≤ 2E/γ + (γ/4) Σ p_a (ŷ_a − f_a)². Choose
    it where every arm must keep a propensity that is easily explained and never tiny; its regret is higher
    than Thompson sampling's.

    References
    ----------
    Abe & Long (1999), ICML; Foster & Rakhlin (2020), Beyond UCB: optimal and efficient contextual bandits
    with regression oracles, ICML, Algorithm 1 and Lemma 3.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        number = setting.number
        self._model: HierarchicalModel | RidgeModel
        if setting.parameters["model"] == "hierarchical":
            self._model = HierarchicalModel(setting)
        else:
            self._model = RidgeModel(setting, ridge=number("ridge"), center=number("mean"))
        self._gamma, self._noise = number("gamma"), sqrt(number("noise"))
        self._grows = setting.parameters["schedule"] == "sqrt"
        self._rewards = 0.0
        self._predicted = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)
        self._rewards = kernels.shares.total(reading)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        model, predicted = self._model, self._predicted
        model.score(phi)
        if isinstance(model, RidgeModel):
            predicted = model.value
        else:
            kernels.indices.mixture_index(model.mean, model.whole, model.weight, 0.0, predicted)
        gamma = self._gamma * sqrt(eligible.sum() * self._rewards) if self._grows else self._gamma
        kernels.shares.inverse_gap_pmf(predicted, gamma, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        model = self._model
        model.score(phi)
        if isinstance(model, RidgeModel):
            return model.value.copy(), self._noise * model.norm
        return model.moments()

    def contenders(self, phi: Floats) -> Contenders:  # noqa: D102
        model = self._model
        return super().contenders(phi) if isinstance(model, RidgeModel) else model.contenders(phi)
