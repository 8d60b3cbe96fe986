"""Whether to change course in mid-run: what waiting, another attempt, another strategy, giving up are worth.

An execution that is still running after t seconds succeeds or fails later with the hazards of
``lifetimes``. Waiting until a time T is worth the rewards of what ends before T, less the time, plus what may
be done at T with what is still running. No news comes but that it still runs, so the best T is found by one
pass; waiting stops paying where that T is now. Sunk time counts for nothing.

Values are what is expected. What is advised follows from values under hope (``Curve.hopeful``): a stop keeps
from view what waiting on would have brought, so it is put off where stops have hidden most that ran so long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import InputInvalid, shown
from ..features.monitors.performance import PerformanceMetrics
from .lifetimes import EDGES, Curve, Lifetimes

__all__ = ["Action", "AdaptationRecommendation", "AdaptationStakes", "should_adapt_workflow"]

Action: TypeAlias = Literal["continue", "extend", "retry", "switch", "abort"]

LEAST_EXECUTIONS = 20
"""Of so many executions fewer say nothing."""

_MARGIN = 0.01  # of a success's worth: for less no limit is extended
_MOST_SECONDS = EDGES[-2]


@dataclass(frozen=True, slots=True)
class AdaptationStakes:
    """What is won and lost, in units of reward.

    success, failure, abort : worth of an execution that ends so. time_cost : of one second; None: a tenth of
    a success's worth for each typical duration (the median of the arm). retry_cost, switch_cost : of starting
    again, beside the time. retry_carry, switch_carry : how far a new attempt shares the fate of this one, in
    [0, 1]: 0, its chances are those of any; 1, they have fallen as far as this one's have.

    Raises
    ------
    InputInvalid : no finite numbers, costs below 0, a success worth no more than a failure, a share outside
        [0, 1].
    """

    success: float = 1.0
    failure: float = 0.0
    abort: float = 0.0
    time_cost: float | None = None
    retry_cost: float = 0.0
    switch_cost: float = 0.0
    retry_carry: float = 0.5
    switch_carry: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "time_cost":
                continue
            low, high = -1e9, 1e9
            if field.name.endswith("_cost"):
                low = 0.0
            elif field.name.endswith("_carry"):
                low, high = 0.0, 1.0
            _check(f"'{field.name}' of the stakes", value, low, high)
        if self.success <= self.failure:
            raise InputInvalid(
                "by these stakes a success is worth no more than a failure",
                expected="success > failure",
                found=f"success={self.success}, failure={self.failure}",
                fix="correct the stakes",
            )


@dataclass(frozen=True, slots=True)
class AdaptationRecommendation:
    """What to do with a running execution.

    Attributes
    ----------
    action : ``continue`` until ``until_s``, ``extend`` the limit to ``until_s``, ``retry``, ``switch`` to
        ``arm_id``, or ``abort``.
    values : expected reward of each action that is open, from now on; the action is the best of them, except
        where waiting is advised in hope, for want of evidence.
    until_s : seconds from the start of the execution at which waiting stops paying; None where it is to end
        now, or where nothing is known.
    success_probability : that this execution still succeeds, if it runs on as long as any was seen to run.
    enough_evidence : False: too little is known, and the action is ``continue``.
    executions : how many were learned from.
    reasons : in words.
    time_cost : of one second, by which the values were priced; None where nothing is known.
    """

    action: Action
    arm_id: str | None
    values: dict[str, float]
    until_s: float | None
    success_probability: float | None
    enough_evidence: bool
    executions: int
    reasons: tuple[str, ...]
    time_cost: float | None = None

    @property
    def should_adapt(self) -> bool:
        """Tell whether anything is to be done."""
        return self.action != "continue"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "reasons": list(self.reasons), "should_adapt": self.should_adapt}


class _Wait(NamedTuple):
    """What waiting is worth: within the limit and beyond it, each with its best end; None where closed."""

    within: float | None
    within_s: float
    beyond: float | None
    beyond_s: float
    success: float


def should_adapt_workflow(
    current_performance: PerformanceMetrics,
    expected_performance: PerformanceMetrics | None,
    *,
    known: Lifetimes,
    arm_id: str,
    cell: Hashable = None,
    stakes: AdaptationStakes | None = None,
    limit_s: float | None = None,
    retries: bool = True,
    alternatives: Sequence[str] = (),
) -> AdaptationRecommendation:
    """Say whether a running execution is worth waiting for, and what to do if it is not; changes nothing.

    Parameters
    ----------
    current_performance : its ``duration_s`` is the seconds it has run; nothing else of it is used.
    expected_performance : its ``duration_s``, where given, is the median that is expected of this execution:
        what is known of the arm is stretched to it. Nothing else of it is used.
    known : durations of past executions. arm_id, cell : which arm runs, in which cell of contexts.
    limit_s : seconds at which the execution will be stopped; None: never.
    retries : another attempt with the same arm is open. alternatives : arms that one may change to.

    Raises
    ------
    InputInvalid : seconds that are missing or out of their domain, or an alternative that is no other arm.
    """
    stakes = stakes or AdaptationStakes()
    elapsed = _seconds(current_performance, "current_performance", needed=True)
    expected = (
        None if expected_performance is None else _seconds(expected_performance, "expected_performance")
    )
    if limit_s is not None:
        _check("the limit of the execution", limit_s, 0.0, _MOST_SECONDS)
    if arm_id in alternatives:
        raise InputInvalid(
            "the arm that runs is named as an alternative to itself",
            expected="other arms",
            found=shown(arm_id),
            fix="leave it out: another attempt with it is what 'retries' is for",
        )
    if known.executions < LEAST_EXECUTIONS:
        return _unknown(known, f"{known.executions} executions are known, and {LEAST_EXECUTIONS} needed")
    curve = known.curve(arm_id, cell)
    typical = curve.median()
    stretch = 1.0 if not expected or not typical else expected / typical
    time_cost = stakes.time_cost
    if time_cost is None:
        if typical is None:
            return _unknown(known, "most executions outlast all that is known, so a second has no known cost")
        time_cost = 0.1 * stakes.success / (typical * stretch) if stakes.success > 0.0 else 0.0
    now = elapsed / stretch
    cost = time_cost * stretch
    horizon = EDGES[len(curve.success) - 1]
    limit = horizon if limit_s is None else limit_s / stretch

    later = _wait(curve, now, cost, stakes, stakes.success, 0.0, horizon)
    fresh = _wait(curve, 0.0, cost, stakes, stakes.success, 0.0, horizon)
    sunk = 1.0 - min(1.0, later.success / fresh.success) if fresh.success > 0.0 else 0.0
    asked = _Asked(arm_id, cell, now, cost, limit, sunk, stakes, retries, alternatives, limit_s is not None)
    told = _options(asked, known, known.curve)
    hoped = _options(asked, known, known.hopeful) if known.stopped else told

    action, until = hoped.ending, None
    stop = hoped.values[hoped.ending]
    stay = hoped.values.get("continue", -1e300)
    margin = _MARGIN * (stakes.success - stakes.failure)
    if hoped.values.get("extend", -1e300) > max(stay, stop) + margin:
        action, until = "extend", hoped.wait.beyond_s * stretch
    elif stay >= stop:
        action, until = "continue", max(elapsed, hoped.wait.within_s * stretch)
    values, other = told.values, hoped.other
    reasons = _reasons(curve, known, arm_id, elapsed, now, later, fresh, action, until, values, other)
    return AdaptationRecommendation(
        action,  # type: ignore[arg-type]
        other if action == "switch" else None,
        {name: values[name] for name in sorted(values)},
        until,
        later.success,
        True,
        known.executions,
        reasons,
        time_cost,
    )


class _Asked(NamedTuple):
    """A question, in the arm's own time."""

    arm_id: str
    cell: Hashable
    now: float
    cost: float
    limit: float
    sunk: float
    stakes: AdaptationStakes
    retries: bool
    alternatives: Sequence[str]
    limited: bool


