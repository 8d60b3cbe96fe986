"""The hierarchical linear model, solved by tree elimination from the arms' integer sums.

Model, for a decision with context φ (first entry 1), strategy s and parameter levels z::

    r = m + φ·θ₀ + φ·θ_s + z·λ_s + noise,   noise ~ N(0, σ²)

θ₀ are the effects that all arms share (the *root*), u_s = (θ_s, λ_s) those of one strategy (a *node*). All
priors are N(0, σ²/precision), σ² ~ inverse gamma: with variances in units of the noise the posterior is
conjugate (normal–inverse-gamma), and σ², the mean and the marginal likelihood are closed forms of the sums.

Given θ₀ the nodes are independent, so each is eliminated by itself: with node precision Λ = UᵀU, cross
precision Cᵀ (node × root), V = U⁻ᵀCᵀ and z = U⁻ᵀh, the root is left with precision G − VᵀV and right-hand
side b − Vᵀz. A reward changes the arrays of its own node and the sum over nodes at the root, which is taken
anew in the order of the nodes: floats are never added and subtracted across updates, so the result is a pure
function of the sums.

A leading axis runs over *ratios*: the same model with other prior standard deviations.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .best_arm import best_arm_gaussian
from .choice import quantise
from .elementary import exp, log

__all__ = ["cholesky", "eliminate", "mixture_pmf", "refresh_node", "refresh_root", "root_variance", "score"]

_F = npt.NDArray[np.float64]
_I = npt.NDArray[np.int64]

_NEGLIGIBLE = 1e-12  # weight of a ratio below which its quadrature is left out: far under 2⁻³²


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
    """Eliminate a node whose sums stand in ``raw`` and ``rhs``; arguments as in ``refresh_node``."""
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
    arm's
    parameter levels among the node's λ, −1 where there is none; precision (R, M) prior precision of a node's
    unknowns for each ratio. Written: u (R, S, M, M), v (R, S, M, D), z (R, S, M), schur (R, S, D, D) upper
    triangle, reduced (R, S, D), scalars (R, S, 4) = ln det Λ, z·z, n, Σ(r − center)². raw, rhs: work space.
    """
    d = reduced.shape[2]
    size = sizes[node]
    n, squares = _node_sums(reading, spans[node], spans[node + 1], levels, d, size, center, raw, rhs)
    eliminate(node, size, n, squares, precision, u, v, z, schur, reduced, scalars, raw, rhs)


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
    D, D)
    Cholesky factor, mean0 (R, D) posterior mean of θ₀, sigma2 (R,) noise variance, weight (R,) posterior
    probability of each ratio (equal before the data). Returns n.
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
