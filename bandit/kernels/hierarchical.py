"""The hierarchical linear model, solved by tree elimination from the arms' integer sums.

Model, for a decision with context φ (first entry 1), strategy s and parameter levels z::

    r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise,   noise ~ N(0, σ²)

θ₀ are the effects that all arms share (the *root*), u_s = (θ_s, λ_s) those of one strategy (a *node*). All
priors are N(0, σ²/precision), σ² ~ inverse gamma: with variances in units of the noise the posterior is
conjugate (normal–inverse-gamma), and σ², the mean and the marginal likelihood are closed forms of the sums.
Given θ₀ the nodes are independent, so each is eliminated by itself (``elimination``).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .best_arm import best_arm_gaussian
from .choice import quantise
from .elimination import eliminate, root_variance

__all__ = ["mixture_masses", "mixture_pmf", "refresh_node", "score"]

_F = npt.NDArray[np.float64]
_I = npt.NDArray[np.int64]

_NEGLIGIBLE = 1e-12  # weight of a ratio below which its quadrature is left out: far under 2⁻³²


@kernel
def _node_sums(
    reading: _F, first: int, stop: int, levels: _I, d: int, size: int, center: float, raw: _F, rhs: _F
) -> tuple[float, float]:
    """Collect one strategy's arms: raw (size, size) = Σψψᵀ full symmetric, rhs = Σψ(r − center).

    Returns n and Σ(r − center)².
    """
    for i in range(size):
        rhs[i] = 0.0
        for j in range(size):
            raw[i, j] = 0.0
    n = 0.0
    squares = 0.0
    for arm in range(first, stop):
        row = reading[arm]
        if row[0] == 0.0:
            continue
        n += row[0]
        squares += row[2] - 2.0 * center * row[1] + center * center * row[0]
        place = 3 + d
        for i in range(d):
            for j in range(i + 1):
                raw[i, j] += row[place + j]
            rhs[i] += row[3 + i] - center * row[place]
            for p in range(levels.shape[1]):
                if levels[arm, p] >= 0:
                    raw[d + levels[arm, p], i] += row[place]
            place += i + 1
        for p in range(levels.shape[1]):
            if levels[arm, p] >= 0:
                rhs[d + levels[arm, p]] += row[1] - center * row[0]
                for q in range(levels.shape[1]):
                    if 0 <= levels[arm, q] <= levels[arm, p]:
                        raw[d + levels[arm, p], d + levels[arm, q]] += row[0]
    for i in range(size):
        for j in range(i):
            raw[j, i] = raw[i, j]
    return n, squares


@kernel
def refresh_node(
    node: int,
    reading: _F,
    spans: _I,
    sizes: _I,
    levels: _I,
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
    """Eliminate one strategy from its arms' sums.

    spans (S+1,) first arm of each strategy; sizes (S,) unknowns of each node; levels (K, P) column of each
    arm's parameter levels among the node's λ, −1 where there is none; precision (R, M) prior precision of a
    node's unknowns for each ratio. Written: u (R, S, M, M), v (R, S, M, D), z (R, S, M), schur (R, S, D, D)
    upper triangle, reduced (R, S, D), scalars (R, S, 4) = ln det Λ, z·z, n, Σ(r − center)². raw, rhs: work
    space.
    """
    d = reduced.shape[2]
    size = sizes[node]
    n, squares = _node_sums(reading, spans[node], spans[node + 1], levels, d, size, center, raw, rhs)
    eliminate(node, size, n, squares, precision, u, v, z, schur, reduced, scalars, raw, rhs)


@kernel
def score(
    phi: _F,
    spans: _I,
    sizes: _I,
    levels: _I,
    center: float,
    u: _F,
    v: _F,
    z: _F,
    u0: _F,
    mean0: _F,
    sigma2: _F,
    mean: _F,
    own: _F,
    whole: _F,
    work: _F,
) -> None:
    """Posterior of every arm's expected reward in context φ, for each ratio.

    Written, each (R, K): mean; ``own``, the variance of the arm-dependent part φ·θ_s + z·λ_s; ``whole``, the
    variance of the sum with the shared part φ·θ₀. work (4, M): work space.
    """
    ratios, nodes = u.shape[0], u.shape[1]
    d = phi.shape[0]
    y, p, q, t = work[0], work[1], work[2], work[3]
    for ratio in range(ratios):
        ur, m = u0[ratio], mean0[ratio]
        for s in range(nodes):
            us, vs, zs, size = u[ratio, s], v[ratio, s], z[ratio, s], sizes[s]
            # w = U⁻ᵀψ. Its first D entries are the same for all arms of the strategy.
            for i in range(d):
                y[i] = phi[i]
                p[i] = 0.0
            for i in range(d, size):
                y[i] = 0.0
            norm = 0.0
            value = center
            for k in range(d):
                wk = y[k] * us[k, k]
                norm += wk * wk
                value += wk * zs[k]
                for i in range(k + 1, size):
                    y[i] -= us[k, i] * wk
                for j in range(d):
                    p[j] += vs[k, j] * wk
            for arm in range(spans[s], spans[s + 1]):
                arm_norm, arm_value = norm, value
                for i in range(d, size):
                    t[i] = y[i]
                for c in range(levels.shape[1]):
                    if levels[arm, c] >= 0:
                        t[d + levels[arm, c]] += 1.0
                for j in range(d):
                    q[j] = p[j]
                for k in range(d, size):
                    wk = t[k] * us[k, k]
                    arm_norm += wk * wk
                    arm_value += wk * zs[k]
                    for i in range(k + 1, size):
                        t[i] -= us[k, i] * wk
                    for j in range(d):
                        q[j] += vs[k, j] * wk
                # Given θ₀ the mean is w·z + (φ − q)·θ₀, with q = Vᵀw.
                for j in range(d):
                    arm_value += (phi[j] - q[j]) * m[j]
                shared = root_variance(ur, q, t, d)
                for j in range(d):
                    q[j] = phi[j] - q[j]
                rest = root_variance(ur, q, t, d)
                mean[ratio, arm] = arm_value
                own[ratio, arm] = sigma2[ratio] * (arm_norm + shared)
                whole[ratio, arm] = sigma2[ratio] * (arm_norm + rest)


@kernel
def mixture_pmf(
    mean: _F,
    own: _F,
    whole: _F,
    weight: _F,
    optimism: float,
    caution: float,
    eligible: npt.NDArray[np.bool_],
    center: _F,
    sd: _F,
    part: _F,
    out: _F,
) -> None:
    """Probability that each arm has the largest sample: a ratio is drawn, then independent normals
    N(mean + ``optimism``·√whole, (``caution``·√own)²).

    center, sd, part (K,): work space.
    """
    for arm in range(out.shape[0]):
        out[arm] = 0.0
    for ratio in range(weight.shape[0]):
        if weight[ratio] < _NEGLIGIBLE:
            continue
        for arm in range(out.shape[0]):
            sd[arm] = caution * math.sqrt(own[ratio, arm])
            center[arm] = mean[ratio, arm] + optimism * math.sqrt(whole[ratio, arm])
        best_arm_gaussian(center, sd, eligible, part)
        for arm in range(out.shape[0]):
            out[arm] += weight[ratio] * part[arm]


@kernel
def mixture_masses(
    phi: _F,
    spans: _I,
    sizes: _I,
    levels: _I,
    center: float,
    u: _F,
    v: _F,
    z: _F,
    u0: _F,
    mean0: _F,
    sigma2: _F,
    mean: _F,
    own: _F,
    whole: _F,
    work: _F,
    weight: _F,
    optimism: float,
    caution: float,
    eligible: npt.NDArray[np.bool_],
    floor: float,
    out: _I,
) -> None:
    """``score``, ``mixture_pmf`` and ``quantise`` for each φ (n, D), into its row of ``out`` (n, K)."""
    arms = out.shape[1]
    middle, sd, part, pmf = np.zeros(arms), np.zeros(arms), np.zeros(arms), np.zeros(arms)
    for i in range(phi.shape[0]):
        score(phi[i], spans, sizes, levels, center, u, v, z, u0, mean0, sigma2, mean, own, whole, work)
        mixture_pmf(mean, own, whole, weight, optimism, caution, eligible, middle, sd, part, pmf)
        quantise(pmf, eligible, floor, out[i])
