"""Linear models whose unknowns form a tree: nodes independent given the root are eliminated one by one.

With node precision Λ = UᵀU, cross precision Cᵀ (node × root), V = U⁻ᵀCᵀ and z = U⁻ᵀh, the root is left with
precision G − VᵀV and right-hand side b − Vᵀz. A reward changes the arrays of its own node and the sum over
nodes at the root, which is taken anew in the order of the nodes: floats are never added and subtracted across
updates, so the result is a pure function of the sums.

A leading axis runs over *ratios*: the same model with other prior standard deviations.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elementary import exp, log

__all__ = ["cholesky", "eliminate", "refresh_root", "root_variance"]

_F = npt.NDArray[np.float64]


@kernel
def cholesky(a: _F, size: int, least: float) -> float:
    """Factor the upper triangle of ``a`` in place into U with UᵀU = a; 1/U_kk stands on the diagonal.

    ``a`` is a prior precision plus sums of squares: no pivot can be below ``least``, the smallest prior
    precision. One that is has lost its digits, and counts as ``least``. Returns ln det a.
    """
    logdet = 0.0
    chunk = 1.0
    for k in range(size):
        root = math.sqrt(max(a[k, k], least))
        inverse = 1.0 / root
        chunk *= root
        if k % 8 == 7:  # one logarithm for eight factors, and no overflow
            logdet += log(chunk)
            chunk = 1.0
        a[k, k] = inverse
        for j in range(k + 1, size):
            a[k, j] *= inverse
        for i in range(k + 1, size):
            t = a[k, i]
            for j in range(i, size):
                a[i, j] -= t * a[k, j]
    return 2.0 * (logdet + log(chunk))


@kernel
def eliminate(
    node: int,
    size: int,
    n: float,
    squares: float,
    precision: _F,
    u: _F,
    v: _F,
    z: _F,
    schur: _F,
    reduced: _F,
    scalars: _F,
    raw: _F,
    rhs: _F,
) -> None:
    """Eliminate a node whose sums stand in raw and rhs; arguments as in ``hierarchical.refresh_node``."""
    d = reduced.shape[2]
    for ratio in range(u.shape[0]):
        un, vn, zn = u[ratio, node], v[ratio, node], z[ratio, node]
        sn, rn = schur[ratio, node], reduced[ratio, node]
        for i in range(size):
            zn[i] = rhs[i]
            for j in range(i, size):
                un[i, j] = raw[i, j]
            un[i, i] += precision[ratio, i]
            for j in range(d):
                vn[i, j] = raw[i, j]
        logdet = cholesky(un, size, precision[ratio, :size].min())
        for i in range(d):
            rn[i] = rhs[i]
            for j in range(i, d):
                sn[i, j] = raw[i, j]
        total = 0.0
        for k in range(size):
            inverse = un[k, k]
            zk = zn[k] * inverse
            zn[k] = zk
            total += zk * zk
            for j in range(d):
                vn[k, j] *= inverse
            for i in range(k + 1, size):
                t = un[k, i]
                zn[i] -= t * zk
                for j in range(d):
                    vn[i, j] -= t * vn[k, j]
            for i in range(d):
                t = vn[k, i]
                rn[i] -= t * zk
                for j in range(i, d):
                    sn[i, j] -= t * vn[k, j]
        scalars[ratio, node, 0] = logdet
        scalars[ratio, node, 1] = total
        scalars[ratio, node, 2] = n
        scalars[ratio, node, 3] = squares


@kernel
def refresh_root(
    precision: _F,
    prior_logdet: _F,
    noise: float,
    noise_weight: float,
    schur: _F,
    reduced: _F,
    scalars: _F,
    u0: _F,
    mean0: _F,
    sigma2: _F,
    weight: _F,
) -> float:
    """Solve the root from all nodes.

    precision (R, D) of the root's prior; prior_logdet (R,) = ln det of all prior precisions. Written: u0 (R,
    D, D) Cholesky factor, mean0 (R, D) posterior mean of θ₀, sigma2 (R,) noise variance, weight (R,)
    posterior probability of each ratio (equal before the data). Returns n.
    """
    ratios, nodes, d = reduced.shape
    n = 0.0
    for s in range(nodes):
        n += scalars[0, s, 2]
    best = -math.inf
    for ratio in range(ratios):
        ur, m = u0[ratio], mean0[ratio]
        logdet = 0.0
        explained = 0.0
        squares = 0.0
        for i in range(d):
            m[i] = 0.0
            for j in range(i, d):
                ur[i, j] = 0.0
            ur[i, i] = precision[ratio, i]
        for s in range(nodes):
            logdet += scalars[ratio, s, 0]
            if scalars[ratio, s, 2] == 0.0:
                continue  # an arm without rewards leaves the root alone
            explained += scalars[ratio, s, 1]
            squares += scalars[ratio, s, 3]
            for i in range(d):
                m[i] += reduced[ratio, s, i]
                for j in range(i, d):
                    ur[i, j] += schur[ratio, s, i, j]
        logdet += cholesky(ur, d, precision[ratio].min())
        for k in range(d):
            m[k] *= ur[k, k]
            explained += m[k] * m[k]
            for i in range(k + 1, d):
                m[i] -= ur[k, i] * m[k]
        for i in range(d - 1, -1, -1):
            total = m[i]
            for j in range(i + 1, d):
                total -= ur[i, j] * m[j]
            m[i] = total * ur[i, i]
        residual = noise_weight * noise + max(squares - explained, 0.0)
        sigma2[ratio] = residual / (noise_weight + n)
        weight[ratio] = 0.5 * (prior_logdet[ratio] - logdet - (noise_weight + n) * log(0.5 * residual))
        best = max(best, weight[ratio])
    total = 0.0
    for ratio in range(ratios):
        weight[ratio] = exp(weight[ratio] - best)
        total += weight[ratio]
    for ratio in range(ratios):
        weight[ratio] /= total
    return n


@kernel
def root_variance(u: _F, x: _F, work: _F, d: int) -> float:
    """xᵀ(UᵀU)⁻¹x; ``work`` is overwritten."""
    for i in range(d):
        work[i] = x[i]
    total = 0.0
    for k in range(d):
        w = work[k] * u[k, k]
        total += w * w
        for i in range(k + 1, d):
            work[i] -= u[k, i] * w
    return total
