"""Tests of a log against what it claims: arms against propensities, its own pmfs, calibration, drift."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.special import chdtrc

from ...errors import LogInvalid
from .logged import Floats, Integers, LoggedData
from .weights import known_propensities

__all__ = [
    "Bin",
    "Misfit",
    "arm_ratio",
    "calibration",
    "drift",
    "self_check",
]

_VARIANCE_MIN = 25.0
"""What the central limit needs of a count's variance; rarer arms are tested together."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A χ² test: the statistic, its degrees of freedom, and the probability of a larger one if all is right.

    ``freedom`` 0: there was nothing to test, ``p_value`` is NaN.
    """

    statistic: float
    freedom: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions in [low, high): how many, their mean, what was observed, and its standard error."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float
    standard_error: float


def arm_ratio(log: LoggedData) -> Misfit:
    """Sample-ratio mismatch: do the arms come as often as their propensities say?

    With the pmfs p_t known, S = Σ (e_t − p_t), e_t the unit vector of the arm drawn, has covariance
    Σ (diag p_t − p_t p_tᵀ), also where every row has another pmf and the logging policy learns.

    With the chosen arms' propensities alone, S_a = Σ (1{a_t = a}/p_t − 1) has mean 0 for every arm that can
    always come, variance Σ (1/p_t(a) − 1) (estimated from its own rows by Σ 1{a_t = a}(1 − p_t)/p_t²), and
    covariances −n. Arms that come in fewer than 25 rows are left out.

    Raises
    ------
    LogInvalid : the log has no propensities.

    References
    ----------
    Fabijan et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments, KDD; the
    martingale form is Freedman's (1975) central limit theorem.
    """
    propensity = known_propensities(log)
    n, arms = len(log), len(log.arms)
    count = np.bincount(log.arm, minlength=arms).astype(np.float64)
    if log.logging is not None:
        total: Floats = log.logging.sum(axis=0)
        covariance: Floats = log.logging.T @ log.logging
        return chi_square(count - total, np.diag(total) - covariance, _VARIANCE_MIN)
    inverse = np.bincount(log.arm, 1.0 / propensity, arms).astype(np.float64)
    squares = np.bincount(log.arm, 1.0 / propensity**2, arms).astype(np.float64)
    kept = count >= _VARIANCE_MIN
    own: Floats = np.diag(squares) - float(n)
    return chi_square((inverse - n)[kept], own[np.ix_(kept, kept)], 0.0)


def chi_square(deviation: Floats, covariance: Floats, variance_min: float) -> Misfit:
    """SᵀV⁻S; coordinates of a smaller variance are added up into one, or left out if that is too small."""
    large = np.diag(covariance) >= variance_min
    merge = np.eye(len(deviation))[large]
    if not large.all():
        rest = (~large).astype(np.float64)
        if rest @ covariance @ rest >= variance_min:
            merge = np.vstack([merge, rest])
    if len(merge) == 0:
        return Misfit(0.0, 0, nan)
    values, vectors = np.linalg.eigh(merge @ covariance @ merge.T)
    kept = values > 1e-9 * max(1.0, float(values.max(initial=0.0)))
    if not kept.any():
        return Misfit(0.0, 0, nan)
    z = (vectors.T @ (merge @ deviation))[kept] / np.sqrt(values[kept])
    statistic, freedom = float(z @ z), int(kept.sum())
    return Misfit(statistic, freedom, float(chdtrc(freedom, statistic)))


def self_check(log: LoggedData) -> int:
    """Rows in which the logging policy, evaluated on its own log, would not weigh exactly 1.

    That is a pmf whose entry at the chosen arm is another number than the row's propensity: 0 in every log
    that is what it says.

    Raises
    ------
    LogInvalid : the log has no pmfs to check against, or no propensities.
    """
    propensity = known_propensities(log)
    if log.logging is None:
        raise LogInvalid(
            "the log cannot be checked against its own pmfs",
            expected="the whole pmf of the logging policy in every row",
            found="propensities of the chosen arms alone",
            fix="export the log with its pmfs",
        )
    own = np.asarray(log.logging)[np.arange(len(log)), log.arm]
    return int((own / propensity != 1.0).sum())


def calibration(predicted: Floats, observed: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Predictions in bins of equal counts, against what was observed: of propensities, or of a reward model.

    Parameters
    ----------
    predicted, observed : of one shape; probabilities against 0/1, or modelled against logged rewards.
    """
    p, y = np.ravel(np.asarray(predicted, np.float64)), np.ravel(np.asarray(observed, np.float64))
    if p.shape != y.shape or len(p) == 0 or not (np.isfinite(p).all() and np.isfinite(y).all()):
        raise LogInvalid(
            "predictions and observations do not fit together",
            expected="finite numbers, as many of one as of the other",
            found=f"shapes {np.shape(predicted)} and {np.shape(observed)}",
            fix="pass one observation for each prediction",
        )
    edges = np.unique(np.quantile(p, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(0, len(edges) - 2))
    found = []
    for b in np.unique(place).tolist():
        rows = place == b
        count = int(rows.sum())
        error = float(y[rows].std(ddof=1)) / count**0.5 if count > 1 else nan
        high = float(edges[min(b + 1, len(edges) - 1)])
        found.append(Bin(float(edges[b]), high, count, float(p[rows].mean()), float(y[rows].mean()), error))
    return tuple(found)


def drift(log: LoggedData, blocks: int = 10) -> Misfit:
    """Do the rewards change in the course of the log, beyond what arms and contexts explain?

    The rows are cut into blocks in their order. With residuals from the means of (context, arm) cells, the
    block means are compared with their own variances: χ² with blocks − 1 degrees of freedom. Cells of fewer
    than two rows say nothing, and are left out; blocks are made larger until each has 25 rows.
    """
    cell = np.zeros(len(log), np.int64) if log.cell is None else log.cell
    place = cell * len(log.arms) + log.arm
    count = np.bincount(place)
    kept = count[place] >= 2
    rows: Integers = np.flatnonzero(kept)
    blocks = min(blocks, len(rows) // int(_VARIANCE_MIN))
    if blocks < 2:
        return Misfit(0.0, 0, nan)
    mean = np.bincount(place, log.reward) / np.maximum(count, 1)
    # Residuals from a cell's own mean are smaller than the noise by √(1 − 1/n).
    residual = (log.reward - mean[place])[rows] / np.sqrt(1.0 - 1.0 / count[place[rows]])
    parts = np.array_split(residual, blocks)
    variance = np.array([float(part.var(ddof=1)) / len(part) for part in parts])
    if not (variance > 0.0).all():
        return Misfit(0.0, 0, nan)
    means = np.array([float(part.mean()) for part in parts])
    center = float((means / variance).sum() / (1.0 / variance).sum())
    statistic = float(((means - center) ** 2 / variance).sum())
    return Misfit(statistic, blocks - 1, float(chdtrc(blocks - 1, statistic)))
