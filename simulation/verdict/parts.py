"""What a verdict is put together from: support, values, lift, ceiling, contradictions, warnings."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from ...errors import NoOverlap
from ..offpolicy.log_tests import chi_square
from .bounds import LOGGED, Bounds, CellBounds, Policy, bounds_for, method_for, weights
from .judged import Judged
from .result import Beside, Bound, Ceiling, Support

__all__ = [
    "RATIO_MAX",
    "UNREACHABLE",
    "beside_of",
    "ceiling_of",
    "contradiction_in",
    "lift_of",
    "support_of",
    "value_of",
    "warnings_of",
]

Floats = npt.NDArray[np.float64]

UNREACHABLE = 0.1
"""Share of the error of "not met" that goes to finding that nothing could be so much better."""
RATIO_MAX = 10.0
"""Largest ratio of two values that is told apart."""
_RATIO_STEPS = 17
_ESS_MIN = 50.0
_OUTSIDE_MAX = 0.01
_MISMATCH, _VARIANCE_MIN = 1e-6, 25.0
_PARTS, _PARTS_FROM = 4, 200


def support_of(log: Judged, policy: Policy, name: str) -> Support:
    """How far the log speaks for a policy; ``NoOverlap`` where not at all."""
    arms = len(log.arms)
    total = squares = largest = never = 0.0
    matched, tried = 0, np.zeros((len(log.contexts), arms), np.int64)
    for batch in log.batches():
        weight, data = weights(batch, policy), batch.data
        total += float(weight.sum())
        squares += float(weight @ weight)
        largest = max(largest, float(weight.max()))
        matched += int((weight > 0.0).sum())
        tried += np.bincount(batch.cell * arms + data.arm, minlength=tried.size).reshape(tried.shape)
        if data.logging is not None and not isinstance(policy, str):
            never += float((policy[batch.cell] * (data.logging <= 0.0)).sum())
    if squares == 0.0:
        table = np.zeros(0) if isinstance(policy, str) else policy.max(axis=0)
        wanted = [log.arms[a] for a in np.flatnonzero(table > 0.0)]
        logged = [log.arms[a] for a in np.flatnonzero(tried.sum(axis=0))]
        raise NoOverlap(
            f"{name} gives weight 0 to all {len(log):,} logged decisions",
            expected="at least one logged arm that it may choose in the same context",
            found=f"logged arms {logged}, its arms {wanted}"[:300],
            fix="log with an exploration floor > 0, or judge what was tried",
        )
    if not isinstance(policy, str) and not log.pmfs and log.finite:
        never = float(tried.sum(axis=1) @ (policy * (tried == 0)).sum(axis=1))
    n = len(log)
    return Support(total * total / squares, largest, total / n, matched / n, never / n)


def value_of(bounds: Bounds, policy: Policy, level: float) -> Bound:
    """A policy's value; the upper bound is the lower one of what it falls short of 1."""
    nothing: Policy = np.zeros((len(bounds.log.contexts), len(bounds.log.arms)))
    estimate, low = bounds.low(1.0, policy, 0.0, nothing, level)
    _, below = bounds.low(0.0, nothing, 1.0, policy, level)
    return Bound(min(max(estimate, 0.0), 1.0), max(low, 0.0), min(-below, 1.0))


