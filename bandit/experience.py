"""What a bandit's executions teach about running ones: how long they last, and what advice on them was worth.

Lifetimes are in the rows of the log. What was advised is not: decisions whose outcome has come wait in
``unjudged`` until ``judge`` is told what was advised on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..features import Value
from .advice_record import GivenAdvice, Lessons
from .lifetimes import Lifetimes
from .log import LogRow, RewardRow
from .logged_lifetimes import LoggedLifetimes
from .spec import BanditSpec

__all__ = ["Experience"]


class Experience:
    """Lifetimes and lessons, by the rows behind ``first``."""

    def __init__(self, spec: BanditSpec, first: int = 0) -> None:
        self._logged = LoggedLifetimes(spec, first)
        self.lessons = Lessons()
        self.unjudged: dict[str, Mapping[str, Any]] = {}
        """First outcomes of decisions, in the order of the log, that no advice was looked up for yet."""

    @property
    def first(self) -> int:
        """Number of the row behind which the window begins."""
        return self._logged.first

    @property
    def seq(self) -> int:
        """Number of the last row that was taken in."""
        return self._logged.seq

    @property
    def lifetimes(self) -> Lifetimes:
        """How long executions lasted."""
        return self._logged.lifetimes

    def cell(self, context: Mapping[str, Value]) -> tuple[int, ...]:
        """The cell of a context; ``ContextInvalid`` where it is not of this spec."""
        return self._logged.cell(context)

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Take the next row of the log in; ``InputInvalid`` where it is another one, and nothing changes."""
        self._logged.absorb(row, context)
        if isinstance(row, RewardRow) and row.taken is None and row.reward is not None and row.outcome:
            self.unjudged.setdefault(row.decision_id, row.outcome)

    def judge(self, asked: Mapping[str, Mapping[str, Any]], given: Iterable[GivenAdvice]) -> None:
        """Learn from advice on decisions out of ``unjudged``; on those of ``asked`` there is no other.

        In the order of the log, so that whoever read the same rows knows the same.
        """
        by_decision: dict[str, list[GivenAdvice]] = {}
        for one in given:
            by_decision.setdefault(one.decision_id, []).append(one)
        for decision_id in asked:
            self.unjudged.pop(decision_id, None)
            if decision_id in by_decision:
                self.lessons.learn(by_decision[decision_id])
