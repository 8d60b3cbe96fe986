"""A level that wanders or returns, and a slope that fades: Kalman filters, averaged over how fast they do.

    y_t = level_t + noise,                    variance σ² · n̄ / n_t   (n_t values in the bucket)
    level_{t+1} = ρ level_t + φ slope_t + …,  variance σ² · q
    slope_{t+1} = φ slope_t + …,              variance σ² · r

Exponential smoothing (Holt, damped or not), the last value, the mean and a straight line are special cases
with ρ = 1; with ρ < 1, and no slope, the level returns to 0, which is the middle of the series. Which of them
a series follows is not known beforehand, so a grid of (q, r, φ, ρ) is filtered at once, and each
is weighted by its marginal likelihood; σ² is integrated out (normal–inverse-gamma). A bucket without values
is predicted and skipped.

References
----------
Durbin & Koopman (2012), Time Series Analysis by State Space Methods; West & Harrison (1997), Bayesian
Forecasting and Dynamic Models, ch. 4 and 12 (multi-process models); Gardner & McKenzie (1985), Management
Science 31 (damping).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ... import ieee

__all__ = ["State", "ahead", "filtered", "mixed", "stacked"]

Floats = npt.NDArray[np.float64]

_LEVELS = (0.0, 0.003, 0.03, 0.3, 3.0, 300.0)  # q
_SLOPES = ((0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1e-4, 0.98), (1.0, 1e-2, 0.9))  # first variance, r, φ
_RETURNING = [(q, 0.0, 0.0, 1.0, rho) for q in (0.3, 3.0, 300.0) for rho in (0.5, 0.7, 0.85)]
_GRID = np.array([(q, *slope, 1.0) for q in _LEVELS for slope in _SLOPES] + _RETURNING)
_Q, _FIRST, _R, _PHI, _RHO = _GRID.T
_SLOPE_SD = 0.3  # of a bucket, in sds of the series: what a slope may be before anything is seen
_PRIOR_ROWS = 2.0
_LN2 = 0.6931471805599453
_SLOPED = _FIRST > 0.0
_STAYS = ~_SLOPED & (_RHO == 1.0)
_SQRT_HALF = 0.7071067811865476
_PRIOR = np.where(_SLOPED, 0.5 / _SLOPED.sum(), np.where(_STAYS, 0.4 / _STAYS.sum(), 0.1 / len(_RETURNING)))


class State(NamedTuple):
    """What each model of the grid holds (M,): mean and covariance (in units of its σ²) of level and slope.

    ``scale`` : estimate of σ². ``weight`` : posterior probability of the model. ``freedom`` : of the t law.
    """

    level: Floats
    slope: Floats
    p_level: Floats
    p_cross: Floats
    p_slope: Floats
    scale: Floats
    weight: Floats
    freedom: float


def filtered(mean: Floats, count: Floats, newest: int) -> list[State]:
    """The states behind the ``newest`` last buckets of a series (T,), whose first bucket is not empty.

    Values are of about unit size, and lie around 0.
    """
    m = len(_GRID)
    spread = _spread(mean)
    level, slope = np.full(m, mean[0]), np.zeros(m)
    p_level, p_cross = np.ones(m), np.zeros(m)
    first = (_SLOPE_SD * spread) ** 2
    b = np.full(m, _PRIOR_ROWS * max(spread * spread, 1e-12) / 2.0)
    seen = 0
    # Π f as mantissa and exponent: one logarithm a state instead of one a bucket.
    product, power = np.ones(m), np.zeros(m)
    average = float(count[count > 0.0].mean())
    p_slope = _FIRST * first / (b / _PRIOR_ROWS)
    states = []
    for t in range(1, len(mean)):
        level = _RHO * level + _PHI * slope
        slope = _PHI * slope
        p_level = _RHO * _RHO * p_level + 2.0 * _RHO * _PHI * p_cross + _PHI * _PHI * p_slope + _Q
        p_cross = _PHI * (_RHO * p_cross + _PHI * p_slope)
        p_slope = _PHI * _PHI * p_slope + _R * _FIRST
        if count[t] > 0.0:
            f = p_level + average / count[t]
            error = mean[t] - level
            gain, gain_slope = p_level / f, p_cross / f
            level, slope = level + gain * error, slope + gain_slope * error
            p_slope = p_slope - gain_slope * p_cross
            p_cross = p_cross - gain * p_cross
            p_level = p_level - gain * p_level
            b = b + 0.5 * error * error / f
            product, shift = np.frexp(product * f)
            power = power + shift
            seen += 1
        if t >= len(mean) - newest:
            log_f = 0.5 * (_logs(product) + power * _LN2)
            states.append(_state(level, slope, p_level, p_cross, p_slope, b, log_f, seen))
    return states


def _state(
    level: Floats,
    slope: Floats,
    p_level: Floats,
    p_cross: Floats,
    p_slope: Floats,
    b: Floats,
    log_f: Floats,
    seen: int,
) -> State:
    a = 0.5 * (_PRIOR_ROWS + seen)
    score = _LOG_PRIOR - log_f - a * _logs(b)
    weight = _exps(np.maximum(score - score.max(), -700.0))
    return State(level, slope, p_level, p_cross, p_slope, b / a, weight / weight.sum(), 2.0 * a)


def _logs(values: Floats) -> Floats:
    """``ieee.log`` of positive numbers, bit for bit: the same operations on all of them at once."""
    mantissa, power = np.frexp(values)
    low = mantissa < _SQRT_HALF
    found: Floats = ieee.log_core(
        np.where(low, 2.0 * mantissa, mantissa),  # type: ignore[arg-type,assignment]
        (power - low).astype(np.float64),  # type: ignore[arg-type]
    )
    return found


def _exps(values: Floats) -> Floats:
    """``ieee.exp`` of numbers from −700 to 0, bit for bit."""
    k = np.floor(values * ieee.INV_LN2 + 0.5)
    rest = (values - k * ieee.LN2_HI) - k * ieee.LN2_LO
    found: Floats = np.ldexp(ieee.exp_core(rest), k.astype(np.int64))  # type: ignore[arg-type]
    return found


_LOG_PRIOR = _logs(_PRIOR)


def _spread(mean: Floats) -> float:
    known = mean[~np.isnan(mean)][:50]
    steps = np.abs(np.diff(known))
    typical = float(np.median(steps)) if len(steps) else 0.0
    return max(typical, float(known.std()) * 0.2, 1e-9)


def ahead(state: State, steps: int, noise: float = 1.0) -> tuple[Floats, Floats]:
    """Mean and sd of the value of each of the next ``steps`` buckets; ``noise``: n̄ / n of such a bucket.

    Of several states, stacked (…, M), of each one (…, steps).
    """
    level, slope = state.level, state.slope
    p_level, p_cross, p_slope = state.p_level, state.p_cross, state.p_slope
    means, sds = (np.empty((*level.shape[:-1], steps)) for _ in range(2))
    for h in range(steps):
        level = _RHO * level + _PHI * slope
        slope = _PHI * slope
        p_level = _RHO * _RHO * p_level + 2.0 * _RHO * _PHI * p_cross + _PHI * _PHI * p_slope + _Q
        p_cross = _PHI * (_RHO * p_cross + _PHI * p_slope)
        p_slope = _PHI * _PHI * p_slope + _R * _FIRST
        means[..., h], sds[..., h] = _mixture(state.weight, level, state.scale * (p_level + noise))
    return means, sds


def stacked(states: Sequence[State]) -> State:
    """Several states as one, (S, M) each; its degrees of freedom are those of the last."""
    columns = [np.stack(column) for column in zip(*(state[:-1] for state in states), strict=True)]
    return State._make([*columns, states[-1].freedom])


def mixed(weight: Floats, mean: Floats, variance: Floats) -> tuple[float, float]:
    """Mean and sd of a mixture."""
    middle, sd = _mixture(weight, mean, variance)
    return float(middle), float(sd)


def _mixture(weight: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    middle = (weight * mean).sum(axis=-1)
    return middle, np.sqrt((weight * (variance + (mean - middle[..., None]) ** 2)).sum(axis=-1))
