"""One execution: select, run, time, report."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..bandit import Decision, Receipt
from ..errors import InputInvalid, NyxError, OutcomeInvalid, RewardConflict
from ..features import Value
from ..rewards import Outcome

if TYPE_CHECKING:
    from .engine import LearningEngine

__all__ = ["Execution"]

_LOG = logging.getLogger("nyx_learning")


class Execution:
    """The block of ``async with engine.execution(context) as run``.

    ``run.decision`` says what to run; ``run.report(...)`` adds fields of ``Outcome``, later calls winning.
    When the block ends, the outcome is stored: success unless reported otherwise, with the measured duration
    unless one was reported. An exception is a failure with the exception's class as error code, and passes on
    (also where the report itself fails: that is logged); a cancelled block is abandoned, and so is one that
    ends with the error of an unusable report: its decision stays without a reward. ``run.receipt`` is there
    behind the block. Where the decision has an outcome already (a retry under the same id), the first one
    stands, and ``receipt`` stays None. Who is cancelled while the outcome is being stored loses nothing: it
    is stored all the same.
    """

    def __init__(
        self,
        engine: LearningEngine,
        context: Mapping[str, Value],
        decision_id: str | None,
        *,
        eligible: Iterable[str] | None,
        exclude: Iterable[str] | None,
    ) -> None:
        self._engine, self._context, self._decision_id = engine, context, decision_id
        self._eligible, self._exclude = eligible, exclude
        self._fields: dict[str, Any] = {}
        self._refused: OutcomeInvalid | None = None
        self._entered = self._ended = False
        self._started = 0.0
        self.decision: Decision
        self.receipt: Receipt | None = None

    def report(self, **fields: Any) -> None:
        """Note fields of the outcome, for example ``quality=0.9``; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range; what was reported before stays.
        InputInvalid : the block has ended.
        """
        if self._ended:
            raise InputInvalid(
                "the execution has ended, and its outcome is stored",
                expected="report(…) inside the 'async with' block",
                found=f"a report of {sorted(fields)} behind it",
                fix="report before the block ends",
            )
        merged = {**self._fields, **fields}
        try:
            Outcome(**{"success": True, **merged})
        except OutcomeInvalid as error:
            self._refused = error
            raise
        self._fields = merged

    async def __aenter__(self) -> Self:
        if self._entered:
            raise InputInvalid(
                "an execution was entered twice",
                expected="one 'async with' for each engine.execution(…)",
                found="a second one",
                fix="call engine.execution(context) again for the next run",
            )
        self._entered = True
        try:
            self.decision = await self._engine.select_arm(
                self._context, self._decision_id, eligible=self._eligible, exclude=self._exclude
            )
        except BaseException:
            self._entered = False  # nothing was begun: a retry may use the same object
            raise
        self._started = clock.perf_counter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = clock.perf_counter() - self._started
        self._ended = True
        if error is None:
            outcome = Outcome(**{"success": True, "duration_s": seconds, **self._fields})
            # Cancelled in here, the outcome is stored all the same: it was handed over before the first wait.
            try:
                self.receipt = await self._engine.update_reward(self.decision, outcome)
            except RewardConflict as conflict:
                # A retry under the same id: its measured time differs, and its work was done well.
                _LOG.warning(
                    "the first outcome of decision '%s' stands: %s", self.decision.decision_id, conflict
                )
            return
        # The block's own exception passes on, whatever becomes of the report on it.
        try:
            if error is self._refused or isinstance(error, asyncio.CancelledError):
                # A mistake in the report says nothing of the arm.
                self._engine.abandon_soon(self.decision)
            elif isinstance(error, Exception):
                self.receipt = await self._engine.update_reward(self.decision, self._failure(error, seconds))
        except NyxError as problem:
            _LOG.warning(
                "the outcome of decision '%s' was not stored: %s", self.decision.decision_id, problem
            )

    def _failure(self, error: Exception, seconds: float) -> Outcome:
        fields = {"duration_s": seconds, **self._fields, "success": False}
        codes = tuple(fields.get("error_codes", ()))
        try:
            return Outcome(**{**fields, "error_codes": (*codes, type(error).__name__)})
        except OutcomeInvalid:  # a class with a name that is no error code, or too many codes
            return Outcome(**fields)
