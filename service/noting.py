"""What a running block notes of its outcome, and what the way it ends makes of that."""

from __future__ import annotations

import asyncio
import time as clock
from typing import Any, Literal

from ..errors import InputInvalid, OutcomeInvalid
from ..rewards import Outcome
from .learners import Chosen

__all__ = ["Ending", "Notes", "ending_of", "entered_twice"]

Ending = Literal["failed", "abandoned", "open"]
"""What an exception says of the arm: it failed; nothing, for nobody waited for it; nothing yet."""


def ending_of(error: BaseException) -> Ending:
    """What an exception that left a block says, where no framework knows better."""
    if isinstance(error, asyncio.CancelledError):
        return "abandoned"
    return "failed" if isinstance(error, Exception) else "open"


class Notes:
    """The fields that were reported so far, and the time.

    Parameters
    ----------
    attempt : which one of the same decision, from 1. Behind the first one the time runs from the decision,
        by the clock, waits between attempts included; and ``retries`` is reported.
    """

    def __init__(self, attempt: int = 1) -> None:
        self._attempt = attempt
        self._fields: dict[str, Any] = {} if attempt <= 1 else {"retries": attempt - 1}
        self._refused: OutcomeInvalid | None = None
        self._ended = False
        self._started = 0.0
        self._decided: float | None = None

    def start(self, decision: Chosen) -> None:
        """The decision is there, and the work begins."""
        self._started = clock.perf_counter()
        self._decided = decision.time if self._attempt > 1 else None

    def add(self, fields: dict[str, Any]) -> None:
        """Note fields of ``Outcome``, later ones winning; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range; what was noted before stays.
        InputInvalid : the block has ended.
        """
        if self._ended:
            raise InputInvalid(
                "the execution has ended, and its outcome is stored",
                expected="report(…) inside the 'with' block",
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

    def end(self) -> float:
        """The block has ended; the seconds that it took."""
        self._ended = True
        if self._decided is not None:
            return max(0.0, clock.time() - self._decided)
        return clock.perf_counter() - self._started

    def refused(self, error: BaseException) -> bool:
        """Whether the block ended with the error of an unusable report: that says nothing of the arm."""
        return error is self._refused

    def success(self, seconds: float) -> Outcome:
        """The outcome of a block that reached its end."""
        return Outcome(**{"success": True, "duration_s": seconds, **self._fields})

    def failure(self, error: BaseException, seconds: float) -> Outcome:
        """The outcome of a block that an exception ended: its class is the last error code."""
        fields = {"duration_s": seconds, **self._fields, "success": False}
        codes = tuple(fields.get("error_codes", ()))
        try:
            return Outcome(**{**fields, "error_codes": (*codes, type(error).__name__)})
        except OutcomeInvalid:  # a class with a name that is no error code, or too many codes
            return Outcome(**fields)


def entered_twice(what: str) -> InputInvalid:
    """The error for a block object that is used again."""
    return InputInvalid(
        "an execution was entered twice",
        expected=f"one 'with' for each {what}",
        found="a second one",
        fix=f"call {what} again for the next run",
    )
