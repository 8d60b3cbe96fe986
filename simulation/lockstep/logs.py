"""Logs of a bandit in a world whose truth is known, compiled: what the verdict's error rates are held on.

A log has the whole pmf of every row, so that true values are known row by row: of the target and the baseline
policy, and of the logging policy too.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.best_arm import best_arm_beta
from ...jit import kernel
from .counter import uniform

__all__ = ["DECLINING", "HOLDOUT", "IMPROVING", "INCUMBENT", "THOMPSON", "UNIFORM", "write_log"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

UNIFORM, INCUMBENT, THOMPSON, IMPROVING, DECLINING, HOLDOUT = 0, 1, 2, 3, 4, 5

_INCUMBENT_SHARE, _HOLDOUT_SHARE = 0.8, 0.1  # of the baseline arm
_SHARES = (0.1, 0.95)  # of the target arm, in a log that improves: at the first row, at the last
_FLOOR = 0.05
_DRAWS = 4  # of each row: context, arm, success, how much of a composite reward


@kernel
def write_log(
    kind: int,
    early: _Floats,
    late: _Floats,
    baseline: int,
    target: int,
    composite: float,
    start: np.uint64,
    step: np.uint64,
    pmf: _Floats,
    group: _Integers,
    arm: _Integers,
    reward: _Floats,
) -> None:
    """Fill a log of n rows; contexts are drawn with equal probabilities.

    Parameters
    ----------
    kind : of the logging policy. ``INCUMBENT``: the baseline arm with .8, else another;
        ``HOLDOUT``: with .1. ``THOMPSON``: Beta
        Thompson sampling by context with a floor of .05; its pmf is taken anew at every row up to the
        hundredth, then at every fiftieth part of the rows so far. ``IMPROVING``: the target arm's share grows
        linearly from .1 to .95; ``DECLINING``: it falls so.
    early, late (C, K) : means in the first half of the rows, and in the second.
    composite : 0 for successes and failures; else rewards are s·(1 − composite·u), u uniform, s a success
        whose probability makes the mean right: means up to 1 − composite/2.
    start, step : key of the draws. pmf (n, K), group, arm, reward (n,) : written.
    """
    n, k = pmf.shape
    contexts = early.shape[0]
    a_post = np.ones((contexts, k))
    b_post = np.ones((contexts, k))
    now = np.full((contexts, k), 1.0 / k)
    renew = 0
    eligible = np.ones(k, np.bool_)
    whole = 1.0 - 0.5 * composite
    for t in range(n):
        means = early if 2 * t < n else late
        g = min(int(uniform(start, step, _DRAWS * t) * contexts), contexts - 1)
        if kind == UNIFORM:
            for a in range(k):
                pmf[t, a] = 1.0 / k
        elif kind in (INCUMBENT, HOLDOUT):
            share = _INCUMBENT_SHARE if kind == INCUMBENT else _HOLDOUT_SHARE
            for a in range(k):
                pmf[t, a] = (1.0 - share) / (k - 1)
            pmf[t, baseline] = share
        elif kind == THOMPSON:
            if t >= renew:
                for c in range(contexts):
                    best_arm_beta(a_post[c], b_post[c], eligible, now[c])
                    for a in range(k):
                        now[c, a] = (1.0 - _FLOOR) * now[c, a] + _FLOOR / k
                renew = t + max(1, t // 50) if t >= 100 else t + 1
            for a in range(k):
                pmf[t, a] = now[g, a]
        else:
            place = t / max(n - 1, 1)
            if kind == DECLINING:
                place = 1.0 - place
            share = _SHARES[0] + (_SHARES[1] - _SHARES[0]) * place
            for a in range(k):
                pmf[t, a] = (1.0 - share) / (k - 1)
            pmf[t, target] = share
        u = uniform(start, step, _DRAWS * t + 1)
        chosen = k - 1
        for a in range(k):
            u -= pmf[t, a]
            if u < 0.0:
                chosen = a
                break
        value = 0.0
        if uniform(start, step, _DRAWS * t + 2) < means[g, chosen] / whole:
            value = 1.0
            if composite > 0.0:
                value -= composite * uniform(start, step, _DRAWS * t + 3)
        group[t] = g
        arm[t] = chosen
        reward[t] = value
        if kind == THOMPSON:
            # A reward between 0 and 1 counts as so much of a success.
            a_post[g, chosen] += value
            b_post[g, chosen] += math.fabs(1.0 - value)
