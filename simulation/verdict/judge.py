"""``judge``: is a policy at least so much better than the baseline? An answer with an error rate, or none.

H0: v(policy) ≤ (1 + min_lift) · v(baseline). ``met`` is said where a lower bound of the difference is above
0, ``not met`` where an upper bound is below 0, each wrong with probability 1 − confidence at most; in between
there is ``not enough evidence``. On adaptive logs, and for whoever looks again and again, both values are
running averages over the log's rows. Where the log cannot speak for the policy, or contradicts its own
propensities, the answer is ``not supported``, or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from ...errors import ArmUnknown, InputInvalid, NoOverlap, shown
from ..offpolicy.log_tests import chi_square
from .bounds import LOGGED, Bounds, CellBounds, Policy, bounds_for, method_for, weights
from .breakdown import by_arm, by_context
from .log import JudgedLog
from .result import Beside, Bound, Ceiling, MoreData, Status, Support, Verdict

__all__ = ["judge", "judge_all"]

Floats = npt.NDArray[np.float64]

_UNREACHABLE = 0.1
"""Share of the error of "not met" that goes to finding that nothing could be so much better."""
_RATIO_MAX = 10.0
_RATIO_STEPS = 17
_ESS_MIN = 50.0
_OUTSIDE_MAX = 0.01
_MISMATCH, _VARIANCE_MIN = 1e-6, 25.0
_PARTS, _PARTS_FROM = 4, 200


def judge_all(
    log: JudgedLog,
    policies: Mapping[str, Policy],
    *,
    baseline: str = LOGGED,
    min_lift: float = 0.2,
    confidence: float = 0.95,
    adaptive: bool | None = None,
) -> list[Verdict]:
    """``judge`` for several policies, so that *any* wrong claim among them has probability 1 − confidence at
    most: each is judged at the level α/m (Bonferroni), and its bounds are shown at that level.

    Raises
    ------
    InputInvalid : no policy. And what ``judge`` raises.
    """
    if not policies:
        raise InputInvalid(
            "there is no policy to judge",
            expected="at least one",
            found="none",
            fix="name a policy (--policy)",
        )
    return [
        judge(
            log,
            policy,
            name=name,
            baseline=baseline,
            min_lift=min_lift,
            confidence=confidence,
            adaptive=adaptive,
            candidates=len(policies),
        )
        for name, policy in policies.items()
    ]


def judge(
    log: JudgedLog,
    policy: Policy,
    *,
    name: str = "policy",
    baseline: str = LOGGED,
    min_lift: float = 0.2,
    confidence: float = 0.95,
    adaptive: bool | None = None,
    candidates: int = 1,
) -> Verdict:
    """Judge one policy.

    Parameters
    ----------
    policy : probability of each arm in each context of the log, (C, K); chosen without these rows' outcomes.
    baseline : an arm id, or ``logged``: the policy that logged.
    min_lift : 0.2 asks for 20 % more. confidence : of each claim.
    adaptive : whether the logging policy learned, or the log will be looked at more than once; None: what
        the rows show, and True where they show nothing.
    candidates : policies among which one will be singled out; their error is shared.

    Raises
    ------
    InputInvalid : a number out of its domain. ArmUnknown : the log does not know the baseline arm.
    NoOverlap : the log has no row that speaks for the policy, or for the baseline.
    SupportMissing : propensities are not known.
    """
    _check(log, policy, min_lift, confidence)
    second: Policy = LOGGED if baseline == LOGGED else _arm_policy(log, baseline)
    learned = log.logging == "adaptive" if adaptive is None else adaptive
    method = method_for(log, second, adaptive=learned)
    bounds = bounds_for(log, method, second)
    level, factor = (1.0 - confidence) / candidates, 1.0 + min_lift

    support = _support(log, policy, name)
    if not isinstance(second, str):
        _support(log, second, f"baseline {baseline}")
    estimate, low = bounds.low(1.0, policy, factor, second, level)
    _, below = bounds.low(factor, second, 1.0, policy, level * (1.0 - _UNREACHABLE))
    contrast = Bound(estimate, low, -below)
    target, reference = _value(bounds, policy, level), _value(bounds, second, level)
    ceiling = _ceiling(log, bounds, second, level, factor, reference)
    contradiction = _contradiction(log)
    status, reason = _status(contrast, ceiling, contradiction, support, name, baseline, factor)
    more = None
    if status == "not enough evidence":
        more = _more(log, bounds, policy, second, factor, level)
    return Verdict(
        status,
        reason,
        name,
        baseline,
        log.metric,
        min_lift,
        confidence,
        candidates,
        method,
        "adaptive" if learned else "fixed",
        len(log),
        len(log.contexts),
        target,
        reference,
        _lift(bounds, policy, second, level, target, reference),
        contrast,
        ceiling.reachable == "no",
        support,
        ceiling,
        more,
        _beside(log, policy, second, level, adaptive=learned),
        by_context(log, bounds, policy, second, factor, level),
        by_arm(log, policy),
        _warnings(log, support, ceiling, contradiction, baseline, learned=learned, asked=adaptive),
    )


def _check(log: JudgedLog, policy: Policy, min_lift: float, confidence: float) -> None:
    for what, value, least, most in (
        ("min_lift", min_lift, -1.0, _RATIO_MAX - 1.0),
        ("confidence", confidence, 0.5, 1.0),
    ):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least < value < most:
            raise InputInvalid(
                f"{what} is out of its domain",
                expected=f"a number above {least:g}, below {most:g}",
                found=shown(value),
                fix="for example min_lift 0.2, confidence 0.95",
            )
    if isinstance(policy, str):
        return
    shape = (len(log.contexts), len(log.data.arms))
    usable = policy.shape == shape and bool((policy >= 0.0).all())
    if not usable or not bool((np.abs(policy.sum(axis=1) - 1.0) <= 1e-6).all()):
        raise InputInvalid(
            "the policy is no probability of each arm in each context of the log",
            expected=f"numbers from 0 that sum to 1 in each row, shape {shape}",
            found=shown(policy),
            fix="take them from the policy's own pmf",
        )


def _arm_policy(log: JudgedLog, arm: str) -> Floats:
    if arm not in log.data.arms:
        raise ArmUnknown(
            "the log does not know the baseline arm",
            expected=f"'{LOGGED}' or one of {list(log.data.arms)}"[:300],
            found=repr(arm)[:120],
            fix="name an arm that was logged (--baseline ARM)",
        )
    table = np.zeros((len(log.contexts), len(log.data.arms)))
    table[:, log.data.arms.index(arm)] = 1.0
    return table


def _support(log: JudgedLog, policy: Policy, name: str) -> Support:
    weight = weights(log, policy)
    total, squares = float(weight.sum()), float(weight @ weight)
    if squares == 0.0:
        table = np.zeros(0) if isinstance(policy, str) else policy.max(axis=0)
        wanted = [log.data.arms[a] for a in np.flatnonzero(table > 0.0)]
        tried = np.bincount(log.data.arm, minlength=len(log.data.arms))
        raise NoOverlap(
            f"{name} gives weight 0 to all {len(log):,} logged decisions",
            expected="at least one logged arm that it may choose in the same context",
            found=f"logged arms {[log.data.arms[a] for a in np.flatnonzero(tried)]}, its arms {wanted}"[:300],
            fix="log with an exploration floor > 0, or judge what was tried",
        )
    outside = 0.0
    if not isinstance(policy, str):
        if log.data.logging is not None:
            never = log.data.logging <= 0.0
            outside = float((policy[log.cell] * never).sum() / len(log))
        else:
            tried_in = np.bincount(
                log.cell * len(log.data.arms) + log.data.arm, minlength=policy.size
            ).reshape(policy.shape)
            outside = float((policy * (tried_in == 0))[log.cell].sum() / len(log)) if log.finite else 0.0
    return Support(
        total * total / squares,
        float(weight.max()),
        total / len(weight),
        float((weight > 0.0).mean()),
        outside,
    )


def _value(bounds: Bounds, policy: Policy, level: float) -> Bound:
    """A policy's value; the upper bound is the lower one of what it falls short of 1."""
    nothing: Policy = np.zeros((len(bounds.log.contexts), len(bounds.log.data.arms)))
    estimate, low = bounds.low(1.0, policy, 0.0, nothing, level)
    _, below = bounds.low(0.0, nothing, 1.0, policy, level)
    return Bound(min(max(estimate, 0.0), 1.0), max(low, 0.0), min(-below, 1.0))


