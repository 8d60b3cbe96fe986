"""Stored patterns, evidence and the record of advice, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from .models import _Request

__all__ = [
    "AdaptationRecordAnswer",
    "EvidenceAnswer",
    "EvidenceRequest",
    "EvolutionAnswer",
    "PatternsRequest",
    "StoredPatternsAnswer",
]

_Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
_Texts = Annotated[list[_Text], Field(max_length=1000)]
_Row = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]


class PatternsRequest(_Request):
    """What to look for; all of it has a default."""

    time_window_s: float | None = Field(None, description="Seconds back from now; all of them by default.")
    by: Annotated[list[str], Field(max_length=50)] | None = None
    min_occurrences: int = 3
    min_count: int = 20
    threshold_improvement: float = 0.15
    false_discovery_rate: float = 0.05
    keep: int = Field(100, ge=1, le=1000, description="Versions that stay; older ones are dropped.")


class StoredPatternsAnswer(BaseModel):
    """A stored version: its number, what was asked, and all patterns; null where none is stored."""

    patterns: dict[str, Any] | None


class EvolutionAnswer(BaseModel):
    """What appeared, strengthened, weakened or faded through the newest stored versions."""

    versions: list[int]
    patterns: list[dict[str, Any]]
    reason: str | None


class EvidenceFilter(_Request):
    """``evidence`` of an opportunity, as its answer has it."""

    model_config = ConfigDict(extra="ignore", strict=True)
    context: Annotated[dict[_Text, _Text], Field(max_length=50)] = Field(default_factory=dict)
    arms: _Texts = Field(default_factory=list)
    error_codes: _Texts = Field(default_factory=list)
    first_seq: _Row | None = None
    last_seq: _Row | None = None


class EvidenceRequest(_Request):
    """Of which opportunity the executions are wanted."""

    evidence: EvidenceFilter
    limit: int = Field(1000, ge=1, le=100_000)


class EvidenceAnswer(BaseModel):
    """Executions that went an opportunity's way, in the order of the log; ``found`` : how many there are."""

    executions: list[dict[str, Any]]
    found: int


class AdaptationRecordAnswer(BaseModel):
    """Of each action that was advised: how often, how often followed, what it promised, and what came."""

    advised: int
    actions: list[dict[str, Any]]
