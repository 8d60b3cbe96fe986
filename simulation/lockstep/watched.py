"""Policies on K arms without context under monitors, compiled: one call plays a replication.

What ``Learner`` and ``Watch`` do together: rewards and events number the rows of one sequence, the sums are
kept in buckets of it, each arm's newest rewards stand in the window of its ``ShiftMonitor``, and a shift
begins a new epoch at the number of its event. Indices, pmfs, rounding, draw and scan are the functions that
they call, so that a loop takes the very arms, and comes to the very alarms, at the very rows.

Each arm is a strategy of its own, and φ is the leading 1: so have all worlds that are played from segments.
Monitors of durations and contexts find nothing there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.best_arm import best_arm_beta
from ...bandit.kernels.choice import draw, quantise
from ...bandit.kernels.indices import argmax_pmf, kl_ucb_index, ucb1_index
from ...features.monitors.scan import EVIDENCE, FEWEST_BEFORE, FEWEST_BEHIND, scan
from ...features.monitors.shift import LEVEL_RIDGE
from ...features.monitors.window import KEPT, MOST
from ...jit import kernel
from .keyed import keyed_uniform
from .rewards import potential

__all__ = ["KL_UCB", "NOTHING", "THOMPSON_BETA", "UCB1", "UNIFORM", "play_watched"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_UNIT = 1.0 / 65536.0
_UNIT2 = _UNIT * _UNIT
_NEGLIGIBLE = 2.0**-60

UNIFORM, THOMPSON_BETA, UCB1, KL_UCB = 0, 1, 2, 3
NOTHING = -1
"""Where no epoch begins."""


@kernel
def _power(base: float, exponent: int) -> float:
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@kernel
def _read(blocks: _Integers, newest: int, bucket_rows: int, idle: float, left: _Floats, out: _Floats) -> None:
    """The reading of one arm: ``blocks`` (B, 3) of its present epoch, weighted as ``Forgetting`` does."""
    out[:] = 0.0
    if idle >= 1.0:
        n, s, q = 0, 0, 0
        for b in range(newest + 1):
            n += blocks[b, 0]
            s += blocks[b, 1]
            q += blocks[b, 2]
        out[0] = n
        out[1] = s * _UNIT
        out[2] = q * _UNIT2
        return
    weight = 1.0
    first = newest
    left[newest] = 1.0
    for b in range(newest - 1, -1, -1):
        weight *= _power(idle, max(0, bucket_rows - blocks[b, 0]))
        if weight < _NEGLIGIBLE:
            break
        left[b] = weight
        first = b
    for b in range(first, newest + 1):
        out[0] += left[b] * blocks[b, 0]
        out[1] += left[b] * (blocks[b, 1] * _UNIT)
        out[2] += left[b] * (blocks[b, 2] * _UNIT2)


@kernel
def play_watched(
    code: int,
    first: float,
    second: float,
    floor: float,
    idle: float,
    bucket_rows: int,
    needed: float,
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
    begun: _Integers,
) -> None:
    """Play a policy under a monitor of rewards.

    Parameters
    ----------
    code, first, second : which policy, and its two parameters. floor : exploration floor.
    idle : ``idle_discount``, 1 for none. bucket_rows : rows that share a block of sums.
    needed : evidence for an alarm, in nats; 0: nobody looks.
    means, starts, sd, delay, start, step, base, head, replication, arms, rewards : as of ``arms.play_index``.
    begun (T,) : written; the arm whose new epoch begins behind round t's reward, ``NOTHING`` if none does.
    """
    rounds, k = arms.shape[0], means.shape[1]
    blocks = np.zeros((k, (2 * rounds + 2) // bucket_rows + 1, 3), np.int64)
    left = np.empty(blocks.shape[1])
    reading = np.zeros((3, k)).T
    epochs, epoch_of = np.zeros(k, np.int64), np.zeros(rounds, np.int64)
    stale = np.ones(k, np.bool_)
    index, pmf = np.empty(k), np.empty(k)
    a_post, b_post = np.empty(k), np.empty(k)
    units, eligible = np.empty(k, np.int64), np.ones(k, np.bool_)
    draws = np.empty(24, np.uint64)
    window, counts, totals = np.zeros((k, MOST)), np.zeros(k, np.int64), np.zeros(k)
    ones, owners = np.ones((MOST, 1)), np.zeros(MOST, np.int64)
    small, line, ridge, work = np.zeros((1, 1)), np.zeros(1), np.full(1, LEVEL_RIDGE), np.zeros((4, 1))
    lower, residuals, out = np.zeros((1, 1)), np.zeros(MOST), np.zeros((2, 3))
    begun[:] = NOTHING
    seq, bucket, segment = 0, -1, 0
    for t in range(rounds):
        while segment + 1 < starts.shape[0] and starts[segment + 1] <= t:
            segment += 1
        due = t - 1 - delay
        if due >= 0:
            seq += 1
            arm, reward = arms[due], rewards[due]
            if epoch_of[due] == epochs[arm]:
                block = blocks[arm, seq // bucket_rows]
                block[0] += 1
                block[1] += reward
                block[2] += reward * reward
                stale[arm] = True
                if needed > 0.0:
                    n = counts[arm]
                    if n == MOST:
                        window[arm, :KEPT] = window[arm, MOST - KEPT :].copy()
                        n = KEPT
                        totals[arm] = window[arm, :KEPT].sum()
                    window[arm, n] = reward * _UNIT
                    totals[arm] += window[arm, n]
                    n += 1
                    counts[arm] = n
                    if n >= FEWEST_BEFORE + FEWEST_BEHIND:
                        small[0, 0] = n
                        line[0] = totals[arm]
                        scan(ones, owners, window[arm], n, small, line, ridge, lower, work, residuals, out)
                        if max(out[0, EVIDENCE], out[1, EVIDENCE]) >= needed:
                            seq += 1
                            begun[due] = arm
                            epochs[arm] += 1
                            blocks[arm] = 0
                            counts[arm] = 0
                            totals[arm] = 0.0
        newest = seq // bucket_rows
        if idle < 1.0 and newest != bucket:
            bucket = newest
            stale[:] = True
        fresh = False
        for a in range(k):
            if stale[a]:
                _read(blocks[a], newest, bucket_rows, idle, left, reading[a])
                stale[a] = False
                fresh = True
        if code == UNIFORM:
            for a in range(k):
                pmf[a] = 1.0 / k
        elif code == THOMPSON_BETA:
            if fresh:
                for a in range(k):
                    a_post[a] = reading[a, 1] + first
                    b_post[a] = reading[a, 0] + second - reading[a, 1]
            best_arm_beta(a_post, b_post, eligible, pmf)
        else:
            if fresh and code == UCB1:
                ucb1_index(reading, first, index)
            elif fresh:
                kl_ucb_index(reading, first != 0.0, second, index)
            argmax_pmf(index, eligible, pmf)
        quantise(pmf, eligible, floor, units)
        chosen = -1
        for a in range(k):
            if units[a] == 4294967296:
                chosen = a
        if chosen < 0:
            chosen = draw(units, keyed_uniform(base, head, replication, t, draws))
        arms[t] = chosen
        epoch_of[t] = epochs[chosen]
        rewards[t] = potential(start, step, t * k + chosen, means[segment, chosen], sd)
