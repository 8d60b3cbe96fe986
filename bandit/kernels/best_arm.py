"""Probability that each arm is the best, for independent Gaussian or Beta posteriors.

    P_i = ∫ f_i(y) Π_{j≠i} F_j(y) dy

so that Thompson sampling's choice has an exact propensity instead of a Monte Carlo guess: the absolute error
is below 1e-12. ``best_arm_descent`` tells how it is integrated.

Arms that cannot win are dropped first. Gaussian: arm i goes if P(X_i > X_r) ≤ 3.2e-14 for the arm r whose
lower end is highest or for the arm with the best mean; P_i ≤ P(X_i > X_r), and the others change by no more
in sum. Beta: arm i goes if its upper end lies below the lower end of the arm whose lower end seems highest,
both with at most 3.4e-14 beyond them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel
from .best_arm_descent import CORE, EXPONENT, FIRST, KNEE, SECOND, TABLE_ROWS, UPPER, VAGUE, descend
from .best_arm_panel import BEND, FACTOR, NAME, TOTAL
from .elementary import log_normal
from .logit_beta import beta_excess, beta_factor, beta_reach, beta_start

__all__ = ["best_arm_beta", "best_arm_gaussian"]

_Array = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_REACH = 7.5  # Φ(−7.5) = 3.2e-14
_REACH2 = _REACH * _REACH
_POINT = 1e-140  # standard deviations below count as 0: their squares would underflow
_LARGEST = 1e140
_SMALLEST_EVIDENCE = 1e-100
_LARGEST_EVIDENCE = 1e15
_INV_SQRT_2PI = 0.3989422804014327


@kernel
def _refuse(eligible: _Mask, out: _Array) -> None:
    for i in range(out.shape[0]):
        out[i] = np.nan if eligible[i] else 0.0


@kernel
def _hand_out(table: _Array, count: int, left: float, out: _Array) -> float:
    """Normalise the integrals together with the probability ``left``; returns the latter's share."""
    whole = left
    for a in range(count):
        table[TOTAL, a] = max(table[TOTAL, a], 0.0)
        whole += table[TOTAL, a]
    for a in range(count):
        out[int(table[NAME, a])] = table[TOTAL, a] / whole
    return left / whole


@kernel
def best_arm_gaussian(mean: _Array, sd: _Array, eligible: _Mask, out: _Array) -> None:
    """Write P(arm i has the largest value) for independent values N(mean_i, sd_i²) into ``out``.

    An arm with sd 0 is a point mass; point masses that are best together share their probability equally.

    Parameters
    ----------
    mean : (K,) float64, |mean| ≤ 1e140.
    sd : (K,) float64, 0 ≤ sd ≤ 1e140; below 1e-140 counts as 0.
    eligible : (K,) bool; the others get probability 0 and do not compete.
    out : (K,) float64, written; sums to 1 (to 0 if no arm is eligible). NaN for all eligible arms if one of
        them has a mean or sd outside these bounds.
    """
    arms = mean.shape[0]
    point = -np.inf  # the best point mass
    points = 0
    reference = -1  # the continuous arm whose lower end is highest
    best_end = -np.inf
    leader = -1  # the continuous arm with the best mean
    for i in range(arms):
        out[i] = 0.0
        if not eligible[i]:
            continue
        m, s = mean[i], sd[i]
        if not (-_LARGEST <= m <= _LARGEST and 0.0 <= s <= _LARGEST):
            _refuse(eligible, out)
            return
        if s < _POINT:
            if m > point:
                point = m
                points = 0
            if m == point:
                points += 1
            continue
        if reference < 0 or m - _REACH * s > best_end:
            best_end = m - _REACH * s
            reference = i
        if leader < 0 or m > mean[leader]:
            leader = i

    share = 1.0
    if reference >= 0:
        # Positions are relative to the reference arm's mean, so that a narrow arm keeps its digits.
        origin = mean[reference]
        spread = sd[reference]
        floor = -_REACH * spread
        if points > 0 and point - origin < floor:
            points = 0
        if points > 0:
            floor = point - origin
        lead = mean[leader] - origin
        lead_spread = sd[leader]
        table = np.empty((TABLE_ROWS, arms))
        count = 0
        for i in range(arms):
            if not eligible[i] or sd[i] < _POINT:
                continue
            d, s = mean[i] - origin, sd[i]
            if d < 0.0 and d * d > _REACH2 * (s * s + spread * spread):
                continue
            if d < lead and (lead - d) * (lead - d) > _REACH2 * (s * s + lead_spread * lead_spread):
                continue
            upper = d + _REACH * s
            if points > 0 and upper < floor:
                continue
            table[FIRST, count] = d
            table[SECOND, count] = s
            table[CORE, count] = s
            table[UPPER, count] = upper
            table[NAME, count] = i
            table[BEND, count] = 0.5 / (s * s)
            table[FACTOR, count] = _INV_SQRT_2PI / s
            count += 1
        if count == 1 and points == 0:
            out[int(table[NAME, 0])] = 1.0
            return
        left = descend(table, count, floor, False)
        share = _hand_out(table, count, left if points > 0 else 0.0, out)
    if points > 0:
        for i in range(arms):
            if eligible[i] and sd[i] < _POINT and mean[i] == point:
                out[i] = share / points


