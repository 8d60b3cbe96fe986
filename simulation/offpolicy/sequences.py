"""Anytime-valid lower bounds of a mean: they hold at every n at once; one may look, and stop, at will.

Both take x₁, x₂, … in the order of the log, each ≥ ``low`` given what came before, with no upper limit:
importance-weighted rewards. An upper bound of the value comes from 1 − reward by the same token.

``betting_lower``: for rows with *one and the same* mean, given the past. A fixed target policy on the log of
*any* logging policy (also one that learns) has that, as long as the world stands still. A contrast with the
logging policy itself does not have it where that policy learns.

``eb_lower``: for the *running average* of the conditional means, which may change in any way.
"""

from __future__ import annotations

import math
from math import inf, log

import numpy as np
from scipy.special import gammainc, gammaln

from ...errors import LogInvalid
from ...jit import kernel
from .logged import Floats, Integers

__all__ = [
    "betting_log_capital",
    "betting_lower",
    "eb_lower",
    "eb_lower_path",
    "gamma_exponential_boundary",
]

_BETS = np.array([0.9, *(0.5**j for j in range(1, 14))])
_STEPS = 48
_NEGLIGIBLE = 1e-200
"""Below, quotients of values and mean leave the range of floats; 0 is a bound as well."""


@kernel
def _log_products(x: Floats, mean: float, bets: Floats, out: Floats) -> None:
    """out[j] = Σᵢ ln(1 − θⱼ + θⱼ xᵢ/mean)."""
    for j in range(bets.shape[0]):
        theta = bets[j]
        keep, slope = 1.0 - theta, theta / mean
        product, total = 1.0, 0.0
        for i in range(x.shape[0]):
            product *= keep + slope * x[i]
            if product > 1e100 or product < 1e-100:
                total += math.log(product)
                product = 1.0
        out[j] = total + math.log(product)


@kernel
def _path_log_products(x: Floats, mean: float, bets: Floats, out: Floats) -> None:
    """out[i, j]: ``_log_products`` of the first i + 1 values."""
    for j in range(bets.shape[0]):
        total = 0.0
        for i in range(x.shape[0]):
            total += math.log(1.0 - bets[j] + bets[j] * x[i] / mean)
            out[i, j] = total


def betting_lower(x: Floats, alpha: float) -> float:
    """Lower bound, at level 1 − alpha at all n at once, of the mean of x ≥ 0.

    Against "the mean is m" one bets with capital W(m) = ave_θ Π(1 + θ(xᵢ/m − 1)), a non-negative martingale
    under it that starts at 1, so that it ever reaches 1/α with probability ≤ α (Ville). It falls in m: the
    bound is where it crosses 1/α. The stakes θ are fixed, so that the order of the rows does not matter.

    References
    ----------
    Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86(1);
    Waudby-Smith et al. (2024), Anytime-valid off-policy inference for contextual bandits, for weights.
    """
    values = _nonnegative(x)
    mean = float(values.mean())
    target = -log(alpha)
    if mean < _NEGLIGIBLE:
        return 0.0
    low, high = 0.0, mean
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if middle <= 0.0 or _log_average(values, middle) < target:
            high = middle
        else:
            low = middle
    return low


def betting_log_capital(x: Floats, mean: float) -> Floats:
    """ln W (n,) after each row against "the mean of x ≥ 0 is ≤ ``mean``", which is rejected at ln(1/α).

    The rejection stands from then on: look after every row, and stop at any.
    """
    values = _nonnegative(x)
    products = np.empty((len(values), len(_BETS)))
    _path_log_products(values, mean, _BETS, products)
    top = products.max(axis=1)
    found: Floats = top + np.log(np.exp(products - top[:, None]).mean(axis=1))
    return found


def _log_average(x: Floats, mean: float) -> float:
    products = np.empty(len(_BETS))
    _log_products(x, mean, _BETS, products)
    top = float(products.max())
    if top == inf:
        return inf
    return top + log(float(np.exp(products - top).mean()))


