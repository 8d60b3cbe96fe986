"""Celery: a base class for tasks whose strategy is chosen, and whose outcome is learned from.

The decision's id is the task's id, which stays the same over its retries: a task that is tried again is the
same decision, and reports once, when it has succeeded or failed for good.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from ...errors import InputInvalid, NyxError
from ..learners import BlockingLearner, Chosen
from .blocking import BlockingExecution

__all__ = ["LearnedTask"]

_LOG = logging.getLogger("nyx_learning")
_KEPT = "nyx_execution"


class LearnedTask(Task):  # type: ignore[misc]  # Celery ships no types
    """Base of learned tasks: ``@app.task(bind=True, base=Workflow)``, Workflow being a subclass.

    A subclass has ``learner()`` and ``context(…)``; the task reads ``self.decision`` and may call
    ``self.report(quality=.9)``. A task that raises has failed, with the exception's class as error code; one
    that ran into its soft time limit has timed out; one that is ignored or rejected reports nothing.
    """

    abstract = True

    def learner(self) -> BlockingLearner[Any, Any]:
        """The learner of this process; asked before each task.

        Open it here at the first call, not when the module is imported: connections do not survive a fork.

        Raises
        ------
        InputInvalid : the subclass has none.
        """
        raise _lacks(self, "learner", "return a BlockingEngine or NyxClient that is opened once")

    def context(self, *_arguments: Any, **_named: Any) -> Mapping[str, Any]:
        """What the learner is told; from the task's arguments.

        Raises
        ------
        InputInvalid : the subclass has none.
        """
        raise _lacks(self, "context", "return a value for each feature of the spec's schema")

    def outcome(self, result: Any) -> Mapping[str, Any]:
        """Fields of ``Outcome`` in what the task returned; by default none."""
        del result
        return {}

    @property
    def decision(self) -> Chosen:
        """What was chosen for the task that runs.

        Raises
        ------
        InputInvalid : none runs: the function was called directly.
        """
        decision: Chosen = self._execution().decision
        return decision

    def report(self, **fields: Any) -> None:
        """Note fields of the outcome; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range.
        InputInvalid : no task runs.
        """
        self._execution().report(**fields)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Decide; a retry gets the decision of the first attempt."""
        run: BlockingExecution[Any, Any] = BlockingExecution(
            self.learner(), self.context(*args, **kwargs), task_id, attempt=self.request.retries + 1
        )
        run.__enter__()
        setattr(self.request, _KEPT, run)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Report success."""
        del task_id, args, kwargs
        run = self._execution()
        try:
            run.report(**self.outcome(retval))
            run.__exit__(None, None, None)
        except NyxError:
            # The task has succeeded; that its worth was not stored must not undo that.
            _LOG.exception("the outcome of decision '%s' was not stored", run.decision.decision_id)

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Report the failure that is not tried again."""
        del task_id, args, kwargs, einfo
        run = getattr(self.request, _KEPT, None)
        if run is None:  # it failed before anything was chosen
            return
        if isinstance(exc, SoftTimeLimitExceeded):
            run.report(timed_out=True)
        run.__exit__(type(exc), exc, exc.__traceback__)

    def _execution(self) -> Any:
        run = getattr(self.request, _KEPT, None)
        if run is None:
            raise InputInvalid(
                f"no decision was made for the task '{self.name}'",
                expected="a task that a worker runs, or apply() and delay()",
                found="its function called directly",
                fix="call task.apply(…) instead",
            )
        return run


def _lacks(task: Task, name: str, fix: str) -> InputInvalid:
    return InputInvalid(
        f"the task class '{type(task).__name__}' has no {name}()",
        expected=f"a subclass of LearnedTask with {name}()",
        found="none",
        fix=fix,
    )
