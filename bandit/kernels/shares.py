"""Probabilities that are a formula of the arms' means: Boltzmann, Maillard, inverse gaps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .bernoulli import kl
from .elementary import exp

__all__ = ["boltzmann_pmf", "inverse_gap_pmf", "maillard_pmf", "share_untried", "total"]

_Array = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


@kernel
def total(reading: _Array) -> float:
    """All rewards, over all arms."""
    n = 0.0
    for i in range(reading.shape[0]):
        n += reading[i, 0]
    return n


@kernel
def share_untried(reading: _Array, eligible: _Mask, out: _Array) -> bool:
    """If eligible arms have no rewards yet, give these all the mass in equal shares, and return True."""
    count = 0
    for i in range(out.shape[0]):
        if eligible[i] and not reading[i, 0] > 0.0:
            count += 1
    if count == 0:
        return False
    for i in range(out.shape[0]):
        out[i] = 1.0 / count if eligible[i] and not reading[i, 0] > 0.0 else 0.0
    return True


@kernel
def _normalise(eligible: _Mask, out: _Array) -> None:
    mass = 0.0
    for i in range(out.shape[0]):
        if eligible[i]:
            mass += out[i]
    for i in range(out.shape[0]):
        out[i] = out[i] / mass if eligible[i] else 0.0


@kernel
def boltzmann_pmf(value: _Array, rate: float, eligible: _Mask, out: _Array) -> None:
    """p ∝ exp(rate·value) over the eligible arms, computed from the gaps to the best."""
    best = -math.inf
    for i in range(out.shape[0]):
        if eligible[i]:
            best = max(best, value[i])
    for i in range(out.shape[0]):
        out[i] = exp(rate * (value[i] - best)) if eligible[i] else 0.0
    _normalise(eligible, out)


@kernel
def maillard_pmf(reading: _Array, eligible: _Mask, out: _Array) -> None:
    """p ∝ exp(−n·d(mean, best mean)), d the Bernoulli relative entropy; every eligible arm has rewards."""
    best = -math.inf
    for i in range(out.shape[0]):
        if eligible[i]:
            best = max(best, reading[i, 1] / reading[i, 0])
    for i in range(out.shape[0]):
        if eligible[i]:
            mean = reading[i, 1] / reading[i, 0]
            out[i] = exp(-reading[i, 0] * kl(mean, best)) if mean < best else 1.0
        else:
            out[i] = 0.0
    _normalise(eligible, out)


@kernel
def inverse_gap_pmf(value: _Array, gamma: float, eligible: _Mask, out: _Array) -> None:
    """p = 1/(E + γ·gap to the best) over the E eligible arms; the best ones share the rest."""
    best = -math.inf
    count = 0
    ties = 0
    for i in range(out.shape[0]):
        if eligible[i]:
            count += 1
            if value[i] > best or ties == 0:
                best = value[i]
                ties = 1
            elif value[i] == best:
                ties += 1
    rest = 1.0
    for i in range(out.shape[0]):
        out[i] = 0.0
        if eligible[i] and value[i] != best:
            out[i] = 1.0 / (count + gamma * (best - value[i]))
            rest -= out[i]
    for i in range(out.shape[0]):
        if eligible[i] and value[i] == best:
            out[i] = rest / ties
