"""How measurements are judged: normal, binomial and chi-square rules with stated error rates."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, chi2, norm

__all__ = [
    "ANCHOR_ALARM",
    "ANCHOR_ERRORS",
    "Z999",
    "Floats",
    "binomial_limit",
    "combined_error",
    "misfit",
    "normal_tail",
]

Floats = npt.NDArray[np.float64]

Z999: float = float(norm.isf(0.001))
"""One-sided normal quantile: a mean above the bound passes with probability of about .001 at most."""

ANCHOR_ERRORS = 3.5
"""Combined standard errors within which two measurements of the same mean count as equal."""

ANCHOR_ALARM: float = float(2.0 * norm.sf(ANCHOR_ERRORS))

_RISK = 0.001
_VARIANCE_MIN = 25.0


def normal_tail(z: float) -> float:
    """P(Z > z) of a standard normal number."""
    return float(norm.sf(z))


def binomial_limit(trials: int, risk: float) -> tuple[int, float]:
    """The smallest count c with P(X ≥ c) ≤ .001 for X ~ Binomial(trials, risk), and that probability."""
    limit = int(binom.isf(_RISK, trials, risk)) + 1
    return limit, float(binom.sf(limit - 1, trials, risk))


def misfit(deviation: Floats, covariance: Floats) -> tuple[float, int, float]:
    """χ² of a sum of martingale differences (n,) with its summed conditional covariance (n, n).

    Coordinates with a variance below 25 are added up into one, which is left out if it stays below: the
    central limit needs so much. Returns the statistic, its degrees of freedom (the covariance's rank), and
    the probability of a larger one.
    """
    large = np.diag(covariance) >= _VARIANCE_MIN
    merge = np.eye(len(deviation))[large]
    if not large.all():
        rest = (~large).astype(np.float64)
        if rest @ covariance @ rest >= _VARIANCE_MIN:
            merge = np.vstack([merge, rest])
    values, vectors = np.linalg.eigh(merge @ covariance @ merge.T)
    kept = values > 1e-9 * max(1.0, float(values.max(initial=0.0)))
    if not kept.any():
        return 0.0, 0, 1.0
    z = (vectors.T @ (merge @ deviation))[kept] / np.sqrt(values[kept])
    statistic, freedom = float(z @ z), int(kept.sum())
    return statistic, freedom, float(chi2.sf(statistic, freedom))


def combined_error(*errors: float) -> float:
    """Standard error of a difference of independent values."""
    return sqrt(sum(error * error for error in errors))
