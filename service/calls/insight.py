"""What the log says to people: what works where, which failures repeat, and what to change next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .base import OpenParts

if TYPE_CHECKING:
    from ...insights.evolution import PatternEvolution
    from ...insights.failures import FailurePatterns
    from ...insights.opportunities import Evidence, OptimizationOpportunities, OptimizationOpportunity
    from ...insights.patterns import AgentPerformancePattern, StrategyPatterns
    from ...insights.resources import ResourcePatterns
    from ...insights.temporal import TemporalPatterns
    from ...persistence.patterns import PatternSnapshot
    from ..parts import Parts
    from ..pattern_store import PatternBook

__all__ = ["InsightCalls"]

_MONTH = timedelta(days=30)


class InsightCalls(OpenParts):
    """The engine's calls that look for patterns; none of them changes what is decided or learned."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._pattern_book: PatternBook | None = None

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

        Read from the newest million rows of the log. See ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        time_window : back from now, a timedelta or seconds; None: all.
        by : features whose values make the kinds of tasks, by default the first categorical and the first
            ordinal one.
        min_count : executions that a strategy needs in a cell.
        coverage : of the intervals. false_discovery_rate : of all findings.

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

    async def analyze_agent_performance_by_type(
        self,
        agent_type: str,
        task_complexity: str | None = None,
        *,
        time_window: timedelta | float | None = None,
        by: Sequence[str] | None = None,
        min_count: int = 20,
        coverage: float = 0.95,
        false_discovery_rate: float = 0.05,
    ) -> AgentPerformancePattern:
        """Success, reward, seconds and cost of agents of a type, against all other agents in the same cells.

        The type is what an outcome said (``agent_type``), or a parameter or a feature of that name. See
        ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        agent_type : as it was reported. task_complexity : a value of the spec's first ordinal feature.
        time_window, by, min_count, coverage, false_discovery_rate : as in ``analyze_strategy_patterns``.

        Returns
        -------
        The pattern; where there is too little evidence for one, ``reason`` says so and ``metrics`` is empty.

        Raises
        ------
        InputInvalid : a number or a name out of its domain; the log is not read.
        """
        self._check_open()
        from ..finding import agents_of_log  # noqa: PLC0415 - loads scipy

        return await agents_of_log(
            self._store,
            agent_type,
            task_complexity,
            time_window,
            by,
            min_count,
            coverage,
            false_discovery_rate,
        )

    async def identify_optimization_opportunities(
        self,
        threshold_improvement: float = 0.15,
        *,
        time_window: timedelta | float | None = None,
        by: Sequence[str] | None = None,
        min_count: int = 20,
        coverage: float = 0.95,
        false_discovery_rate: float = 0.05,
    ) -> OptimizationOpportunities:
        """Changes that would have brought more reward, doubly robust on the logged propensities, ranked.

        Another arm for a kind of task, another value of a parameter, an arm to retire, a failure to get rid
        of; each with its gain and interval, cost, risk, and a filter for its evidence. See
        ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        threshold_improvement : least gain, as a share of the present reward.
        time_window, by, coverage : as in ``analyze_strategy_patterns``.
        min_count : executions that must have gone the new way. false_discovery_rate : of what is told.

        Raises
        ------
        InputInvalid : a number or a name out of its domain; the log is not read.
        """
        self._check_open()
        from ..finding import opportunities_of_log  # noqa: PLC0415 - loads scipy, compiles

        return await opportunities_of_log(
            self._store, threshold_improvement, time_window, by, min_count, coverage, false_discovery_rate
        )

    async def analyze_resource_patterns(
        self,
        *,
        time_window: timedelta | float | None = None,
        margin: float = 0.02,
        min_count: int = 20,
        coverage: float = 0.95,
        false_discovery_rate: float = 0.05,
    ) -> ResourcePatterns:
        """Timeouts, retries and limits against success and reward, with the knee of each curve.

        See ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        margin : how far below the best still is good enough.
        time_window, min_count, coverage, false_discovery_rate : as in ``analyze_strategy_patterns``.

        Raises
        ------
        InputInvalid : a number out of its domain; the log is not read.
        """
        self._check_open()
        from ..finding import resources_of_log  # noqa: PLC0415 - loads scipy

        return await resources_of_log(
            self._store, time_window, margin, min_count, coverage, false_discovery_rate
        )

    async def analyze_temporal_patterns(
        self,
        *,
        time_window: timedelta | float | None = None,
        by: Sequence[str] | None = None,
        min_count: int = 20,
        false_discovery_rate: float = 0.05,
    ) -> TemporalPatterns:
        """Whether success, reward, seconds and cost depend on the hour, the weekday or the load.

        Adjusted for which arms were run in which kinds of tasks. See ``docs/how-to/find-patterns.md``.

        Parameters
        ----------
        time_window, by, min_count, false_discovery_rate : as in ``analyze_strategy_patterns``.

        Raises
        ------
        InputInvalid : a number or a name out of its domain; the log is not read.
        """
        self._check_open()
        from ..finding import times_of_log  # noqa: PLC0415 - loads scipy

        return await times_of_log(self._store, time_window, by, min_count, false_discovery_rate)

    async def refresh_patterns(
        self,
        time_window: timedelta | float | None = None,
        *,
        by: Sequence[str] | None = None,
        min_occurrences: int = 3,
        min_count: int = 20,
        threshold_improvement: float = 0.15,
        false_discovery_rate: float = 0.05,
        keep: int = 100,
    ) -> PatternSnapshot:
        """Find all patterns anew and store them as the next version.

        Where the log has not moved since the newest version, and the same is asked, that one is returned.

        Parameters
        ----------
        keep : versions that stay; older ones are dropped.
        The others : as in the calls that look for each kind of patterns.

        Raises
        ------
        InputInvalid : a number or a name out of its domain; nothing is read or stored.
        DatabaseUnavailable : nothing is stored.
        """
        self._check_open()
        from ..pattern_store import PatternQuestion  # noqa: PLC0415 - loads scipy

        question = PatternQuestion(
            time_window, by, min_occurrences, min_count, threshold_improvement, false_discovery_rate
        )
        return await self._patterns_at_hand().refresh(question, keep)

    async def patterns(self, version: int | None = None) -> PatternSnapshot | None:
        """The newest stored patterns, from memory while the log has not moved; None where none are stored.

        version : another one. What others store is seen once this process learns a further row.

        Raises
        ------
        InputInvalid : that version is not stored.
        """
        self._check_open()
        book = self._patterns_at_hand()
        return await (book.newest(self.state_seq) if version is None else book.version(version))

    async def pattern_evolution(self, versions: int = 20) -> PatternEvolution:
        """What appeared, strengthened, weakened or faded through the newest stored versions.

        Raises
        ------
        InputInvalid : ``versions`` is no whole number from 1 to 1000.
        """
        self._check_open()
        return await self._patterns_at_hand().evolution(versions)

    async def evidence(self, opportunity: OptimizationOpportunity | Evidence) -> list[dict[str, Any]]:
        """The executions that went an opportunity's way: what its estimate rests on, as rows of the log.

        opportunity : or its ``evidence`` alone.
        Each with ``decision_id``, ``seq``, ``arm_id``, ``propensity``, ``reward`` and ``reported_at``.
        """
        self._check_open()
        from ...insights.opportunities import Evidence as Filter  # noqa: PLC0415 - loads scipy
        from ..finding import evidence_of_log  # noqa: PLC0415

        asked = opportunity if isinstance(opportunity, Filter) else opportunity.evidence
        return await evidence_of_log(self._store, asked)

    def _patterns_at_hand(self) -> PatternBook:
        if self._pattern_book is None:
            from ..pattern_store import PatternBook  # noqa: PLC0415 - loads scipy

            self._pattern_book = PatternBook(self._store)
        return self._pattern_book
