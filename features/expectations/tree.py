"""The compiled part of ``Pooled``: one arm's rows, and what they tell about the others.

    y = x·θ₀ + Σ_t θ_t + x·δ_a + noise        δ_a ~ N(0, Λ⁻¹)

With A = Σ x xᵀ and b = Σ x y of an arm, integrating δ_a out leaves the message

    C = Λ − Λ (A + Λ)⁻¹ Λ,      c = Λ (A + Λ)⁻¹ b

about what the arms share (θ₀, and one θ_t for each tag of the arm, which acts like a level). The messages add
up to the root, and down again the expectation of a row is x·m + g·θ₀ + g₀ Σ_t θ_t with m = (A + Λ)⁻¹ b and
g = Λ (A + Λ)⁻¹ x; its variance in units of the noise is x·(A + Λ)⁻¹ x + gᵀ Σ₀ g.

Matrices are lower triangles throughout.

Source: the one-way random effects model, Gelman et al. (2013), Bayesian Data Analysis, ch. 15.
"""

from __future__ import annotations

import numpy.typing as npt
from numpy import float64, int64

from ...jit import kernel
from ..monitors.scan import factorise, solve

__all__ = ["add_weighted", "expected", "free_level", "refresh", "settle_root"]

Floats = npt.NDArray[float64]
Integers = npt.NDArray[int64]


@kernel
def add_weighted(a: Floats, b: Floats, x: Floats, weight: float, y: float, keep: float) -> None:
    """Add a row to A (D, D) and b (D,), of which the share ``keep`` stays."""
    for i in range(b.shape[0]):
        scaled = weight * x[i]
        b[i] = keep * b[i] + scaled * y
        for j in range(i + 1):
            a[i, j] = keep * a[i, j] + scaled * x[j]


@kernel
def free_level(a: Floats, b: Floats, shift: float, fresh: Floats, variance: float) -> None:
    """Let the rows so far stand for another level: moved by ``shift``, and known only to ``variance``.

    A level Δ of their own, N(shift, variance), is integrated out of these rows: what they tell about slopes
    stays. ``fresh`` (D,) : Σ x of rows among them that have the new level already.
    """
    d = b.shape[0]
    for i in range(d):
        b[i] += shift * (a[i, 0] - fresh[i])
    divisor = a[0, 0] + 1.0 / variance
    level = b[0]
    first = a[:, 0].copy()
    for i in range(d):
        b[i] -= first[i] * level / divisor
        for j in range(i + 1):
            a[i, j] -= first[i] * first[j] / divisor


@kernel
def _join(root: Floats, root_b: Floats, message: Floats, pull: Floats, tags: Integers, sign: float) -> None:
    d = pull.shape[0]
    for i in range(d):
        root_b[i] += sign * pull[i]
        for j in range(i + 1):
            root[i, j] += sign * message[i, j]
    for k in range(tags.shape[0]):
        t = tags[k]
        root_b[t] += sign * pull[0]
        for j in range(d):
            root[t, j] += sign * message[j, 0]
        for other in range(k + 1):
            root[t, tags[other]] += sign * message[0, 0]


@kernel
def refresh(
    a: Floats,
    b: Floats,
    ridge: Floats,
    lower: Floats,
    own: Floats,
    message: Floats,
    pull: Floats,
    root: Floats,
    root_b: Floats,
    tags: Integers,
    work: Floats,
) -> None:
    """Bring an arm's factor, m and message up to its sums, and the root along.

    a, lower, message (D, D); b, own, pull, ridge (D,) : of the arm. root (P, P), root_b (P,) : sums of the
    messages. tags (T,) : ascending columns of the root that the arm has beside φ. work (2, D).
    """
    d = b.shape[0]
    _join(root, root_b, message, pull, tags, -1.0)
    factorise(a, ridge, lower)
    solve(lower, b, own)
    unit, column = work[0, :d], work[1, :d]
    for j in range(d):
        unit[:] = 0.0
        unit[j] = 1.0
        solve(lower, unit, column)
        for i in range(j, d):
            message[i, j] = -ridge[i] * column[i] * ridge[j]
        message[j, j] += ridge[j]
        pull[j] = ridge[j] * own[j]
    _join(root, root_b, message, pull, tags, 1.0)


@kernel
def settle_root(root: Floats, root_b: Floats, ridge: Floats, lower: Floats, theta: Floats) -> None:
    """Factor of the root's precision, and θ₀ with the tags' levels behind it."""
    factorise(root, ridge, lower)
    solve(lower, root_b, theta)


@kernel
def expected(
    x: Floats,
    lower: Floats,
    own: Floats,
    ridge: Floats,
    root_lower: Floats,
    theta: Floats,
    tags: Integers,
    out: Floats,
    work: Floats,
) -> None:
    """Write the expectation of a row, and its variance in units of the noise, into ``out`` (2,).

    work (2, P).
    """
    d, p = x.shape[0], theta.shape[0]
    u, g = work[0, :d], work[1]
    solve(lower, x, u)
    g[:] = 0.0
    mean, variance = 0.0, 0.0
    for i in range(d):
        g[i] = ridge[i] * u[i]
        mean += x[i] * own[i] + g[i] * theta[i]
        variance += x[i] * u[i]
    for k in range(tags.shape[0]):
        g[tags[k]] = g[0]
        mean += g[0] * theta[tags[k]]
    for i in range(p):
        s = g[i]
        for k in range(i):
            s -= root_lower[i, k] * g[k]
        g[i] = s / root_lower[i, i]
        variance += g[i] * g[i]
    out[0], out[1] = mean, variance
