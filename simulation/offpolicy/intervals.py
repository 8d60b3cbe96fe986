"""Intervals for a fixed number of rows: normal, bootstrap, empirical Bernstein, and those of 0/1 outcomes."""

from __future__ import annotations

from math import log, nan, sqrt
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from scipy.special import betaincinv

from ...errors import InputInvalid, LogInvalid, shown
from ..keys import key_of
from . import kernels
from .logged import Floats, Integers

__all__ = [
    "bootstrap_mean",
    "bootstrap_ratio",
    "clopper_pearson",
    "empirical_bernstein",
    "mover_wilson",
    "normal",
    "percentiles",
    "resampled_means",
    "resampled_ratios",
    "wilson",
]

Counts: TypeAlias = Floats | Integers

_NORMAL = NormalDist()


def normal(value: float, error: float, confidence: float) -> tuple[float, float]:
    """value ± z·error: holds where the central limit theorem does.

    >>> [round(x, 4) for x in normal(0.5, 0.1, 0.95)]
    [0.304, 0.696]
    """
    z = _NORMAL.inv_cdf(0.5 + 0.5 * _level(confidence))
    return value - z * error, value + z * error


def bootstrap_mean(terms: Floats, confidence: float, replicates: int, seed: int) -> tuple[float, float]:
    """Percentiles of the means of resampled rows: a pure function of rows, their order, and seed.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.
    """
    return percentiles(resampled_means(terms, seed, 0, replicates), confidence)


def bootstrap_ratio(
    top: Floats, bottom: Floats, confidence: float, replicates: int, seed: int
) -> tuple[float, float]:
    """Percentiles of Σ top / Σ bottom over resampled rows: the denominator varies as well.

    Samples whose denominator is 0 have no value, and are left out.
    """
    return percentiles(resampled_ratios(top, bottom, seed, 0, replicates), confidence)


def resampled_means(terms: Floats, seed: int, first: int, stop: int) -> Floats:
    """Means of the resampled rows of replicates ``first`` … ``stop`` − 1 of a bootstrap."""
    means = np.empty(stop - first)
    kernels.resampled_means(terms, *_stream(seed, first, len(terms)), means)
    return means


def resampled_ratios(top: Floats, bottom: Floats, seed: int, first: int, stop: int) -> Floats:
    """Σ top / Σ bottom of replicates ``first`` … ``stop`` − 1; NaN where the latter is 0."""
    ratios = np.empty(stop - first)
    kernels.resampled_ratios(top, bottom, *_stream(seed, first, len(top)), ratios)
    return ratios


def _stream(seed: int, replicate: int, rows: int) -> tuple[np.uint64, np.uint64]:
    """The bootstrap's keyed stream from a replicate on, each of which takes ⌈rows/2⌉ numbers of it."""
    start, step = key_of(seed, 0, "bootstrap")
    taken = replicate * ((rows + 1) // 2)
    return np.uint64((int(start) + int(step) * taken) % (1 << 64)), step


def percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    """The ends between which a share ``confidence`` of the values lies; NaN are left out."""
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return nan, nan
    tail = 50.0 * (1.0 - _level(confidence))
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)


def empirical_bernstein(values: Floats, low: float, high: float, confidence: float) -> tuple[float, float]:
    """Mean ± (√(2 V L/n) + 7 (high − low) L/(3 (n − 1))), L = ln(4/(1 − confidence)), V the sample variance.

    Holds for every n ≥ 2 and any independent values in [low, high]: each side is the paper's bound, for
    δ = (1 − confidence)/2.

    References
    ----------
    Maurer & Pontil (2009), Empirical Bernstein bounds and sample variance penalization, COLT, Theorem 4.
    """
    n = len(values)
    if n < 2:
        return low, high
    mean, error = kernels.mean_and_error(values)
    return eb_from_moments(mean, error * error * n, n, low, high, confidence)


