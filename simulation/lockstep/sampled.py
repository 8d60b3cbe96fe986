"""Thompson sampling by samples of the posterior: equal in law to the exact pmf, many times faster.

    θ_a = X/(X + Y),   X ~ Gamma(a + Σr),   Y ~ Gamma(b + n − Σr);   the arm with the largest θ

Gamma numbers by squeeze and rejection from one normal and one uniform; a shape below 1 by
Gamma(s) = Gamma(s + 1)·U^(1/s).

References
----------
Marsaglia & Tsang (2000), A simple method for generating gamma variables, ACM TOMS 26(3).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.elementary import exp, log
from ...jit import kernel
from .counter import bits
from .rewards import potential
from .ziggurat import core, open_uniform, outside, running_normal

__all__ = ["betas_into", "play_sampled"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

_UNIT = 1.0 / 65536.0

# Rows of the table of shapes: d = s − 1/3 and c = 1/√(9d) of s, or of s + 1 where s < 1; and s itself.
_D, _C, _S = 0, 1, 2


@kernel
def _set_shape(table: _Floats, place: int, shape: float) -> None:
    if table[_S, place] == shape:
        return
    raised = shape + 1.0 if shape < 1.0 else shape
    d = raised - 1.0 / 3.0
    table[_D, place] = d
    table[_C, place] = 1.0 / (3.0 * math.sqrt(d))
    table[_S, place] = shape


@kernel
def _quick(raw: np.uint64, d: float, c: float) -> float:
    """The Gamma number of a draw where its first bits settle everything, nine times in ten; else −1."""
    x, stands, sixteenth = core(raw)
    v = 1.0 + c * x
    cube = v * v * v
    square = x * x
    settled = stands & (v > 0.0) & ((sixteenth + 1) * 0.0625 <= 1.0 - 0.0331 * square * square)
    return d * cube if settled else -1.0


@kernel
def _thorough(
    raw: np.uint64, d: float, c: float, start: np.uint64, step: np.uint64, n: int
) -> tuple[float, int]:
    """Go on with the same draw where ``_quick`` could not: the Gamma number, and the next draw."""
    x, stands, sixteenth = core(raw)
    if not stands:
        x, n, sixteenth = outside(raw, start, step, n)
    while True:
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            square = x * x
            # A uniform number: its first four bits come with the normal one.
            u = (sixteenth + open_uniform(start, step, n)) * 0.0625
            n += 1
            if u < 1.0 - 0.0331 * square * square or log(u) < 0.5 * square + d * (1.0 - v + log(v)):
                return d * v, n
        x, n, sixteenth = running_normal(start, step, n)


@kernel
def _gamma(d: float, c: float, shape: float, start: np.uint64, step: np.uint64, n: int) -> tuple[float, int]:
    """A Gamma number from the draws ``n``, n + 1, … of a key; returns it and the next draw."""
    raw = bits(start, step, n)
    n += 1
    value = _quick(raw, d, c)
    if value < 0.0:
        value, n = _thorough(raw, d, c, start, step, n)
    if shape < 1.0:
        value *= exp(log(open_uniform(start, step, n)) / shape)
        n += 1
    return value, n


@kernel
def betas_into(a: float, b: float, start: np.uint64, step: np.uint64, out: _Floats) -> None:
    """Beta(a, b) numbers, a, b ≥ ½."""
    table = np.zeros((3, 2))
    _set_shape(table, 0, a)
    _set_shape(table, 1, b)
    n = 0
    for i in range(out.shape[0]):
        x, n = _gamma(table[_D, 0], table[_C, 0], table[_S, 0], start, step, n)
        y, n = _gamma(table[_D, 1], table[_C, 1], table[_S, 1], start, step, n)
        out[i] = x / (x + y)


@kernel
def play_sampled(
    a: float,
    b: float,
    means: _Floats,
    starts: _Integers,
    sd: float,
    delay: int,
    start: np.uint64,
    step: np.uint64,
    sample_start: np.uint64,
    sample_step: np.uint64,
    arms: _Integers,
    rewards: _Integers,
) -> None:
    """Play Thompson sampling with prior Beta(a, b), a, b ≥ ½; the others as of ``arms.play_index``."""
    k = means.shape[1]
    totals = np.zeros((2, k), np.int64)
    table = np.zeros((3, 2 * k))
    for i in range(k):
        _set_shape(table, 2 * i, a)
        _set_shape(table, 2 * i + 1, b)
    segment = 0
    n = 0
    for t in range(arms.shape[0]):
        while segment + 1 < starts.shape[0] and starts[segment + 1] <= t:
            segment += 1
        due = t - 1 - delay
        if due >= 0:
            known = arms[due]
            totals[0, known] += 1
            totals[1, known] += rewards[due]
            good = totals[1, known] * _UNIT
            _set_shape(table, 2 * known, a + good)
            _set_shape(table, 2 * known + 1, b + (totals[0, known] - good))
        arm = 0
        best, best_sum = -1.0, 1.0
        for i in range(k):
            x, n = _gamma(table[_D, 2 * i], table[_C, 2 * i], table[_S, 2 * i], sample_start, sample_step, n)
            y, n = _gamma(
                table[_D, 2 * i + 1],
                table[_C, 2 * i + 1],
                table[_S, 2 * i + 1],
                sample_start,
                sample_step,
                n,
            )
            total = x + y
            if x * best_sum > best * total:  # x/total > best/best_sum
                best, best_sum = x, total
                arm = i
        arms[t] = arm
        rewards[t] = potential(start, step, t * k + arm, means[segment, arm], sd)
