"""Compare two groups of executions (two workflows, two arms): effect sizes with intervals.

    difference     mean(b) − mean(a), with Welch's interval (unequal variances)
    hedges_g       difference / pooled sd · (1 − 3 / (4·(nₐ + n_b) − 9))
    superiority    P(b > a) + ½ P(b = a), with a logit interval on Brunner and Munzel's variance
    ratio          median(b) / median(a), for times and costs; None where median(a) is not above 0

The difference answers "how much is gained", g makes it comparable between scores, superiority needs no
scale at all and withstands outliers. An interval says what sizes the data allow; where the one of
superiority contains ½, the verdict is ``no evidence``, not "equal".

``nyx_learning.rewards`` does not import this module: it loads scipy, which pricing never needs.

Sources: Welch (1947); Hedges (1981); Brunner & Munzel (2000), Biometrical Journal 42(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from .. import ieee
from ..errors import InputInvalid, SupportMissing
from .numbers import Array

__all__ = ["Comparison", "Interval", "compare"]

_GROUP_MIN = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between two bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Group b against group a; all intervals at ``confidence``."""

    n_a: int
    n_b: int
    mean_a: float
    mean_b: float
    difference: Interval
    hedges_g: float | None
    superiority: Interval
    ratio: float | None
    verdict: Literal["b higher", "a higher", "no evidence"]
    confidence: float


def compare(
    a: Sequence[float] | Array, b: Sequence[float] | Array, *, confidence: float = 0.95
) -> Comparison:
    """Compare two independent groups of values.

    Parameters
    ----------
    a, b : (n,) and (m,) finite values of one score, time or cost; at least 5 each.
    confidence : of every interval, in (0, 1).

    Raises
    ------
    InputInvalid : NaN, infinity, a wrong shape, or a confidence out of (0, 1).
    SupportMissing : fewer than 5 values in a group.
    """
    x, y = _group("a", a), _group("b", b)
    if not 0.0 < confidence < 1.0:
        raise InputInvalid(
            "the confidence of an interval is not usable",
            expected="a number between 0 and 1",
            found=repr(confidence),
            fix="use 0.95",
        )
    superiority = _superiority(x, y, confidence)
    verdict: Literal["b higher", "a higher", "no evidence"] = "no evidence"
    if superiority.low > 0.5:
        verdict = "b higher"
    elif superiority.high < 0.5:
        verdict = "a higher"
    middle_a, middle_b = float(np.median(x)), float(np.median(y))
    return Comparison(
        len(x),
        len(y),
        float(x.mean()),
        float(y.mean()),
        _difference(x, y, confidence),
        _hedges_g(x, y),
        superiority,
        middle_b / middle_a if middle_a > 0.0 else None,
        verdict,
        confidence,
    )


def _group(name: str, values: Sequence[float] | Array) -> Array:
    group = np.asarray(values, dtype=np.float64)
    if group.ndim != 1 or not np.isfinite(group).all():
        raise InputInvalid(
            f"group {name} cannot be compared",
            expected="a one-dimensional array of finite numbers",
            found=f"shape {group.shape}" if group.ndim != 1 else "NaN or infinity",
            fix="drop rows without a value",
        )
    if len(group) < _GROUP_MIN:
        raise SupportMissing(
            f"there is not enough evidence in group {name}",
            expected=f"at least {_GROUP_MIN} values",
            found=f"{len(group)}",
            fix="widen the stretch of the log, or merge groups",
        )
    return np.sort(group)


def _difference(x: Array, y: Array, confidence: float) -> Interval:
    gap = float(y.mean() - x.mean())
    share_x, share_y = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    variance = share_x + share_y
    if variance <= 0.0:
        return Interval(gap, gap, gap)
    freedom = variance**2 / (share_x**2 / (len(x) - 1) + share_y**2 / (len(y) - 1))
    half = float(student.ppf(0.5 + 0.5 * confidence, freedom)) * sqrt(variance)
    return Interval(gap, gap - half, gap + half)


def _hedges_g(x: Array, y: Array) -> float | None:
    freedom = len(x) + len(y) - 2
    pooled = ((len(x) - 1) * float(x.var(ddof=1)) + (len(y) - 1) * float(y.var(ddof=1))) / freedom
    if pooled <= 0.0:
        return None
    return float(y.mean() - x.mean()) / sqrt(pooled) * (1.0 - 3.0 / (4.0 * (len(x) + len(y)) - 9.0))


def _superiority(x: Array, y: Array, confidence: float) -> Interval:
    """P(b > a) + ½ P(b = a) from placements: each value's mid-rank among the other group."""
    below_y = 0.5 * (np.searchsorted(x, y, "left") + np.searchsorted(x, y, "right")) / len(x)
    below_x = 0.5 * (np.searchsorted(y, x, "left") + np.searchsorted(y, x, "right")) / len(y)
    share = float(below_y.mean())
    variance = float(below_y.var(ddof=1)) / len(y) + float(below_x.var(ddof=1)) / len(x)
    quantile = float(norm.ppf(0.5 + 0.5 * confidence))
    if variance <= 0.0:
        # Fully apart, or all equal: the variance says nothing, Wilson's bound on "no overlap seen" does.
        n = min(len(x), len(y))
        reach = quantile**2 / (n + quantile**2)
        if share == 0.5:
            return Interval(share, 0.5 - 0.5 * reach, 0.5 + 0.5 * reach)
        return Interval(share, 1.0 - reach, 1.0) if share > 0.5 else Interval(share, 0.0, reach)
    centre = ieee.log(share / (1.0 - share))
    half = quantile * sqrt(variance) / (share * (1.0 - share))

    low, high = (1.0 / (1.0 + ieee.exp(-z)) for z in (centre - half, centre + half))
    return Interval(share, low, high)
