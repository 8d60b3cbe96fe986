"""Overrides and budgets over HTTP: what people order, and what executions may use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from ...bandit.guardrails import Override
from ...errors import GuardrailConflict
from ..engine import LearningEngine
from .access import admin, reader, writer
from .answers import json_answer
from .bandits import engine_of, only_engine
from .guardrail_models import (
    BudgetList,
    OverrideAnswer,
    OverrideList,
    OverrideRequest,
    ReservationAnswer,
    ReservationRequest,
    RevocationRequest,
    SettlementRequest,
)
from .problems import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["guardrails"], responses=PROBLEMS)

_Seq = Annotated[int, Path(ge=1, le=(1 << 63) - 1)]


@router.post("/bandits/{name:path}/overrides/{seq}/revocation", response_model=OverrideAnswer)
async def revoke_override(
    request: Request, name: str, seq: _Seq, asked: RevocationRequest, author: Annotated[str, admin]
) -> Response:
    """End an override, by the number of its row. The same again changes nothing."""
    engine = await engine_of(request, name)
    ended = await engine.revoke(seq, author=author, reason=asked.reason)
    return json_answer(ended.to_dict())


@router.post("/bandits/{name:path}/overrides", response_model=OverrideAnswer)
async def order_override(
    request: Request, name: str, asked: OverrideRequest, author: Annotated[str, admin]
) -> Response:
    """Order a guardrail, which every process obeys from its row of the log on.

    The same order again, while it is in force, is answered with the one that is; one that contradicts those
    in force with 409.
    """
    engine = await engine_of(request, name)
    standing = await _standing(engine, asked, author)
    if standing is None:
        try:
            standing = await engine.override(
                asked.rule,
                asked.arms,
                author=author,
                reason=asked.reason,
                share=asked.share,
                rows=asked.rows,
                until=asked.until,
            )
        except GuardrailConflict:
            # Of two who order the same at once, the second finds the first one's.
            standing = await _standing(engine, asked, author)
            if standing is None:
                raise
    return json_answer(standing.to_dict())


@router.get("/bandits/{name:path}/overrides", dependencies=[reader], response_model=OverrideList)
async def list_overrides(request: Request, name: str, *, expired: bool = False) -> Response:
    """The overrides in force; ``expired`` : also those that have expired."""
    engine = await engine_of(request, name)
    found = await engine.overrides(expired=expired)
    return json_answer({"overrides": [override.to_dict() for override in found]})


@router.get("/bandits/{name:path}/budgets", dependencies=[reader], response_model=BudgetList)
async def list_budgets(request: Request, name: str) -> Response:
    """The spec's hard budgets in their present windows."""
    engine = await engine_of(request, name)
    return json_answer({"budgets": [left._asdict() for left in await engine.budgets()]})


@router.post(
    "/decisions/{decision_id:path}/reservation", dependencies=[writer], response_model=ReservationAnswer
)
async def reserve(
    request: Request, decision_id: str, asked: ReservationRequest, bandit: str | None = None
) -> Response:
    """Hold what an execution may use at most of hard budgets, all or nothing. The same again changes nothing.

    409: not that much is left. ``bandit`` : needed where the server has several.
    """
    engine = await only_engine(request, bandit)
    return json_answer((await engine.reserve(decision_id, **asked.maximum))._asdict())


@router.post(
    "/decisions/{decision_id:path}/settlement", dependencies=[writer], response_model=ReservationAnswer
)
async def settle(
    request: Request, decision_id: str, asked: SettlementRequest, bandit: str | None = None
) -> Response:
    """Say what an execution has used; the rest of what it held is free again. Again, it changes nothing."""
    engine = await only_engine(request, bandit)
    return json_answer((await engine.settle(decision_id, **asked.used))._asdict())


async def _standing(engine: LearningEngine, asked: OverrideRequest, author: str) -> Override | None:
    """The override in force that this request has ordered already."""
    wanted = {**asked.model_dump(), "author": author}
    for known in await engine.overrides():
        document = known.to_dict()
        if all(document[part] == value for part, value in wanted.items()):
            return known
    return None