def eb_from_moments(
    mean: float, variance: float, n: int, low: float, high: float, confidence: float
) -> tuple[float, float]:
    """``empirical_bernstein`` from the sample mean and variance of n ≥ 2 values."""
    level = log(4.0 / (1.0 - _level(confidence)))
    reach = sqrt(2.0 * variance * level / n) + 7.0 * (high - low) * level / (3.0 * (n - 1))
    return max(low, mean - reach), min(high, mean + reach)


def clopper_pearson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Exact interval of a success probability: at least ``confidence`` for every truth and every n.

    >>> [round(x, 4) for x in clopper_pearson(0, 10, 0.95)]
    [0.0, 0.3085]

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26(4).
    """
    _check_counts(np.array([successes]), np.array([trials]))
    tail = 0.5 * (1.0 - _level(confidence))
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1.0 - tail))
    return low, high


def wilson(successes: Counts, trials: Counts, z: float) -> tuple[Floats, Floats]:
    """Score interval of each success probability, z standard errors wide; (0, 1) without trials.

    References
    ----------
    Wilson (1927), JASA 22(158).
    """
    s, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    _check_counts(s, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = s / n
        center = (p + z * z / (2.0 * n)) / (1.0 + z * z / n)
        reach = z * np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n)
    none = n == 0.0
    low = np.where(none | (s == 0.0), 0.0, center - reach)
    high = np.where(none | (s == n), 1.0, center + reach)
    return low, high


def mover_wilson(
    coefficients: Floats, successes: Counts, trials: Counts, confidence: float
) -> tuple[float, float, float]:
    """Σ c·p over cells with success probabilities p: (low, value, high), each side at ``confidence``.

        low = Σ c p̂ − √Σ c² δ²,   δ = p̂ − l where c > 0, u − p̂ where c < 0

    with (l, u) the Wilson interval of each cell (and the reverse for ``high``). One side at 95 % takes
    confidence=.95. A cell without trials enters with its worst value, 0 or 1; ``value`` then takes 1/2.
    The coefficients are fixed: they must not depend on the outcomes.

    References
    ----------
    Zou & Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine
    27(10): variance estimates recovery (MOVER).
    """
    c = np.asarray(coefficients, np.float64)
    s, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    if not (c.shape == s.shape == n.shape and c.ndim == 1 and np.isfinite(c).all()):
        raise LogInvalid(
            "the cells of a contrast do not fit together",
            expected="a finite coefficient, successes and trials for each cell",
            found=f"shapes {c.shape}, {s.shape}, {n.shape}",
            fix="pass three vectors of one length",
        )
    l, u = wilson(s, n, _NORMAL.inv_cdf(_level(confidence)))
    tried = n > 0.0
    p = np.where(tried, s / np.maximum(n, 1.0), 0.5)
    value = float(c @ p)
    low_center = np.where(tried, p, np.where(c > 0.0, 0.0, 1.0))
    high_center = np.where(tried, p, np.where(c > 0.0, 1.0, 0.0))
    down = np.where(tried, np.where(c > 0.0, p - l, u - p), 0.0)
    up = np.where(tried, np.where(c > 0.0, u - p, p - l), 0.0)
    low = float(c @ low_center) - sqrt(float(c * c @ (down * down)))
    return low, value, float(c @ high_center) + sqrt(float(c * c @ (up * up)))


def _check_counts(successes: Counts, trials: Counts) -> None:
    if (
        successes.shape != trials.shape
        or not ((successes >= 0) & (successes <= trials)).all()
        or not np.isfinite(trials).all()
    ):
        raise LogInvalid(
            "counts of successes are unusable",
            expected="0 <= successes <= trials for each cell",
            found=f"{shown(successes)} of {shown(trials)}",
            fix="count each decision once",
        )


def _level(confidence: float) -> float:
    if isinstance(confidence, float) and 0.0 < confidence < 1.0:
        return confidence
    raise InputInvalid(
        "the confidence is unusable",
        expected="a number in (0, 1), such as 0.95",
        found=shown(confidence),
        fix="choose another confidence",
    )
