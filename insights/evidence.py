"""Tests and intervals that patterns are judged by: exact where counts are compared, Student's for means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, gammaln, ndtr, stdtr, stdtrit

__all__ = [
    "Difference",
    "Moments",
    "adjusted",
    "binomial_tail",
    "cautious",
    "fisher",
    "hypergeometric_tail",
    "mean_difference",
    "mean_interval",
    "slope",
    "slope_of_moments",
    "stratified_fisher",
    "stratified_tail",
    "welch",
]

Floats = npt.NDArray[np.float64]

_TABLE = 1 << 14


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its interval, and the probability of one at least so large by chance."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n values: their mean, and their variance with n − 1 below; 0 where n < 2."""

    n: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Of an array that is not empty."""
        return cls(len(values), float(values.mean()), float(values.var(ddof=1)) if len(values) > 1 else 0.0)

    def interval(self, coverage: float) -> tuple[float, float, float]:
        """Mean with Student's interval; needs two values."""
        reach = float(stdtrit(self.n - 1, 0.5 + coverage / 2.0)) * math.sqrt(self.variance / self.n)
        return self.mean, self.mean - reach, self.mean + reach


def adjusted(p_values: Sequence[float], hypotheses: int | None = None) -> list[float]:
    """q-values of Benjamini and Hochberg: the smallest false discovery rate at which each is a discovery.

    hypotheses : how many were tested, where more were than are given; the others count as p = 1.

    >>> adjusted([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.03]

    References
    ----------
    Benjamini & Hochberg (1995), JRSS B 57(1).
    """
    m = len(p_values) if hypotheses is None else max(hypotheses, len(p_values))
    found, least = [1.0] * len(p_values), 1.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank in range(len(order), 0, -1):
        i = order[rank - 1]
        least = min(least, p_values[i] * m / rank)
        found[i] = least
    return found


def binomial_tail(k: int, n: int, q: float) -> float:
    """P(X ≥ k) for n trials of mean probability q, from above also where the trials' own ones differ.

    Of all sums of n independent trials with the same expectation the binomial one has the heaviest tail
    beyond n q + 1; below that, 1 is returned where it could be crossed.

    References
    ----------
    Hoeffding (1956), Annals of Mathematical Statistics 27(3), theorem 5.
    """
    if k <= 0 or k < n * q + 1.0:
        return 1.0
    return 0.0 if k > n else float(betainc(k, n - k + 1, q))


def hypergeometric_tail(k: int, marked: int, drawn: int, total: int) -> float:
    """P(at least k of the drawn are marked)."""
    return _hypergeometric(max(k, 0, drawn + marked - total), min(marked, drawn), marked, drawn, total)


def fisher(k: int, marked: int, drawn: int, total: int) -> float:
    """Fisher's exact test of a 2 × 2 table, two-sided as twice the smaller tail."""
    above = hypergeometric_tail(k, marked, drawn, total)
    below = _hypergeometric(max(0, drawn + marked - total), min(k, marked, drawn), marked, drawn, total)
    return min(1.0, 2.0 * min(above, below))


def stratified_fisher(k: int, marked: Floats, drawn: Floats, total: Floats) -> float:
    """Test of k marked ones among all drawn, of several 2 × 2 tables (C,): ``fisher`` where there is one.

    Exact, given the tables' margins; by a normal approximation where the variance is above 400.

    References
    ----------
    Mehta, Patel & Gray (1985), JASA 80(392), for the distribution of the sum.
    """
    mean = float((drawn * marked / total).sum())
    left = (drawn / total) * (1.0 - drawn / total) * marked * (total - marked)
    variance = float((left / np.maximum(total - 1.0, 1.0)).sum())
    if variance > 400.0:
        return min(1.0, 2.0 * float(ndtr(-max(0.0, abs(k - mean) - 0.5) / math.sqrt(variance))))
    first, mass = _sum_of_tables(marked, drawn, total)
    at = k - first
    return min(1.0, 2.0 * min(float(mass[at:].sum()), float(mass[: at + 1].sum())))


def stratified_tail(k: int, marked: Floats, drawn: Floats, total: Floats) -> float:
    """P(at least k marked ones among all drawn), of several 2 × 2 tables (C,): one-sided, see above.

    Exact where the variance is below 9; above by a normal approximation, which differs by less than a
    tenth there.
    """
    mean = float((drawn * marked / total).sum())
    left = (drawn / total) * (1.0 - drawn / total) * marked * (total - marked)
    variance = float((left / np.maximum(total - 1.0, 1.0)).sum())
    if variance >= 9.0:
        return float(ndtr((mean + 0.5 - k) / math.sqrt(variance)))
    first, mass = _sum_of_tables(marked, drawn, total)
    return min(1.0, float(mass[max(k - first, 0) :].sum()))


