"""Ridge regression of each arm by itself, from its sums; scored for all arms at once.

    A = λI + Σφφᵀ = UᵀU,   θ̂ = A⁻¹ Σφ(r − m),   value = m + φ·θ̂,   norm² = φᵀA⁻¹φ = ‖U⁻ᵀφ‖²

Of each arm L = U⁻ᵀ (lower triangle) and θ̂ are kept, arms along the *last* axis: the loops over arms then run
over neighbours in memory and become SIMD code, without any sum being reordered.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elimination import cholesky

__all__ = ["refresh_arm", "score"]

_Array = npt.NDArray[np.float64]


@kernel
def refresh_arm(
    arm: int,
    reading: _Array,
    ridge: float,
    center: float,
    lower: _Array,
    theta: _Array,
    logdet: _Array,
    work: _Array,
) -> None:
    """Solve one arm from its row of ``reading`` (K, W), laid out as in ``statistics``.

    Written: lower (D(D+1)/2, K), L row by row; theta (D, K); logdet (K,) = ln det A. work (D, D): work space.
    """
    row = reading[arm]
    d = theta.shape[0]
    place = 3 + d
    for i in range(d):
        for j in range(i + 1):
            work[j, i] = row[place + j]
        work[i, i] += ridge
        place += i + 1
    logdet[arm] = cholesky(work, d, ridge)  # U above the diagonal, 1/U_kk on it
    # L = U⁻ᵀ below the diagonal: column k by forward substitution, L_kk = 1/U_kk.
    for k in range(d):
        for i in range(k + 1, d):
            total = 0.0
            for j in range(k, i):
                total -= work[j, i] * work[j, k]
            work[i, k] = total * work[i, i]
    # θ̂ = LᵀL b, b = Σφr − m Σφ, and Σφ is the first column of Σφφᵀ.
    for j in range(d):
        theta[j, arm] = 0.0
    place = 0
    for i in range(d):
        half = 0.0
        start = 3 + d
        for j in range(i + 1):
            half += work[i, j] * (row[3 + j] - center * row[start])
            start += j + 1
        for j in range(i + 1):
            theta[j, arm] += work[i, j] * half
            lower[place + j, arm] = work[i, j]
        place += i + 1


@kernel
def score(
    phi: _Array, center: float, lower: _Array, theta: _Array, value: _Array, norm: _Array, work: _Array
) -> None:
    """Prediction ``value`` (K,) and ``norm`` (K,) = √(φᵀA⁻¹φ) of every arm; work (K,): work space."""
    k = value.shape[0]
    for a in range(k):
        value[a] = center
        norm[a] = 0.0
    place = 0
    for i in range(phi.shape[0]):
        x = phi[i]
        if x != 0.0:
            for a in range(k):
                value[a] += theta[i, a] * x
        for a in range(k):
            work[a] = 0.0
        for j in range(i + 1):
            y = phi[j]
            if y != 0.0:
                for a in range(k):
                    work[a] += lower[place + j, a] * y
        for a in range(k):
            norm[a] += work[a] * work[a]
        place += i + 1
    for a in range(k):
        norm[a] = math.sqrt(norm[a])
