"""Many selections, or many reports, in a few statements: all are checked before anything is written.

What can be told without the stored rows is checked for the whole list first: one item that does not fit
refuses everything, and nothing has changed. What only the stored rows can refuse concerns its own item.
"""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from ..bandit import Decision, Learner, Receipt
from ..bandit.learner import checked_id
from ..bandit.reports import Reported, draft_report
from ..errors import DecisionConflict, InputInvalid, NyxError, shown
from ..features import Value
from ..persistence.database import reaching
from .parts import Parts

__all__ = ["ArmRequest", "RewardReport", "select_arms", "update_rewards"]

_AT_ONCE = 5_000
_EACH_S = 0.001

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ArmRequest(NamedTuple):
    """One selection of ``select_arms``; the fields are the arguments of ``select_arm``."""

    context: Mapping[str, Value]
    decision_id: str | None = None
    eligible: Sequence[str] | None = None
    exclude: Sequence[str] | None = None


class RewardReport(NamedTuple):
    """One report of ``update_rewards``; the fields are the arguments of ``update_reward``."""

    decision: Decision | str
    outcome: Any = None
    reward: float | None = None
    part: Mapping[str, Any] | None = None
    source: str = ""
    identifier: str = ""
    corrects: int | None = None

    def told(self) -> Reported:
        """What is reported, without the decision."""
        return Reported(*self[1:])


async def select_arms(parts: Parts, requests: Iterable[ArmRequest], *, durable: bool) -> list[Decision]:
    """``LearningEngine.select_arms``."""
    listed = list(requests)
    _check_requests(parts.learner, listed)
    deadline_s = parts.selecting.deadline_s + _EACH_S * min(len(listed), _AT_ONCE)

    def select(request: ArmRequest) -> Awaitable[Decision]:
        return parts.selecting.select(
            request.context,
            request.decision_id,
            eligible=request.eligible,
            exclude=request.exclude,
            durable=durable,
            deadline_s=deadline_s,
        )

    decisions = []
    for answer in await _in_portions(select, listed):
        if isinstance(answer, BaseException):
            raise answer
        decisions.append(answer)
    return decisions


async def update_rewards(
    parts: Parts, reports: Iterable[RewardReport], *, errors: Literal["raise", "return"]
) -> list[Receipt | NyxError]:
    """``LearningEngine.update_rewards``."""
    if errors not in {"raise", "return"}:
        raise InputInvalid(
            "'errors' of update_rewards is unusable",
            expected="'raise' or 'return'",
            found=shown(errors),
            fix="leave it out, or pass errors='return'",
        )
    listed = list(reports)
    keys = [_key(i, report) for i, report in enumerate(listed)]
    await _look_up(parts, keys, listed)
    await _check_reports(parts, keys, listed)

    def send(report: RewardReport) -> Awaitable[Receipt]:
        return parts.reporting.report(report.decision, report.told())

    told: list[Receipt | NyxError] = []
    for answer in await _in_portions(send, listed):
        if isinstance(answer, BaseException) and (errors == "raise" or not isinstance(answer, NyxError)):
            raise answer
        told.append(answer)
    return told


def _check_requests(learner: Learner, requests: Sequence[object]) -> None:
    asked: dict[str, tuple[Mapping[str, Value], tuple[int, ...] | None]] = {}
    for i, request in enumerate(requests):
        if not isinstance(request, ArmRequest):
            raise _wrong_kind(i, request, "ArmRequest(context, decision_id=…)")
        try:
            question = (
                learner.encoder.encode(request.context)[0],
                learner.arms.eligible(request.eligible, request.exclude),
            )
            key = None if request.decision_id is None else checked_id(request.decision_id)
        except NyxError as error:
            raise _at(i, error) from error
        if key is not None and asked.setdefault(key, question) != question:
            raise DecisionConflict(
                f"item {i}: decision id '{key}' stands in the list twice, with different questions",
                expected="one context and eligibility an id",
                found=f"{question!r:.120}",
                fix="use a new decision_id for a new question",
            )


def _key(i: int, report: object) -> str:
    if not isinstance(report, RewardReport):
        raise _wrong_kind(i, report, "RewardReport(decision, outcome)")
    try:
        decision = report.decision
        return checked_id(decision.decision_id if isinstance(decision, Decision) else decision)
    except NyxError as error:
        raise _at(i, error) from error


async def _look_up(parts: Parts, keys: Sequence[str], reports: Sequence[RewardReport]) -> None:
    """Read the decisions that are known by their ids only, all at once."""
    unknown = {
        key
        for key, report in zip(keys, reports, strict=True)
        if not isinstance(report.decision, Decision) and parts.remembered.get(key) is None
    }
    if not unknown or parts.availability.impaired:
        return
    with reaching():
        found = await parts.store.decisions(sorted(unknown))
    for decision in found.values():
        parts.remembered.add_stored(decision)


async def _check_reports(parts: Parts, keys: Sequence[str], reports: Sequence[RewardReport]) -> None:
    time = clock.time()
    for i, (key, report) in enumerate(zip(keys, reports, strict=True)):
        target = report.decision if isinstance(report.decision, Decision) else parts.remembered.get(key)
        try:
            if target is None:
                report.told().to_dict()  # what no decision can be told
            else:
                draft_report(parts.spec, target, parts.store.encoding, report.told(), time)
        except NyxError as error:
            raise _at(i, error) from error


async def _in_portions(
    work: Callable[[_Item], Awaitable[_Result]], items: Sequence[_Item]
) -> list[_Result | BaseException]:
    """Do the work for all items, a portion at a time; in the place of a result there may be an error."""
    answers: list[_Result | BaseException] = []
    for begin in range(0, len(items), _AT_ONCE):
        portion = items[begin : begin + _AT_ONCE]
        answers += await asyncio.gather(*(work(item) for item in portion), return_exceptions=True)
    return answers


def _at(i: int, error: NyxError) -> NyxError:
    """The same error, which says which item it is about."""
    return type(error)(f"item {i}: {error.what}", expected=error.expected, found=error.found, fix=error.fix)


def _wrong_kind(i: int, found: object, expected: str) -> InputInvalid:
    return InputInvalid(
        f"item {i} of the list is unusable",
        expected=expected,
        found=shown(found),
        fix="build it with its class",
    )