def lift_of(
    bounds: Bounds, policy: Policy, second: Policy, level: float, target: Bound, reference: Bound
) -> Bound:
    """The ratios that are not refuted: v(policy) − ρ·v(baseline) is above 0 for all smaller ρ, below for all
    larger ones.
    """

    def edge(upper: bool) -> float | None:
        def beyond(ratio: float) -> bool:
            if upper:
                return bounds.shows(ratio, second, 1.0, policy, level * (1.0 - UNREACHABLE))
            return not bounds.shows(1.0, policy, ratio, second, level)

        low, high = 0.0, RATIO_MAX
        if beyond(low):
            return 0.0
        if not beyond(high):
            return None
        for _ in range(_RATIO_STEPS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if beyond(middle) else (middle, high)
        return high if upper else low

    value = None
    if target.value is not None and reference.value:
        value = target.value / reference.value - 1.0
    least, most = edge(upper=False), edge(upper=True)
    return Bound(
        value, RATIO_MAX - 1.0 if least is None else least - 1.0, None if most is None else most - 1.0
    )


def _speaks(log: Judged, policy: Policy) -> bool:
    return any(bool(weights(batch, policy).any()) for batch in log.batches())


def beside_of(log: Judged, policy: Policy, second: Policy, level: float, *, adaptive: bool) -> Beside | None:
    """The other metric's values and lift, on the rows that have it."""
    other = log.other()
    if other is None or not all(_speaks(other, one) for one in (policy, second)):
        return None
    method = method_for(other, second, adaptive=adaptive)
    bounds = bounds_for(other, method, second)
    target, reference = value_of(bounds, policy, level), value_of(bounds, second, level)
    lift = lift_of(bounds, policy, second, level, target, reference)
    return Beside(other.metric, len(other), method, target, reference, lift)


def ceiling_of(
    log: Judged, bounds: Bounds, second: Policy, level: float, factor: float, reference: Bound
) -> Ceiling:
    """What any policy could reach on these contexts, and whether the target is within it."""
    share = 0.5 * UNREACHABLE * level  # of the error of "not met": for each of the two bounds
    arms = len(log.arms)
    size = len(log.contexts) * arms
    trials, won = np.zeros(arms), np.zeros(arms)
    count, total = np.zeros((len(log.contexts), arms), np.int64), np.zeros((len(log.contexts), arms))
    for batch in log.batches():
        data, weight = batch.data, 1.0 / batch.propensity
        trials += np.bincount(data.arm, weights=weight, minlength=arms)
        won += np.bincount(data.arm, weights=weight * data.reward, minlength=arms)
        place = batch.cell * arms + data.arm
        count += np.bincount(place, minlength=size).reshape(count.shape)
        total += np.bincount(place, weights=data.reward, minlength=size).reshape(total.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        fixed = np.where(trials > 0.0, won / trials, -1.0)
    best = int(np.argmax(fixed))
    oracle, highest = float(fixed[best]), 1.0
    if log.finite:
        shares = count.sum(axis=1) / len(log)
        means = (total + np.maximum(fixed, 0.0)) / (count + 1.0)
        oracle = float(shares @ np.where(count > 0, means, -1.0).max(axis=1))
        if isinstance(bounds, CellBounds):
            upper = beta.ppf(1.0 - share / size, total + 1.0, np.maximum(count - total, 0.5))
            upper = np.where(total < count, upper, 1.0)
            highest = float(shares @ upper.max(axis=1))
    needed = factor * (reference.value or 0.0)
    nothing: Policy = np.zeros((len(log.contexts), arms))
    least = factor * bounds.low(1.0, second, 0.0, nothing, share)[1]
    reachable = "no" if least > highest else ("yes" if oracle >= needed else "doubtful")
    return Ceiling(log.arms[best], float(fixed[best]), oracle, highest, needed, reachable)  # type: ignore[arg-type]


def contradiction_in(log: Judged) -> str | None:
    """How arms were chosen against what was logged as their probabilities, where that cannot be chance.

    Looked at in the whole log and in each quarter of it: rows that were sorted by arm or outcome, or lost for
    a while, show there.
    """
    if not log.whole:
        return None
    n, arms = len(log), len(log.arms)
    # Quarters, and behind them the whole log; a short log has one part only.
    parts = _PARTS if n >= _PARTS_FROM else 1
    cuts = np.rint(np.linspace(0, n, 1 + parts)).astype(int).tolist()
    found = [_Drawn(first, last, arms) for first, last in pairwise(cuts)]
    at = 0
    for batch in log.batches():
        data = batch.data
        pmf = log.pmf_by_context[batch.cell] if data.logging is None else data.logging
        for one in found:
            here = slice(max(one.first - at, 0), max(one.last - at, 0))
            one.add(np.asarray(data.arm)[here], pmf[here])
        at += len(batch)
    if parts > 1:
        found.insert(0, _Drawn.together(found))
    for one in found:
        test = chi_square(one.chosen - one.expected, one.covariance, _VARIANCE_MIN)
        if test.freedom == 0 or test.p_value > _MISMATCH:
            continue
        worst = int(np.argmax(np.abs(one.chosen - one.expected) / np.sqrt(np.maximum(one.variance, 1.0))))
        return (
            f"in rows {one.first + 1:,} to {one.last:,} {log.arms[worst]} was chosen "
            f"{one.chosen[worst]:,.0f} times, and the logged probabilities say {one.expected[worst]:,.0f} "
            f"± {sqrt(one.variance[worst]):,.0f}: rows "
            "are missing or out of order, or the propensities are not those that were drawn from"
        )
    return None


class _Drawn:
    """Arms chosen in the rows first … last − 1, and what their probabilities let expect, (K,) each."""

    def __init__(self, first: int, last: int, arms: int) -> None:
        self.first, self.last = first, last
        self.chosen, self.expected, self.variance = np.zeros(arms), np.zeros(arms), np.zeros(arms)
        self._products = np.zeros((arms, arms))

    def add(self, arm: npt.NDArray[np.int64], pmf: Floats) -> None:
        """Take in rows: arm (n,), pmf (n, K)."""
        self.chosen += np.bincount(arm, minlength=len(self.chosen))
        self.expected += pmf.sum(axis=0)
        self.variance += (pmf * (1.0 - pmf)).sum(axis=0)
        self._products += pmf.T @ pmf

    @property
    def covariance(self) -> Floats:
        """Of the numbers chosen, (K, K)."""
        found: Floats = np.diag(self.expected) - self._products
        return found

    @staticmethod
    def together(parts: list[_Drawn]) -> _Drawn:
        """Consecutive parts as one."""
        found = _Drawn(parts[0].first, parts[-1].last, len(parts[0].chosen))
        for name in ("chosen", "expected", "variance", "_products"):
            setattr(found, name, sum(getattr(part, name) for part in parts))
        return found


def warnings_of(
    log: Judged,
    support: Support,
    ceiling: Ceiling,
    contradiction: str | None,
    baseline: str,
    *,
    learned: bool,
    asked: bool | None,
) -> tuple[str, ...]:
    """What a reader must know, in words."""
    found: list[str] = []
    if contradiction is not None:
        found.append(contradiction)
    if support.ess < _ESS_MIN:
        found.append(
            f"the {len(log):,} rows weigh as much as {support.ess:.0f} of the policy's own: too few for a "
            "point estimate to mean much"
        )
    if support.outside > _OUTSIDE_MAX:
        found.append(
            f"{support.outside:.1%} of the policy's choices were never logged; bounds count them as the worst"
        )
    if abs(support.mean_weight - 1.0) > 0.5:
        found.append(
            f"weights are {support.mean_weight:.2f} on average instead of 1: the overlap is thin, or the "
            "propensities are not those that were drawn from"
        )
    if ceiling.reachable == "doubtful":
        found.append(
            f"by the estimates even the best arm of each context reaches {ceiling.oracle:.3f}, and "
            f"{ceiling.needed:.3f} is needed"
        )
    if asked is False and log.logging == "adaptive":
        found.append(
            "propensities change in the log, or may: the error rate holds for a fixed logging policy only"
        )
    if learned and asked is None and baseline == LOGGED:
        found.append("the logging policy learned: it is compared as it was on average over the log")
    if not log.told_apart:
        found.append("the log has too many different contexts to be kept in memory: they are not told apart")
    if log.without_metric:
        found.append(f"{log.without_metric:,} decisions without a {log.metric} are left out")
    if log.held_out:
        found.append(f"{log.held_out:,} decisions of the holdout cohort are left out; see evaluate --holdout")
    return tuple(found)
