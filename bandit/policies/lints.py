"""Linear Thompson sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting
from .ridge import RidgeModel

__all__ = ["LinTs"]


class LinTs(Policy):
    """An arm is chosen as often as it is the best under a linear model of its own.

        θ_a ~ N(θ̂_a, v² A_a⁻¹),   A_a = λI + Σφφᵀ,   θ̂_a = A_a⁻¹ Σφ(r − m),   p_a = P(φ·θ_a > φ·θ_j for all
        j ≠ a)

    m = ``mean``, λ = ``ridge``, v = ``scale``, the sd of the noise: the posterior of the prior N(0, v²/λ) for
    each coefficient. Given φ the arms' values are independent normals, so that the probability is an integral
    computed by quadrature, not sampled. Arms share nothing; with few rewards an arm, choose ``hier_ts``.

    References
    ----------
    Agrawal & Goyal (2013), Thompson sampling for contextual bandits with linear payoffs, ICML (v = 1 and one
    θ for all arms there); Russo et al. (2018), A Tutorial on Thompson Sampling, §3.
    """

    reads_context = True

    def __init__(self, setting: Setting) -> None:
        self._model = RidgeModel(setting, ridge=setting.number("ridge"), center=setting.number("mean"))
        self._scale = setting.number("scale")
        self._sd = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: D102
        self._model.refresh(reading, changed)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: D102
        self._model.score(phi)
        np.multiply(self._model.norm, self._scale, out=self._sd)
        kernels.best_arm.best_arm_gaussian(self._model.value, self._sd, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: D102
        self._model.score(phi)
        return self._model.value.copy(), self._scale * self._model.norm
