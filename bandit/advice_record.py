"""What advice on running executions has brought: what it promised beside what came.

Advice is judged by the outcome of its decision, of a decision and an action the earliest one:

* *continue* and *extend* are followed where the execution ran on. They came to the worth of how it ended,
  less the time from then on; where it was stopped later, to what could be had then.
* *retry* and *switch* are followed where the outcome tells of retries: the attempts of one decision.
* *abort* is followed where it was stopped at once.

What was not followed is judged too: what the advice promised, less what waiting came to instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import sqrt
from typing import Any

from .adapting import AdaptationStakes

__all__ = ["ActionRecord", "AdaptationRecord", "GivenAdvice", "Lessons", "adaptation_record"]

_ACTIONS = ("continue", "extend", "retry", "switch", "abort")
_RESTARTS = ("retry", "switch")
_AT_ONCE, _AT_ONCE_S = 1.25, 1.0
_EVIDENCE = 20.0
"""So many followed pieces of advice weigh as much as the promise."""


@dataclass(frozen=True, slots=True)
class GivenAdvice:
    """One piece of advice: ``values`` and ``stakes`` as they were, with the cost of a second that held.

    outcome : of its decision, as ``Outcome.to_dict`` writes it; None where none has come.
    """

    decision_id: str
    elapsed_s: float
    action: str
    values: Mapping[str, float]
    stakes: AdaptationStakes
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """Of one action: how often it was advised, with an outcome (``reported``), and followed.

    expected, realised : means over what was followed; difference : realised less expected, with its standard
    error. ignored_gain : mean of what was promised less what came instead, where it was not followed. None
    where there is nothing, or one only, to tell it from.
    """

    action: str
    advised: int
    reported: int
    followed: int
    expected: float | None
    realised: float | None
    difference: float | None
    standard_error: float | None
    ignored_gain: float | None


@dataclass(frozen=True, slots=True)
class AdaptationRecord:
    """What was advised, and what came: one record for each action that was advised."""

    actions: tuple[ActionRecord, ...]
    advised: int

    def of(self, action: str) -> ActionRecord | None:
        """The record of an action; None where it was never advised."""
        return next((one for one in self.actions if one.action == action), None)

    def stakes(self, stakes: AdaptationStakes | None = None) -> AdaptationStakes:
        """The stakes with what was learned: a restart that brings less than it promised costs the difference.

        Shrunk to the promise with the weight of 20 pieces of advice; costs never fall below 0.
        """
        told = {
            action: (one.difference, one.followed)
            for action in _RESTARTS
            if (one := self.of(action)) is not None and one.difference is not None
        }
        return _with_lessons(stakes or AdaptationStakes(), told)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"advised": self.advised, "actions": [asdict(one) for one in self.actions]}


class Lessons:
    """What followed restarts have taught so far, decision by decision: ``AdaptationRecord.stakes`` in sums.

    Differences are shares of what a success is worth more than a failure, so that advice under other stakes
    teaches the same.
    """

    __slots__ = ("_followed", "_sums")

    def __init__(self) -> None:
        self._sums = dict.fromkeys(_RESTARTS, 0.0)
        self._followed = dict.fromkeys(_RESTARTS, 0)

    def learn(self, given: Iterable[GivenAdvice]) -> None:
        """Take in all advice on one decision, once."""
        first: dict[str, GivenAdvice] = {}
        for one in given:
            known = first.get(one.action)
            if one.action in _RESTARTS and (known is None or one.elapsed_s < known.elapsed_s):
                first[one.action] = one
        for action in _RESTARTS:
            one_first = first.get(action)
            judged = None if one_first is None else _judged(one_first)
            if one_first is None or judged is None or not judged[0]:
                continue
            stakes = one_first.stakes
            self._sums[action] += (judged[1] - one_first.values[action]) / (stakes.success - stakes.failure)
            self._followed[action] += 1

    def followed(self, action: str) -> int:
        """How many pieces of advice a restart's cost is learned from."""
        return self._followed[action]

    def stakes(self, stakes: AdaptationStakes | None = None) -> AdaptationStakes:
        """The stakes with what was learned; themselves where nothing was."""
        found = stakes or AdaptationStakes()
        scale = found.success - found.failure
        told = {action: (scale * self._sums[action] / n, n) for action, n in self._followed.items() if n > 0}
        return _with_lessons(found, told)


