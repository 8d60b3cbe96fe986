"""Celery: retries of a task are one decision; its end is reported once, eagerly and by a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nyx_learning import LearningEngine
from nyx_learning.errors import InputInvalid

pytest.importorskip("celery", reason="the extra 'celery' is not installed")

from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from celery.signals import setup_logging

from nyx_learning.service.integrations import BlockingEngine
from nyx_learning.service.integrations.celery import LearnedTask
from nyx_learning.service.learners import BlockingLearner


@pytest.fixture
def app(blocking: BlockingEngine) -> Celery:
    return learning_app(blocking)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Celery leaves logging alone where someone else sets it up; else it sets the root's level, for good."""

    def set_up(**_: Any) -> None:
        """Nothing: it is set up."""

    setup_logging.connect(set_up)
    try:
        yield
    finally:
        setup_logging.disconnect(set_up)


def learning_app(learner: BlockingLearner[Any, Any]) -> Celery:
    """An application with one task, which learns by this learner."""
    made = Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.update(task_always_eager=True)

    class Workflow(LearnedTask):
        abstract = True

        def learner(self) -> BlockingLearner[Any, Any]:
            return learner

        def context(self, task: str, *_: Any) -> Mapping[str, Any]:
            return {"task": task}

        def outcome(self, result: Any) -> Mapping[str, Any]:
            return {"quality": result["quality"]}

    seen: list[Any] = []

    @made.task(name="work", shared=False, bind=True, base=Workflow, max_retries=2)  # type: ignore[untyped-decorator]  # Celery ships no types
    def work(self: Any, task: str, failures: int = 0, kind: str = "OSError") -> dict[str, Any]:
        seen.append(self.decision)
        self.report(usefulness=0.5)
        if self.request.retries < failures:
            errors = {"OSError": OSError, "soft": SoftTimeLimitExceeded, "ignored": Ignore}
            error = errors[kind]()
            if kind != "OSError":
                raise error
            raise self.retry(exc=error, countdown=0)
        return {"quality": 0.25, "arm": self.decision.arm_id}

    made.seen = seen
    return made


def outcome_of(blocking: BlockingEngine, task_id: str) -> Any:
    return blocking.call(LearningEngine.rewards, task_id).outcome


def test_a_retried_task_is_one_decision_with_one_reward(app: Celery, blocking: BlockingEngine) -> None:
    result = app.tasks["work"].apply(("code", 2), task_id="task-1")
    assert result.get()["arm"] == app.seen[0].arm_id
    assert len(app.seen) == 3
    assert app.seen[0] == app.seen[1] == app.seen[2]
    outcome = outcome_of(blocking, "task-1")
    assert (outcome.success, outcome.retries, outcome.quality, outcome.usefulness) == (True, 2, 0.25, 0.5)
    assert blocking.call(LearningEngine.counts) == {"decisions": 1, "rewards": 1, "abandoned": 0}


@pytest.mark.parametrize(
    ("kind", "codes", "retries"), [("OSError", ("OSError",), 2), ("soft", ("SoftTimeLimitExceeded",), None)]
)
def test_the_last_failure_is_reported(
    app: Celery, blocking: BlockingEngine, kind: str, codes: tuple[str, ...], retries: int | None
) -> None:
    result = app.tasks["work"].apply(("code", 9, kind), task_id="task-1")
    assert result.failed()
    outcome = outcome_of(blocking, "task-1")
    assert (outcome.success, outcome.error_codes, outcome.retries) == (False, codes, retries)
    assert outcome.timed_out is (kind == "soft")
    assert blocking.call(LearningEngine.counts) == {"decisions": 1, "rewards": 1, "abandoned": 0}


def test_an_ignored_task_and_one_that_cannot_decide_report_nothing(
    app: Celery, blocking: BlockingEngine
) -> None:
    app.tasks["work"].apply(("code", 1, "ignored"), task_id="task-1")
    assert app.tasks["work"].apply((), task_id="task-2").failed()  # its context is unknown
    assert blocking.call(LearningEngine.counts) == {"decisions": 1, "rewards": 0, "abandoned": 0}
    with pytest.raises(InputInvalid, match="no decision was made"):
        app.tasks["work"]("code")

    @app.task(name="bare", shared=False, bind=True, base=LearnedTask)  # type: ignore[untyped-decorator]
    def bare(self: Any) -> None:
        del self

    result = bare.apply()
    assert isinstance(result.result, InputInvalid)
    assert "has no learner()" in str(result.result)


@pytest.mark.usefixtures("own_logging")
def test_a_worker_runs_it_as_well(app: Celery, blocking: BlockingEngine) -> None:
    app.conf.task_always_eager = False
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30.0):
        result = app.tasks["work"].apply_async(("text", 1), task_id="task-9")
        assert result.get(timeout=60.0)["quality"] == 0.25
    outcome = outcome_of(blocking, "task-9")
    assert (outcome.success, outcome.retries) == (True, 1)
    assert [decision.decision_id for decision in app.seen] == ["task-9", "task-9"]
