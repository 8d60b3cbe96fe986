"""Context-free indices of arms, and the pmf of "take the best": ties share the mass."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .bernoulli import kl_upper
from .elementary import log

__all__ = [
    "argmax_pmf",
    "kl_ucb_index",
    "mean_index",
    "mixture_index",
    "moss_index",
    "optimistic_pmf",
    "ucb1_index",
    "ucb_v_index",
]


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


@kernel
def ucb_v_index(
    reading: npt.NDArray[np.float64], zeta: float, c: float, out: npt.NDArray[np.float64]
) -> None:
    """mean + √(2 V ζ ln t / n) + 3 c ζ ln t / n, V = Σr²/n − mean²; infinite for an arm without rewards."""
    t = 0.0
    for i in range(out.shape[0]):
        t += reading[i, 0]
    level = zeta * log(t) if t > 1.0 else 0.0
    for i in range(out.shape[0]):
        n = reading[i, 0]
        if n > 0.0:
            mean = reading[i, 1] / n
            variance = max(reading[i, 2] / n - mean * mean, 0.0)
            out[i] = mean + math.sqrt(2.0 * variance * level / n) + 3.0 * c * level / n
        else:
            out[i] = math.inf


@kernel
def kl_ucb_index(
    reading: npt.NDArray[np.float64], finite_time: bool, c: float, out: npt.NDArray[np.float64]
) -> None:
    """max{q : n·d(mean, q) ≤ f(t)}, t = all rewards so far; infinite for an arm without rewards.

    f(t) = ln(1 + t ln²t) where ``finite_time``, else ln t + c ln ln t (ln ln t counts as 0 up to t = e).
    """
    t = 0.0
    for i in range(out.shape[0]):
        t += reading[i, 0]
    level = 0.0
    if t > 1.0:
        level = log(t)
        if finite_time:
            level = log(1.0 + t * level * level)
        elif level > 1.0:
            level += c * log(level)
    for i in range(out.shape[0]):
        n = reading[i, 0]
        out[i] = kl_upper(reading[i, 1] / n, level / n) if n > 0.0 else math.inf


@kernel
def moss_index(reading: npt.NDArray[np.float64], horizon: float, out: npt.NDArray[np.float64]) -> None:
    """mean + √(max(0, ln(T/(K n)))/n); infinite for an arm without rewards."""
    share = horizon / out.shape[0]
    for i in range(out.shape[0]):
        n = reading[i, 0]
        out[i] = reading[i, 1] / n + math.sqrt(max(0.0, log(share / n)) / n) if n > 0.0 else math.inf


@kernel
def optimistic_pmf(
    value: npt.NDArray[np.float64],
    norm: npt.NDArray[np.float64],
    width: npt.NDArray[np.float64],
    eligible: npt.NDArray[np.bool_],
    index: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None:
    """``argmax_pmf`` of value + width·norm, which is written to ``index``; all (K,)."""
    for i in range(out.shape[0]):
        index[i] = value[i] + width[i] * norm[i]
    argmax_pmf(index, eligible, out)


@kernel
def mixture_index(
    mean: npt.NDArray[np.float64],
    variance: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    width: float,
    out: npt.NDArray[np.float64],
) -> None:
    """Mean + width·sd of a mixture of normals; mean, variance (R, K), weight (R,)."""
    for i in range(out.shape[0]):
        center = 0.0
        for ratio in range(weight.shape[0]):
            center += weight[ratio] * mean[ratio, i]
        spread = 0.0
        for ratio in range(weight.shape[0]):
            gap = mean[ratio, i] - center
            spread += weight[ratio] * (variance[ratio, i] + gap * gap)
        out[i] = center + width * math.sqrt(spread)
