"""Overrides and budgets, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from .models import _Request

__all__ = [
    "BudgetAnswer",
    "BudgetList",
    "OverrideAnswer",
    "OverrideList",
    "OverrideRequest",
    "ReservationAnswer",
    "ReservationRequest",
    "RevocationRequest",
    "SettlementRequest",
]

_Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Reason = Annotated[str, Field(min_length=1, max_length=500, description="Why; kept in the log.")]


class OverrideRequest(_Request):
    """A rule to order; who orders it is the name of the key."""

    rule: str = Field(description="pin, exclude, pause, retire, cap, ramp, kill_switch, shadow or freeze.")
    arms: list[str] = Field(
        default_factory=list,
        max_length=1024,
        description="Arm ids or strategy names; none for the last three.",
    )
    reason: _Reason
    share: float | None = Field(None, description="Of cap, and what ramp begins with.")
    rows: int | None = Field(None, description="Of ramp: rewards at which the arm is no more held back.")
    until: float | None = Field(None, description="It expires then, in seconds since 1970.")


class RevocationRequest(_Request):
    """The end of an override."""

    reason: _Reason


class OverrideAnswer(BaseModel):
    """An override; ``seq`` is the number of its row of the log, and revokes it."""

    seq: int
    rule: str
    arms: list[str]
    share: float | None
    rows: int | None
    until: float | None
    set_at: float | None
    author: str
    reason: str


class OverrideList(BaseModel):
    """Overrides in the order of their rows."""

    overrides: list[OverrideAnswer]


class ReservationRequest(_Request):
    """What an execution may use at most, by metric of the spec's hard budgets."""

    maximum: dict[str, _Amount] = Field(min_length=1, max_length=100)


class SettlementRequest(_Request):
    """What an execution has used, by metric of the spec's hard budgets."""

    used: dict[str, _Amount] = Field(min_length=1, max_length=100)


class ReservationAnswer(BaseModel):
    """What a decision's execution holds, by name of the budget."""

    decision_id: str
    amounts: dict[str, Any]


class BudgetAnswer(BaseModel):
    """A hard budget in its present window; left = limit − held − spent."""

    name: str
    begins_at: float
    ends_at: float
    held: float
    spent: float
    left: float


class BudgetList(BaseModel):
    """The spec's hard budgets."""

    budgets: list[BudgetAnswer]
