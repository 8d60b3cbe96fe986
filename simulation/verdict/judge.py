"""``judge``: is a policy at least so much better than the baseline? An answer with an error rate, or none.

H0: v(policy) ≤ (1 + min_lift) · v(baseline). ``met`` is said where a lower bound of the difference is above
0, ``not met`` where an upper bound is below 0, each wrong with probability 1 − confidence at most; in between
there is ``not enough evidence``. On adaptive logs, and for whoever looks again and again, both values are
running averages over the log's rows. Where the log cannot speak for the policy, or contradicts its own
propensities, the answer is ``not supported``, or an error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...errors import ArmUnknown, InputInvalid, shown
from .bounds import LOGGED, Bounds, Policy, bounds_for, method_for
from .breakdown import by_arm, by_context
from .judged import Judged
from .parts import (
    RATIO_MAX,
    UNREACHABLE,
    beside_of,
    ceiling_of,
    contradiction_in,
    lift_of,
    support_of,
    value_of,
    warnings_of,
)
from .result import Bound, Ceiling, MoreData, Status, Support, Verdict

__all__ = ["judge", "judge_all"]

Floats = npt.NDArray[np.float64]


def judge_all(
    log: Judged,
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
    log: Judged,
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

    support = support_of(log, policy, name)
    if not isinstance(second, str):
        support_of(log, second, f"baseline {baseline}")
    estimate, low = bounds.low(1.0, policy, factor, second, level)
    _, below = bounds.low(factor, second, 1.0, policy, level * (1.0 - UNREACHABLE))
    contrast = Bound(estimate, low, -below)
    target, reference = value_of(bounds, policy, level), value_of(bounds, second, level)
    ceiling = ceiling_of(log, bounds, second, level, factor, reference)
    contradiction = contradiction_in(log)
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
        lift_of(bounds, policy, second, level, target, reference),
        contrast,
        ceiling.reachable == "no",
        support,
        ceiling,
        more,
        beside_of(log, policy, second, level, adaptive=learned),
        by_context(log, bounds, policy, second, factor, level),
        by_arm(log, policy),
        warnings_of(log, support, ceiling, contradiction, baseline, learned=learned, asked=adaptive),
    )


def _check(log: Judged, policy: Policy, min_lift: float, confidence: float) -> None:
    for what, value, least, most in (
        ("min_lift", min_lift, -1.0, RATIO_MAX - 1.0),
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
    shape = (len(log.contexts), len(log.arms))
    usable = policy.shape == shape and bool((policy >= 0.0).all())
    if not usable or not bool((np.abs(policy.sum(axis=1) - 1.0) <= 1e-6).all()):
        raise InputInvalid(
            "the policy is no probability of each arm in each context of the log",
            expected=f"numbers from 0 that sum to 1 in each row, shape {shape}",
            found=shown(policy),
            fix="take them from the policy's own pmf",
        )


def _arm_policy(log: Judged, arm: str) -> Floats:
    if arm not in log.arms:
        raise ArmUnknown(
            "the log does not know the baseline arm",
            expected=f"'{LOGGED}' or one of {list(log.arms)}"[:300],
            found=repr(arm)[:120],
            fix="name an arm that was logged (--baseline ARM)",
        )
    table = np.zeros((len(log.contexts), len(log.arms)))
    table[:, log.arms.index(arm)] = 1.0
    return table


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
    # Without a choice outside, what is needed may still be more than 1 by the estimate: no matter of support.
    if support.outside > 0.0 and 1.0 - support.outside < ceiling.needed:
        share = f"{support.outside:.0%}" if support.outside >= 0.01 else "less than 1%"
        return (
            "not supported",
            f"{share} of {name}'s choices were never tried, and the rest cannot reach {wanted}",
        )
    return "not enough evidence", f"the log neither shows nor rules out that {name} reaches {wanted}"


def _more(
    log: Judged, bounds: Bounds, policy: Policy, second: Policy, factor: float, level: float
) -> MoreData:
    shares = bounds.shares(1.0, policy, factor, second)
    found = [bounds.more(1.0, policy, factor, second, level), bounds.more(factor, second, 1.0, policy, level)]
    rows = [usual for usual, _ in found if usual is not None]
    best = [few for _, few in found if few is not None]
    order = np.argsort(-shares, kind="stable")[:5]
    return MoreData(
        max(1, min(rows) - len(log)) if rows else None,
        min(best) if best else None,
        tuple((log.arms[a], float(shares[a])) for a in order if shares[a] >= 0.01),
    )
