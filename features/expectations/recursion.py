"""The compiled part of ``Pooled``: an arm's row, and what it tells about the others.

    y = x·θ_a + noise,      θ_a = θ₀ + (Σ_t θ_t, 0 …) + δ_a,      δ_a ~ N(0, Λ⁻¹)

θ₀ is shared by all arms, and each tag t of an arm adds a level that it shares with others. Given these,

    θ_a | θ₀, rows ~ N(m + W θ₀, V)

so a row of noise q₀ has, with u = V x, g = Wᵀ x and q = q₀ + x·u, the residual e = y − x·m of mean g·θ₀ and
variance q. It updates what is shared as a Kalman filter does, with covariance S and h = S g,

    θ ← θ + h (e − g·θ) / (q + g·h),      S ← S − h hᵀ / (q + g·h)

and the arm's own part: m ← m + u e / q, W ← W − u gᵀ / q, V ← V − u uᵀ / q. All of it is one large Bayesian
regression, in O(D² + P²) a row.

Source: Kalman (1960), A new approach to linear filtering and prediction problems; the model is that of Gelman
et al. (2013), Bayesian Data Analysis, ch. 15.
"""

from __future__ import annotations

import numpy.typing as npt
from numpy import float64, int64

from ...jit import kernel

__all__ = ["expected", "learn"]

Floats = npt.NDArray[float64]
Integers = npt.NDArray[int64]


@kernel
def expected(
    x: Floats,
    own: Floats,
    pull: Floats,
    spread: Floats,
    theta: Floats,
    shared: Floats,
    tags: Integers,
    work: Floats,
    out: Floats,
) -> None:
    """Write a row's mean, and the variances of the arm's own and of the shared part, into ``out`` (3,).

    x, own (m) : (D,). pull (W), spread (V) : (D, D). theta (P,), shared (S) : (P, P). tags (T,) : places
    in θ. work (3, P) : u, g and h remain there.
    """
    d, p = x.shape[0], theta.shape[0]
    u, g, h = work[0], work[1], work[2]
    mean, own_variance, shared_variance = 0.0, 0.0, 0.0
    g[:] = 0.0
    for i in range(d):
        s = 0.0
        for j in range(d):
            s += spread[i, j] * x[j]
        u[i] = s
        if x[i] != 0.0:
            for j in range(d):
                g[j] += pull[i, j] * x[i]
            own_variance += x[i] * s
            mean += x[i] * own[i]
    for k in range(tags.shape[0]):
        g[tags[k]] = g[0]
    for i in range(p):
        s = 0.0
        for j in range(p):
            s += shared[i, j] * g[j]
        h[i] = s
        mean += g[i] * theta[i]
        shared_variance += g[i] * s
    out[0], out[1], out[2] = mean, own_variance, shared_variance


@kernel
def learn(
    x: Floats,
    y: float,
    noise: float,
    own: Floats,
    pull: Floats,
    spread: Floats,
    theta: Floats,
    shared: Floats,
    tags: Integers,
    work: Floats,
    out: Floats,
) -> None:
    """Take a row in; ``noise`` is its variance in units of the noise's."""
    expected(x, own, pull, spread, theta, shared, tags, work, out)
    d, p = x.shape[0], theta.shape[0]
    u, g, h = work[0], work[1], work[2]
    residual = y
    for i in range(d):
        residual -= x[i] * own[i]
    q = noise + out[1]
    gain = (y - out[0]) / (q + out[2])
    for i in range(p):
        theta[i] += h[i] * gain
        scaled = h[i] / (q + out[2])
        for j in range(p):
            shared[i, j] -= scaled * h[j]
    for i in range(d):
        scaled = u[i] / q
        own[i] += scaled * residual
        for j in range(d):
            pull[i, j] -= scaled * g[j]
            spread[i, j] -= scaled * u[j]
