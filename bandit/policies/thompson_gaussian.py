"""Thompson sampling with normal posteriors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import kernels
from .base import Floats, Mask, Policy, Setting

__all__ = ["ThompsonGaussian"]


class ThompsonGaussian(Policy):
    """An arm is chosen as often as it is the best under its posterior.

        θ_a ~ N( (m/s² + Σr/σ²)/Λ_a, 1/Λ_a ),   Λ_a = 1/s² + n_a/σ²,   p_a = P(θ_a > θ_j for all j ≠ a)

    m, s: prior ``mean`` and ``sd``. The noise variance is pooled over the arms, and the prior value counts
    for ``noise_weight`` rewards: σ² = (w·noise + Σ_a SS_a) / (w + Σ_a max(n_a − 1, 0)), SS_a = Σr² − (Σr)²/n.
    The probability is computed by quadrature, not sampled. Choose it for composite rewards without context:
    it profits from a small spread, where a Beta posterior assumes that of successes and failures.

    References
    ----------
    Honda & Takemura (2014), Optimality of Thompson sampling for Gaussian bandits depends on priors, AISTATS;
    Russo et al. (2018), A Tutorial on Thompson Sampling, §3.
    """

    def __init__(self, setting: Setting) -> None:
        number = setting.number
        self._prior = number("mean"), number("sd"), number("noise"), number("noise_weight")
        self._mean = np.zeros(len(setting.arms))
        self._sd = np.zeros(len(setting.arms))

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        kernels.posteriors.normal(reading, *self._prior, self._mean, self._sd)

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        kernels.best_arm.best_arm_gaussian(self._mean, self._sd, eligible, out)

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return self._mean.copy(), self._sd.copy()
