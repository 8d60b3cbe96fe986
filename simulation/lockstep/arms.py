"""Policies without context on K arms, compiled: one call plays a replication.

The indices, pmfs, rounding and draw are the functions that the online policies call, on the same sums, and
the uniform is the learner's own (see ``keyed``): a loop takes the very arms that ``Learner`` takes on the
same world. The one short cut is where a single arm has all the mass: nothing needs to be drawn there.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.best_arm import best_arm_beta
from ...bandit.kernels.choice import draw, quantise
from ...bandit.kernels.indices import (
    argmax_pmf,
    kl_ucb_index,
    mean_index,
    moss_index,
    ucb1_index,
    ucb_v_index,
)
from ...bandit.kernels.shares import boltzmann_pmf, maillard_pmf, share_untried
from ...jit import kernel
from .keyed import keyed_uniform
from .rewards import potential

__all__ = ["play_index", "play_pmf"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_UNIT = 1.0 / 65536.0
_UNIT2 = _UNIT * _UNIT

UCB1, UCB_V, KL_UCB, MOSS, EPSILON_GREEDY = 0, 1, 2, 3, 4
UNIFORM, THOMPSON_BETA, KL_MAILLARD, SOFTMAX = 0, 1, 2, 3


@kernel
def absorb(totals: _Integers, reading: _Floats, arm: int, units: int) -> None:
    """Learn one reward: totals (K, 3) integers n, Σr, Σr²; reading (K, 3) the same in natural units."""
    row = totals[arm]
    row[0] += 1
    row[1] += units
    row[2] += units * units
    reading[arm, 0] = row[0]
    reading[arm, 1] = row[1] * _UNIT
    reading[arm, 2] = row[2] * _UNIT2


@kernel
def play_index(
    code: int,
    first: float,
    second: float,
    floor: float,
    means: _Floats,
    starts: _Integers,
    sd: float,
    delay: int,
    start: np.uint64,
    step: np.uint64,
    base: npt.NDArray[np.uint64],
    head: npt.NDArray[np.uint8],
    replication: int,
    arms: _Integers,
    rewards: _Integers,
) -> None:
    """Play a policy that takes the largest index.

    Parameters
    ----------
    code, first, second : which index, and its two parameters. floor : exploration floor.
    means (S, K) : of the arms, from round ``starts`` (S,) on; sd : see ``rewards.potential``.
    delay : rounds that pass before a reward is learned.
    start, step : key of the rewards. base, head, replication : of the keyed uniform.
    arms, rewards (T,) : written; rewards in units of 2⁻¹⁶.
    """
    k = means.shape[1]
    totals = np.zeros((k, 3), np.int64)
    reading = np.zeros((3, k)).T  # columns are neighbours in memory: loops over arms become SIMD code
    index = np.empty(k)
    pmf = np.empty(k)
    units = np.empty(k, np.int64)
    eligible = np.ones(k, np.bool_)
    work = np.empty(24, np.uint64)
    segment = 0
    for t in range(arms.shape[0]):
        while segment + 1 < starts.shape[0] and starts[segment + 1] <= t:
            segment += 1
        due = t - 1 - delay
        if due >= 0:
            absorb(totals, reading, arms[due], rewards[due])
        if code == UCB1:
            ucb1_index(reading, first, index)
        elif code == UCB_V:
            ucb_v_index(reading, first, second, index)
        elif code == KL_UCB:
            kl_ucb_index(reading, first != 0.0, second, index)
        elif code == MOSS:
            moss_index(reading, first, index)
        else:
            mean_index(reading, math.inf, index)
        best = index[0]
        arm = 0
        ties = 1
        for a in range(1, k):
            if index[a] > best:
                best = index[a]
                arm = a
                ties = 1
            elif index[a] == best:
                ties += 1
        if ties > 1 or floor > 0.0 or code == EPSILON_GREEDY:
            argmax_pmf(index, eligible, pmf)
            if code == EPSILON_GREEDY:
                for a in range(k):
                    pmf[a] *= 1.0 - first
                    pmf[a] += first / k
            quantise(pmf, eligible, floor, units)
            arm = draw(units, keyed_uniform(base, head, replication, t, work))
        arms[t] = arm
        rewards[t] = potential(start, step, t * k + arm, means[segment, arm], sd)


@kernel
def play_pmf(
    code: int,
    first: float,
    second: float,
    floor: float,
    means: _Floats,
    starts: _Integers,
    sd: float,
    delay: int,
    start: np.uint64,
    step: np.uint64,
    base: npt.NDArray[np.uint64],
    head: npt.NDArray[np.uint8],
    replication: int,
    arms: _Integers,
    rewards: _Integers,
) -> None:
    """Play a policy that draws from its exact pmf; parameters as of ``play_index``."""
    k = means.shape[1]
    totals = np.zeros((k, 3), np.int64)
    reading = np.zeros((3, k)).T  # columns are neighbours in memory: loops over arms become SIMD code
    mean = np.empty(k)
    pmf = np.empty(k)
    units = np.empty(k, np.int64)
    eligible = np.ones(k, np.bool_)
    work = np.empty(24, np.uint64)
    a_post = np.full(k, first)
    b_post = np.full(k, second)
    segment = 0
    for t in range(arms.shape[0]):
        while segment + 1 < starts.shape[0] and starts[segment + 1] <= t:
            segment += 1
        due = t - 1 - delay
        if due >= 0:
            known = arms[due]
            absorb(totals, reading, known, rewards[due])
            a_post[known] = reading[known, 1] + first
            b_post[known] = reading[known, 0] + second - reading[known, 1]
        if code == UNIFORM:
            for a in range(k):
                pmf[a] = 1.0 / k
        elif code == THOMPSON_BETA:
            best_arm_beta(a_post, b_post, eligible, pmf)
        elif code == KL_MAILLARD:
            if not share_untried(reading, eligible, pmf):
                maillard_pmf(reading, eligible, pmf)
        elif not share_untried(reading, eligible, pmf):
            mean_index(reading, 0.0, mean)
            boltzmann_pmf(mean, first, eligible, pmf)
        quantise(pmf, eligible, floor, units)
        arm = -1
        for a in range(k):
            if units[a] == 4294967296:
                arm = a
        if arm < 0:
            arm = draw(units, keyed_uniform(base, head, replication, t, work))
        arms[t] = arm
        rewards[t] = potential(start, step, t * k + arm, means[segment, arm], sd)
