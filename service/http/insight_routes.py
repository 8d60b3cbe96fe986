"""What the log says, over HTTP: expectations, trends, patterns, anomalies, the report. Nothing is changed.

What reads many rows takes one of the few turns of ``Analyses``; where too many wait, the answer is 503.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from ...bandit.adapting import AdaptationStakes
from ...errors import InputInvalid
from ...features.monitors import PerformanceMetrics
from .access import reader
from .analyses import analysing
from .answers import finite, json_answer
from .bandits import engine_of
from .insight_models import (
    AdaptationAnswer,
    AdaptationRequest,
    AnomalyList,
    FailuresAnswer,
    FoundAnswer,
    MonitoringAnswer,
    PatternsAnswer,
    PredictionAnswer,
    PredictionRequest,
    ReportAnswer,
    TrendsAnswer,
)
from .problems import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/v1/bandits", tags=["insights"], responses=PROBLEMS)

_TURN = [reader, Depends(analysing)]
_WINDOW = Query(description="Seconds back from now; all of them by default.")
_Names = Annotated[list[str] | None, Query(max_length=50)]
_STYLED = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}


@router.get("/{name:path}/anomalies", dependencies=[reader], response_model=AnomalyList)
async def list_anomalies(
    request: Request,
    name: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=0, le=(1 << 63) - 1)] = None,
    arm: str | None = None,
) -> Response:
    """The odd executions that the monitors found, the latest first."""
    engine = await engine_of(request, name)
    found = await engine.anomalies(limit, before=before, arm=arm)
    return json_answer({"anomalies": [anomaly.to_dict() for anomaly in found]})


@router.get("/{name:path}/monitoring", dependencies=[reader], response_model=MonitoringAnswer)
async def monitoring(request: Request, name: str) -> Response:
    """How far the monitors have come, in whichever process they run."""
    engine = await engine_of(request, name)
    status = await engine.monitoring()
    return json_answer({"monitoring": None if status is None else asdict(status)})


@router.post("/{name:path}/predictions", dependencies=_TURN, response_model=PredictionAnswer)
async def predict(request: Request, name: str, asked: PredictionRequest) -> Response:
    """What an execution is expected to do: success, seconds and cost. Decides nothing, stores nothing."""
    engine = await engine_of(request, name)
    found = await engine.predict_workflow_performance(asked.context, asked.arm)
    return json_answer(finite(found.to_dict()))


@router.post("/{name:path}/adaptation", dependencies=_TURN, response_model=AdaptationAnswer)
async def advise(request: Request, name: str, asked: AdaptationRequest) -> Response:
    """Whether a running execution is worth waiting for. It is advice: nothing is stored."""
    engine = await engine_of(request, name)
    advice = await engine.should_adapt_workflow(
        PerformanceMetrics.from_dict(asked.current),
        None if asked.expected is None else PerformanceMetrics.from_dict(asked.expected),
        decision=asked.decision_id,
        stakes=None if asked.stakes is None else _stakes(asked.stakes),
        limit_s=asked.limit_s,
        retries=asked.retries,
        alternatives=asked.alternatives,
    )
    return json_answer(finite(advice.to_dict()))


@router.get("/{name:path}/trends", dependencies=_TURN, response_model=TrendsAnswer)
async def trends(
    request: Request,
    name: str,
    time_window_s: Annotated[float | None, _WINDOW] = None,
    metrics: _Names = None,
    bucket_s: float | None = None,
    steps: Annotated[int, Query(ge=1, le=1000)] = 24,
    coverage: float = 0.9,
) -> Response:
    """Level, trend and forecast of each metric, and whether it depends on the hour or the load."""
    engine = await engine_of(request, name)
    found = await engine.analyze_performance_trends(
        time_window_s, metrics=metrics, bucket_s=bucket_s, steps=steps, coverage=coverage
    )
    return json_answer({"trends": [finite(trend.to_dict()) for trend in found]})


@router.get("/{name:path}/patterns", dependencies=_TURN, response_model=PatternsAnswer)
async def strategy_patterns(
    request: Request,
    name: str,
    time_window_s: Annotated[float | None, _WINDOW] = None,
    by: _Names = None,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Success, reward, seconds and cost of each strategy in each kind of task, against the others there."""
    engine = await engine_of(request, name)
    found = await engine.analyze_strategy_patterns(
        time_window_s,
        by=by,
        min_count=min_count,
        coverage=coverage,
        false_discovery_rate=false_discovery_rate,
    )
    return json_answer(finite(found.to_dict()))


@router.get("/{name:path}/failures", dependencies=_TURN, response_model=FailuresAnswer)
async def failure_patterns(
    request: Request,
    name: str,
    min_occurrences: int = 3,
    time_window_s: Annotated[float | None, _WINDOW] = None,
    max_length: int = 3,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Error codes that repeat, sequences of them that are no chance, and what they go with."""
    engine = await engine_of(request, name)
    found = await engine.detect_failure_patterns(
        min_occurrences,
        time_window=time_window_s,
        max_length=max_length,
        false_discovery_rate=false_discovery_rate,
    )
    return json_answer(finite(found.to_dict()))


@router.get("/{name:path}/resources", dependencies=_TURN, response_model=FoundAnswer)
async def resource_patterns(
    request: Request,
    name: str,
    time_window_s: Annotated[float | None, _WINDOW] = None,
    margin: float = 0.02,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Timeouts, retries and limits against success and reward, with the knee of each curve."""
    engine = await engine_of(request, name)
    found = await engine.analyze_resource_patterns(
        time_window=time_window_s,
        margin=margin,
        min_count=min_count,
        coverage=coverage,
        false_discovery_rate=false_discovery_rate,
    )
    return json_answer(finite(found.to_dict()))


@router.get("/{name:path}/times", dependencies=_TURN, response_model=FoundAnswer)
async def temporal_patterns(
    request: Request,
    name: str,
    time_window_s: Annotated[float | None, _WINDOW] = None,
    by: _Names = None,
    min_count: int = 20,
    false_discovery_rate: float = 0.05,
) -> Response:
    """Whether success, reward, seconds and cost depend on the hour, the weekday or the load."""
    engine = await engine_of(request, name)
    found = await engine.analyze_temporal_patterns(
        time_window=time_window_s, by=by, min_count=min_count, false_discovery_rate=false_discovery_rate
    )
    return json_answer(finite(found.to_dict()))


@router.get(
    "/{name:path}/report",
    dependencies=_TURN,
    response_model=ReportAnswer,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def report(
    request: Request,
    name: str,
    metric: Literal["success", "reward"] = "success",
    min_lift: float = 0.2,
    confidence: float = 0.95,
    form: Literal["json", "html"] = "json",
) -> Response:
    """What each arm was worth, and whether learning has paid beside the holdout; ``form=html`` : a page."""
    engine = await engine_of(request, name)
    found = await engine.report(metric, min_lift=min_lift, confidence=confidence)
    if form == "html":
        return HTMLResponse(found.to_html(), headers=_STYLED)
    return json_answer(finite(found.to_dict()))


def _stakes(told: dict[str, float]) -> AdaptationStakes:
    known = set(AdaptationStakes.__dataclass_fields__)
    if not told.keys() <= known:
        raise InputInvalid(
            "these are no stakes",
            expected=f"some of {sorted(known)}",
            found=f"{sorted(told.keys() - known)}"[:200],
            fix="rename them, or leave them out",
        )
    return AdaptationStakes(**told)
