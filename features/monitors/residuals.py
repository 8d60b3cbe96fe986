"""The compiled step of one metric: what the context lets expect, and how far a row is from it.

The expectation is recursive least squares with mild forgetting (λ = .998) from a ridge prior. A residual,
divided by √(1 + xᵀPx), goes to a sorted window; its quartile gives the scale, and its good side, where no
anomalies are, the weight of the tails. Residuals beyond three scales are learned clipped, so that an anomaly
teaches little; where a context is new they are learned as they are. A two-sided CUSUM of clipped residuals
notices that the level has moved: the level then follows by the median residual since, and P doubles.

All is a function of the rows and their order: whoever feeds the same rows again gets the same bits.

References
----------
Page (1954), Continuous inspection schemes, Biometrika 41; Haykin (2002), Adaptive Filter Theory, ch. 9.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = [
    "CENTRE",
    "EXPECTED",
    "JUDGED",
    "OUT",
    "QUARTILE",
    "RANK",
    "SD",
    "TAIL",
    "VALUE",
    "expect",
    "learn",
    "step",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

JUDGED, EXPECTED, SD, CENTRE, QUARTILE, TAIL, VALUE, RANK = range(8)
OUT = 8
"""What ``step`` writes: 1 where the row was judged, the expectation, √(1 + xᵀPx), the window's median, its
scale (that of a normal with the same quartile), how much further than a normal's its good tail reaches, the
standardised residual above the median, and how many of the window are at least as far."""

FORGETTING = 0.998
FIRST = 40
"""Rows before the first judgement."""
_CLIP = 3.0
_NEW = 0.08  # xᵀPx of a context of which little is known
_SLACK, _ALARM, _CUSUM_CLIP = 0.5, 10.0, 2.5
_UNSETTLED = 5


@kernel
def expect(precision: Floats, theta: Floats, x: Floats, gain: Floats) -> tuple[float, float]:
    """θ·x and xᵀPx; writes Px into ``gain``."""
    p = x.shape[0]
    level, leverage = 0.0, 0.0
    for i in range(p):
        s = 0.0
        for j in range(p):
            s += precision[i, j] * x[j]
        gain[i] = s
        level += theta[i] * x[i]
        leverage += s * x[i]
    return level, leverage


@kernel
def learn(precision: Floats, theta: Floats, gain: Floats, leverage: float, residual: float) -> None:
    """Take a residual in; ``gain`` and ``leverage`` as ``expect`` left them."""
    p = theta.shape[0]
    g = 1.0 / (1.0 + leverage)
    for i in range(p):
        s = gain[i] * g
        theta[i] += s * residual
        for j in range(p):
            precision[i, j] = (precision[i, j] - s * gain[j]) / FORGETTING


@kernel
def _quantile(a: Floats, n: int, q: float) -> float:
    f = q * (n - 1)
    i = min(int(f), n - 2)
    value: float = a[i] + (f - i) * (a[i + 1] - a[i])
    return value


@kernel
def _median(a: Floats, at: int, rows: int) -> float:
    """Median of the last ``rows`` values of a ring whose next place is ``at``."""
    n = min(rows, a.shape[0])
    last = np.empty(n)
    for i in range(n):
        last[i] = a[(at - 1 - i) % a.shape[0]]
    last.sort()
    value: float = 0.5 * (last[(n - 1) // 2] + last[n // 2])
    return value


@kernel
def _moved(u: float, sums: Floats, counts: Integers) -> int:
    """Take the next value into the CUSUM; how many rows ago the level moved, 0 where it has not."""
    u = max(-_CUSUM_CLIP, min(_CUSUM_CLIP, u))
    for side in range(2):
        signed = u if side == 0 else -u
        sums[side] = max(0.0, sums[side] + signed - _SLACK)
        counts[3 + side] = counts[3 + side] + 1 if sums[side] > 0.0 else 0
    for side in range(2):
        if sums[side] > _ALARM:
            rows: int = counts[3 + side]
            sums[:] = 0.0
            counts[3:5] = 0
            return rows
    return 0


@kernel
def step(
    precision: Floats,
    theta: Floats,
    gain: Floats,
    window: Floats,
    recent: Floats,
    lately: Floats,
    sums: Floats,
    counts: Integers,
    x: Floats,
    y: float,
    least: float,
    out: Floats,
) -> None:
    """Judge a row against those before it, then learn it.

    Parameters
    ----------
    precision (P, P), theta (P,), gain (P,) : the regression. window (N,) : sorted residuals.
    recent (64,), lately (7,) : rings of raw and of standardised residuals. sums (2,) : the CUSUM.
    counts (6,) : rows, rows in the window, place in ``recent``, lengths of the CUSUM's runs, and rows in
    ``lately``. x (P,), y : the row. least : the smallest scale. out (8,) : see ``OUT``.
    """
    level, leverage = expect(precision, theta, x, gain)
    if counts[0] == 0:
        level = y
    sd = np.sqrt(1.0 + leverage)
    residual = y - level
    u = residual / sd
    limit = np.inf
    n = counts[1]
    out[JUDGED] = 0.0
    if n >= FIRST:
        middle = _quantile(window, n, 0.5)
        low = middle - _quantile(window, n, 0.25)
        high = _quantile(window, n, 0.75) - middle
        # The good side's decile beside its quartile: half the noise, and no anomalies.
        tenth = middle - _quantile(window, n, 0.1)
        good = 0.5 * (low / 0.6745 + tenth / 1.2816)
        quartile = max(good, 0.9 * high / 0.6745)
        reach = 0.205 * (middle - _quantile(window, n, 0.05)) + 0.16420 * (
            middle - _quantile(window, n, 0.02)
        )
        scale = max(quartile, least) * (1.0 + 8.0 / n)
        v = u - middle
        # Where the last rows are all high, the level is moving: a row counts only as far as it stands out.
        beyond = v
        if counts[5] >= lately.shape[0]:
            m = _median(lately, counts[5], lately.shape[0])
            if m > scale:
                beyond = v - m
        first, last = 0, n
        while first < last:
            half = (first + last) // 2
            if window[half] < u:
                first = half + 1
            else:
                last = half
        out[JUDGED], out[EXPECTED], out[SD], out[CENTRE] = 1.0, level, sd, middle
        out[QUARTILE], out[TAIL] = scale, 2.0 * reach / max(low + high, 1.349 * least)
        out[VALUE], out[RANK] = beyond, n - first
        lately[counts[5] % lately.shape[0]] = v
        counts[5] += 1
        recent[counts[2]] = residual
        counts[2] = (counts[2] + 1) % recent.shape[0]
        rows = _moved(v / scale, sums, counts)
        if rows > 0:
            jump = _median(recent, counts[2], rows)
            theta[0] += jump
            precision *= 2.0
            gain *= 2.0
            leverage *= 2.0
            residual -= jump
            u -= jump / sd
            counts[5] = 0
        if leverage <= _NEW:
            limit = _CLIP * scale * sd
    learn(precision, theta, gain, leverage, max(-limit, min(limit, residual)))
    counts[0] += 1
    if counts[0] > _UNSETTLED and n < window.shape[0]:
        i = n
        while i > 0 and window[i - 1] > u:
            window[i] = window[i - 1]
            i -= 1
        window[i] = u
        counts[1] = n + 1
