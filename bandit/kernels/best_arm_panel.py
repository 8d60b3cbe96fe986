"""One panel of the best-arm integral: the step that Gaussian and Beta arms share.

    P_i = ∫ f_i(y) Π_{j≠i} F_j(y) dy

The integral is taken downwards in panels, from where every F_j is 1. Within a panel that starts at y₀ and
reaches down by ``width``, the log-density of each arm at y₀ − τ is

    level + slope·τ − curvature·shape(τ)

with one shape for all arms (τ² for Gaussians). F_j = 1 − (mass above) comes from the spectral integral of the
same densities, so that no distribution function is needed and the rounding errors of both stay together.
Since Σ_i f_i Π_{j≠i} F_j is the derivative of Π F_j, the sum of the gains must equal the fall of that
product: the difference, which costs nothing, is the error estimate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .elementary import exp_normal
from .gauss_legendre import NODES, cumulate, integrate

__all__ = ["panel"]

_Array = npt.NDArray[np.float64]


@kernel
def panel(
    count: int,
    width: float,
    shape: _Array,
    level: _Array,
    slope: _Array,
    curvature: _Array,
    factor: _Array,
    above: _Array,
    above_next: _Array,
    gain: _Array,
    density: _Array,
    below: _Array,
    ahead: _Array,
) -> float:
    """Integrate the first ``count`` arms over one panel; returns the error estimate (absolute, signed).

    ``shape`` is (16,), given at the nodes; ``level``, ``slope``, ``curvature``, ``factor`` (the density's
    normaliser) and ``above`` (mass above the panel) are (≥ count,). Written are ``above_next``, the mass
    above the panel's end, and ``gain``, the panel's part of each P_i. ``density`` and ``below``
    (≥ count, 16) and ``ahead`` (16,) are scratch.
    """
    nodes = ahead.shape[0]  # 16, but not a constant: an unrolled loop would not become SIMD code
    for k in range(nodes):
        ahead[k] = 1.0
    before = 1.0
    after = 1.0
    for a in range(count):
        top, tilt, bend = level[a], slope[a] * width, curvature[a]
        for k in range(nodes):
            density[a, k] = exp_normal(max(top + tilt * NODES[k] - bend * shape[k], -700.0))
        mass = factor[a] * width
        start = above[a]
        above_next[a] = start + mass * cumulate(density, a, below)
        for k in range(nodes):
            cdf = 1.0 - (start + mass * below[a, k])
            below[a, k] = cdf
            density[a, k] *= ahead[k]
            ahead[k] *= cdf
        before *= 1.0 - start
        after *= 1.0 - above_next[a]
    for k in range(nodes):
        ahead[k] = 1.0
    total = 0.0
    for a in range(count - 1, -1, -1):
        for k in range(nodes):
            density[a, k] *= ahead[k]
            ahead[k] *= below[a, k]
        gain[a] = factor[a] * width * integrate(density, a)
        total += gain[a]
    return total - (before - after)
