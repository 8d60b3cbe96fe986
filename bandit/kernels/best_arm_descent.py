"""The best-arm integral from the top of all arms down to where no maximum can lie, panel by panel.

Panels are as wide as the smallest scale among the arms that are active there allows. An arm is active from
its upper end downwards; above it, F = 1 and f = 0. Since the arm whose lower end is highest ends the
integral, widths only shrink on the way, and a new arm next to one with 10⁶ observations costs few panels. A
panel whose error estimate misses the tolerance is taken again at 60 % of its width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .best_arm_panel import ABOVE, ABOVE_NEXT, BEND, GAIN, LEVEL, PANEL_ROWS, SLOPE, TOTAL, panel, swap
from .gauss_legendre import NODES
from .logit_beta import beta_divergence, logit_bend, logit_bend_series, logit_pair, logit_step

__all__ = ["CORE", "DELTA", "EXPONENT", "FIRST", "KNEE", "SECOND", "TABLE_ROWS", "UPPER", "VAGUE", "descend"]

_Array = npt.NDArray[np.float64]

UPPER = PANEL_ROWS  # upper end: the probability above is negligible
CORE = PANEL_ROWS + 1  # scale of the density's features
FIRST = PANEL_ROWS + 2  # mean, or a
SECOND = PANEL_ROWS + 3  # standard deviation, or b
DELTA = PANEL_ROWS + 4  # σ(y) − a/(a+b) at the panel's top
KNEE = PANEL_ROWS + 5  # log(a+b), if positive: the distance at which a vague density becomes exponential
TABLE_ROWS = PANEL_ROWS + 6

EXPONENT = 31.0  # e^−31 = 3.4e-14 bounds what lies beyond the end of a Beta arm
VAGUE = 1.3  # Beta densities have features of this scale however little is known
_LEFT_OUT = 3e-14  # probability of a maximum below: there the integral ends
_TOLERANCE = 1e-13  # per panel
_EASY = 1e-15  # error below which the next panel may be wider
_GROWTH = 1.5
_NARROWEST = 0.25  # panel width in scales at which an error estimate is accepted as it is
_SERIES = 0.03  # widest panel for the power series of the logit bend
_PANELS_MAX = 10_000  # never seen to be near: so that nothing can hang


@kernel
def _widest(active: int) -> float:
    """Panel width in scales at which ``active`` equal arms meet the tolerance (measured)."""
    if active <= 3:
        return 4.0
    if active <= 5:
        return 3.25
    if active <= 10:
        return 2.75
    if active <= 20:
        return 2.25
    return 1.75


@kernel
def _limit(table: _Array, a: int, y: float, relative: float) -> float:
    """Width that arm ``a`` allows below ``y``, in the logit family beyond the core of a vague density.

    Beyond ±log(a+b) the density is an exponential but for terms whose singularities are that far away.
    """
    core = table[CORE, a]
    if core < VAGUE:
        plain: float = relative * core
        return plain
    knee = table[KNEE, a]
    stretch = 0.0
    if y > knee:
        stretch = min(0.75 * (y - knee), 20.0 / table[SECOND, a])
    elif y < -knee:
        stretch = min(3.0 * (-knee - y), 20.0 / table[FIRST, a])
    allowed: float = relative * max(core, 0.2 * stretch)
    return allowed


@kernel
def _enter(table: _Array, a: int, y: float, x: float, rest: float) -> None:
    first, second = table[FIRST, a], table[SECOND, a]
    n = first + second
    delta = x - first / n if first < second else second / n - rest
    table[DELTA, a] = delta
    table[LEVEL, a] = -beta_divergence(first, second, y, delta, x, rest)
    table[SLOPE, a] = n * delta
    table[BEND, a] = n


@kernel
def descend(table: _Array, count: int, floor: float, logit: bool) -> float:
    """Write the integrals of the first ``count`` arms of the table into its row ``TOTAL``.

    ``logit`` tells Beta arms from Gaussian ones. ``floor`` ends the integral at the latest. Returns the
    probability that all arms lie below its end.
    """
    nodes = NODES.shape[0]
    density = np.empty((count, nodes))
    below = np.empty((count, nodes))
    ahead = np.empty(nodes)
    tau = np.empty(nodes + 1)
    shape = np.empty(nodes + 1)
    y = -np.inf
    for a in range(count):
        y = max(y, table[UPPER, a])
        table[TOTAL, a] = 0.0
        table[ABOVE, a] = 0.0
    active = 0
    product = 1.0
    shrink = 1.0
    x = rest = 0.0
    for _ in range(_PANELS_MAX):
        if y <= floor or product < _LEFT_OUT:
            break
        relative = min(_widest(active) * shrink, 3.0 if logit else 4.0)
        landing = floor  # compared as places, not as widths: the next arm may be narrower than their rounding
        for a in range(active):
            limit = _limit(table, a, y, relative) if logit else relative * table[CORE, a]
            landing = max(landing, y - limit)
        for a in range(active, count):
            # Who starts in this panel is limited by its scale; who starts below it need not be.
            upper = table[UPPER, a]
            limit = _limit(table, a, upper, relative) if logit else relative * table[CORE, a]
            landing = max(landing, min(upper, y - limit))
        # Only where Π F_j < 1e-12 is anything narrower left.
        landing = max(min(landing, y - 1e-12 * abs(y)), floor)
        width = y - landing
        if logit:
            x, rest = logit_pair(y)
        for a in range(active, count):
            if table[UPPER, a] > landing:
                swap(table, a, active)
                if logit:
                    _enter(table, active, y, x, rest)
                active += 1
        for k in range(nodes):
            tau[k] = width * NODES[k]
        tau[nodes] = width
        if logit:
            if width <= _SERIES:
                logit_bend_series(x, rest, tau, shape)
            else:
                logit_bend(y, x, rest, tau, shape)
        else:
            for k in range(nodes):
                shape[k] = tau[k] * tau[k]
            for a in range(active):
                inverse = 1.0 / table[SECOND, a]
                z = (y - table[FIRST, a]) * inverse
                table[LEVEL, a] = -0.5 * z * z
                table[SLOPE, a] = z * inverse

        error = abs(panel(table, active, width, shape, density, below, ahead))
        if error > _TOLERANCE and relative > _NARROWEST:
            shrink *= 0.6
            continue
        if error < _EASY:
            shrink = min(_GROWTH, 1.25 * shrink)
        product = 1.0
        for a in range(active):
            table[TOTAL, a] += table[GAIN, a]
            table[ABOVE, a] = table[ABOVE_NEXT, a]
            product *= 1.0 - table[ABOVE, a]
        if logit:
            step = logit_step(y, x, rest, width)
            for a in range(active):
                table[LEVEL, a] += table[SLOPE, a] * width - table[BEND, a] * shape[nodes]
                table[DELTA, a] -= step
                table[SLOPE, a] = table[BEND, a] * table[DELTA, a]
                if table[DELTA, a] < 0.0 and table[LEVEL, a] < -EXPONENT:
                    product = 0.0  # this arm lies above, all but 3.4e-14 of it
        elif landing > floor:
            for a in range(active):
                if table[FIRST, a] - landing > table[UPPER, a] - table[FIRST, a]:
                    product = 0.0
        y = landing
    return max(product, 0.0)
