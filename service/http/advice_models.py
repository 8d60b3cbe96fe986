"""Advice, explanations and executions, as the OpenAPI document tells them.

Answers hold more than is listed here: what ``to_dict()`` of the engine's answer writes.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from .models import _Request, _Value

__all__ = [
    "AgentsAnswer",
    "ExecutionAnswer",
    "ExecutionRequest",
    "ExplanationAnswer",
    "OpportunitiesAnswer",
    "ParametersAnswer",
    "ParametersRequest",
    "RecommendationAnswer",
    "RecommendationRequest",
]

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class RecommendationRequest(_Request):
    """A context to recommend for; nothing is drawn."""

    context: dict[str, _Value] = Field(default_factory=dict)
    eligible: list[str] | None = None
    exclude: list[str] | None = None
    alternatives: int = Field(3, ge=0, le=100)
    predict: bool = Field(False, description="Also say what success, seconds and cost to expect.")


class RecommendationAnswer(_Answer):
    """Which arm to run, and why."""

    arm_id: str
    strategy: str
    parameters: dict[str, Any]
    reasons: list[str]


class ParametersRequest(_Request):
    """The present parameters of a strategy."""

    current: dict[str, _Value] = Field(description="A value for each parameter of the strategy.")
    strategy: str | None = None
    context: dict[str, _Value] | None = Field(None, description="All contexts known, by default.")
    max_step: int = Field(1, ge=1, le=1000)
    max_change: float = 0.25
    confidence: float = 0.9
    min_gain: float = 0.0


class ParametersAnswer(_Answer):
    """Which parameters to run with, and why: a credibly better step away, or the present ones."""

    arm_id: str
    changed: bool
    reasons: list[str]


class ExecutionRequest(_Request):
    """What an agent did; with ``decision_id``, it is that decision's outcome too."""

    agent_id: _Name
    result: dict[str, Any] = Field(description="The fields of an ExecutionResult; only success is needed.")
    metrics: dict[str, float] | None = Field(None, description="What the result does not tell.")
    agent_type: _Name | None = None
    execution_id: _Name | None = Field(None, description="Idempotency key: the decision's id by default.")
    decision_id: _Name | None = None


class ExecutionAnswer(BaseModel):
    """The execution is stored; ``applied`` is false where the same report came before."""

    execution_id: str
    agent_id: str
    agent_type: str | None
    applied: bool
    decision_id: str | None
    receipt: dict[str, Any] | None


class ExplanationAnswer(_Answer):
    """Why a decision chose what it chose."""

    decision_id: str
    arm_id: str


class OpportunitiesAnswer(_Answer):
    """Changes that would have brought more, ranked."""

    opportunities: list[dict[str, Any]]
    executions: int
    reason: str | None
    notes: list[str]


class AgentsAnswer(_Answer):
    """How agents of a type do, against all others in the same cells."""

    agent_type: str
    n: int
    metrics: list[dict[str, Any]]
    reason: str | None
