"""Estimates over batches: logs larger than memory, with the numbers that all rows at once would give.

``Accumulator`` keeps sums only, each with a compensation for rounding (Neumaier). How the rows are cut into
batches, and the order of the batches, changes a value by less than 1e-12 of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import nan, sqrt

import numpy as np

from ...errors import InputInvalid, LogInvalid, NoOverlap
from . import kernels
from .doubly_robust import modelled
from .estimate import Estimate, Interval, IntervalSpec
from .intervals import eb_from_moments, normal
from .logged import Floats, LoggedData, Source
from .weights import outside_support, raw_weights, unsupported

__all__ = ["Accumulator", "accumulate"]

_W, _WW, _WR, _WWR, _WWRR, _MISS, _MISS2, _D, _DD = range(9)
_NO_TERMS = np.empty(0)


class Accumulator:
    """Sums of IPS, SNIPS and, with a model, DR over batches of one log; two of them can be merged.

    Parameters
    ----------
    arms : of the log, the same in every batch.
    """

    def __init__(self, arms: tuple[str, ...]) -> None:
        self.arms = arms
        self.rows = 0
        self._modelled = 0
        self._largest, self._positive = 0.0, 0
        self._sums, self._lost = np.zeros(9), np.zeros(9)
        self._tried = np.zeros(len(arms), np.int64)
        self._mass, self._never = np.zeros(len(arms)), np.zeros(len(arms))
        self._source: Source | None = None

    def add(self, log: LoggedData, target: Floats, q: Floats | None = None) -> None:
        """Take in one batch: its rows, the target's pmf (n, K), and modelled rewards (n, K).

        q must come from a model that was fitted on *other* rows: the first batches, or another log.

        Raises
        ------
        LogInvalid : the batch is unusable, or not of this log; nothing has changed.
        """
        if log.arms != self.arms or self._source not in {None, log.source}:
            raise LogInvalid(
                "the batch is of another log",
                expected=f"arms {list(self.arms)}, propensities {self._source or 'of one source'}"[:300],
                found=f"arms {list(log.arms)}, propensities {log.source}"[:300],
                fix="give every batch the same arms, and do not mix logged and estimated propensities",
            )
        pmf, weight = raw_weights(log, target)
        terms = _NO_TERMS
        if q is not None:
            expected, chosen = modelled(pmf, q, log.arm)
            terms = expected + weight * (log.reward - chosen)
        n = len(log)
        kernels.add_rows(log.reward, weight, terms, self._sums, self._lost)
        _, _, largest, positive = kernels.weight_sums(weight)
        self.rows += n
        self._modelled += len(terms)
        self._largest = max(self._largest, largest)
        self._positive += positive
        self._tried += np.bincount(log.arm, minlength=len(self.arms))
        if log.logging is None:
            self._mass += pmf.sum(axis=0)
        else:
            self._never += n * unsupported(log, pmf, self._tried)
        self._source = log.source

    def merge(self, other: Accumulator) -> None:
        """Take in what another accumulator of the same log has; that one stays as it is."""
        if other.arms != self.arms or len({self._source, other._source} - {None}) > 1:
            raise LogInvalid(
                "the two accumulators are of different logs",
                expected=f"arms {list(self.arms)}"[:300],
                found=f"arms {list(other.arms)}"[:300],
                fix="merge what was accumulated over batches of one log",
            )
        for name in ("rows", "_modelled", "_positive", "_tried", "_mass", "_never"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        # Two-sum: what rounding takes from the total goes to the compensation.
        total = self._sums + other._sums
        back = total - self._sums
        self._lost += other._lost + ((self._sums - (total - back)) + (other._sums - back))
        self._sums = total
        self._largest = max(self._largest, other._largest)
        self._source = self._source or other._source

    def estimates(
        self,
        how: IntervalSpec = IntervalSpec(),  # noqa: B008 (frozen)
        *,
        outside_max: float = 0.0,
    ) -> dict[str, Estimate]:
        """``ips``, ``snips`` and, where every batch had a model, ``dr``, as all rows at once would give them.

        SNIPS and DR have the normal interval only, IPS the empirical Bernstein one too.

        Raises
        ------
        LogInvalid : no rows yet. NoOverlap : see ``overlay``. InputInvalid : another interval.
        """
        if self.rows == 0:
            raise LogInvalid(
                "the log is empty",
                expected="at least one batch of rows",
                found="no batches",
                fix="check the filter, the period and the path that the log was read with",
            )
        if how.method not in {"normal", "empirical_bernstein"}:
            raise InputInvalid(
                f"a {how.method} interval needs all rows at once",
                expected="normal or empirical_bernstein",
                found=how.method,
                fix="ask for one of these, or read the log into memory",
            )
        if self._positive == 0:
            raise NoOverlap(
                f"target policy gives weight 0 to all {self.rows:,} logged decisions",
                expected="at least one logged arm with target probability > 0",
                found=f"logged arms {[a for a, n in zip(self.arms, self._tried, strict=True) if n]}"[:300],
                fix="log with an exploration floor > 0, or evaluate on arms that were tried",
            )
        lost = (self._never + np.where(self._tried == 0, self._mass, 0.0)) / self.rows
        lost[lost <= 2.0**-31] = 0.0
        outside, arms = float(lost.sum()), [self.arms[a] for a in np.flatnonzero(lost)]
        if outside > outside_max:
            raise outside_support(outside, outside_max, arms)
        found = [self._ips(how), self._snips(how)]
        if self._modelled == self.rows:
            found.append(self._mean("dr", _D, _DD, how))
        notes = (f"{outside:.2%} of the target's decisions were never tried: {arms}",) if outside else ()
        return {one.estimator: one.noted(notes, self._source) for one in found}

    def _ips(self, how: IntervalSpec) -> Estimate:
        found = self._mean("ips", _WR, _WWRR, how)
        if how.method != "empirical_bernstein":
            return found
        if how.weight_max is None or how.weight_max < self._largest:
            raise InputInvalid(
                "a bound that holds for every n needs the largest weight that could have come",
                expected=f"weight_max of at least {self._largest:g}, known before the log",
                found=str(how.weight_max),
                fix="pass weight_max: 1/floor of the logging policy is always enough",
            )
        n = self.rows
        low, high = (
            eb_from_moments(*self._moments(place, square), n, 0.0, how.weight_max, how.confidence)[0]
            for place, square in ((_WR, _WWRR), (_MISS, _MISS2))
        )
        return replace(found, interval=Interval(low, 1.0 - high, how.confidence, how.method))

    def _snips(self, how: IntervalSpec) -> Estimate:
        n = self.rows
        w, ww, wr, wwr, wwrr = (self._total(j) for j in (_W, _WW, _WR, _WWR, _WWRR))
        value = wr / w
        # Σ w²(r − V)², the sum of the linearised terms being 0.
        squares = max(wwrr - 2.0 * value * wwr + value * value * ww, 0.0)
        error = nan if n < 2 else sqrt(squares / (n - 1) / n) * n / w
        return self._finished("snips", value, error, how)

    def _mean(self, name: str, place: int, square: int, how: IntervalSpec) -> Estimate:
        mean, variance = self._moments(place, square)
        return self._finished(name, mean, sqrt(variance / self.rows), how)

    def _moments(self, place: int, square: int) -> tuple[float, float]:
        n = self.rows
        mean = self._total(place) / n
        if n < 2:
            return mean, nan
        return mean, max(self._total(square) - n * mean * mean, 0.0) / (n - 1)

    def _total(self, place: int) -> float:
        return float(self._sums[place] + self._lost[place])

    def _finished(self, name: str, value: float, error: float, how: IntervalSpec) -> Estimate:
        ess = self._total(_W) ** 2 / self._total(_WW)
        interval = Interval(*normal(value, error, how.confidence), how.confidence, "normal")
        return Estimate(
            name,
            value,
            error,
            interval,
            ess,
            self._largest,
            self._positive / self.rows,
            self.rows,
            (f"effective sample size {ess:.1f}: a normal interval needs about 100 to hold",)
            if ess < 100.0
            else (),
        )


def accumulate(
    batches: Iterable[tuple[LoggedData, Floats]], arms: tuple[str, ...], q: Floats | None = None
) -> Accumulator:
    """Fold batches (log, target pmf); ``q`` (K,) or one table of modelled rewards for all rows, for DR."""
    found = Accumulator(arms)
    for log, target in batches:
        table = None if q is None else np.broadcast_to(np.asarray(q, np.float64), (len(log), len(arms)))
        found.add(log, target, table)
    return found
