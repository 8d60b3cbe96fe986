"""What the log says to people: which strategies work where, and which failures repeat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from .base import OpenParts

if TYPE_CHECKING:
    from ...insights.failures import FailurePatterns
    from ...insights.patterns import StrategyPatterns

__all__ = ["InsightCalls"]

_MONTH = timedelta(days=30)


class InsightCalls(OpenParts):
    """The engine's calls that look for patterns; none of them changes anything."""

    async def analyze_strategy_patterns(
        self,
        time_window: timedelta | float | None = _MONTH,
        *,
        by: Sequence[str] | None = None,
        min_count: int = 20,
        coverage: float = 0.95,
        false_discovery_rate: float = 0.05,
    ) -> StrategyPatterns:
        """Success, reward, seconds and cost of each strategy in each kind of task, against the others there.

        Read from the newest 50,000 rows of the log. See ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        time_window : back from now, a timedelta or seconds; None: all. by : features whose values make the
        kinds
            of tasks, by default the first categorical and the first ordinal one. min_count : executions that
            a strategy needs in a cell. coverage : of the intervals. false_discovery_rate : of all findings.

        Raises
        ------
        InputInvalid : a number out of its domain, or a feature that makes no cells; the log is not read.
        """
        self._check_open()
        from ..finding import patterns_of_log  # noqa: PLC0415 - loads scipy

        return await patterns_of_log(self._store, time_window, by, min_count, coverage, false_discovery_rate)

    async def detect_failure_patterns(
        self,
        min_occurrences: int = 3,
        *,
        time_window: timedelta | float | None = None,
        max_length: int = 3,
        false_discovery_rate: float = 0.05,
    ) -> FailurePatterns:
        """Error codes that repeat, sequences of them that are no chance, and what they go with.

        Read from the newest 50,000 rows of the log. See ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        min_occurrences : executions that a pattern needs. time_window : back from now, a timedelta or
        seconds;
            None: all. max_length : codes of a sequence, 2 to 4. false_discovery_rate : of sequences, and of
            links.

        Raises
        ------
        InputInvalid : a number out of its domain; the log is not read.
        """
        self._check_open()
        from ..finding import failures_of_log  # noqa: PLC0415 - loads scipy

        return await failures_of_log(
            self._store, min_occurrences, time_window, max_length, false_discovery_rate
        )