def _lift(
    bounds: Bounds, policy: Policy, second: Policy, level: float, target: Bound, reference: Bound
) -> Bound:
    """The ratios that are not refuted: v(policy) − ρ·v(baseline) is above 0 for all smaller ρ, below for all
    larger ones.
    """

    def edge(upper: bool) -> float | None:
        def beyond(ratio: float) -> bool:
            if upper:
                return bounds.shows(ratio, second, 1.0, policy, level * (1.0 - _UNREACHABLE))
            return not bounds.shows(1.0, policy, ratio, second, level)

        low, high = 0.0, _RATIO_MAX
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
        value, _RATIO_MAX - 1.0 if least is None else least - 1.0, None if most is None else most - 1.0
    )


def _beside(log: JudgedLog, policy: Policy, second: Policy, level: float, *, adaptive: bool) -> Beside | None:
    """The other metric's values and lift, on the rows that have it."""
    other = log.other()
    if other is None or not all(weights(other, one).any() for one in (policy, second)):
        return None
    method = method_for(other, second, adaptive=adaptive)
    bounds = bounds_for(other, method, second)
    target, reference = _value(bounds, policy, level), _value(bounds, second, level)
    lift = _lift(bounds, policy, second, level, target, reference)
    return Beside(other.metric, len(other), method, target, reference, lift)


