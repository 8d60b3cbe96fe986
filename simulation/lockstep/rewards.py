"""Potential rewards: what an arm would pay in a round, by the number of the draw.

A reward is an integer in units of 2⁻¹⁶, as learners store it. ``sd`` < 0 stands for successes and failures.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.elementary import exp, log
from ...jit import kernel
from .counter import normal, uniform

__all__ = ["geometrics_into", "lognormals_into", "potential", "potentials_into"]

_ONE = 65536


@kernel
def potential(start: np.uint64, step: np.uint64, n: int, mean: float, sd: float) -> int:
    """Draw n of a key as a reward: Bernoulli(mean), or N(mean, sd²) clipped to [0, 1] and rounded."""
    if sd < 0.0:
        return _ONE if uniform(start, step, n) < mean else 0
    value = (mean + sd * normal(start, step, n)) * 65536.0
    if value <= 0.0:
        return 0
    if value >= 65536.0:
        return _ONE
    return math.floor(value + 0.5)


@kernel
def potentials_into(
    start: np.uint64,
    step: np.uint64,
    first: int,
    mean: npt.NDArray[np.float64],
    sd: float,
    out: npt.NDArray[np.int64],
) -> None:
    """Rewards (n, K) of rounds ``first``, … for means (n, K): draw t·K + a belongs to arm a in round t."""
    k = out.shape[1]
    for i in range(out.shape[0]):
        for a in range(k):
            out[i, a] = potential(start, step, (first + i) * k + a, mean[i, a], sd)


@kernel
def geometrics_into(
    start: np.uint64, step: np.uint64, first: int, mean: float, out: npt.NDArray[np.int64]
) -> None:
    """Draws ``first``, … of a key as whole numbers from 0 on of a geometric law with this mean > 0."""
    rate = log(mean / (1.0 + mean))
    for i in range(out.shape[0]):
        out[i] = math.floor(log(1.0 - uniform(start, step, first + i)) / rate)


@kernel
def lognormals_into(
    start: np.uint64, step: np.uint64, first: int, sd: float, out: npt.NDArray[np.float64]
) -> None:
    """Draws ``first``, … of a key as e^(sd·Z), Z standard normal: median 1."""
    for i in range(out.shape[0]):
        out[i] = exp(sd * normal(start, step, first + i))
