"""Ridge regression of each arm by itself, which ``linucb``, ``lints`` and ``square_cb`` share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import ieee
from .. import kernels
from .base import Floats, Setting

__all__ = ["RidgeModel"]


class RidgeModel:
    """A linear model of every arm: A = λI + Σφφᵀ, θ̂ = A⁻¹ Σφ(r − center).

    Attributes
    ----------
    value, norm : (K,), (K,) for the context of the last ``score``: center + φ·θ̂, and √(φᵀA⁻¹φ).
    """

    def __init__(self, setting: Setting, *, ridge: float, center: float) -> None:
        k, d = len(setting.arms), setting.dimension
        self._ridge, self._center = ridge, center
        self._lower = np.zeros((d * (d + 1) // 2, k))
        self._theta = np.zeros((d, k))
        self._logdet = np.zeros(k)
        self._prior_logdet = d * ieee.log(ridge)
        self._square, self._line = np.zeros((d, d)), np.zeros(k)
        self.value, self.norm = np.zeros(k), np.zeros(k)

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:
        """Take note of new sums, as ``Policy.refresh`` does."""
        for arm in changed:
            kernels.ridge.refresh_arm(
                arm,
                reading,
                self._ridge,
                self._center,
                self._lower,
                self._theta,
                self._logdet,
                self._square,
            )

    def score(self, phi: Floats) -> None:
        """Write ``value`` and ``norm`` for a context φ (D,)."""
        kernels.ridge.score(phi, self._center, self._lower, self._theta, self.value, self.norm, self._line)

    def information(self, arm: int) -> float:
        """ln(det A / λ^D): what an arm's contexts have gained over the prior."""
        return float(self._logdet[arm]) - self._prior_logdet
