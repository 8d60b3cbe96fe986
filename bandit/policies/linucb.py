"""LinUCB."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ... import ieee
from .. import kernels
from .base import Floats, Mask, Policy, Setting
from .ridge import RidgeModel

__all__ = ["LinUcb"]


class LinUcb(Policy):
    """The arm with the largest upper confidence bound of a linear model of its own.

        A_a = λI + Σφφᵀ,   θ̂_a = A_a⁻¹ Σφr,   index_a = φ·θ̂_a + w_a √(φᵀA_a⁻¹φ)

    w = ``alpha``; or, with ``delta`` > 0, the radius of OFUL,
    w_a = R √( ln(det A_a / λ^D) + 2 ln(1/δ) ) + √λ S, with R = ``noise`` and S = ``norm``. λ = ``ridge``.
    Arms share nothing: with K arms and D columns of φ it has K·D coefficients to learn. Choose it with many
    rewards an arm and contexts that matter; with few rewards, ``hier_ucb``.

    References
    ----------
    Li et al. (2010), A contextual-bandit approach to personalized news article recommendation, WWW, Algorithm
    1; Abbasi-Yadkori, Pál & Szepesvári (2011), NeurIPS, Theorem 2.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        number = setting.number
        self._model = RidgeModel(setting, ridge=number("ridge"), center=0.0)
        self._alpha = number("alpha")
        self._noise, delta = number("noise"), number("delta")
        self._risk = -2.0 * ieee.log(delta) if delta > 0.0 else 0.0
        self._bias = sqrt(number("ridge")) * number("norm")
        self._width = np.full(len(setting.arms), self._alpha)
        self._index = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)
        if self._risk:
            for arm in changed:
                gained = max(self._model.information(arm), 0.0)
                self._width[arm] = self._noise * sqrt(gained + self._risk) + self._bias

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        model = self._model
        model.score(phi)
        kernels.indices.optimistic_pmf(model.value, model.norm, self._width, eligible, self._index, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        self._model.score(phi)
        return self._model.value.copy(), self._noise * self._model.norm
