"""Conjugate posteriors of arms' means, without context."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["normal"]

_Array = npt.NDArray[np.float64]


@kernel
def normal(
    reading: _Array,
    mean: float,
    sd: float,
    noise: float,
    noise_weight: float,
    out_mean: _Array,
    out_sd: _Array,
) -> None:
    """Posterior mean and sd (K,), (K,) of each arm's mean reward, prior N(mean, sd²), pooled noise variance.

    σ² = (noise_weight·noise + Σ_a SS_a) / (noise_weight + Σ_a max(n_a − 1, 0)), SS = Σr² − (Σr)²/n.
    """
    squares = noise_weight * noise
    weight = noise_weight
    for i in range(out_mean.shape[0]):
        n = reading[i, 0]
        if n > 0.0:
            squares += max(reading[i, 2] - reading[i, 1] * reading[i, 1] / n, 0.0)
            weight += max(n - 1.0, 0.0)
    variance = squares / weight
    for i in range(out_mean.shape[0]):
        precision = 1.0 / (sd * sd) + reading[i, 0] / variance
        out_mean[i] = (mean / (sd * sd) + reading[i, 1] / variance) / precision
        out_sd[i] = math.sqrt(1.0 / precision)