def _ceiling(
    log: JudgedLog, bounds: Bounds, second: Policy, level: float, factor: float, reference: Bound
) -> Ceiling:
    share = 0.5 * _UNREACHABLE * level  # of the error of "not met": for each of the two bounds
    arms = len(log.data.arms)
    place = log.cell * arms + log.data.arm
    size = len(log.contexts) * arms
    weight = 1.0 / log.propensity
    trials = np.bincount(log.data.arm, weights=weight, minlength=arms)
    won = np.bincount(log.data.arm, weights=weight * log.data.reward, minlength=arms)
    with np.errstate(invalid="ignore", divide="ignore"):
        fixed = np.where(trials > 0.0, won / trials, -1.0)
    best = int(np.argmax(fixed))
    oracle, highest = float(fixed[best]), 1.0
    if log.finite:
        count = np.bincount(place, minlength=size).reshape(-1, arms)
        total = np.bincount(place, weights=log.data.reward, minlength=size).reshape(-1, arms)
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
    return Ceiling(log.data.arms[best], float(fixed[best]), oracle, highest, needed, reachable)  # type: ignore[arg-type]


def _contradiction(log: JudgedLog) -> str | None:
    """How arms were chosen against what was logged as their probabilities, where that cannot be chance.

    Looked at in the whole log and in each quarter of it: rows that were sorted by arm or outcome, or lost for
    a while, show there.
    """
    if not log.whole:
        return None
    pmf = log.pmf_by_context[log.cell] if log.data.logging is None else log.data.logging
    n, arms = len(log), len(log.data.arms)
    cuts = np.rint(np.linspace(0, n, 1 + _PARTS)).astype(int).tolist()
    for first, last in ((0, n), *(pairwise(cuts) if n >= _PARTS_FROM else ())):
        part, chosen = pmf[first:last], np.bincount(log.data.arm[first:last], minlength=arms)
        expected, variance = part.sum(axis=0), (part * (1.0 - part)).sum(axis=0)
        found = chi_square(chosen - expected, np.diag(expected) - part.T @ part, _VARIANCE_MIN)
        if found.freedom == 0 or found.p_value > _MISMATCH:
            continue
        worst = int(np.argmax(np.abs(chosen - expected) / np.sqrt(np.maximum(variance, 1.0))))
        return (
            f"in rows {first + 1:,} to {last:,} {log.data.arms[worst]} was chosen {chosen[worst]:,} times, "
            f"and the logged probabilities say {expected[worst]:,.0f} ± {sqrt(variance[worst]):,.0f}: rows "
            "are missing or out of order, or the propensities are not those that were drawn from"
        )
    return None


def _status(
    contrast: Bound,
    ceiling: Ceiling,
    contradiction: str | None,
    support: Support,
    name: str,
    baseline: str,
    factor: float,
) -> tuple[Status, str]:
    against = "the logging policy" if baseline == LOGGED else f"{baseline}"
    wanted = f"{factor:g} × {against}"
    if contradiction is not None:
        return "not supported", f"the log contradicts its own propensities: {contradiction}"
    if contrast.low is not None and contrast.low > 0.0:
        return "met", f"{name} reaches at least {wanted}"
    if ceiling.reachable == "no":
        return "not met", f"unreachable: {wanted} is more than any policy can reach ({ceiling.highest:.3f})"
    if contrast.high is not None and contrast.high < 0.0:
        return "not met", f"{name} stays below {wanted}"
    if 1.0 - support.outside < ceiling.needed:
        return (
            "not supported",
            f"{support.outside:.0%} of {name}'s choices were never tried, and the rest cannot reach {wanted}",
        )
    return "not enough evidence", f"the log neither shows nor rules out that {name} reaches {wanted}"


def _more(
    log: JudgedLog, bounds: Bounds, policy: Policy, second: Policy, factor: float, level: float
) -> MoreData:
    shares = bounds.shares(1.0, policy, factor, second)
    found = [bounds.more(1.0, policy, factor, second, level), bounds.more(factor, second, 1.0, policy, level)]
    rows = [usual for usual, _ in found if usual is not None]
    best = [few for _, few in found if few is not None]
    order = np.argsort(-shares, kind="stable")[:5]
    return MoreData(
        max(1, min(rows) - len(log)) if rows else None,
        min(best) if best else None,
        tuple((log.data.arms[a], float(shares[a])) for a in order if shares[a] >= 0.01),
    )


def _warnings(
    log: JudgedLog,
    support: Support,
    ceiling: Ceiling,
    contradiction: str | None,
    baseline: str,
    *,
    learned: bool,
    asked: bool | None,
) -> tuple[str, ...]:
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
    if log.without_metric:
        found.append(f"{log.without_metric:,} decisions without a {log.metric} are left out")
    if log.held_out:
        found.append(f"{log.held_out:,} decisions of the holdout cohort are left out; see evaluate --holdout")
    return tuple(found)
