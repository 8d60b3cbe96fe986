"""Temporal: executions inside activities. Decisions are I/O, so they never belong into workflow code.

The decision's id is workflow, run and activity: every attempt of an activity is the same decision. An
attempt that Temporal will try again reports nothing; the last one does, so that there is one reward.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from ...errors import InputInvalid
from ..execution import Execution
from ..learners import AsyncLearner, BlockingLearner, Chosen
from ..noting import Ending
from .blocking import BlockingExecution

__all__ = ["activity_execution", "blocking_activity_execution", "decision_id", "ending_of_activity"]

_Decision = TypeVar("_Decision", bound=Chosen)
_Receipt = TypeVar("_Receipt")


def decision_id(name: str = "") -> str:
    """Id for the running activity, the same in each of its attempts.

    ``name`` : tells several decisions of one activity apart.

    Raises
    ------
    InputInvalid : no activity is running here.
    """
    if not activity.in_activity():
        raise InputInvalid(
            "no Temporal activity is running",
            expected="a call inside a function with @activity.defn",
            found="a call outside",
            fix="decide in an activity; workflow code must be deterministic and cannot",
        )
    info = activity.info()
    # The run is part of it: a workflow that starts again, or continues as new, counts its activities anew.
    parts = (info.workflow_id, info.workflow_run_id or info.activity_run_id, info.activity_id, name)
    return "/".join(part for part in parts if part)


def activity_execution(
    learner: AsyncLearner[_Decision, _Receipt],
    context: Mapping[str, Any],
    *,
    name: str = "",
    eligible: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> Execution[_Decision, _Receipt]:
    """``async with activity_execution(engine, context) as run:`` in an ``async`` activity.

    A cancelled activity is abandoned; one whose worker shuts down, or that is paused or reset, is tried
    again.
    """
    return Execution(
        learner,
        context,
        decision_id(name),
        eligible=eligible,
        exclude=exclude,
        attempt=activity.info().attempt,
        ending=ending_of_activity,
    )


def blocking_activity_execution(
    learner: BlockingLearner[_Decision, _Receipt],
    context: Mapping[str, Any],
    *,
    name: str = "",
    eligible: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> BlockingExecution[_Decision, _Receipt]:
    """``with blocking_activity_execution(client, context) as run:`` in an activity that runs in a thread."""
    return BlockingExecution(
        learner,
        context,
        decision_id(name),
        eligible=eligible,
        exclude=exclude,
        attempt=activity.info().attempt,
        ending=ending_of_activity,
    )


def ending_of_activity(error: BaseException) -> Ending:
    """What an exception that leaves an attempt says of the arm.

    Where the server does not tell the retry policy, Temporal's default is taken: it tries again.
    """
    if isinstance(error, (asyncio.CancelledError, CancelledError)):
        details = activity.cancellation_details()
        goes_on = activity.is_worker_shutdown() or (
            details is not None and (details.worker_shutdown or details.paused or details.reset)
        )
        if goes_on:
            return "open"
        if details is None or not details.timed_out:
            return "abandoned"
    elif not isinstance(error, Exception):
        return "open"
    return "open" if _tried_again(error) else "failed"


def _tried_again(error: BaseException) -> bool:
    info = activity.info()
    kind = type(error).__name__
    if isinstance(error, ApplicationError):
        if error.non_retryable:
            return False
        kind = error.type or kind
    policy = info.retry_policy
    if policy is None:
        return True
    if kind in (policy.non_retryable_error_types or ()):
        return False
    return policy.maximum_attempts == 0 or info.attempt < policy.maximum_attempts