def eb_lower(x: Floats, alpha: float, *, low: float = 0.0, scale: float = 1.0, v_opt: float = 25.0) -> float:
    """Lower bound, at level 1 − alpha at all n at once, of the average of the rows' conditional means.

        mean(x) − u(V)/n,   V = Σ (xᵢ − x̂ᵢ)²,   x̂ᵢ = mean of the rows before, at most low + scale

    with u the gamma-exponential mixture boundary of that scale, narrowest where V = ``v_opt``.

    Parameters
    ----------
    x (n,) : ≥ low. scale : how far above ``low`` the mean is expected to lie at most; if it lies higher, the
        bound still holds, and is wider.

    References
    ----------
    Howard, Ramdas, McAuliffe & Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence
    sequences, Annals of Statistics 49(2), Theorem 4 and Proposition 9; one-sided, for values without an upper
    limit: Waudby-Smith et al. (2024), see ``betting_lower``.
    """
    return float(eb_lower_path(x, alpha, low=low, scale=scale, v_opt=v_opt, at=np.array([len(x)]))[0])


def eb_lower_path(
    x: Floats,
    alpha: float,
    *,
    low: float = 0.0,
    scale: float = 1.0,
    v_opt: float = 25.0,
    at: Floats | Integers | None = None,
) -> Floats:
    """``eb_lower`` after each number of rows of ``at`` (≥ 1); after every row if None."""
    values = low + _nonnegative(np.asarray(x, np.float64) - low)
    n = len(values)
    count = np.arange(1.0, n + 1.0)
    totals = np.cumsum(values)
    # One invented row stands for the mean that nothing is known of at first.
    before = np.minimum((low + 0.5 * scale + np.concatenate([[0.0], totals[:-1]])) / count, low + scale)
    spread = np.cumsum((values - before) ** 2)
    rows = np.arange(n) if at is None else np.asarray(at, np.int64) - 1
    reach = np.array([gamma_exponential_boundary(float(v), alpha, scale, v_opt) for v in spread[rows]])
    found: Floats = np.maximum(low, (totals[rows] - reach) / count[rows])
    return found


def gamma_exponential_boundary(v: float, alpha: float, scale: float, v_opt: float) -> float:
    """s with m(s, v) = 1/α: a sum whose exponential process at any λ in [0, 1/c) is a supermartingale,

        exp(λ S − V (−ln(1 − cλ) − cλ)/c²),

    exceeds it at any time with probability ≤ α. m is the average over λ with density ∝
    (1 − cλ)^(ρ/c² − 1) e^(−ρ(1 − cλ)/c²), which has a closed form with incomplete gamma functions.

    References
    ----------
    Howard et al. (2021), see ``eb_lower``: Proposition 9.
    """
    # The best ρ for v_opt solves an equation without a closed form; this is within 1 % of it.
    level = 2.0 * log(1.0 / alpha)
    rho = v_opt / (level + log(1.0 + level))
    target = log(1.0 / alpha)
    high = 1.0 + v
    while _log_mixture(high, v, rho, scale) < target:
        high *= 2.0
    low = 0.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if _log_mixture(middle, v, rho, scale) < target:
            low = middle
        else:
            high = middle
        if high - low <= 1e-12 * high:
            break
    return high


def _log_mixture(s: float, v: float, rho: float, c: float) -> float:
    """ln m(s, v) for s ≥ 0."""
    square = c * c
    prior = rho / square
    a, b = (v + rho) / square, (c * s + v + rho) / square
    start = prior * log(prior) - float(gammaln(prior)) - log(float(gammainc(prior, prior)))
    return start + float(gammaln(a)) + log(float(gammainc(a, b))) - a * log(b) + (c * s + v) / square


def _nonnegative(x: Floats) -> Floats:
    values: Floats = np.ascontiguousarray(x, np.float64)
    if values.ndim != 1 or len(values) == 0 or not (values >= 0.0).all() or not (values < inf).all():
        raise LogInvalid(
            "an anytime-valid bound needs terms that cannot fall below their limit",
            expected="at least one finite term, none below the limit",
            found=f"shape {values.shape}, least {values.min(initial=inf)}",
            fix="pass importance-weighted rewards, or the true lower limit",
        )
    return values