def _sum_of_tables(marked: Floats, drawn: Floats, total: Floats) -> tuple[int, Floats]:
    """The smallest sum of marked ones among the drawn, and the probabilities of it and all above."""
    first, mass = 0, np.ones(1)
    for m, d, n in zip(marked.tolist(), drawn.tolist(), total.tolist(), strict=True):
        x = np.arange(max(0.0, d + m - n), min(m, d) + 1.0)
        logs = _log_choose(m, x) + _log_choose(n - m, d - x) - _log_choose(n, np.array([d]))
        first, mass = first + int(x[0]), np.convolve(mass, np.exp(logs))
    return first, mass


def _hypergeometric(first: int, last: int, marked: int, drawn: int, total: int) -> float:
    if first > last:
        return 0.0
    # Terms farther than 40 standard deviations from the mean, or from the end nearest to it, add nothing.
    share = marked / total
    mean = drawn * share
    reach = 50.0 + 40.0 * math.sqrt(mean * (1.0 - share))
    low = max(first, math.floor(min(mean, last) - reach))
    high = min(last, math.ceil(max(mean, first) + reach))
    x = np.arange(low, high + 1, dtype=np.float64)
    terms = (
        _log_choose(marked, x)
        + _log_choose(total - marked, drawn - x)
        - _log_choose(total, np.array([float(drawn)]))
    )
    return min(1.0, float(np.exp(terms).sum()))


def _log_choose(n: float, k: Floats) -> Floats:
    """Of whole numbers."""
    if n >= _TABLE:
        found: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        return found
    table, place = _log_factorials(), k.astype(np.int64)
    chosen: Floats = table[int(n)] - table[place] - table[int(n) - place]
    return chosen


@cache
def _log_factorials() -> Floats:
    found: Floats = gammaln(np.arange(_TABLE) + 1.0)
    return found


def mean_interval(values: Floats, coverage: float) -> tuple[float, float, float]:
    """Mean with Student's interval; needs two values."""
    return Moments.of(values).interval(coverage)


def mean_difference(values: Floats, others: Floats, coverage: float) -> Difference | None:
    """Difference of two means by Welch's test; None where neither varies."""
    return welch(Moments.of(values), Moments.of(others), coverage)


def welch(values: Moments, others: Moments, coverage: float) -> Difference | None:
    """Difference of two means, two values each at least; None where neither varies.

    By Welch's test and by Student's of one common variance; the more cautious of the two is told. Twenty
    values that happen to be equal, of a share that is near 1, have no variance of their own, and are no
    proof: Welch's test alone would call them one.

    References
    ----------
    Welch (1947), Biometrika 34(1–2).
    """
    a, b = values.variance / values.n, others.variance / others.n
    if a + b <= 0.0:
        return None
    own, rest = values.n - 1, others.n - 1
    df = (a + b) ** 2 / (a * a / own + b * b / rest)
    pooled = (own * values.variance + rest * others.variance) / (own + rest)
    common = pooled * (1.0 / values.n + 1.0 / others.n)
    return cautious(values.mean - others.mean, ((a + b, df), (common, float(own + rest))), coverage)


def cautious(value: float, judges: Sequence[tuple[float, float]], coverage: float) -> Difference:
    """A difference by the one of several (variance, degrees of freedom) that has the largest p."""
    return max((_judged(value, math.sqrt(v), df, coverage) for v, df in judges), key=lambda found: found.p)


def slope(times: Floats, values: Floats, coverage: float) -> Difference | None:
    """Slope of a least-squares line, per unit of time; None below four values, or where none varies."""
    if len(times) < 4:
        return None
    t, y = times - times.mean(), values - values.mean()
    return slope_of_moments(len(t), float(t @ t), float(t @ y), float(y @ y), coverage)


def slope_of_moments(n: int, tt: float, ty: float, yy: float, coverage: float) -> Difference | None:
    """``slope`` from sums of squares and products around the means."""
    if n < 4 or tt <= 0.0:
        return None
    b = ty / tt
    error = (yy - b * ty) / (n - 2)
    if error <= 1e-14 * yy:  # a perfect line, but for rounding
        return None
    return _judged(b, math.sqrt(error / tt), n - 2.0, coverage)


def _judged(value: float, error: float, df: float, coverage: float) -> Difference:
    reach = float(stdtrit(df, 0.5 + coverage / 2.0)) * error
    p = 2.0 * float(stdtr(df, -abs(value) / error))
    return Difference(value, value - reach, value + reach, p)
