"""Questions about a bandit's log, and their answers, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from .models import _Request, _Value

__all__ = [
    "AdaptationAnswer",
    "AdaptationRequest",
    "AnomalyAnswer",
    "AnomalyList",
    "FailuresAnswer",
    "FoundAnswer",
    "MonitoringAnswer",
    "PatternsAnswer",
    "PredictionAnswer",
    "PredictionRequest",
    "ReportAnswer",
    "TrendsAnswer",
]

_Amount = Annotated[float, Field(allow_inf_nan=False)]


class AnomalyAnswer(BaseModel):
    """An odd execution; ``anomaly`` says how odd, and what was expected."""

    seq: int
    row: int
    arm_id: str
    time: float | None
    alert: bool
    anomaly: dict[str, Any]


class AnomalyList(BaseModel):
    """Odd executions, the latest first; ``before=`` the last one's ``seq`` goes on."""

    anomalies: list[AnomalyAnswer]


class MonitoringAnswer(BaseModel):
    """How far the spec's monitors have come; null where it has none."""

    monitoring: dict[str, Any] | None


class PredictionRequest(_Request):
    """An execution to expect something of."""

    context: dict[str, _Value] = Field(default_factory=dict)
    arm: str = Field(description="An arm id, or a strategy for its arms as they were used.")


class PredictionAnswer(BaseModel):
    """Probability of success, seconds and cost, each with an interval; ``cold`` where little is known."""

    strategy: str
    success: dict[str, Any]
    duration_s: dict[str, Any]
    cost: dict[str, Any]
    first_seq: int
    state_seq: int
    notes: list[str]
    coverage: float
    cold: bool


class AdaptationRequest(_Request):
    """A running execution; ``current`` and ``expected`` hold duration_s, tokens, cost and so on."""

    decision_id: str
    current: dict[str, _Amount]
    expected: dict[str, _Amount] | None = None
    stakes: dict[str, _Amount] | None = Field(None, description="The fields of AdaptationStakes.")
    limit_s: _Amount | None = None
    retries: bool = True
    alternatives: list[str] = Field(default_factory=list, max_length=100)


class AdaptationAnswer(BaseModel):
    """What to do: continue, extend, retry, switch or abort."""

    action: str
    arm_id: str | None
    values: dict[str, float]
    until_s: float | None
    success_probability: float | None
    enough_evidence: bool
    executions: int
    reasons: list[str]
    should_adapt: bool


class TrendsAnswer(BaseModel):
    """For each metric its level, trend and forecast, or why there is none."""

    trends: list[dict[str, Any]]


class PatternsAnswer(BaseModel):
    """Which strategies stand out where."""

    patterns: list[dict[str, Any]]
    by: list[str]
    executions: int
    thin: int
    reason: str | None


class FailuresAnswer(BaseModel):
    """Error codes that repeat, their sequences, and what they go with."""

    codes: list[dict[str, Any]]
    sequences: list[dict[str, Any]]
    executions: int
    with_errors: int
    reason: str | None


class FoundAnswer(BaseModel):
    """What was found: as ``to_dict()`` of the engine's answer writes it."""

    model_config = ConfigDict(extra="allow")
    executions: int
    reason: str | None


class ReportAnswer(BaseModel):
    """Arms, cohorts, and the verdict on the learner beside the holdout."""

    bandit: str
    baseline_arm: str | None
    metric: str
    decisions: int
    rewards: int
    learner: float | None
    holdout: float | None
    arms: list[dict[str, Any]]
    verdict: dict[str, Any] | None
    why_no_verdict: str | None