def _with_lessons(stakes: AdaptationStakes, told: Mapping[str, tuple[float, int]]) -> AdaptationStakes:
    """``told`` : by restart, the mean of what came less what was promised, and of how many."""
    costs = {}
    for action, (difference, followed) in told.items():
        lesson = difference * followed / (followed + _EVIDENCE)
        costs[f"{action}_cost"] = max(0.0, float(getattr(stakes, f"{action}_cost")) - lesson)
    return replace(stakes, **costs) if costs else stakes


def adaptation_record(given: Iterable[GivenAdvice]) -> AdaptationRecord:
    """Judge advice by what came; in any order."""
    first: dict[tuple[str, str], GivenAdvice] = {}
    advised = 0
    for one in given:
        advised += 1
        key = (one.action, one.decision_id)
        known = first.get(key)
        if known is None or one.elapsed_s < known.elapsed_s:
            first[key] = one
    records = []
    for action in _ACTIONS:
        of_it = [one for (name, _), one in sorted(first.items()) if name == action]
        if of_it:
            records.append(_record(action, of_it))
    return AdaptationRecord(tuple(records), advised)


def _record(action: str, given: list[GivenAdvice]) -> ActionRecord:
    promised, came, ignored = [], [], []
    for one in given:
        judged = _judged(one)
        if judged is None:
            continue
        followed, worth = judged
        if followed:
            promised.append(one.values[action])
            came.append(one.stakes.abort if action == "abort" else worth)
        else:
            ignored.append(one.values[action] - worth)
    n = len(came)
    gaps = [real - hoped for real, hoped in zip(came, promised, strict=True)]
    middle = _mean(gaps)
    error = None
    if n > 1 and middle is not None:
        error = sqrt(sum((gap - middle) ** 2 for gap in gaps) / (n - 1) / n)
    return ActionRecord(
        action, len(given), n + len(ignored), n, _mean(promised), _mean(came), middle, error, _mean(ignored)
    )


def _judged(one: GivenAdvice) -> tuple[bool, float] | None:
    """Whether it was followed, and what the rest came to; None where the outcome does not tell."""
    if one.outcome is None:
        return None
    seconds = one.outcome.get("duration_s")
    if not isinstance(seconds, (int, float)) or seconds < one.elapsed_s:
        return None
    return _followed(one, one.outcome, float(seconds)), _worth(one, one.outcome, float(seconds))


def _followed(one: GivenAdvice, outcome: Mapping[str, Any], seconds: float) -> bool:
    if one.action in _RESTARTS:
        return int(outcome.get("retries") or 0) > 0
    stopped = bool(outcome.get("timed_out")) and not outcome.get("success")
    at_once = stopped and seconds <= one.elapsed_s * _AT_ONCE + _AT_ONCE_S
    return at_once if one.action == "abort" else not at_once


def _worth(one: GivenAdvice, outcome: Mapping[str, Any], seconds: float) -> float:
    """What the rest of the execution came to, in the stakes' units."""
    stakes = one.stakes
    if outcome.get("success"):
        end = stakes.success
    elif outcome.get("timed_out"):
        end = max((one.values[name] for name in (*_RESTARTS, "abort") if name in one.values), default=0.0)
    else:
        end = stakes.failure
    cost = {"retry": stakes.retry_cost, "switch": stakes.switch_cost}.get(one.action, 0.0)
    restarted = one.action in _RESTARTS and int(outcome.get("retries") or 0) > 0
    return end - (stakes.time_cost or 0.0) * (seconds - one.elapsed_s) - (cost if restarted else 0.0)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
