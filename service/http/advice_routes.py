"""Advice and explanations over HTTP; and what agents report of their executions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from .access import reader, writer
from .advice_models import (
    AgentsAnswer,
    ExecutionAnswer,
    ExecutionRequest,
    ExplanationAnswer,
    OpportunitiesAnswer,
    ParametersAnswer,
    ParametersRequest,
    RecommendationAnswer,
    RecommendationRequest,
)
from .analyses import analysing
from .answers import finite, json_answer
from .bandits import engine_of, only_engine
from .problems import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["advice"], responses=PROBLEMS)

_TURN = [reader, Depends(analysing)]
_Window = Annotated[float | None, Query(description="Seconds back from now; all of them by default.")]
_Names = Annotated[list[str] | None, Query(max_length=50)]


@router.post("/bandits/{name:path}/recommendation", dependencies=_TURN, response_model=RecommendationAnswer)
async def recommend(request: Request, name: str, asked: RecommendationRequest) -> Response:
    """Which arm to run in a context, how sure that is, and why. Nothing is drawn, stored or learned."""
    engine = await engine_of(request, name)
    found = await engine.recommend_strategy(
        asked.context,
        eligible=asked.eligible,
        exclude=asked.exclude,
        alternatives=asked.alternatives,
        predict=asked.predict,
    )
    return json_answer(finite(found.to_dict()))


@router.post("/bandits/{name:path}/parameters", dependencies=_TURN, response_model=ParametersAnswer)
async def optimize(request: Request, name: str, asked: ParametersRequest) -> Response:
    """Which parameters to run a strategy with: a credibly better step away, or the present ones."""
    engine = await engine_of(request, name)
    found = await engine.optimize_parameters(
        asked.current,
        context=asked.context,
        strategy=asked.strategy,
        max_step=asked.max_step,
        max_change=asked.max_change,
        confidence=asked.confidence,
        min_gain=asked.min_gain,
    )
    return json_answer(finite(found.to_dict()))


@router.post("/bandits/{name:path}/executions", dependencies=[writer], response_model=ExecutionAnswer)
async def record(request: Request, name: str, asked: ExecutionRequest) -> Response:
    """Store what an agent did, once: the same report again changes nothing; another one: 409."""
    engine = await engine_of(request, name)
    receipt = await engine.record_execution(
        asked.agent_id,
        asked.result,
        asked.metrics,
        agent_type=asked.agent_type,
        execution_id=asked.execution_id,
        decision_id=asked.decision_id,
    )
    return json_answer(finite(receipt.to_dict()))


@router.get("/decisions/{decision_id:path}/explain", dependencies=_TURN, response_model=ExplanationAnswer)
async def explain(request: Request, decision_id: str, bandit: str | None = None) -> Response:
    """Why this arm: what was known then, the draw, guardrails, and what would change it.

    410: retention dropped what it knew. ``bandit`` : needed where the server has several.
    """
    engine = await only_engine(request, bandit)
    return json_answer(finite((await engine.explain(decision_id)).to_dict()))


@router.get("/bandits/{name:path}/opportunities", dependencies=_TURN, response_model=OpportunitiesAnswer)
async def opportunities(
    request: Request,
    name: str,
    threshold_improvement: float = 0.15,
    time_window_s: _Window = None,
    by: _Names = None,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Changes that would have brought more reward, doubly robust on the logged propensities, ranked."""
    engine = await engine_of(request, name)
    found = await engine.identify_optimization_opportunities(
        threshold_improvement,
        time_window=time_window_s,
        by=by,
        min_count=min_count,
        coverage=coverage,
        false_discovery_rate=false_discovery_rate,
    )
    return json_answer(finite(found.to_dict()))


@router.get("/bandits/{name:path}/agents", dependencies=_TURN, response_model=AgentsAnswer)
async def agents(
    request: Request,
    name: str,
    agent_type: str,
    task_complexity: str | None = None,
    time_window_s: _Window = None,
    by: _Names = None,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Success, reward, seconds and cost of agents of a type, against all others in the same cells."""
    engine = await engine_of(request, name)
    found = await engine.analyze_agent_performance_by_type(
        agent_type,
        task_complexity,
        time_window=time_window_s,
        by=by,
        min_count=min_count,
        coverage=coverage,
        false_discovery_rate=false_discovery_rate,
    )
    return json_answer(finite(found.to_dict()))
