"""Bounds on a contrast of binary outcomes over finite cells (context × arm), for a fixed logging policy.

    θ = Σ_xa c_xa μ_xa,    c_xa = p(x) (plus·π(a|x) − minus·b(a|x))

Given how often each cell was tried, its successes are binomial and independent. Each cell's mean has a
one-sided limit on the side that would lower θ, and the limits are put together by the method of variance
estimates recovery (MOVER):

    θ ≥ Σ c μ̂ − √( Σ c² δ² + z² Var_x/n ),    δ = μ̂ − l where c > 0, u − μ̂ where c < 0

with Wilson's score limits l, u; in cells with fewer than ``FEW`` successes or failures with those of Clopper
and Pearson: Wilson's one-sided limits are too short there, on one side of ½ in favour of a claim. A cell that
was never tried counts as the worst that it could be. Var_x is the variance of the contrast between
contexts, which are a sample, too.

References
----------
Zou & Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine 27.
Wilson (1927), JASA 22. Cai (2005), One-sided confidence intervals in discrete distributions, JSPI 131.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv
from scipy.stats import norm

__all__ = ["FEW", "Cells", "cells_of", "limits", "lower_bound"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FEW = 10
"""Successes and failures from which on a cell's limits are Wilson's."""


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Trials and successes (C, K) of a log with C contexts."""

    trials: Integers
    successes: Integers

    @property
    def shares(self) -> Floats:
        """p(x): share of the rows in each context, (C,)."""
        return np.asarray(self.trials.sum(axis=1) / self.trials.sum(), np.float64)

    @property
    def means(self) -> Floats:
        """Success rates (C, K); drawn towards the arm's overall rate by one trial, ½ without any."""
        total, won = self.trials.sum(axis=0), self.successes.sum(axis=0)
        arm = (won + 0.5) / (total + 1.0)
        return np.asarray((self.successes + arm) / (self.trials + 1.0), np.float64)


def cells_of(
    context: Integers, arm: Integers, success: npt.NDArray[np.float64], contexts: int, arms: int
) -> Cells:
    """Count rows; arrays are (n,), ``success`` 0 or 1."""
    place = context * arms + arm
    shape = (contexts, arms)
    trials = np.bincount(place, minlength=contexts * arms).reshape(shape)
    won = np.bincount(place, weights=success, minlength=contexts * arms).reshape(shape)
    return Cells(trials.astype(np.int64), np.rint(won).astype(np.int64))


def limits(trials: Integers, successes: Integers, level: float) -> tuple[Floats, Floats]:
    """One-sided limits (lower, upper) of each cell's success rate, each at level α; 0 and 1 without
    trials.
    """
    n, s = trials.astype(np.float64), successes.astype(np.float64)
    z = float(norm.isf(level))
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (s / n + 0.5 * z * z / n) / (1.0 + z * z / n)
        half = z * np.sqrt(s / n * (1.0 - s / n) / n + 0.25 * z * z / (n * n)) / (1.0 + z * z / n)
    low, high = middle - half, middle + half
    few = np.minimum(s, n - s) < FEW
    exact_low = betaincinv(np.maximum(s, 0.5), n - s + 1.0, level)
    exact_high = betaincinv(s + 1.0, np.maximum(n - s, 0.5), 1.0 - level)
    low = np.where(s == 0.0, 0.0, np.where(few, exact_low, low))
    high = np.where(s == n, 1.0, np.where(few, exact_high, high))
    return low, high


def lower_bound(cells: Cells, contrast: Floats, level: float) -> tuple[float, float]:
    """Estimate and lower bound of Σ_x p(x) Σ_a contrast_xa μ_xa at one-sided level α; contrast (C, K)."""
    shares = cells.shares
    within = (contrast * cells.means).sum(axis=1)
    between = float(shares @ (within - shares @ within) ** 2) / float(cells.trials.sum())
    c = shares[:, None] * contrast
    used = c != 0.0
    c, n, s = c[used], cells.trials[used], cells.successes[used]
    low, high = limits(n, s, level)
    tried = n > 0
    mean = np.where(tried, s / np.maximum(n, 1), 0.5)
    gap = np.where(tried, np.where(c > 0.0, mean - low, high - mean), 0.0)
    centre = np.where(tried, c * mean, np.minimum(c, 0.0))
    z = float(norm.isf(level))
    reach = sqrt(float((c * c * gap * gap).sum()) + z * z * between)
    return float((c * mean).sum()), float(centre.sum()) - reach
