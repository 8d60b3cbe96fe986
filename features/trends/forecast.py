"""Where a series stands, where it is going, and how far that can be trusted.

Intervals are those of the averaged filters (Student's t), widened or narrowed by how wide they should have
been in the past: for each horizon the errors of the forecasts that would have been made at the newest 200
buckets, in units of their stated sd, give a conformal quantile; it counts by the number of errors that do not
overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from ...errors import InputInvalid, shown
from .local_trend import State, ahead, filtered, mixed, stacked
from .series import Series

__all__ = ["FEWEST", "Forecast", "check_question", "forecast"]

Floats = npt.NDArray[np.float64]

FEWEST = 8
"""Buckets with values that a forecast needs."""
_LONGEST = 366
_PAST = 200
_MODEL_ERRORS = 20.0  # errors that the model's own quantile counts for
_SURE = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Level and change of a series now, and its next buckets.

    level, level_low, level_high : of the newest bucket, without its noise. change, change_low, change_high :
    expected change a bucket. direction : "rising" or "falling" where that has a probability of at least .75,
    else "steady"; a level that merely wanders hardly ever reaches .6. mean, low, high (H,) : means of the
    next buckets with their intervals. coverage : of all intervals, as stated. buckets : with values.
    """

    level: float
    level_low: float
    level_high: float
    change: float
    change_low: float
    change_high: float
    direction: str
    mean: Floats
    low: Floats
    high: Floats
    coverage: float
    buckets: int


def forecast(series: Series, steps: int = 24, coverage: float = 0.9) -> Forecast | None:
    """Forecast the next ``steps`` buckets; None where fewer than 8 buckets have values.

    Raises
    ------
    InputInvalid : steps not from 1 to 366, or a coverage not in [.5, .99].
    """
    check_question(steps, coverage)
    known = np.flatnonzero(series.count > 0.0)
    if len(known) < FEWEST:
        return None
    mean, count = series.mean[known[0] :], series.count[known[0] :]
    center, scale = float(np.nanmedian(mean)), _scale(mean)
    y = (mean - center) / scale
    states = filtered(y, count, _PAST + 1)
    now = states[-1]
    means, sds = ahead(now, steps)
    tail = 0.5 + coverage / 2.0
    own = float(student.ppf(tail, now.freedom))
    reach = sds * _reach(states, y, steps, coverage, own)
    level, level_sd = mixed(now.weight, now.level, now.scale * now.p_level)
    change, change_sd = mixed(now.weight, now.slope, now.scale * now.p_slope)
    return Forecast(
        center + scale * level,
        center + scale * (level - own * level_sd),
        center + scale * (level + own * level_sd),
        scale * change,
        scale * (change - own * change_sd),
        scale * (change + own * change_sd),
        _direction(now),
        center + scale * means,
        center + scale * (means - reach),
        center + scale * (means + reach),
        coverage,
        len(known),
    )


def check_question(steps: int, coverage: float) -> None:
    """Raise ``InputInvalid`` unless so many buckets can be forecast with such intervals."""
    if type(steps) is not int or not 1 <= steps <= _LONGEST or not 0.5 <= coverage <= 0.99:
        raise InputInvalid(
            "the forecast that is asked for is unusable",
            expected=f"1 to {_LONGEST} buckets, and a coverage from 0.5 to 0.99",
            found=f"{shown(steps)} buckets, coverage {shown(coverage)}",
            fix="ask for fewer buckets, or another coverage",
        )


def _scale(mean: Floats) -> float:
    known = mean[~np.isnan(mean)]
    low, high = np.quantile(known, [0.25, 0.75])
    spread = float(high - low) / 1.349 or float(known.std())
    return spread if spread > 0.0 else max(abs(float(known[0])), 1.0) * 1e-6


def _direction(state: State) -> str:
    sd = np.sqrt(np.maximum(state.scale * state.p_slope, 1e-300))
    sloped = state.p_slope > 0.0
    up = np.where(sloped, student.cdf(state.slope / sd, state.freedom), 0.0)
    rising, falling = float(state.weight @ up), float(state.weight @ np.where(sloped, 1.0 - up, 0.0))
    return "rising" if rising >= _SURE else "falling" if falling >= _SURE else "steady"


def _reach(states: list[State], y: Floats, steps: int, coverage: float, own: float) -> Floats:
    """Half widths of the intervals for each horizon, in sds: the model's, corrected by past errors."""
    offset = len(y) - len(states)  # states[i] stands behind bucket offset + i
    first = max(FEWEST, offset)
    errors: list[list[float]] = [[] for _ in range(steps)]
    past = range(first, len(y) - 1)
    if past:
        means, sds = ahead(stacked([states[t - offset] for t in past]), steps)
    for i, t in enumerate(past):
        last = min(steps, len(y) - 1 - t)
        z = np.abs(y[t + 1 : t + 1 + last] - means[i, :last]) / np.maximum(sds[i, :last], 1e-12)
        for h in range(last):
            if z[h] == z[h]:
                errors[h].append(float(z[h]))
    reach = np.empty(steps)
    quantile = own
    for h in range(steps):
        k = len(errors[h])
        place = int(np.ceil((k + 1) * coverage))
        if k >= 10 and place <= k:  # beyond, the last horizon that could be judged stands for the next ones
            independent = k / (h + 1)
            empirical = sorted(errors[h])[place - 1]
            quantile = (independent * empirical + _MODEL_ERRORS * own) / (independent + _MODEL_ERRORS)
        reach[h] = quantile
    return reach
