"""What to run, with which parameters, and why it was chosen; and what agents did."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...bandit.decision import Decision
from ...bandit.parameters import ParameterValue
from ...bandit.prediction import WorkflowInput
from ...errors import DatabaseUnavailable
from ...features import Value
from ...features.monitors import PerformanceMetrics
from .base import OpenParts

if TYPE_CHECKING:
    from ...bandit.explaining import Explanation
    from ...insights.patterns import StrategyPattern, StrategyPatterns
    from ...insights.recommending import ExecutionResult, OptimizedParameters, StrategyRecommendation
    from ...rewards import Outcome
    from ..recording import ExecutionReceipt

__all__ = ["AdviceCalls"]


class AdviceCalls(OpenParts):
    """The engine's calls that advise and explain, and the one by which agents report.

    ``docs/how-to/recommend.md`` and ``docs/how-to/explain.md`` show them.
    """

    async def recommend_strategy(
        self,
        workflow_input: WorkflowInput,
        historical_patterns: StrategyPatterns | Sequence[StrategyPattern] | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        alternatives: int = 3,
        predict: bool = False,
    ) -> StrategyRecommendation:
        """Say which arm to run in a context, how sure that is, and why; from memory, in less than a ms.

        Nothing is drawn, stored or learned: the same question at the same row has the same answer. What is
        run because it was recommended has no propensity; ``select_arm`` chooses, and explores.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        historical_patterns : of ``analyze_strategy_patterns``; told among the reasons, and changes no number.
        eligible, exclude : arm ids or strategy names. alternatives : at most so many are told.
        predict : also say what success, seconds and cost to expect: this reads what is new in the log.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
        """
        self._check_open()
        from ...insights.recommending import recommend_strategy  # noqa: PLC0415 - loads the compiler

        found = recommend_strategy(
            self._learner,
            workflow_input,
            historical_patterns,
            eligible=eligible,
            exclude=exclude,
            alternatives=alternatives,
            time=clock.time(),
        )
        if not predict:
            return found
        try:
            prediction = await self._predicting.predict(workflow_input, found.arm_id)
        except DatabaseUnavailable:
            told = "what an execution would do cannot be predicted: the database is away"
            return replace(found, reasons=(*found.reasons, told))
        return replace(found, prediction=prediction)

    async def optimize_parameters(
        self,
        current_parameters: Mapping[str, ParameterValue],
        performance_history: Iterable[ExecutionResult] | None = None,
        *,
        context: Mapping[str, Value] | None = None,
        strategy: str | None = None,
        max_step: int = 1,
        max_change: float = 0.25,
        confidence: float = 0.9,
        min_gain: float = 0.0,
    ) -> OptimizedParameters:
        """Say which parameters to run a strategy with: a credibly better step away, or the current ones.

        From the posterior in memory; nothing is changed. See ``docs/how-to/recommend.md``.

        Parameters
        ----------
        current_parameters : one value, that the spec offers, for each parameter of the strategy.
        performance_history : further executions, learned from for this answer alone. Those with a
            ``decision_id`` are in the log already, and are left out.
        context : the question is about; None: about the average of all contexts known.
        strategy : whose parameters these are; None where only one has parameters of these names.
        max_step : places among a parameter's listed numbers. max_change : of a range's value, as a share.
        confidence : probability of being better that a change needs. min_gain : reward that it needs.

        Raises
        ------
        InputInvalid, ArmUnknown, ContextInvalid : bad input.
        """
        self._check_open()
        from ...insights.recommending import optimize_parameters  # noqa: PLC0415 - loads the compiler

        return optimize_parameters(
            self._learner,
            current_parameters,
            performance_history,
            context=context,
            strategy=strategy,
            max_step=max_step,
            max_change=max_change,
            confidence=confidence,
            min_gain=min_gain,
            time=clock.time(),
        )

    async def record_execution(
        self,
        agent_id: str,
        execution_result: ExecutionResult | Outcome | Mapping[str, Any],
        performance_metrics: PerformanceMetrics | Mapping[str, float] | None = None,
        *,
        agent_type: str | None = None,
        execution_id: str | None = None,
        decision_id: str | None = None,
    ) -> ExecutionReceipt:
        """Store what an agent did, once; with a decision's id, it is that decision's outcome too.

        Without a decision nothing is learned from it: it tells how agents do
        (``analyze_agent_performance_by_type``). With one, ``update_reward`` comes first, and the execution is
        stored behind it, with credit to its agent.

        Parameters
        ----------
        agent_id : who executed. agent_type : of which kind.
        execution_result : an ``ExecutionResult``, an ``Outcome``, or a mapping with ``success``.
        performance_metrics : what the result does not tell.
        execution_id : idempotency key; by default the decision's id, or a random one. The same report again
            changes nothing.
        decision_id : of the decision that led to the execution.

        Raises
        ------
        InputInvalid, OutcomeInvalid : bad input; nothing is stored.
        RewardConflict : another report is stored for this execution, or for the decision.
        DecisionUnknown, RewardTooLate : as of ``update_reward``; nothing is stored.
        DatabaseUnavailable, Overloaded (retryable) : the execution is not stored: send it again. It is not
            spooled; an outcome of a decision is, as by ``update_reward``.
        """
        self._check_open()
        from ..recording import Recording, checked_report, record  # noqa: PLC0415 - loads the compiler

        row, result = checked_report(
            agent_id,
            execution_result,
            performance_metrics,
            agent_type=agent_type,
            execution_id=execution_id,
            decision_id=decision_id,
        )
        if self._recording is None:
            self._recording = Recording(self._pool, self.spec.name)
        return await record(self._recording, self._parts.reporting, row, result)

    async def explain(self, decision: Decision | str) -> Explanation:
        """Why this arm: what was known of each arm then, the draw, guardrails, and what would change it.

        The learner is folded from the log up to the row that the decision knew: nothing that came later is
        told. Decisions that are not stored yet are explained too. See ``docs/how-to/explain.md``.

        Parameters
        ----------
        decision : the decision, or its id.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored, or remembered by this process.
        StateDropped : retention dropped the decision, or rows that it knew.
        DocumentInvalid : the log has a gap, or the spec that decided is not stored.
        DatabaseUnavailable : the log cannot be read, and was not at hand.
        """
        self._check_open()
        from ..explaining import explain_told  # noqa: PLC0415 - loads the compiler

        return await explain_told(self._store, self._learner, self._parts.remembered, decision)
