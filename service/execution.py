"""One execution: select, run, time, report."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..bandit import Decision, Receipt
from ..errors import InputInvalid
from ..features import Value
from ..rewards import Outcome

if TYPE_CHECKING:
    from .engine import LearningEngine

__all__ = ["Execution"]


class Execution:
    """The block of ``async with engine.execution(context) as run``.

    ``run.decision`` says what to run; ``run.report(...)`` adds fields of ``Outcome``, later calls winning. When the
    block ends, the outcome is stored: success unless reported otherwise, with the measured duration unless one was reported. An
    exception is a failure with the exception's class as error code, and passes on; a cancelled block is
    abandoned: its decision stays without a reward. ``run.receipt`` is there behind the block.
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
        self._started = 0.0
        self.decision: Decision
        self.receipt: Receipt | None = None

    def report(self, **fields: Any) -> None:  # noqa: ANN401 (fields of Outcome)
        """Note fields of the outcome, for example ``quality=0.9``; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range; what was reported before stays.
        """
        merged = {**self._fields, **fields}
        Outcome(**{"success": True, **merged})
        self._fields = merged

    async def __aenter__(self) -> Self:
        if self._started:
            raise InputInvalid(
                "an execution was entered twice",
                expected="one 'async with' for each engine.execution(…)",
                found="a second one",
                fix="call engine.execution(context) again for the next run",
            )
        self.decision = await self._engine.select_arm(
            self._context, self._decision_id, eligible=self._eligible, exclude=self._exclude
        )
        self._started = clock.perf_counter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = clock.perf_counter() - self._started
        if error is not None and not isinstance(error, Exception):
            # Cancelled, or the interpreter is going down: nobody knows what it would have been worth.
            if isinstance(error, asyncio.CancelledError):
                await asyncio.shield(self._engine.abandon(self.decision))
            return
        fields = {"success": error is None, "duration_s": seconds, **self._fields}
        if error is not None:
            fields["success"] = False
            fields["error_codes"] = (*fields.get("error_codes", ()), type(error).__name__)
        self.receipt = await self._engine.update_reward(self.decision, Outcome(**fields))