class _Options(NamedTuple):
    """What each action is worth; the best that ends the execution, the best other arm, and waiting."""

    values: dict[str, float]
    ending: str
    other: str | None
    wait: _Wait


def _options(asked: _Asked, known: Lifetimes, curve_of: Callable[[str, Hashable], Curve]) -> _Options:
    """Price all actions by the curves that ``curve_of`` gives."""
    stakes, cost = asked.stakes, asked.cost
    curve = curve_of(asked.arm_id, asked.cell)
    values: dict[str, float] = {"abort": stakes.abort}
    if asked.retries:
        worth = _worth(stakes, asked.sunk * stakes.retry_carry)
        values["retry"] = _attempt(curve, cost, stakes, worth) - stakes.retry_cost
    other = None
    for name in asked.alternatives:
        if not known.of_arm(name):
            continue
        worth = _worth(stakes, asked.sunk * stakes.switch_carry)
        value = _attempt(curve_of(name, asked.cell), cost, stakes, worth) - stakes.switch_cost
        if value > values.get("switch", -1e300):
            values["switch"], other = value, name
    ending = max(values, key=lambda name: (values[name], name == "abort"))
    wait = _wait(curve, asked.now, cost, stakes, stakes.success, values[ending], asked.limit)
    if wait.within is not None:
        values["continue"] = wait.within
    if asked.limited and wait.beyond is not None:
        values["extend"] = wait.beyond
    return _Options(values, ending, other, wait)


