"""Is a score moving? A robust slope with an interval, refused where the data are too few.

    slope = median over all pairs i < j of (y_j − y_i) / (t_j − t_i)          (Theil and Sen)

The median of pairwise slopes withstands 29 % of outliers; its interval comes from the distribution of
Kendall's tau. The verdict is ``rising`` or ``falling`` where the interval excludes 0, else ``no evidence``;
a flat line is never claimed. Long series are averaged in blocks of equal counts first, since pairs grow
with the square.

``nyx_learning.rewards`` does not import this module: it loads scipy, which pricing never needs.

Sources: Theil (1950); Sen (1968), JASA 63(324).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import theilslopes

from ..errors import InputInvalid, SupportMissing
from .numbers import Array

__all__ = ["Trend", "trend"]

_POINTS_MIN = 8
_POINTS_MAX = 400


@dataclass(frozen=True, slots=True)
class Trend:
    """Change of a value per unit of time, with its interval at ``confidence``.

    first, last : the times of the first and last point. n : values; points : blocks that they were averaged
    in. The line runs through (``middle_time``, ``middle_value``), the medians.
    """

    slope: float
    low: float
    high: float
    direction: Literal["rising", "falling", "no evidence"]
    first: float
    last: float
    n: int
    points: int
    confidence: float
    middle_value: float
    middle_time: float

    def forecast(self, at: float) -> float:
        """Extend the line to the time ``at``, clamped to [0, 1] where scores live."""
        return min(max(self.middle_value + self.slope * (at - self.middle_time), 0.0), 1.0)


def trend(
    times: Sequence[float] | Array, values: Sequence[float] | Array, *, confidence: float = 0.95
) -> Trend:
    """Estimate the trend of values over times.

    Parameters
    ----------
    times : (n,) finite, in any one unit, in any order; the slope is per that unit.
    values : (n,) finite. confidence : of the interval, in (0, 1).

    Raises
    ------
    InputInvalid : shapes that differ, NaN or infinity, a confidence out of (0, 1).
    SupportMissing : fewer than 8 values, or all at one time.
    """
    t, y = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if t.shape != y.shape or t.ndim != 1 or not (np.isfinite(t).all() and np.isfinite(y).all()):
        raise InputInvalid(
            "the series of a trend is not usable",
            expected="two one-dimensional arrays of one length, finite",
            found=f"shapes {t.shape} and {y.shape}",
            fix="drop rows without a time or without a value",
        )
    if not 0.0 < confidence < 1.0:
        raise InputInvalid(
            "the confidence of an interval is not usable",
            expected="a number between 0 and 1",
            found=repr(confidence),
            fix="use 0.95",
        )
    n = len(t)
    if n < _POINTS_MIN or t.min() == t.max():
        raise SupportMissing(
            "there is not enough evidence for a trend",
            expected=f"at least {_POINTS_MIN} values at different times",
            found=f"{n} values at {len(np.unique(t))} times",
            fix="widen the stretch of the log",
        )
    order = np.lexsort((y, t))
    t, y = t[order], y[order]
    if n > _POINTS_MAX:
        t = np.array([block.mean() for block in np.array_split(t, _POINTS_MAX)])
        y = np.array([block.mean() for block in np.array_split(y, _POINTS_MAX)])
    fitted = theilslopes(y, t, alpha=confidence)
    slope, low, high = float(fitted.slope), float(fitted.low_slope), float(fitted.high_slope)
    direction: Literal["rising", "falling", "no evidence"] = "no evidence"
    if low > 0.0:
        direction = "rising"
    elif high < 0.0:
        direction = "falling"
    return Trend(
        slope,
        low,
        high,
        direction,
        float(t[0]),
        float(t[-1]),
        n,
        len(t),
        confidence,
        float(np.median(y)),
        float(np.median(t)),
    )
