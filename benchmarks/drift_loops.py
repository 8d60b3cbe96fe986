"""Compiled loops of the drift benchmark: the scan of ``features.monitors`` in worlds without context.

What ``Bandit`` does with a spec that has monitors, without its ledger: each arm is a strategy of its own, its
window is that of ``ShiftMonitor``, and an alarm sets the arm back to its prior.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nyx_learning.bandit.kernels.indices import argmax_pmf, kl_ucb_index
from nyx_learning.features.monitors.scan import EVIDENCE, FEWEST_BEFORE, FEWEST_BEHIND, scan
from nyx_learning.features.monitors.window import KEPT, MOST
from nyx_learning.jit import kernel

__all__ = ["KL_UCB", "THOMPSON", "alarms", "play"]

Floats = npt.NDArray[np.float64]

THOMPSON, KL_UCB = 0, 1
RIDGE = 0.001


@kernel
def _push(rewards: Floats, counts: npt.NDArray[np.int64], arm: int, reward: float) -> None:
    n = counts[arm]
    if n == MOST:
        rewards[arm, :KEPT] = rewards[arm, MOST - KEPT : MOST].copy()
        n = KEPT
    rewards[arm, n] = reward
    counts[arm] = n + 1


@kernel
def _evidence(
    rewards: Floats,
    n: int,
    ones: Floats,
    owners: npt.NDArray[np.int64],
    small: Floats,
    line: Floats,
    work: Floats,
    residuals: Floats,
    out: Floats,
) -> float:
    if n < FEWEST_BEFORE + FEWEST_BEHIND:
        return 0.0
    total = 0.0
    for i in range(n):
        total += rewards[i]
    small[0, 0] = n
    line[0] = total
    work[4, 0] = RIDGE
    scan(ones, owners, rewards, n, small, line, work[4], small[1:], work[:4], residuals, out)
    evidence: float = out[1, EVIDENCE]
    return evidence


@kernel
def alarms(
    rng: np.random.Generator, before: float, after: float, change: int, rows: int, needed: float
) -> Floats:
    """Rows at which one stream of successes and failures gives an alarm; the window restarts behind each."""
    found = np.full(rows, -1.0)
    rewards, counts = np.zeros((1, MOST)), np.zeros(1, np.int64)
    ones, owners, residuals = np.ones((MOST, 1)), np.zeros(MOST, np.int64), np.zeros(MOST)
    small, line, work, out = np.zeros((2, 1)), np.zeros(1), np.zeros((5, 1)), np.zeros((2, 3))
    number = 0
    for t in range(rows):
        reward = 1.0 if rng.random() < (before if t < change else after) else 0.0
        _push(rewards, counts, 0, reward)
        if _evidence(rewards[0], counts[0], ones, owners, small, line, work, residuals, out) >= needed:
            found[number] = t
            number += 1
            counts[0] = 0
    return found[:number]


@kernel
def play(
    rng: np.random.Generator,
    means: Floats,
    length: int,
    policy: int,
    needed: float,
    idle: float,
    bucket: int,
) -> Floats:
    """Regret of one run, and how many alarms there were.

    ``means`` (S, K): success probabilities in each segment of ``length`` rounds. ``needed``: evidence for an
    alarm, 0 for no monitors. ``idle``: ``idle_discount``, 1 for none, in buckets of ``bucket`` rows.
    """
    segments, arms = means.shape
    rewards, counts = np.zeros((arms, MOST)), np.zeros(arms, np.int64)
    ones, owners, residuals = np.ones((MOST, 1)), np.zeros(MOST, np.int64), np.zeros(MOST)
    small, line, work, out = np.zeros((2, 1)), np.zeros(1), np.zeros((5, 1)), np.zeros((2, 3))
    closed, current = np.zeros((arms, 2)), np.zeros((arms, 2))
    reading, index, pmf = np.zeros((arms, 3)), np.zeros(arms), np.zeros(arms)
    eligible = np.ones(arms, np.bool_)
    regret, raised = 0.0, 0
    for t in range(segments * length):
        if t % bucket == 0 and t > 0:
            for a in range(arms):
                fade = idle ** (bucket - current[a, 0])
                closed[a] = (closed[a] + current[a]) * fade
                current[a] = 0.0
        reading[:, :2] = closed + current
        if policy == THOMPSON:
            for a in range(arms):
                n, s = reading[a, 0], reading[a, 1]
                index[a] = rng.beta(1.0 + s, 1.0 + n - s)
        else:
            kl_ucb_index(reading, False, 0.0, index)
        argmax_pmf(index, eligible, pmf)
        u, arm = rng.random(), 0
        while u >= pmf[arm] and arm < arms - 1:
            u -= pmf[arm]
            arm += 1
        mean = means[t // length]
        regret += mean.max() - mean[arm]
        reward = 1.0 if rng.random() < mean[arm] else 0.0
        current[arm, 0] += 1.0
        current[arm, 1] += reward
        if needed > 0.0:
            _push(rewards, counts, arm, reward)
            found = _evidence(rewards[arm], counts[arm], ones, owners, small, line, work, residuals, out)
            if found >= needed:
                raised += 1
                counts[arm] = 0
                closed[arm] = 0.0
                current[arm] = 0.0
    return np.array([regret, raised])
