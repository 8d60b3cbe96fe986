"""Context-free indices of arms, and the pmf of "take the best": ties share the mass."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elementary import log

__all__ = ["argmax_pmf", "mean_index", "ucb1_index"]


@kernel
def argmax_pmf(
    index: npt.NDArray[np.float64], eligible: npt.NDArray[np.bool_], out: npt.NDArray[np.float64]
) -> None:
    """Equal probability for the eligible arms that attain the largest index, 0 for the others."""
    best = -math.inf
    ties = 0
    for i in range(index.shape[0]):
        if eligible[i]:
            if index[i] > best or ties == 0:
                best = index[i]
                ties = 1
            elif index[i] == best:
                ties += 1
    for i in range(index.shape[0]):
        out[i] = 1.0 / ties if eligible[i] and index[i] == best else 0.0


@kernel
def mean_index(reading: npt.NDArray[np.float64], empty: float, out: npt.NDArray[np.float64]) -> None:
    """Mean reward of each arm; ``empty`` for an arm without rewards."""
    for i in range(out.shape[0]):
        n = reading[i, 0]
        out[i] = reading[i, 1] / n if n > 0.0 else empty


@kernel
def ucb1_index(reading: npt.NDArray[np.float64], alpha: float, out: npt.NDArray[np.float64]) -> None:
    """mean + √(α ln t / 2n), t = all rewards so far; infinite for an arm without rewards."""
    t = 0.0
    for i in range(out.shape[0]):
        t += reading[i, 0]
    width = 0.5 * alpha * log(t) if t > 1.0 else 0.0
    for i in range(out.shape[0]):
        n = reading[i, 0]
        out[i] = reading[i, 1] / n + math.sqrt(width / n) if n > 0.0 else math.inf
