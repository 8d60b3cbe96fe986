"""How odd a value is, as the number of standard deviations that is as rare under a normal.

    t of ν degrees of freedom    z = (8ν + 1)/(8ν + 3) · √(ν ln(1 + t²/ν))        (Wallace)
    counts                       z = Φ⁻¹(1 − P(X ≥ x))

Exact sums of the tail in a fixed order, ``ieee.log`` and ``ieee.exp``: the same bits everywhere.

References
----------
Wallace (1959), Bounds on normal approximations to Student's and the chi-square distributions, Ann. Math.
Stat. 30; Abramowitz & Stegun (1964), 26.2.23 (Φ⁻¹ to 4.5e-4).
"""

from __future__ import annotations

from math import sqrt

from ... import ieee

__all__ = ["binomial_z", "count_z", "degrees", "student_t", "student_z"]

# Reach of the good tail (half the sum of the 2 % and 5 % quantiles, each over a normal's, in quartiles),
# over a normal's, minus 1; and the 1/ν that has it.
_REACH = (0.0, 0.0846, 0.1530, 0.2549, 0.3783, 0.7084)
_INVERSE = (0.0, 0.1, 1.0 / 6.0, 0.25, 1.0 / 3.0, 0.5)
_QUARTILE = (0.6745, 0.6998, 0.7176, 0.7407, 0.7649, 0.8165)
_SMALLEST = 1e-15


def degrees(reach: float, rows: int, prior: float, prior_rows: float) -> float:
    """1/ν of a window whose good tail reaches so far (1: a normal's), shrunk to a prior worth some rows."""
    raw = _between(_REACH, _INVERSE, reach - 1.0)
    weight = rows / (rows + prior_rows)
    return min(max(weight * raw + (1.0 - weight) * prior, 0.02), 0.5)


def student_z(value: float, scale: float, inverse: float) -> float:
    """Normal-equivalent of ``value`` where a t with 1/ν has the quartile of a normal of sd ``scale``."""
    t = value / (scale * 0.6745 / _between(_INVERSE, _QUARTILE, inverse))
    nu = 1.0 / inverse
    z = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * sqrt(nu * ieee.log(1.0 + t * t / nu))
    return z if t >= 0.0 else -z


def student_t(z: float, scale: float, inverse: float) -> float:
    """The value of which ``student_z`` is z >= 0."""
    nu = 1.0 / inverse
    root = z * (8.0 * nu + 3.0) / (8.0 * nu + 1.0)
    t = sqrt(nu * (ieee.exp(root * root / nu) - 1.0))
    return t * scale * 0.6745 / _between(_INVERSE, _QUARTILE, inverse)


def count_z(count: int, mean: float, dispersion: float) -> float:
    """Normal-equivalent of a count: the negative binomial of this mean and variance mean × dispersion > 1."""
    shape = mean / (dispersion - 1.0)
    miss = 1.0 / dispersion  # probability of a success in its usual parametrisation
    term = ieee.exp(shape * ieee.log(miss))
    below = 0.0
    for k in range(min(count, 10_000)):
        below += term
        term *= (k + shape) / (k + 1.0) * (1.0 - miss)
    return _from_tail(1.0 - below)


def binomial_z(count: int, trials: int, chance: float) -> float:
    """Normal-equivalent of ``count`` of ``trials``, each with this chance in (0, 1)."""
    tail, term = 0.0, 1.0
    for _ in range(trials):
        term *= chance
    odds = (1.0 - chance) / chance
    for k in range(trials, count - 1, -1):
        tail += term
        term *= odds * k / (trials - k + 1.0)
    return _from_tail(tail)


def _from_tail(tail: float) -> float:
    if tail >= 0.5:
        return 0.0
    t = sqrt(-2.0 * ieee.log(max(tail, _SMALLEST)))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    return t - top / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))


def _between(xs: tuple[float, ...], ys: tuple[float, ...], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    for i in range(1, len(xs)):
        if x <= xs[i]:
            return ys[i - 1] + (ys[i] - ys[i - 1]) * (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[-1]
