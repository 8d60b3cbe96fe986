"""Temporal: attempts of an activity are one decision; only the last one reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nyx_learning import LearningEngine
from nyx_learning.errors import InputInvalid

pytest.importorskip("temporalio", reason="the extra 'temporal' is not installed")

from temporalio import activity
from temporalio.activity import ActivityCancellationDetails
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import CancelledError as ThreadCancelled
from temporalio.testing import ActivityEnvironment

from nyx_learning.service.integrations import BlockingEngine
from nyx_learning.service.integrations.temporal import (
    activity_execution,
    blocking_activity_execution,
    decision_id,
    ending_of_activity,
)

CODE = {"task": "code"}
THREE = RetryPolicy(maximum_attempts=3, non_retryable_error_types=["KeyError", "NoMoney"])


def environment(attempt: int = 1, policy: RetryPolicy | None = THREE, **info: Any) -> ActivityEnvironment:
    made = ActivityEnvironment()
    made.info = replace(
        made.info,
        workflow_id="wf-1",
        workflow_run_id="run-1",
        activity_id="5",
        attempt=attempt,
        retry_policy=policy,
        schedule_to_close_timeout=timedelta(minutes=1),
        **info,
    )
    return made


async def test_attempts_are_one_decision_with_one_reward(engine: LearningEngine) -> None:
    seen: list[Any] = []

    @activity.defn
    async def step(quality: float) -> str:
        async with activity_execution(engine, CODE) as run:
            seen.append(run.decision)
            if activity.info().attempt < 3:
                raise ConnectionError
            run.report(quality=quality)
        return run.decision.arm_id

    for attempt in (1, 2):
        with pytest.raises(ConnectionError):
            await environment(attempt).run(step, 0.5)
    assert await environment(3).run(step, 0.5) == seen[0].arm_id
    assert seen[0] == seen[1] == seen[2]
    outcome = (await engine.rewards("wf-1/run-1/5")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.retries, outcome.quality) == (True, 2, 0.5)
    # the worker died behind the report: Temporal runs the attempt again, and nothing is learned twice
    await environment(3).run(step, 0.5)
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


@pytest.mark.parametrize(
    ("attempt", "error", "policy", "code"),
    [
        (3, ConnectionError(), THREE, "ConnectionError"),
        (1, KeyError(), THREE, "KeyError"),
        (1, ApplicationError("no", non_retryable=True), THREE, "ApplicationError"),
        (1, ApplicationError("no", type="NoMoney"), THREE, "ApplicationError"),
        (1, ApplicationError("no", type="Other"), THREE, None),
        (2, ConnectionError(), RetryPolicy(), None),
        (2, ConnectionError(), None, None),
    ],
)
async def test_only_the_last_failure_is_reported(
    engine: LearningEngine, attempt: int, error: Exception, policy: RetryPolicy | None, code: str | None
) -> None:
    async def step() -> None:
        async with activity_execution(engine, CODE):
            raise error

    with pytest.raises(type(error)):
        await environment(attempt, policy).run(step)
    outcome = (await engine.rewards("wf-1/run-1/5")).outcome
    assert (outcome and outcome.error_codes) == (code and (code,))


@pytest.mark.parametrize(
    ("details", "abandoned"),
    [
        (ActivityCancellationDetails(cancel_requested=True), 1),
        (ActivityCancellationDetails(worker_shutdown=True), 0),
        (ActivityCancellationDetails(paused=True), 0),
        (ActivityCancellationDetails(timed_out=True), 0),
    ],
)
async def test_a_cancelled_activity_is_abandoned_unless_it_is_tried_again(
    engine: LearningEngine, final_counts: Any, details: ActivityCancellationDetails, abandoned: int
) -> None:
    entered = asyncio.Event()

    async def step() -> None:
        async with activity_execution(engine, CODE):
            entered.set()
            await asyncio.sleep(60)

    place = environment()
    task = asyncio.create_task(place.run(step))
    await entered.wait()
    place.cancel(details)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await final_counts() == {"decisions": 1, "rewards": 0, "abandoned": abandoned}


def test_an_activity_in_a_thread(blocking: BlockingEngine) -> None:
    def step(error: BaseException | None) -> str:
        with blocking_activity_execution(blocking, CODE, name="model") as run:
            if error is not None:
                raise error
        return run.decision.decision_id

    assert environment().run(step, None) == "wf-1/run-1/5/model"
    place = environment(activity_run_id=None)
    place.info = replace(place.info, activity_id="6")
    with pytest.raises(ThreadCancelled):
        place.run(step, ThreadCancelled())
    assert blocking.call(LearningEngine.counts) == {"decisions": 2, "rewards": 1, "abandoned": 1}


def test_decisions_belong_into_activities() -> None:
    with pytest.raises(InputInvalid, match="no Temporal activity"):
        decision_id()
    assert environment().run(lambda: ending_of_activity(KeyboardInterrupt())) == "open"
