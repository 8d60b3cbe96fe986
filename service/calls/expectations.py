"""What to expect, and what was odd: predictions, trends, monitors, anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...bandit.adapting import AdaptationRecommendation, AdaptationStakes
from ...bandit.advice_record import AdaptationRecord
from ...bandit.decision import Decision
from ...bandit.prediction import PerformancePrediction, WorkflowInput
from ...errors import InputInvalid, shown
from ...features.monitors import Anomaly, BaselineMetrics, PerformanceMetrics, detect_performance_anomalies
from ...persistence.database import reaching
from ..anomalies import FoundAnomaly, list_anomalies, performance_baseline
from ..monitoring import MonitoringStatus
from .base import OpenParts

if TYPE_CHECKING:
    from ...features.trends import Trend

__all__ = ["ExpectationCalls"]


class ExpectationCalls(OpenParts):
    """The engine's calls that read what was recorded; none of them changes anything."""

    async def predict_workflow_performance(
        self, workflow_input: WorkflowInput, proposed_strategy: str
    ) -> PerformancePrediction:
        """What an execution is expected to do: success, seconds and cost, each with an interval.

        Learned from the newest 2,000 to 4,000 rows of the stored log, whoever wrote them: every process says
        the same, and where little is known the intervals are wide and ``cold`` says so. Decides nothing and
        stores nothing. See ``docs/how-to/predict.md``.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        proposed_strategy : an arm id; or a strategy, which stands for its arms as they were used.

        Raises
        ------
        ContextInvalid, ArmUnknown : bad input; the log is not read.
        DatabaseUnavailable : the log cannot be read, and nothing was read before.
        """
        self._check_open()
        return await self._predicting.predict(workflow_input, proposed_strategy)

    async def should_adapt_workflow(
        self,
        current_performance: PerformanceMetrics,
        expected_performance: PerformanceMetrics | None = None,
        *,
        decision: Decision | str,
        stakes: AdaptationStakes | None = None,
        limit_s: float | None = None,
        retries: bool = True,
        alternatives: Sequence[str] = (),
    ) -> AdaptationRecommendation:
        """Say whether a running execution is worth waiting for: continue, extend, retry, switch or abort.

        Learned from the same rows as ``predict_workflow_performance``: how long the executions of each arm
        ran in such contexts until they succeeded or failed. The advice is kept, behind the answer, and judged
        by what the execution then reports: ``adaptation_record``. See ``docs/how-to/adapt-mid-run.md``.

        Parameters
        ----------
        current_performance : its ``duration_s`` is the seconds it has run.
        expected_performance : its ``duration_s``, where given, is the median that was expected of it.
        decision : of this execution, or its id. stakes : what is won and lost; None: the usual ones, with
            costs of restarts that followed advice has taught.
        limit_s : seconds at which it will be stopped; None: never. retries : another attempt is open.
        alternatives : arm ids that one may change to.

        Raises
        ------
        InputInvalid, ArmUnknown, ContextInvalid : bad input; the log is not read.
        DecisionUnknown : an id that is not stored.
        DatabaseUnavailable : the log cannot be read, and nothing was read before.
        """
        self._check_open()
        if isinstance(decision, str):
            decision = await self._parts.settling.decision(decision)
        return await self._adapting.advise(
            current_performance,
            expected_performance,
            decision=decision,
            stakes=stakes,
            limit_s=limit_s,
            retries=retries,
            alternatives=alternatives,
        )

    async def adaptation_record(self, time_window: float | None = None) -> AdaptationRecord:
        """What advice on running executions promised, and what came, for each action; changes nothing.

        ``AdaptationRecord.stakes`` makes of it stakes that have learned, as those are that a question without
        stakes is answered by.

        Parameters
        ----------
        time_window : seconds back from now; None: all. At most the newest 50,000 pieces of advice are read.

        Raises
        ------
        InputInvalid : a window that is no number of seconds above 0; nothing is read.
        """
        self._check_open()
        if time_window is not None and (
            isinstance(time_window, bool) or not isinstance(time_window, (int, float)) or not time_window > 0
        ):
            raise InputInvalid(
                "the time window cannot be used",
                expected="a number of seconds above 0, or None for all",
                found=shown(time_window),
                fix="for example time_window=86_400.0, a day",
            )
        return await self._adapting.advice.record(time_window)

    async def analyze_performance_trends(
        self,
        time_window: float | None = None,
        *,
        metrics: Sequence[str] | None = None,
        bucket_s: float | None = None,
        steps: int = 24,
        coverage: float = 0.9,
    ) -> tuple[Trend, ...]:
        """Level, trend and forecast of each metric, and whether it depends on the hour or the load.

        Read from the newest 50,000 rows of the log, by the time of their reports; changes nothing. See
        ``docs/how-to/trends.md``.

        Parameters
        ----------
        time_window : seconds back from now; None: all of them. metrics : out of ``features.trends.METRICS``;
            None: all. bucket_s : length of a bucket, by default what fits the rows. steps : buckets that are
            forecast. coverage : of the intervals.

        Raises
        ------
        InputInvalid : an unknown metric, or a number out of its domain; the log is not read.
        """
        self._check_open()
        from ..trending import analyze_performance_trends  # noqa: PLC0415 - loads scipy.stats

        return await analyze_performance_trends(self._store, time_window, metrics, bucket_s, steps, coverage)

    async def monitoring(self) -> MonitoringStatus | None:
        """How far the spec's monitors have come, in whichever process they run; None where it has none."""
        self._check_open()
        if self._parts.monitoring is None:
            return None
        with reaching():
            return await self._parts.monitoring.status(self._parts.pool)

    async def anomalies(
        self, limit: int = 100, *, before: int | None = None, arm: str | None = None
    ) -> list[FoundAnomaly]:
        """The odd executions that the monitors found, the latest first: read from the log, whoever led.

        ``before`` : only events below this number, to go on behind a page. ``arm`` : of this arm only (of
        this strategy, where parameters are chosen in stages).

        Raises
        ------
        InputInvalid : a limit that is no whole number from 1 to 100,000.
        """
        self._check_open()
        return await list_anomalies(self._store, limit, before, arm)

    async def performance_baseline(self, arm: str | None = None) -> BaselineMetrics:
        """What the newest 1,000 reports, or those of one arm, let expect of a further execution."""
        self._check_open()
        return await performance_baseline(self._store, arm)

    async def detect_performance_anomalies(
        self,
        current_metrics: PerformanceMetrics,
        historical_baseline: BaselineMetrics | None = None,
        *,
        expected: PerformancePrediction | None = None,
    ) -> list[Anomaly]:
        """What is odd about an execution beside a baseline (else ``performance_baseline()``), oddest first.

        Writes nothing. ``expected`` : what ``predict_workflow_performance`` said of this execution, which
        knows its context: then seconds and cost are judged by that. Monitors also follow levels that move.
        """
        self._check_open()
        if historical_baseline is None:
            historical_baseline = await self.performance_baseline()
        if expected is not None:
            historical_baseline = expected.baseline(historical_baseline)
        return detect_performance_anomalies(current_metrics, historical_baseline)
