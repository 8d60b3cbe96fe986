"""Thompson sampling with Beta posteriors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting

__all__ = ["ThompsonBeta"]


class ThompsonBeta(Policy):
    """An arm is chosen as often as it is the best under its posterior.

        θ_a ~ Beta(a + Σr, b + n − Σr),   p_a = P(θ_a > θ_j for all j ≠ a)

    The probability is computed by quadrature, not sampled. Rewards between 0 and 1 count as fractions of a
    success. Choose it for successes and failures without context: it is asymptotically optimal there.

    References
    ----------
    Thompson (1933), Biometrika 25; Kaufmann, Korda & Munos (2012), ALT.
    """

    def __init__(self, setting: Setting) -> None:
        self._prior = setting.number("a"), setting.number("b")
        self._a = np.zeros(len(setting.arms))
        self._b = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        np.add(reading[:, 1], self._prior[0], out=self._a)
        np.subtract(reading[:, 0] + self._prior[1], reading[:, 1], out=self._b)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.best_arm.best_arm_beta(self._a, self._b, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        total = self._a + self._b
        mean = self._a / total
        return mean, np.sqrt(mean * (1.0 - mean) / (total + 1.0))
