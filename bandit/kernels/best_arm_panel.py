"""One panel of the best-arm integral: the step that Gaussian and Beta arms share.

    P_i = ∫ f_i(y) Π_{j≠i} F_j(y) dy

The integral is taken downwards in panels, from where every F_j is 1. Within a panel that starts at y and
reaches down by ``width``, the log-density of each arm at y − τ is

    level + slope·τ − bend·shape(τ)

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

__all__ = [
    "ABOVE",
    "ABOVE_NEXT",
    "BEND",
    "FACTOR",
    "GAIN",
    "LEVEL",
    "NAME",
    "PANEL_ROWS",
    "SLOPE",
    "TOTAL",
    "panel",
    "swap",
]

_Array = npt.NDArray[np.float64]

# What is known of an arm stands in one column of a (rows, K) table; the first rows belong to the panel.
LEVEL = 0  # log-density at the panel's top, without the factor
SLOPE = 1  # its slope downwards
BEND = 2  # its coefficient of the shape
FACTOR = 3  # the density's normaliser
ABOVE = 4  # probability above the panel
ABOVE_NEXT = 5  # probability above the panel's end
GAIN = 6  # the panel's part of P_i
TOTAL = 7  # P_i so far
NAME = 8  # the arm's number
PANEL_ROWS = 9


@kernel
def swap(table: _Array, a: int, b: int) -> None:
    """Exchange two columns of the table."""
    for r in range(table.shape[0]):
        table[r, a], table[r, b] = table[r, b], table[r, a]


@kernel
def panel(
    table: _Array,
    active: int,
    width: float,
    shape: _Array,
    density: _Array,
    below: _Array,
    ahead: _Array,
) -> float:
    """Integrate the first ``active`` arms over one panel; returns the error estimate (absolute, signed).

    Reads the rows up to ``ABOVE`` of ``table``, writes ``ABOVE_NEXT`` and ``GAIN``. ``shape`` is (≥ 16,),
    given at the nodes; ``density`` and ``below`` (≥ active, 16) and ``ahead`` (16,) are scratch.
    """
    nodes = ahead.shape[0]  # 16, but not a constant: an unrolled loop would not become SIMD code
    for k in range(nodes):
        ahead[k] = 1.0
    before = 1.0
    after = 1.0
    for a in range(active):
        level, slope, bend = table[LEVEL, a], table[SLOPE, a] * width, table[BEND, a]
        for k in range(nodes):
            density[a, k] = exp_normal(max(level + slope * NODES[k] - bend * shape[k], -700.0))
        mass = table[FACTOR, a] * width
        above = table[ABOVE, a]
        above_next = above + mass * cumulate(density, a, below)
        for k in range(nodes):
            cdf = 1.0 - (above + mass * below[a, k])
            below[a, k] = cdf
            density[a, k] *= ahead[k]
            ahead[k] *= cdf
        table[ABOVE_NEXT, a] = above_next
        before *= 1.0 - above
        after *= 1.0 - above_next
    for k in range(nodes):
        ahead[k] = 1.0
    total = 0.0
    for a in range(active - 1, -1, -1):
        for k in range(nodes):
            density[a, k] *= ahead[k]
            ahead[k] *= below[a, k]
        gain = table[FACTOR, a] * width * integrate(density, a)
        table[GAIN, a] = gain
        total += gain
    return total - (before - after)
