"""Bounds that hold at every row at once, for the running average of contrasts, whatever was logged how.

Let D_1, D_2, … be contrasts of rows with conditional expectations δ_i = E[D_i | rows before, context i],
S_t = ΣD_i, and V_t = Σ (D_i − m_i)² with m_i known before arm i is drawn. If D_i − m_i ≥ −c then for 0 ≤ λ
< 1/c

    exp{ λ (S_t − Σδ_i) − ψ(λ) V_t },    ψ(λ) = (−ln(1 − cλ) − cλ) / c²

is a supermartingale that starts at 1 (from Fan's inequality, exp{λy − ψ(λ)y²} ≤ 1 + λy for y ≥ −c). So is its
mean over a grid of λ, and by Ville's inequality that mean reaches 1/α at any row with probability α at most.
Read for the mean m of δ_1 … δ_t, it gives a lower bound L_t on the *running average* with

    P( there is a t with L_t > (δ_1 + … + δ_t)/t ) ≤ α.

Nothing is asked of the single δ_i: the logging policy may improve, the world may drift, and the log may be
looked at after every row. A claim is made by the bound at the row where it is read, never by an earlier
crossing: what was true of the average then need not be true now.

References
----------
Howard, Ramdas, McAuliffe & Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences,
Annals of Statistics 49(2), Theorem 4 and §3.2 (mixtures). Fan, Grama & Liu (2015), Electronic Journal of
Probability 20, Proposition 4.1. Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro (2024), Anytime-valid
off-policy inference for contextual bandits: only the lower end of D must be bounded, the weights need not be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np
import numpy.typing as npt

from . import kernels

__all__ = ["Mixture", "Progress", "lower_bound", "mixture", "rows_needed", "run"]

Floats = npt.NDArray[np.float64]

_RATES = 10
_STEPS = 80


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """Rates λ (J,) and their costs ψ(λ) (J,) for contrasts that fall at most ``scale`` below their centre."""

    scale: float
    rates: Floats
    costs: Floats


@lru_cache(maxsize=64)
def mixture(scale: float) -> Mixture:
    """Ten rates with equal weights, from 1/(2c) down by halves."""
    rates = 0.5 / scale * 0.5 ** np.arange(_RATES, dtype=np.float64)
    costs = (-np.log1p(-scale * rates) - scale * rates) / (scale * scale)
    return Mixture(scale, rates, costs)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a sequence has come to.

    rows, total, variance : t, S_t, V_t. crossed : the bound is above 0 at the last row. first_crossing : the
    first row where it was; 0 for never.
    """

    rows: int
    total: float
    variance: float
    crossed: bool
    first_crossing: int

    @property
    def mean(self) -> float:
        """S_t / t, the estimate of the running average."""
        return self.total / self.rows


def run(d: Floats, gaps: Floats, scale: float, level: float) -> Progress:
    """Take contrasts and gaps D − m (n,) in the order of their rows; ``level`` is α, ``scale`` is c."""
    grid = mixture(scale)
    state = np.zeros(6)
    kernels.sequence(d, gaps, state, -log(level), grid.rates, grid.costs)
    return Progress(
        int(state[0]),
        float(state[1]),
        float(state[2]),
        state[0] > 0.0 and state[3] == state[0],
        int(state[4]),
    )


def lower_bound(progress: Progress, scale: float, level: float, least: float) -> float:
    """Lower bound L_t on the running average at the last row; ``least`` is what it cannot fall below."""
    grid = mixture(scale)
    threshold = -log(level)

    def evidence(mean: float) -> float:
        left = progress.total - progress.rows * mean
        return float(kernels.log_mixture(left, progress.variance, grid.rates, grid.costs))

    low, high = least, progress.mean
    if progress.rows == 0 or evidence(low) < threshold:
        return least
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if evidence(middle) >= threshold:
            low = middle
        else:
            high = middle
    return low


def rows_needed(mean: float, variance: float, scale: float, level: float, z: float, limit: int) -> int | None:
    """Rows after which the bound is above 0 with the probability of z, if every row adds ``mean`` to S and
    ``variance`` to V; None above ``limit``.

    The sum is taken z standard deviations below its expectation.
    """
    grid = mixture(scale)
    threshold = -log(level)

    def settled(rows: int) -> bool:
        total = rows * mean - z * (rows * variance) ** 0.5
        return bool(kernels.log_mixture(total, rows * variance, grid.rates, grid.costs) >= threshold)

    if mean <= 0.0 or not settled(limit):
        return None
    low, high = 0, limit
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high
