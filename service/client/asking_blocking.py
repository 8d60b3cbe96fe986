"""What the blocking client asks of the log, and orders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ...bandit.adapting import AdaptationRecommendation, AdaptationStakes
from ...bandit.guardrails import Override
from ...bandit.prediction import PerformancePrediction
from ...features.monitors import PerformanceMetrics
from . import questions
from .answers import ServedDecision, ServedReceipt
from .asking_stored_blocking import Stored
from .calls import Call

__all__ = ["Questions"]

_Result = TypeVar("_Result")
_Document = Mapping[str, Any]
_MONTH_S = 30 * 86_400.0


class Questions(Stored):
    """The calls of ``LearningEngine`` beside choosing and reporting.

    Where the engine's answer is a value of a light module, so is the client's; otherwise it is the plain JSON
    that its ``to_dict()`` writes. All raise what the engine raises.
    """

    bandit: str
    _patience_s: float

    @abstractmethod
    def _send(self, call: Call[_Result], deadline_s: float) -> _Result:
        """Send a call until it is answered or the deadline has passed."""

    def _ask(self, what: str, **query: Any) -> _Document:
        return self._send(questions.ask(self.bandit, what, **query), self._patience_s)

    def select_arms(self, requests: Iterable[_Document], *, durable: bool = True) -> list[ServedDecision]:
        """``LearningEngine.select_arms``; each request is a mapping of ``ArmRequest``'s fields."""
        return self._send(questions.decisions(self.bandit, requests, durable=durable), self._patience_s)

    def update_rewards(self, reports: Iterable[_Document]) -> list[ServedReceipt | _Document]:
        """``LearningEngine.update_rewards``; each report is a mapping of ``RewardReport``'s fields with
        ``decision_id``. What the stored rows refuse stands as its error's parts in the place of a receipt.
        """
        return self._send(questions.outcomes(self.bandit, reports), self._patience_s)

    def report_evaluations(
        self,
        events: Iterable[_Document],
        *,
        fields: Mapping[str, str] | None = None,
        scales: Mapping[str, tuple[float, float]] | None = None,
    ) -> list[ServedReceipt | _Document]:
        """Report OpenTelemetry's ``gen_ai.evaluation.result``: attributes that name a decision each."""
        return self._send(questions.evaluations(self.bandit, events, fields, scales), self._patience_s)

    def override(
        self,
        rule: str,
        arms: Iterable[str] | str = (),
        *,
        reason: str,
        share: float | None = None,
        rows: int | None = None,
        until: float | None = None,
    ) -> Override:
        """``LearningEngine.override``; the author is the name of the key, which must be an admin's."""
        call = questions.order(self.bandit, rule, arms, reason=reason, share=share, rows=rows, until=until)
        return self._send(call, self._patience_s)

    def revoke(self, seq: int, *, reason: str) -> Override:
        """``LearningEngine.revoke``; the author is the name of the key, which must be an admin's."""
        return self._send(questions.revocation(self.bandit, seq, reason), self._patience_s)

    def overrides(self, *, expired: bool = False) -> list[Override]:
        """``LearningEngine.overrides``."""
        return self._send(questions.order_list(self.bandit, expired=expired), self._patience_s)

    def reserve(self, decision: ServedDecision | str, /, **maximum: float) -> _Document:
        """``LearningEngine.reserve``: ``decision_id``, and ``amounts`` by name of the budget."""
        call = questions.about(self.bandit, decision, "reservation", {"maximum": maximum})
        return self._send(call, self._patience_s)

    def settle(self, decision: ServedDecision | str, /, **used: float) -> _Document:
        """``LearningEngine.settle``: ``decision_id``, and ``amounts`` by name of the budget."""
        call = questions.about(self.bandit, decision, "settlement", {"used": used})
        return self._send(call, self._patience_s)

    def budgets(self) -> Sequence[_Document]:
        """``LearningEngine.budgets``, each with the fields of ``BudgetLeft``."""
        found: Sequence[_Document] = (self._ask("budgets"))["budgets"]
        return found

    def anomalies(
        self, limit: int = 100, *, before: int | None = None, arm: str | None = None
    ) -> Sequence[_Document]:
        """``LearningEngine.anomalies``, each with the fields of ``FoundAnomaly``."""
        told = self._ask("anomalies", limit=limit, before=before, arm=arm)
        found: Sequence[_Document] = told["anomalies"]
        return found

    def monitoring(self) -> _Document | None:
        """``LearningEngine.monitoring``: the fields of ``MonitoringStatus``."""
        found: _Document | None = (self._ask("monitoring"))["monitoring"]
        return found

    def predict_workflow_performance(
        self, workflow_input: _Document, proposed_strategy: str
    ) -> PerformancePrediction:
        """``LearningEngine.predict_workflow_performance``."""
        call = questions.predict(self.bandit, workflow_input, proposed_strategy)
        return self._send(call, self._patience_s)

    def should_adapt_workflow(
        self,
        current_performance: PerformanceMetrics,
        expected_performance: PerformanceMetrics | None = None,
        *,
        decision: ServedDecision | str,
        stakes: AdaptationStakes | None = None,
        limit_s: float | None = None,
        retries: bool = True,
        alternatives: Sequence[str] = (),
    ) -> AdaptationRecommendation:
        """``LearningEngine.should_adapt_workflow``."""
        call = questions.adaptation(
            self.bandit,
            current_performance,
            expected_performance,
            decision,
            stakes,
            limit_s,
            alternatives,
            retries=retries,
        )
        return self._send(call, self._patience_s)

    def analyze_performance_trends(
        self,
        time_window: float | None = None,
        *,
        metrics: Sequence[str] | None = None,
        bucket_s: float | None = None,
        steps: int = 24,
        coverage: float = 0.9,
    ) -> Sequence[_Document]:
        """``LearningEngine.analyze_performance_trends``, each as ``Trend.to_dict()``."""
        told = self._ask(
            "trends",
            time_window_s=time_window,
            metrics=metrics,
            bucket_s=bucket_s,
            steps=steps,
            coverage=coverage,
        )
        found: Sequence[_Document] = told["trends"]
        return found

    def analyze_strategy_patterns(
        self, time_window: float | None = _MONTH_S, *, by: Sequence[str] | None = None, min_count: int = 20
    ) -> _Document:
        """``LearningEngine.analyze_strategy_patterns``, as ``StrategyPatterns.to_dict()``."""
        return self._ask("patterns", time_window_s=time_window, by=by, min_count=min_count)

    def analyze_agent_performance_by_type(
        self,
        agent_type: str,
        task_complexity: str | None = None,
        *,
        time_window: float | None = None,
        by: Sequence[str] | None = None,
        min_count: int = 20,
    ) -> _Document:
        """``LearningEngine.analyze_agent_performance_by_type``, as its answer's ``to_dict()``."""
        return self._ask(
            "agents",
            agent_type=agent_type,
            task_complexity=task_complexity,
            time_window_s=time_window,
            by=by,
            min_count=min_count,
        )

    def detect_failure_patterns(
        self, min_occurrences: int = 3, *, time_window: float | None = None, max_length: int = 3
    ) -> _Document:
        """``LearningEngine.detect_failure_patterns``, as ``FailurePatterns.to_dict()``."""
        return self._ask(
            "failures", min_occurrences=min_occurrences, time_window_s=time_window, max_length=max_length
        )

    def analyze_resource_patterns(
        self, *, time_window: float | None = None, margin: float = 0.02, min_count: int = 20
    ) -> _Document:
        """``LearningEngine.analyze_resource_patterns``, as its answer's ``to_dict()``."""
        return self._ask("resources", time_window_s=time_window, margin=margin, min_count=min_count)

    def analyze_temporal_patterns(
        self, *, time_window: float | None = None, by: Sequence[str] | None = None, min_count: int = 20
    ) -> _Document:
        """``LearningEngine.analyze_temporal_patterns``, as its answer's ``to_dict()``."""
        return self._ask("times", time_window_s=time_window, by=by, min_count=min_count)

    def identify_optimization_opportunities(
        self,
        threshold_improvement: float = 0.15,
        *,
        time_window: float | None = None,
        by: Sequence[str] | None = None,
        min_count: int = 20,
    ) -> _Document:
        """``LearningEngine.identify_optimization_opportunities``, as its answer's ``to_dict()``."""
        return self._ask(
            "opportunities",
            threshold_improvement=threshold_improvement,
            time_window_s=time_window,
            by=by,
            min_count=min_count,
        )

    def recommend_strategy(
        self,
        workflow_input: _Document,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        alternatives: int = 3,
        predict: bool = False,
    ) -> _Document:
        """``LearningEngine.recommend_strategy``, as ``StrategyRecommendation.to_dict()``."""
        call = questions.recommend(
            self.bandit,
            workflow_input,
            eligible=eligible,
            exclude=exclude,
            alternatives=alternatives,
            predict=predict,
        )
        return self._send(call, self._patience_s)

    def optimize_parameters(
        self,
        current_parameters: _Document,
        *,
        context: _Document | None = None,
        strategy: str | None = None,
        **limits: float,
    ) -> _Document:
        """``LearningEngine.optimize_parameters``, as ``OptimizedParameters.to_dict()``.

        ``limits`` : max_step, max_change, confidence, min_gain.
        """
        call = questions.optimize(self.bandit, current_parameters, context, strategy, limits)
        return self._send(call, self._patience_s)

    def record_execution(
        self,
        agent_id: str,
        execution_result: Any,
        performance_metrics: PerformanceMetrics | Mapping[str, float] | None = None,
        *,
        agent_type: str | None = None,
        execution_id: str | None = None,
        decision_id: str | None = None,
    ) -> _Document:
        """``LearningEngine.record_execution``, as ``ExecutionReceipt.to_dict()``.

        execution_result : a mapping with ``success``, an ``Outcome``, or an ``ExecutionResult``.
        """
        call = questions.execution(
            self.bandit,
            agent_id,
            execution_result,
            performance_metrics,
            agent_type=agent_type,
            execution_id=execution_id,
            decision_id=decision_id,
        )
        return self._send(call, self._patience_s)

    def explain(self, decision: ServedDecision | str) -> _Document:
        """``LearningEngine.explain``, as ``Explanation.to_dict()``."""
        return self._send(questions.about(self.bandit, decision, "explain"), self._patience_s)

    def report(
        self, metric: str = "success", *, min_lift: float = 0.2, confidence: float = 0.95
    ) -> _Document:
        """``LearningEngine.report``, as ``BanditReport.to_dict()``."""
        return self._ask("report", metric=metric, min_lift=min_lift, confidence=confidence)