def _wait(
    curve: Curve, now: float, cost: float, stakes: AdaptationStakes, worth: float, stop: float, limit: float
) -> _Wait:
    """What waiting is worth that begins at ``now``, where ``stop`` is what may be had at its end."""
    within: float | None = None
    beyond: float | None = None
    within_s = beyond_s = now
    alive, gained, success, low = 1.0, 0.0, 0.0, now
    for k in range(bisect_right(EDGES, now), len(curve.success)):
        start = EDGES[k - 1] if k else 0.0
        for high in (limit, EDGES[k]) if low < limit < EDGES[k] else (EDGES[k],):
            # Who ends within a step does so at any time in it; ``low`` has been reached.
            a, b = curve.success[k], curve.failure[k]
            share = (high - low) / (EDGES[k] - start - (a + b) * (low - start))
            a, b = a * share, b * share
            ended = a + b
            gained += alive * (a * worth + b * stakes.failure - cost * (high - low) * (1.0 - 0.5 * ended))
            success += alive * a
            alive *= 1.0 - ended
            value = gained + alive * stop
            if high <= limit:
                if within is None or value > within:
                    within, within_s = value, high
            elif beyond is None or value > beyond:
                beyond, beyond_s = value, high
            low = high
    return _Wait(within, within_s, beyond, beyond_s, success)


def _attempt(curve: Curve, cost: float, stakes: AdaptationStakes, worth: float) -> float:
    """What a new attempt is worth that may be given up at the best time."""
    wait = _wait(curve, 0.0, cost, stakes, worth, stakes.abort, EDGES[-1])
    return stakes.abort if wait.within is None else max(stakes.abort, wait.within)


def _worth(stakes: AdaptationStakes, lost: float) -> float:
    """Worth of what would be a success, where the share ``lost`` of successes will be failures."""
    return (1.0 - lost) * stakes.success + lost * stakes.failure


def _reasons(
    curve: Curve,
    known: Lifetimes,
    arm_id: str,
    elapsed: float,
    now: float,
    later: _Wait,
    fresh: _Wait,
    action: str,
    until: float | None,
    values: dict[str, float],
    other: str | None,
) -> tuple[str, ...]:
    step = bisect_right(EDGES, now)
    lasted = curve.running_all[step] if step < len(curve.running_all) else 0.0
    found = [
        f"after {elapsed:.3g} s the chance of success is {later.success:.0%}, at first {fresh.success:.0%}"
    ]
    if lasted < 1.0:
        found.append(f"none of {known.executions} known executions was still running after so long")
    elif known.of_arm(arm_id) < LEAST_EXECUTIONS:
        found.append(f"'{arm_id}' has {known.of_arm(arm_id)} known executions; the others lend the rest")
    best = ", ".join(f"{name} {values[name]:.3f}" for name in sorted(values, key=lambda n: -values[n]))
    found.append(f"expected rewards from now on: {best}")
    if values[action] < max(values.values()):
        found.append("few were seen to run so long: to wait is also to learn")
    if action == "continue" and until is not None:
        found.append(f"waiting pays until {until:.3g} s")
    elif action == "extend" and until is not None:
        found.append(f"a limit of {until:.3g} s is worth more than the one in force")
    elif action == "switch":
        found.append(f"'{other}' from the start is worth more than waiting")
    else:
        found.append("waiting has stopped paying")
    return tuple(found)


def _unknown(known: Lifetimes, why: str) -> AdaptationRecommendation:
    return AdaptationRecommendation(
        "continue", None, {}, None, None, False, known.executions, (f"not enough evidence: {why}",)
    )


def _seconds(metrics: PerformanceMetrics, name: str, *, needed: bool = False) -> float:
    if not isinstance(metrics, PerformanceMetrics):
        raise InputInvalid(
            f"'{name}' cannot be judged",
            expected="PerformanceMetrics(duration_s=…)",
            found=shown(metrics),
            fix="pass what PerformanceMetrics makes of it",
        )
    if metrics.duration_s is None and not needed:
        return 0.0
    _check(f"'duration_s' of {name}", metrics.duration_s, 0.0, _MOST_SECONDS)
    return float(metrics.duration_s or 0.0)


def _check(what: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputInvalid(
            f"{what} cannot be used",
            expected=f"a number from {low:g} to {high:g}",
            found=shown(value),
            fix="correct it, or leave it out where it is not known",
        )
