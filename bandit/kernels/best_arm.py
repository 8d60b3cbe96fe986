"""Probability that each arm is the best, for independent Gaussian posteriors.

    P_i = ∫ f_i(y) Π_{j≠i} F_j(y) dy

so that Thompson sampling's choice has an exact propensity instead of a Monte Carlo guess.

The integral runs downwards from where all F_j are 1, in Gauss-Legendre panels (see ``best_arm_panel``), and
stops as soon as Π F_j falls below 3e-14, or one F_j must have: no maximum lies there. Panels are as wide as
the smallest standard deviation among the arms that are active there allows; since the arm whose lower end is
highest ends the integral, widths only shrink on the way, and a new arm next to one with 10⁶ observations
costs few panels. Each panel's error estimate is free; a panel that misses is taken again at 60 % of its
width.

Arms that cannot win are dropped first: arm i goes if P(X_i > X_r) ≤ 3.2e-14 for the arm r whose lower end is
highest or for the arm with the best mean; P_i ≤ P(X_i > X_r), and the others change by no more in sum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .best_arm_panel import panel
from .gauss_legendre import NODES

__all__ = ["best_arm_gaussian"]

_Array = npt.NDArray[np.float64]

_REACH = 7.5  # Φ(−7.5) = 3.2e-14
_LEFT_OVER = 3e-14  # probability below which the rest of the integral is left out
_TOLERANCE = 1e-13  # per panel
_NARROWEST = 0.25  # panel width in standard deviations at which an error estimate is accepted as it is
_POINT = 1e-140  # standard deviations below count as 0: their squares would underflow
_INV_SQRT_2PI = 0.3989422804014327
_PANELS_MAX = 100_000


@kernel
def widest(active: int) -> float:
    """Panel width in standard deviations at which ``active`` equal arms meet the tolerance."""
    if active <= 2:
        return 5.0
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
def _swap(rows: _Array, a: int, b: int) -> None:
    for r in range(rows.shape[0]):
        rows[r, a], rows[r, b] = rows[r, b], rows[r, a]


@kernel
def best_arm_gaussian(
    mean: _Array,
    sd: _Array,
    eligible: npt.NDArray[np.bool_],
    out: _Array,
) -> None:
    """Write P(arm i has the largest value) for independent values N(mean_i, sd_i²) into ``out``.

    An arm with sd 0 is a point mass; point masses that are best together share their probability equally.

    Parameters
    ----------
    mean : (K,) float64, |mean| ≤ 1e140.
    sd : (K,) float64 ≥ 0, ≤ 1e140; below 1e-140 counts as 0.
    eligible : (K,) bool; the others get probability 0 and do not compete.
    out : (K,) float64, written; sums to 1 (to 0 if no arm is eligible). NaN for all eligible arms if one of
        them has a mean or sd outside these bounds.
    """
    arms = mean.shape[0]
    # The best point mass, and the continuous arm whose lower end is highest.
    point = -np.inf
    points = 0
    best_end = -np.inf
    reference = -1
    leader = -1
    valid = True
    for i in range(arms):
        out[i] = 0.0
        if not eligible[i]:
            continue
        m, s = mean[i], sd[i]
        if not (-1e140 <= m <= 1e140 and 0.0 <= s <= 1e140):
            valid = False
        elif s < _POINT:
            if m > point:
                point = m
                points = 0
            if m == point:
                points += 1
        else:
            if reference < 0 or m - _REACH * s > best_end:
                best_end = m - _REACH * s
                reference = i
            if leader < 0 or m > mean[leader]:
                leader = i
    if not valid:
        for i in range(arms):
            if eligible[i]:
                out[i] = np.nan
        return
    if reference < 0:
        for i in range(arms):
            if eligible[i] and mean[i] == point:
                out[i] = 1.0 / points
        return

    origin = mean[reference]
    floor = -_REACH * sd[reference]
    if points > 0:
        if point - origin < floor:
            points = 0
        else:
            floor = point - origin

    # Slots: the arms that can win, the active ones first.
    rows = np.empty((12, arms))
    location, scale, upper, name, total = rows[0], rows[1], rows[2], rows[3], rows[4]
    above, above_next, gain = rows[5], rows[6], rows[7]
    level, slope, curvature, factor = rows[8], rows[9], rows[10], rows[11]
    count = 0
    y = -np.inf
    lead = mean[leader] - origin
    for i in range(arms):
        if not eligible[i] or sd[i] < _POINT:
            continue
        d, s = mean[i] - origin, sd[i]
        reach2 = _REACH * _REACH * (s * s + sd[reference] * sd[reference])
        reach2_leader = _REACH * _REACH * (s * s + sd[leader] * sd[leader])
        gap = lead - d
        if (d < 0.0 and d * d > reach2) or (gap > 0.0 and gap * gap > reach2_leader):
            continue
        if points > 0 and d + _REACH * s < floor:
            continue
        location[count] = d
        scale[count] = s
        upper[count] = d + _REACH * s
        name[count] = i
        total[count] = 0.0
        above[count] = 0.0
        curvature[count] = 0.5 / (s * s)
        factor[count] = _INV_SQRT_2PI / s
        y = max(y, upper[count])
        count += 1

    density = np.empty((count, 16))
    below = np.empty((count, 16))
    ahead = np.empty(16)
    shape = np.empty(16)
    active = 0
    product = 1.0
    shrink = 1.0
    for _ in range(_PANELS_MAX):
        if y <= floor or product < _LEFT_OVER or (count == 1 and points == 0):
            break
        # Whoever starts in this panel counts; who starts below it does not yet.
        relative = widest(active) * shrink
        width = np.inf
        for a in range(count):
            limit = relative * scale[a]
            if a >= active:
                limit = max(limit, y - upper[a])
            width = min(width, limit)
        width = max(width, 1e-12 * abs(y))  # only where Π F_j < 1e-12 is anything narrower left
        width = min(width, y - floor)
        end = y - width
        for a in range(active, count):
            if upper[a] > end:
                _swap(rows, a, active)
                active += 1
        for a in range(active):
            s = 1.0 / scale[a]
            z = (y - location[a]) * s
            level[a] = -0.5 * z * z
            slope[a] = z * s
        for k in range(NODES.shape[0]):
            tau = width * NODES[k]
            shape[k] = tau * tau
        error = panel(
            active,
            width,
            shape,
            level,
            slope,
            curvature,
            factor,
            above,
            above_next,
            gain,
            density,
            below,
            ahead,
        )
        if abs(error) > _TOLERANCE and relative > _NARROWEST:
            shrink *= 0.6
            continue
        product = 1.0
        for a in range(active):
            total[a] += gain[a]
            above[a] = above_next[a]
            product *= 1.0 - above[a]
        y = end

    whole = 0.0
    if points > 0:
        product = max(product, 0.0)
        whole = product
    elif count == 1:
        total[0] = 1.0
    for a in range(count):
        total[a] = max(total[a], 0.0)
        whole += total[a]
    for a in range(count):
        out[int(name[a])] = total[a] / whole
    if points > 0:
        for i in range(arms):
            if eligible[i] and sd[i] < _POINT and mean[i] == point:
                out[i] = product / whole / points