@kernel
def best_arm_beta(a: _Array, b: _Array, eligible: _Mask, out: _Array) -> None:
    """Write P(arm i has the largest value) for independent values Beta(a_i, b_i) into ``out``.

    Parameters
    ----------
    a, b : (K,) float64, from 1e-100 to 1e15; the stated accuracy is tested for evidence a + b up to 1e7.
    eligible : (K,) bool; the others get probability 0 and do not compete.
    out : (K,) float64, written; sums to 1 (to 0 if no arm is eligible). NaN for all eligible arms if one of
        them has a parameter outside these bounds.
    """
    arms = a.shape[0]
    table = np.empty((TABLE_ROWS, arms))
    count = 0
    best = 0
    best_end = -np.inf
    for i in range(arms):
        out[i] = 0.0
        if not eligible[i]:
            continue
        first, second = a[i], b[i]
        if not (
            _SMALLEST_EVIDENCE <= first <= _LARGEST_EVIDENCE
            and _SMALLEST_EVIDENCE <= second <= _LARGEST_EVIDENCE
        ):
            _refuse(eligible, out)
            return
        mode = log_normal(first / second)
        end = mode - beta_start(second, first, EXPONENT)
        if end > best_end:
            best = count
            best_end = end
        table[FIRST, count] = first
        table[SECOND, count] = second
        table[UPPER, count] = mode
        table[NAME, count] = i
        count += 1
    if count == 0:
        return
    floor = table[UPPER, best] - beta_reach(table[SECOND, best], table[FIRST, best], EXPONENT)
    kept = 0
    for c in range(count):
        first, second, mode = table[FIRST, c], table[SECOND, c], table[UPPER, c]
        if mode < floor and beta_excess(first, second, floor - mode)[0] >= EXPONENT:
            continue
        evidence = first + second
        core = 1.0 / np.sqrt(first * (second / evidence))
        table[FIRST, kept] = first
        table[SECOND, kept] = second
        table[UPPER, kept] = mode + beta_reach(first, second, EXPONENT)
        table[NAME, kept] = table[NAME, c]
        table[CORE, kept] = min(core, VAGUE)
        table[KNEE, kept] = log_normal(max(evidence, 1.0)) if core > VAGUE else 0.0
        table[FACTOR, kept] = beta_factor(first, second)
        kept += 1
    if kept == 1:
        out[int(table[NAME, 0])] = 1.0
    else:
        descend(table, kept, floor, True)
        _hand_out(table, kept, 0.0, out)
