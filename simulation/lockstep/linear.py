"""LinUCB in a world that is linear in its context, compiled: the sums, the ridge regression and the indices
are the functions that the online policy calls, on the same sums.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.choice import draw, quantise
from ...bandit.kernels.indices import optimistic_pmf
from ...bandit.kernels.ridge import refresh_arm, score
from ...bandit.kernels.statistics import accumulate, read
from ...jit import kernel
from .counter import bits, uniform
from .keyed import keyed_uniform

__all__ = ["contexts_into", "linear_reward", "means_into", "play_linucb", "rewards_into"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_ONE = 65536
_UNIT = 1.0 / 65536.0


@kernel
def context_into(start: np.uint64, step: np.uint64, t: int, out: _Integers) -> None:
    """φ (D,) of round t in units of 2⁻¹⁶: a constant 1, then numbers that are uniform in [−1, 1)."""
    d = out.shape[0]
    out[0] = _ONE
    for j in range(1, d):
        out[j] = np.int64(bits(start, step, t * (d - 1) + j - 1) >> np.uint64(47)) - _ONE


@kernel
def contexts_into(start: np.uint64, step: np.uint64, first: int, out: _Integers) -> None:
    """φ (n, D) of rounds ``first``, …."""
    for i in range(out.shape[0]):
        context_into(start, step, first + i, out[i])


@kernel
def means_into(phi: _Integers, coefficients: _Floats, out: _Floats) -> None:
    """Expected reward (K,) of each arm: its coefficients (K, D) times φ (D,)."""
    for a in range(out.shape[0]):
        total = 0.0
        for j in range(phi.shape[0]):
            total += coefficients[a, j] * (phi[j] * _UNIT)
        out[a] = min(max(total, 0.0), 1.0)


@kernel
def linear_reward(start: np.uint64, step: np.uint64, n: int, mean: float, width: float) -> int:
    """Draw n of a key as a reward in units of 2⁻¹⁶.

    A success or failure for ``width`` < 0, else uniform in mean ± min(width, mean, 1 − mean).
    """
    u = uniform(start, step, n)
    if width < 0.0:
        return _ONE if u < mean else 0
    half = min(width, mean, 1.0 - mean)
    return math.floor((mean + half * (2.0 * u - 1.0)) * 65536.0 + 0.5)


@kernel
def rewards_into(
    start: np.uint64, step: np.uint64, first: int, mean: _Floats, width: float, out: _Integers
) -> None:
    """Rewards (n, K) of rounds ``first``, … for means (n, K)."""
    k = out.shape[1]
    for i in range(out.shape[0]):
        for a in range(k):
            out[i, a] = linear_reward(start, step, (first + i) * k + a, mean[i, a], width)


@kernel
def play_linucb(
    alpha: float,
    ridge: float,
    noise: float,
    risk: float,
    bias: float,
    prior_logdet: float,
    floor: float,
    coefficients: _Floats,
    spread: float,
    start: np.uint64,
    step: np.uint64,
    context_start: np.uint64,
    context_step: np.uint64,
    base: npt.NDArray[np.uint64],
    head: npt.NDArray[np.uint8],
    replication: int,
    arms: _Integers,
    rewards: _Integers,
    expected: _Floats,
    best: _Floats,
) -> None:
    """Play LinUCB.

    Parameters
    ----------
    alpha, ridge : of the policy; with risk = 2 ln(1/δ) > 0 the width is OFUL's, of ``noise``, ``bias`` = √λ·S
        and ``prior_logdet`` = D ln λ. floor : exploration floor.
    coefficients (K, D), spread : of the world. start, step, context_start, context_step : keys of its rewards
        and contexts. base, head, replication : of the keyed uniform.
    arms, rewards (units of 2⁻¹⁶), expected, best (T,) : written.
    """
    k, d = coefficients.shape
    size = 3 + d + d * (d + 1) // 2
    totals = np.zeros((k, size), np.int64)
    spare = np.zeros(size, np.int64)
    reading = np.zeros((k, size))
    lower = np.zeros((d * (d + 1) // 2, k))
    theta = np.zeros((d, k))
    logdet = np.zeros(k)
    square = np.zeros((d, d))
    line, value, norm, index, pmf = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    width = np.full(k, alpha)
    means = np.empty(k)
    phi = np.empty(d, np.int64)
    numbers = np.empty(d)
    units = np.empty(k, np.int64)
    eligible = np.ones(k, np.bool_)
    work = np.empty(24, np.uint64)
    for a in range(k):
        refresh_arm(a, reading, ridge, 0.0, lower, theta, logdet, square)
        if risk > 0.0:
            width[a] = noise * math.sqrt(max(logdet[a] - prior_logdet, 0.0) + risk) + bias
    for t in range(arms.shape[0]):
        context_into(context_start, context_step, t, phi)
        for j in range(d):
            numbers[j] = phi[j] * _UNIT
        score(numbers, 0.0, lower, theta, value, norm, line)
        optimistic_pmf(value, norm, width, eligible, index, pmf)
        arm = -1
        if floor == 0.0:
            for a in range(k):
                if pmf[a] == 1.0:
                    arm = a
        if arm < 0:
            quantise(pmf, eligible, floor, units)
            arm = draw(units, keyed_uniform(base, head, replication, t, work))
        means_into(phi, coefficients, means)
        top = means[0]
        for a in range(1, k):
            top = max(top, means[a])
        arms[t] = arm
        rewards[t] = linear_reward(start, step, t * k + arm, means[arm], spread)
        expected[t] = means[arm]
        best[t] = top
        accumulate(totals[arm], spare, phi, rewards[t], 1)
        read(totals[arm], reading[arm])
        refresh_arm(arm, reading, ridge, 0.0, lower, theta, logdet, square)
        if risk > 0.0:
            width[arm] = noise * math.sqrt(max(logdet[arm] - prior_logdet, 0.0) + risk) + bias
