"""One execution: select, run, time, report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..errors import NyxError, RewardConflict
from .learners import AsyncLearner, Chosen
from .noting import Ending, Notes, ending_of, entered_twice

__all__ = ["Execution"]

_LOG = logging.getLogger("nyx_learning")
_Decision = TypeVar("_Decision", bound=Chosen)
_Receipt = TypeVar("_Receipt")


class Execution(Generic[_Decision, _Receipt]):
    """The block of ``async with engine.execution(context) as run``.

    ``run.decision`` says what to run; ``run.report(...)`` adds fields of ``Outcome``, later calls winning.
    When the block ends, the outcome is stored: success unless reported otherwise, with the measured duration
    unless one was reported. An exception is a failure with the exception's class as error code, and passes on
    (also where the report itself fails: that is logged); a cancelled block is abandoned, and so is one that
    ends with the error of an unusable report: its decision stays without a reward. ``run.receipt`` is there
    behind the block. Where the decision has an outcome already (a retry under the same id), the first one
    stands, and ``receipt`` stays None. Who is cancelled while the outcome is being stored loses nothing: it
    is stored all the same.

    Parameters
    ----------
    learner : an engine or an asynchronous client.
    attempt : which one of this decision, where a framework tries again under the same id; see ``Notes``.
    ending : what an exception says of the arm; ``open`` reports nothing, for an attempt that is tried again.
    """

    def __init__(
        self,
        learner: AsyncLearner[_Decision, _Receipt],
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        attempt: int = 1,
        ending: Callable[[BaseException], Ending] = ending_of,
    ) -> None:
        self._learner, self._context, self._decision_id = learner, context, decision_id
        self._eligible, self._exclude = eligible, exclude
        self._notes, self._ending = Notes(attempt), ending
        self._entered = False
        self.decision: _Decision
        self.receipt: _Receipt | None = None

    def report(self, **fields: Any) -> None:
        """Note fields of the outcome, for example ``quality=0.9``; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range; what was reported before stays.
        InputInvalid : the block has ended.
        """
        self._notes.add(fields)

    async def __aenter__(self) -> Self:
        if self._entered:
            raise entered_twice("engine.execution(…)")
        self._entered = True
        try:
            self.decision = await self._learner.select_arm(
                self._context, self._decision_id, eligible=self._eligible, exclude=self._exclude
            )
        except BaseException:
            self._entered = False  # nothing was begun: a retry may use the same object
            raise
        self._notes.start(self.decision)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = self._notes.end()
        if error is None:
            outcome = self._notes.success(seconds)
            # Cancelled in here, the outcome is stored all the same: it was handed over before the first wait.
            try:
                self.receipt = await self._learner.update_reward(self.decision, outcome)
            except RewardConflict as conflict:
                # A retry under the same id: its measured time differs, and its work was done well.
                _LOG.warning(
                    "the first outcome of decision '%s' stands: %s", self.decision.decision_id, conflict
                )
            return
        # The block's own exception passes on, whatever becomes of the report on it.
        try:
            ending = "abandoned" if self._notes.refused(error) else self._ending(error)
            if ending == "abandoned":
                # Nobody waited for the arm; or a mistake in the report, which says nothing of it either.
                abandon = getattr(self._learner, "abandon_soon", None)
                if abandon is not None:
                    abandon(self.decision)
            elif ending == "failed":
                outcome = self._notes.failure(error, seconds)
                self.receipt = await self._learner.update_reward(self.decision, outcome)
        except NyxError as problem:
            _LOG.warning(
                "the outcome of decision '%s' was not stored: %s", self.decision.decision_id, problem
            )
