"""Beta densities on the logit scale, without cancellation at any evidence.

With y = log(x/(1−x)), σ(y) = x, n = a+b and p = a/n, the density of Beta(a, b) over y is

    f(y) = e^{−U(y)} / Z,    U(y) = n·KL(p ‖ σ(y)) ≥ 0,    Z = √(2πn/(ab)) · e^{μ(a)+μ(b)−μ(n)},

smooth and log-concave for all a, b > 0, with its mode where σ(y) = p; μ is Binet's function, the remainder
of Stirling's formula. No log-gamma function is needed, and nothing of the size of n is ever subtracted.

From a point y with δ = σ(y) − p, the exponent moves to y − τ by

    U(y−τ) = U(y) − nδ·τ + n·R(τ),    R(τ) = log(1−σ(y) + σ(y)e^{−τ}) + σ(y)·τ ≥ 0,

where the bend R is the same for all arms. Tails: P(Y ≥ y) ≤ e^{−U(y)} above the mode, and likewise below
(the Kullback-Leibler tail bound of the beta distribution; Perrault 2025, arXiv 2508.07991, table 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elementary import exp_normal, log_normal

__all__ = [
    "beta_divergence",
    "beta_excess",
    "beta_factor",
    "beta_reach",
    "beta_start",
    "logit_bend",
    "logit_bend_series",
    "logit_pair",
    "logit_step",
]

_Array = npt.NDArray[np.float64]

_INV_SQRT_2PI = 0.3989422804014327
_FAR = 600.0
_FLAT = 300.0
_STIRLING_FROM = 10.0  # the asymptotic series of μ is exact to 1e-16 from here


@kernel
def _expm1(x: float) -> float:
    """e^x − 1 for −700 ≤ x ≤ 700, accurate also near 0."""
    close = abs(x) < 0.35
    far = exp_normal(x) - 1.0
    z = x if close else 0.0
    near = 1.0 / 479001600.0 + z * (1.0 / 6227020800.0 + z * (1.0 / 87178291200.0))
    near = 1.0 / 362880.0 + z * (1.0 / 3628800.0 + z * (1.0 / 39916800.0 + z * near))
    near = 1.0 / 720.0 + z * (1.0 / 5040.0 + z * (1.0 / 40320.0 + z * near))
    near = z * (1.0 + z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z * (1.0 / 120.0 + z * near)))))
    return near if close else far


@kernel
def _log1p(x: float) -> float:
    """log(1+x) for x > −1, accurate also near 0: the rounding of 1+x is put back to first order."""
    u = 1.0 + x
    return log_normal(u) + (x - (u - 1.0)) / u


@kernel
def _log_excess(x: float) -> float:
    """x − log(1+x) ≥ 0 for −0.25 ≤ x ≤ 0.4, without cancellation."""
    s = x / (2.0 + x)
    z = s * s
    odd = 2.0 / 13.0 + z * (2.0 / 15.0 + z * (2.0 / 17.0 + z * (2.0 / 19.0 + z * (2.0 / 21.0))))
    odd = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0 + z * (2.0 / 11.0 + z * odd)))))
    return s * (x - odd)


@kernel
def _binet(x: float) -> float:
    """μ(x) = log Γ(x) − (x−½) log x + x − ½ log 2π, for x > 0."""
    # μ falls to the series' range by Γ(x) = Γ(x+m) / (x(x+1)…(x+m−1)).
    big = x
    product = 1.0
    while big < _STIRLING_FROM:
        product *= big
        big += 1.0
    w = 1.0 / big
    z = w * w
    tail = 1.0 / 1188.0 - z * (691.0 / 360360.0 - z * (1.0 / 156.0))
    value = w * (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z * tail))))
    if big > x:
        value -= big - x
        for argument, times in ((big, big - 0.5), (product, -1.0), (x, 0.5 - x)):
            value += times * log_normal(argument)
    return value


@kernel
def beta_factor(a: float, b: float) -> float:
    """1/Z of Beta(a, b): the density over y at its mode."""
    n = a + b
    exponent = 0.0
    sign = 1.0
    for x in (n, a, b):
        exponent += sign * _binet(x)
        sign = -1.0
    factor: float = np.sqrt(a * (b / n)) * _INV_SQRT_2PI * exp_normal(exponent)
    return factor


@kernel
def beta_excess(a: float, b: float, t: float) -> tuple[float, float]:
    """U and dU/dy at mode + t for t ≥ 0, to an absolute error of (a+b)·1e-15; swap a and b below the mode."""
    n = a + b
    p = a / n
    rest = b / n * exp_normal(-min(t, 700.0))
    return n * log_normal(p + rest) + b * t, (b * p - a * rest) / (p + rest)


@kernel
def beta_start(a: float, b: float, exponent: float) -> float:
    """A t > 0 near that with U(mode + t) = ``exponent`` or below it; swap a and b below the mode.

    U'' = nσ(1−σ) is at most npq above a mode p ≥ ½, and npq·e^t elsewhere.
    """
    c = exponent / (a * (b / (a + b)))
    t = np.sqrt(2.0 * c)
    start: float = t if a >= b else log_normal(1.0 + c + t)
    return start


@kernel
def beta_reach(a: float, b: float, exponent: float) -> float:
    """A t > 0 with U(mode + t) ≥ ``exponent``, by no more than ½ if 2e-3 ≤ a, b ≤ 1e7; swap for below."""
    t = beta_start(a, b, exponent)
    for step in range(6):
        u, slope = beta_excess(a, b, t)
        if step > 0 and u < exponent + 0.5:
            break  # U is convex: after one Newton step every iterate is right of the root
        t += (exponent - u) / slope
    return t * (1.0 + 1e-9)


@kernel
def beta_divergence(a: float, b: float, y: float, delta: float, x: float, rest: float) -> float:
    """U(y), where σ(y) = ``x``, 1 − σ(y) = ``rest``, and σ(y) − p = ``delta``."""
    n = a + b
    value = 0.0
    for count, part, change, far in ((a, x, delta, -y), (b, rest, -delta, y)):
        mean = count / n
        excess = change / mean
        if far > _FAR:  # ``part`` has left the range of numbers, but its logarithm is −far
            excess += far + log_normal(mean)
        elif -0.25 <= excess <= 0.4:
            excess = _log_excess(excess)
        else:
            excess -= log_normal(part / mean)
        value += count * excess
    return value


@kernel
def logit_pair(y: float) -> tuple[float, float]:
    """σ(y) and 1 − σ(y), the smaller of them with full relative accuracy while |y| ≤ 700."""
    tail = exp_normal(-min(abs(y), 700.0))
    small, large = tail / (1.0 + tail), 1.0 / (1.0 + tail)
    return (large, small) if y > 0.0 else (small, large)


@kernel
def logit_step(y: float, x: float, rest: float, width: float) -> float:
    """σ(y) − σ(y − width), where σ(y) = ``x`` and 1 − σ(y) = ``rest``, to a few units in the last place."""
    if width > 1.0:
        x_next, rest_next = logit_pair(y - width)
        return rest_next - rest if y > width else x - x_next
    return x * rest * -_expm1(-width) / (rest + x * exp_normal(-width))


@kernel
def logit_bend(y: float, x: float, rest: float, tau: _Array, out: _Array) -> None:
    """Write R(τ) for τ ≥ 0: any τ from y < 300; beyond, where R(y/2) < 1e-60 counts as 0, up to y/2."""
    # R is the same from either end: log(1 + x(e^−τ − 1)) + xτ = log(1 + rest(e^τ − 1)) − rest·τ.
    sign = 1.0 if y > 0.0 else -1.0
    small = min(x, rest) if y < _FLAT else 0.0
    for k in range(tau.shape[0]):
        t = sign * min(tau[k], 700.0)
        out[k] = _log1p(small * _expm1(t)) - small * sign * tau[k]


@kernel
def logit_bend_series(x: float, rest: float, tau: _Array, out: _Array) -> None:
    """Write R(τ) for 0 ≤ τ ≤ 0.03 from the cumulants of a Bernoulli variable; relative error 1e-15."""
    v = x * rest
    skew = rest - x
    c3 = skew / 6.0
    c4 = (1.0 - 6.0 * v) / 24.0
    c5 = skew * (1.0 - 12.0 * v) / 120.0
    c6 = (1.0 - v * (30.0 - 120.0 * v)) / 720.0
    c7 = skew * (1.0 - v * (60.0 - 360.0 * v)) / 5040.0
    c8 = (1.0 - v * (126.0 - v * (1680.0 - 5040.0 * v))) / 40320.0
    for k in range(tau.shape[0]):
        t = tau[k]
        out[k] = v * t * t * (0.5 - t * (c3 - t * (c4 - t * (c5 - t * (c6 - t * (c7 - t * c8))))))
