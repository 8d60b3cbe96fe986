"""The hierarchical model where each strategy's sums are kept over ψ = (φ, z): context and parameters
together.

The tree and its solution are those of ``kernels.elimination``; what differs is where a node's sums come
from, and that any point (φ, z) of a strategy can be scored, not only listed arms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elimination import eliminate, root_variance

__all__ = ["refresh_unit", "score_points"]

_F = npt.NDArray[np.float64]


@kernel
def refresh_unit(
    node: int,
    row: _F,
    width: int,
    size: int,
    center: float,
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
    """Eliminate one strategy from its statistics over ψ of ``width`` columns, of which the first ``size``
    are its own.

    row (W,): laid out as in ``kernels.statistics``; precision (R, size); the rest as in ``refresh_node``.
    """
    n = row[0]
    squares = row[2] - 2.0 * center * row[1] + center * center * n
    place = 3 + width
    for i in range(size):
        for j in range(i + 1):
            raw[i, j] = row[place + j]
            raw[j, i] = row[place + j]
        rhs[i] = row[3 + i] - center * row[place]
        place += i + 1
    eliminate(node, size, n, squares, precision, u, v, z, schur, reduced, scalars, raw, rhs)


@kernel
def score_points(
    shared: _F,
    points: _F,
    center: float,
    size: int,
    u: _F,
    v: _F,
    z: _F,
    u0: _F,
    mean0: _F,
    sigma2: float,
    mean: _F,
    own: _F,
    whole: _F,
    work: _F,
) -> None:
    """Posterior of ``center + shared·θ₀ + ψ·u_s`` for some ψ of one strategy and ratio.

    shared (D,), points (P, size); u (M, M), v (M, D), z (M,) of the node, u0 (D, D), mean0 (D,) of the root.
    Written, each
    (P,): mean, ``own`` variance of ψ·u_s, ``whole`` variance of the sum. work (3, M): work space.
    """
    d = shared.shape[0]
    y, q, t = work[0], work[1], work[2]
    for p in range(points.shape[0]):
        for i in range(size):
            y[i] = points[p, i]
        for j in range(d):
            q[j] = 0.0
        norm = 0.0
        value = center
        for k in range(size):
            w = y[k] * u[k, k]
            norm += w * w
            value += w * z[k]
            for i in range(k + 1, size):
                y[i] -= u[k, i] * w
            for j in range(d):
                q[j] += v[k, j] * w
        for j in range(d):
            value += (shared[j] - q[j]) * mean0[j]
        mean[p] = value
        own[p] = sigma2 * (norm + root_variance(u0, q, t, d))
        for j in range(d):
            q[j] = shared[j] - q[j]
        whole[p] = sigma2 * (norm + root_variance(u0, q, t, d))
