"""Relative entropy of Bernoulli distributions, and its inverse."""

from __future__ import annotations

import math

from ...jit import kernel
from .elementary import exp, log

__all__ = ["kl", "kl_upper"]

_STEPS_MAX = 64
_CLOSE = 1e-15


@kernel
def kl(p: float, q: float) -> float:
    """d(p, q) = p ln(p/q) + (1−p) ln((1−p)/(1−q)), 0 ln 0 = 0; infinite where q rules out what p allows."""
    total = 0.0
    if p > 0.0:
        total += p * (log(p) - log(q))
    if p < 1.0:
        total += (1.0 - p) * (log(1.0 - p) - log(1.0 - q))
    return max(total, 0.0)


@kernel
def kl_upper(p: float, level: float) -> float:
    """The largest q in [p, 1] with d(p, q) ≤ level.

    Newton's method from above: in w = 1 − q the entropy is convex and falls, so that steps from a w that is
    too small never pass the root, and the iteration ends where a step no longer counts. Two bounds give the
    start: Pinsker's q ≤ p + √(level/2), and d(p, q) ≥ −H(p) − (1−p) ln(1−q).
    """
    if p >= 1.0 or level <= 0.0:
        return min(p, 1.0)
    rest = 1.0 - p
    if p <= 0.0:
        return 1.0 - exp(-level)
    entropy = p * log(p) + rest * log(rest)
    w = max(rest - math.sqrt(0.5 * level), exp((entropy - level) / rest))
    if w <= 0.0:
        return 1.0
    for _ in range(_STEPS_MAX):
        q = 1.0 - w
        excess = entropy - p * log(q) - rest * log(w) - level
        step = excess * q * w / (q - p)
        if not step > _CLOSE * w:
            break
        w += step
    return max(p, min(1.0, 1.0 - w))
