"""``Estimate``: what every estimator returns; ``IntervalSpec``: which interval it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan, nan
from typing import Any, Literal, TypeAlias

import numpy as np

from ...errors import InputInvalid, LogInvalid, NoOverlap, shown
from . import kernels, sequences
from .intervals import bootstrap_mean, bootstrap_ratio, clopper_pearson, empirical_bernstein, normal
from .logged import Floats, Source

__all__ = [
    "METHODS",
    "Bounds",
    "Estimate",
    "Interval",
    "IntervalSpec",
    "Method",
    "checked_rows",
    "from_ratio",
    "from_terms",
]

Method: TypeAlias = Literal[
    "normal",
    "bootstrap",
    "clopper_pearson",
    "empirical_bernstein",
    "betting",
    "empirical_bernstein_sequence",
    "none",
]
METHODS: tuple[Method, ...] = (
    "normal",
    "bootstrap",
    "clopper_pearson",
    "empirical_bernstein",
    "betting",
    "empirical_bernstein_sequence",
    "none",
)

_ESS_MIN = 100.0
"""Below, normal and bootstrap intervals come to cover a few points less than they say."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Two-sided: each side holds with 1 − (1 − confidence)/2. NaN where there is none (method ``none``).

    ``method`` : one of ``METHODS``, or the name of an interval made elsewhere.
    """

    low: float
    high: float
    confidence: float
    method: str


@dataclass(frozen=True, slots=True)
class IntervalSpec:
    """Which interval to compute.

    method : ``normal`` and ``bootstrap`` (percentiles over resampled rows) hold for many effective samples;
        ``clopper_pearson`` is exact for terms that are 0 or 1: the replay of a 0/1 reward;
        ``empirical_bernstein`` holds for any n, with a largest possible weight; ``betting`` and
        ``empirical_bernstein_sequence`` hold at any n and under peeking, see ``sequences``.
    confidence : in (0, 1). replicates, seed : of the bootstrap.
    weight_max : the largest weight that could have come; needed where a bound is.
    """

    method: Method = "normal"
    confidence: float = 0.95
    replicates: int = 1000
    seed: int = 0
    weight_max: float | None = None

    def bootstrap_of_mean(self, terms: Floats) -> tuple[float, float]:
        """Ends of the bootstrap interval of the terms' mean."""
        return bootstrap_mean(terms, self.confidence, self.replicates, self.seed)

    def bootstrap_of_ratio(self, top: Floats, bottom: Floats) -> tuple[float, float]:
        """Ends of the bootstrap interval of Σ top / Σ bottom."""
        return bootstrap_ratio(top, bottom, self.confidence, self.replicates, self.seed)

    def __post_init__(self) -> None:
        checks = {
            "method": (self.method in METHODS, f"one of {list(METHODS)}"),
            "confidence": (
                isinstance(self.confidence, float) and 0.0 < self.confidence < 1.0,
                "a number in (0, 1)",
            ),
            "replicates": (
                type(self.replicates) is int and 10 <= self.replicates <= 10**7,
                "a whole number from 10 to 10,000,000",
            ),
            "seed": (type(self.seed) is int and 0 <= self.seed < 1 << 64, "a whole number in [0, 2^64)"),
            "weight_max": (
                self.weight_max is None or (isinstance(self.weight_max, float) and self.weight_max >= 1.0),
                "a number >= 1, or None",
            ),
        }
        for name, (sound, expected) in checks.items():
            if not sound:
                raise InputInvalid(
                    f"{name} of an interval is unusable",
                    expected=expected,
                    found=shown(getattr(self, name)),
                    fix=f"choose another {name}",
                )


