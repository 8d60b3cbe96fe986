"""One-sided bounds on contrasts of two policies, by the method that the log allows.

    θ = plus · v(first) − minus · v(second)

* binary outcomes, finitely many contexts, a fixed logging policy: ``cells`` (MOVER–Wilson);
* other outcomes or contexts, a fixed logging policy: ``betting``;
* an adaptive logging policy, or whoever looks more than once: ``sequence``; θ is a running average then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from . import betting, cells, kernels, sequence
from .judged import Judged
from .log import JudgedLog

__all__ = [
    "LOGGED",
    "Bounds",
    "CellBounds",
    "Contrasts",
    "Method",
    "Policy",
    "RowBounds",
    "bounds_for",
    "cap_for",
    "method_for",
    "weights",
]

Floats = npt.NDArray[np.float64]
Method: TypeAlias = Literal["mover_wilson", "betting", "empirical_bernstein_sequence"]
Policy: TypeAlias = Floats | Literal["logged"]
"""Probability of each arm by context (C, K), or the policy that logged."""

LOGGED: Literal["logged"] = "logged"
"""As baseline of a verdict: what was really chosen."""

_CAPS = (2.0, 40.0)
_FLOOR_MIN = 1e-3
_CELLS_MAX = 512
_FURTHEST = 100_000_000
_POWER_Z = 0.8416212335729143  # four times out of five


def method_for(log: Judged, second: Policy, *, adaptive: bool) -> Method:
    """The sharpest method that is valid against the baseline ``second``."""
    if adaptive:
        return "empirical_bernstein_sequence"
    cells_known = log.whole or not isinstance(second, str)
    return "mover_wilson" if log.binary and log.finite and cells_known else "betting"


@dataclass(frozen=True, eq=False, slots=True)
class CellBounds:
    """By cells of context and arm."""

    log: Judged
    cells: cells.Cells

    def low(
        self, plus: float, first: Policy, minus: float, second: Policy, level: float
    ) -> tuple[float, float]:
        """Estimate of θ and its lower bound at one-sided level α."""
        return cells.lower_bound(self.cells, self._contrast(plus, first, minus, second), level)

    def shows(self, plus: float, first: Policy, minus: float, second: Policy, level: float) -> bool:
        """Whether θ > 0 is shown."""
        return self.low(plus, first, minus, second, level)[1] > 0.0

    def shares(self, plus: float, first: Policy, minus: float, second: Policy) -> Floats:
        """Each arm's share of the estimate's variance, (K,)."""
        return _shares(self._variances(self._contrast(plus, first, minus, second)).sum(axis=0))

    def more(
        self, plus: float, first: Policy, minus: float, second: Policy, level: float
    ) -> tuple[int | None, int | None]:
        """Rows in all that would show θ > 0: logged as before, and logged as suits θ best."""
        contrast = self._contrast(plus, first, minus, second)
        mean = float((self.cells.shares[:, None] * contrast * self.cells.means).sum())
        if mean <= 0.0:
            return None, None
        rows = float(self.cells.trials.sum())
        variances = self._variances(contrast)
        z = float(norm.isf(level)) + _POWER_Z
        tried = (self.cells.trials > 0) | (contrast == 0.0)
        usual = rows * float(variances.sum()) * (z / mean) ** 2 if tried.all() else float("inf")
        sd = np.sqrt(self.cells.means * (1.0 - self.cells.means))
        best = (float((self.cells.shares[:, None] * np.abs(contrast) * sd).sum()) * z / mean) ** 2
        return _whole(usual), _whole(best)

    def _contrast(self, plus: float, first: Policy, minus: float, second: Policy) -> Floats:
        table: Floats = plus * self._table(first) - minus * self._table(second)
        return table

    def _table(self, policy: Policy) -> Floats:
        return self.log.pmf_by_context if isinstance(policy, str) else policy

    def _variances(self, contrast: Floats) -> Floats:
        scaled = self.cells.shares[:, None] * contrast
        spread = self.cells.means * (1.0 - self.cells.means) / np.maximum(self.cells.trials, 1)
        found: Floats = scaled * scaled * spread
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Contrasts:
    """D and gap of every row (n,). scale : gap ≥ −scale. floor : D ≥ −floor."""

    d: Floats
    gaps: Floats
    scale: float
    floor: float


def cap_for(c: Floats, p: Floats) -> float:
    """How far a row's contrast may fall below its guess, from the first row's largest weight |c/p|.

    Any cap known beforehand is valid. A larger one lets the guesses take more of the variance away where
    weights are large, and makes the test less ready for surprises; guesses near ½ need about half of |c/p|.
    """
    known = p > 0.0
    largest = float(np.abs(c[known] / p[known]).max(initial=0.0))
    return min(max(0.6 * largest, _CAPS[0]), _CAPS[1])


@dataclass(frozen=True, eq=False, slots=True)
class RowBounds:
    """By rows in their order: ``sequence`` for adaptive logs, else ``betting``.

    by_row : the logging policy's pmf is that of the row; else that of the context. whole : it is known for
    all arms.
    """

    log: Judged
    adaptive: bool
    by_row: bool
    whole: bool

    def contrasts(self, plus: float, first: Policy, minus: float, second: Policy) -> Contrasts:
        """D of every row."""
        log = self.log
        d, gaps = log.column(), log.column()
        at = 0
        if not self.whole:
            # Guesses of 0 for what is added and of 1 for what is subtracted need no arm but the chosen one's.
            for batch in log.batches():
                reward = np.asarray(batch.data.reward)
                own, others = weights(batch, first), weights(batch, second)
                d[at : at + len(batch)] = plus * own * reward - minus + minus * others * (1.0 - reward)
                at += len(batch)
            kernels.gaps_to_mean(d, 1.0, gaps)
            return Contrasts(d, gaps, 1.0 + minus, max(minus, _FLOOR_MIN))
        few = len(log.contexts) <= _CELLS_MAX and log.finite
        sums = np.zeros(((len(log.contexts) if few else 1) + 1, len(log.arms), 2))
        nothing = np.zeros((1, 1))
        cap = 0.0
        for batch in log.batches():
            pmf = self._pmf(batch)
            if at == 0:
                cap = self._cap(plus, first, minus, second, int(batch.cell[0]), pmf)
            here = slice(at, at + len(batch))
            kernels.contrasts(
                plus,
                nothing if isinstance(first, str) else first,
                isinstance(first, str),
                minus,
                nothing if isinstance(second, str) else second,
                isinstance(second, str),
                batch.cell,
                pmf,
                self.by_row,
                batch.cell if few else np.zeros(len(batch), np.int64),
                np.array(batch.data.arm),
                np.array(batch.data.reward),
                cap,
                sums,
                d[here],
                gaps[here],
            )
            at += len(batch)
        return Contrasts(d, gaps, cap, minus + cap)

    def low(
        self, plus: float, first: Policy, minus: float, second: Policy, level: float
    ) -> tuple[float, float]:
        """Estimate of θ and its lower bound at one-sided level α."""
        one = self.contrasts(plus, first, minus, second)
        if self.adaptive:
            progress = sequence.run(one.d, one.gaps, one.scale, level)
            return progress.mean, sequence.lower_bound(progress, one.scale, level, -minus)
        return float(one.d.mean()), betting.lower_bound(one.d, one.floor, level, -minus)

    def shows(self, plus: float, first: Policy, minus: float, second: Policy, level: float) -> bool:
        """Whether θ > 0 is shown: ``low`` > 0, in one pass."""
        one = self.contrasts(plus, first, minus, second)
        if self.adaptive:
            return sequence.run(one.d, one.gaps, one.scale, level).crossed
        return betting.shows(one.d, one.floor, level)

    def shares(self, plus: float, first: Policy, minus: float, second: Policy) -> Floats:
        """Each arm's share of the estimate's variance, (K,)."""
        gaps = self.contrasts(plus, first, minus, second).gaps
        found, at = np.zeros(len(self.log.arms)), 0
        for batch in self.log.batches():
            squares = gaps[at : at + len(batch)] ** 2
            found += np.bincount(batch.data.arm, weights=squares, minlength=len(found))
            at += len(batch)
        return _shares(found)

    def more(
        self, plus: float, first: Policy, minus: float, second: Policy, level: float
    ) -> tuple[int | None, int | None]:
        """Rows in all that would show θ > 0, logged as before; how arms would best be chosen is not told."""
        one = self.contrasts(plus, first, minus, second)
        mean, variance = float(one.d.mean()), float(one.gaps @ one.gaps) / len(one.gaps)
        if self.adaptive:
            return sequence.rows_needed(mean, variance, one.scale, level, _POWER_Z, _FURTHEST), None
        return betting.rows_needed(mean, variance, one.floor, level, _POWER_Z, _FURTHEST), None

    def _pmf(self, batch: JudgedLog) -> Floats:
        if self.by_row and batch.data.logging is not None:
            return np.ascontiguousarray(batch.data.logging)
        return self.log.pmf_by_context

    def _cap(
        self, plus: float, first: Policy, minus: float, second: Policy, context: int, pmf: Floats
    ) -> float:
        """``cap_for`` the first row: nothing that came later, rewards least of all, has a part in it."""
        p = pmf[0 if self.by_row else context]
        c = plus * (p if isinstance(first, str) else first[context])
        c = c - minus * (p if isinstance(second, str) else second[context])
        return cap_for(np.asarray(c, np.float64), p)


Bounds: TypeAlias = CellBounds | RowBounds


def bounds_for(log: Judged, method: Method, second: Policy) -> Bounds:
    """What computes the bounds of a method on a log, against the baseline ``second``."""
    if method == "mover_wilson":
        trials = np.zeros((len(log.contexts), len(log.arms)), np.int64)
        successes = np.zeros_like(trials)
        for batch in log.batches():
            counted = cells.cells_of(batch.cell, batch.data.arm, batch.data.reward, *trials.shape)
            trials += counted.trials
            successes += counted.successes
        return CellBounds(log, cells.Cells(trials, successes))
    adaptive = method == "empirical_bernstein_sequence"
    if log.pmfs:
        return RowBounds(log, adaptive, by_row=True, whole=True)
    known = log.logging == "fixed" and log.finite and (log.whole or not isinstance(second, str))
    return RowBounds(log, adaptive, by_row=False, whole=known)


def weights(log: JudgedLog, policy: Policy) -> Floats:
    """π(a|x)/p(a|x) of each row's arm, (n,)."""
    if isinstance(policy, str):
        return np.ones(len(log))
    return np.asarray(policy[log.cell, log.data.arm] / log.propensity, np.float64)


def _shares(variances: npt.NDArray[np.number]) -> Floats:
    found: Floats = np.asarray(variances, np.float64)
    total = float(found.sum())
    return found / total if total > 0.0 else found


def _whole(rows: float) -> int | None:
    return int(rows) + 1 if rows < _FURTHEST else None