@dataclass(frozen=True, slots=True)
class Estimate:
    """Value of a target policy from a log.

    Attributes
    ----------
    estimator : its name. value : mean reward of a decision under the target policy.
    standard_error : of the value; of DM without the model's own error.
    interval : see ``Interval``.
    ess : (Σw)²/Σw², the number of on-policy decisions that weigh as much. largest_weight : max w.
    match_rate : share of rows that the target policy could have led to (w > 0); for a replay, those taken.
    n : rows. notes : what a reader must know, in words.
    propensities : whether they were logged or estimated.
    """

    estimator: str
    value: float
    standard_error: float
    interval: Interval
    ess: float
    largest_weight: float
    match_rate: float
    n: int
    notes: tuple[str, ...] = ()
    propensities: Source = "logged"

    def noted(self, notes: Sequence[str], source: Source | None = None) -> Estimate:
        """The same with further notes, and the source of the propensities."""
        return replace(
            self, notes=(*self.notes, *notes), propensities=self.propensities if source is None else source
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: NaN becomes None."""
        found = asdict(self)
        found["notes"] = list(self.notes)
        for part in (found, found["interval"]):
            for name, value in part.items():
                if isinstance(value, float) and isnan(value):
                    part[name] = None
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What is certain of an estimator's terms: low ≤ term ≤ high, None where nothing is.

    ``mirrored`` (n,) : terms ≥ 0 whose mean is 1 − value, where there are such: they bound the value from
    above without a largest weight.
    """

    low: float | None = None
    high: float | None = None
    mirrored: Floats | None = None


def from_terms(
    name: str,
    terms: Floats,
    weight: Floats,
    how: IntervalSpec,
    bounds: Bounds = Bounds(),
    notes: Sequence[str] = (),
) -> Estimate:
    """The mean of one term a row, with the interval that is asked for.

    Raises
    ------
    InputInvalid : the interval needs bounds that nobody gave.
    """
    value, error = kernels.mean_and_error(terms)
    if how.method == "bootstrap":
        low, high = how.bootstrap_of_mean(terms)
    elif how.method in {"normal", "none"}:
        low, high = normal(value, error, how.confidence)
    elif how.method == "clopper_pearson":
        low, high = _exact(name, terms, how.confidence)
    else:
        low, high = _bounded(name, terms, bounds, how)
    return _finished(name, value, error, (low, high), weight, how, notes)


def from_ratio(
    name: str, top: Floats, bottom: Floats, weight: Floats, how: IntervalSpec, notes: Sequence[str] = ()
) -> Estimate:
    """Σ top / Σ bottom; its error by linearisation: that of the mean of (top − value·bottom)/mean(bottom).

    Raises
    ------
    InputInvalid : an interval is asked for that holds for means of bounded terms only.
    """
    if how.method not in {"normal", "bootstrap", "none"}:
        raise InputInvalid(
            f"{name} has no {how.method} interval",
            expected="normal or bootstrap: it is a ratio of two means",
            found=how.method,
            fix="ask for one of these, or use ips",
        )
    share = float(bottom.mean())
    value = float(top.mean()) / share
    _, error = kernels.mean_and_error((top - value * bottom) / share)
    if how.method == "bootstrap":
        low, high = how.bootstrap_of_ratio(top, bottom)
    else:
        low, high = normal(value, error, how.confidence)
    return _finished(name, value, error, (low, high), weight, how, notes)


def _finished(
    name: str,
    value: float,
    error: float,
    ends: tuple[float, float],
    weight: Floats,
    how: IntervalSpec,
    notes: Sequence[str],
) -> Estimate:
    total, squares, largest, positive = kernels.weight_sums(weight)
    ess = total * total / squares if squares > 0.0 else 0.0
    if how.method == "none":
        ends = (nan, nan)
    said = list(notes)
    if how.method in {"normal", "bootstrap"} and ess < _ESS_MIN:
        said.append(
            f"effective sample size {ess:.1f}: a {how.method} interval needs about {_ESS_MIN:.0f} to hold"
        )
    return Estimate(
        name,
        value,
        error,
        Interval(*ends, how.confidence, how.method),
        ess,
        largest,
        positive / len(weight),
        len(weight),
        tuple(said),
    )


def _exact(name: str, terms: Floats, confidence: float) -> tuple[float, float]:
    if not bool(((terms == 0.0) | (terms == 1.0)).all()):
        raise InputInvalid(
            f"{name} has no exact interval here",
            expected="terms that are 0 or 1: the replay of a 0/1 reward",
            found=f"terms from {float(terms.min()):g} to {float(terms.max()):g}",
            fix="ask for another interval, or replay the successes",
        )
    return clopper_pearson(round(float(terms.sum())), len(terms), confidence)


def _bounded(name: str, terms: Floats, bounds: Bounds, how: IntervalSpec) -> tuple[float, float]:
    """Ends that hold for every n. Terms outside what is said to be certain are refused."""
    low, high, mirrored = bounds.low, bounds.high, bounds.mirrored
    needed = low is None or (high is None and (mirrored is None or how.method == "empirical_bernstein"))
    if low is None or needed:
        raise InputInvalid(
            f"a {how.method} interval of {name} needs the largest weight that could have come",
            expected="weight_max: 1/floor of the logging policy is always enough",
            found="None",
            fix="pass weight_max (a number known before the log, not the largest weight seen in it)",
        )
    least, most = float(terms.min()), float(terms.max())
    slack = 1e-9 * (1.0 + abs(low))
    if least < low - slack or (high is not None and most > high + 1e-9 * (1.0 + abs(high))):
        raise LogInvalid(
            f"weight_max of {name} is wrong: a logged decision weighs more",
            expected=f"terms in [{low:g}, {'inf' if high is None else format(high, 'g')}]",
            found=f"terms from {least:g} to {most:g}",
            fix="pass the largest weight that the two policies allow",
        )
    alpha = 1.0 - how.confidence
    if how.method == "empirical_bernstein" and high is not None:
        ends = empirical_bernstein(terms, low, high, how.confidence)
        if mirrored is None:
            return ends
        return ends[0], 1.0 - empirical_bernstein(mirrored, 0.0, high, how.confidence)[0]
    bound = sequences.betting_lower if how.method == "betting" else sequences.eb_lower
    below = low + bound(np.maximum(terms - low, 0.0), alpha / 2.0)
    if mirrored is not None:
        return below, 1.0 - bound(mirrored, alpha / 2.0)
    return below, float(high or 0.0) - bound(np.maximum(float(high or 0.0) - terms, 0.0), alpha / 2.0)


def checked_rows(**columns: Floats) -> tuple[Floats, ...]:
    """The columns as float64 vectors of one length, finite; those named ``weight`` ≥ 0 and not all 0.

    Raises
    ------
    LogInvalid : another shape, or a number that is none. NoOverlap : every weight is 0.
    """
    found = []
    n: int | None = None
    for name, values in columns.items():
        column: Floats = np.ascontiguousarray(values, np.float64)
        if column.ndim != 1 or len(column) == 0 or (n is not None and len(column) != n):
            raise LogInvalid(
                f"column '{name}' has no usable shape",
                expected="(n,), n >= 1, the same for all columns" if n is None else f"({n},)",
                found=str(column.shape),
                fix="pass one value for each logged decision; a log without rows supports no answer",
            )
        n = len(column)
        if not kernels.all_finite(column):
            row = int(np.argmin(np.isfinite(column)))
            raise LogInvalid(
                f"row {row} has an unusable {name}",
                expected="a finite number",
                found=str(column[row]),
                fix="correct the row, or leave it out and say so",
            )
        if name == "weight":
            _check_weight(column)
        found.append(column)
    return tuple(found)


def _check_weight(weight: Floats) -> None:
    least, most = float(weight.min()), float(weight.max())
    if least < 0.0:
        raise LogInvalid(
            f"row {int(np.argmin(weight))} has a negative weight",
            expected="target probability over propensity, >= 0",
            found=str(least),
            fix="correct the probabilities of the target policy",
        )
    if most == 0.0:
        raise NoOverlap(
            f"target policy gives weight 0 to all {len(weight):,} logged decisions",
            expected="at least one logged arm with target probability > 0",
            found="weights that are all 0",
            fix="log with an exploration floor > 0, or evaluate on arms that were tried",
        )
