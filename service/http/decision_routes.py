"""Decisions over HTTP. An id is an idempotency key: 200 on replay, 409 where something else was asked."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..bulk import ArmRequest
from .access import check_writer, reader, writer
from .answers import decision_document, json_answer, reward_document
from .bandits import Bandits
from .bodies import described, read_body
from .metrics import Metrics
from .models import DecisionAnswer, DecisionBatch, DecisionList, DecisionRequest, RewardAnswer
from .problems import PROBLEMS, Refused

__all__ = ["check_batch", "router"]

router = APIRouter(prefix="/v1", tags=["decisions"], responses=PROBLEMS)


@router.post(
    "/bandits/{name:path}/decisions",
    response_model=DecisionAnswer,
    openapi_extra=described(DecisionRequest),
)
async def decide(request: Request, name: str) -> Response:
    """Choose an arm for a context."""
    check_writer(request)
    asked = await read_body(request, DecisionRequest)
    bandits: Bandits = request.app.state.bandits
    metrics: Metrics = request.app.state.metrics
    engine = await bandits.get(name)
    decision = await engine.select_arm(
        asked.context,
        asked.decision_id,
        eligible=asked.eligible,
        exclude=asked.exclude,
        durable=asked.durable,
        deadline_s=asked.deadline_s,
    )
    metrics.decided(decision)
    return json_answer(decision_document(decision))


@router.post("/bandits/{name:path}/decisions/batch", dependencies=[writer], response_model=DecisionList)
async def decide_batch(request: Request, name: str, batch: DecisionBatch) -> Response:
    """Choose an arm for each of several contexts; all are checked before one is decided."""
    check_batch(request, len(batch.requests))
    for i, asked in enumerate(batch.requests):
        if asked.deadline_s is not None or not asked.durable:
            raise Refused(
                422,
                "request_invalid",
                f"item {i} of the batch asks for what only the whole batch can",
                expected="durable beside the list, and no deadline_s",
                found="durable=false or deadline_s within an item",
                fix="send durable with the batch; its deadline grows with its length",
            )
    bandits: Bandits = request.app.state.bandits
    metrics: Metrics = request.app.state.metrics
    engine = await bandits.get(name)
    asked_for = [ArmRequest(r.context, r.decision_id, r.eligible, r.exclude) for r in batch.requests]
    decisions = await engine.select_arms(asked_for, durable=batch.durable)
    for decision in decisions:
        metrics.decided(decision)
    return json_answer({"decisions": [decision_document(decision) for decision in decisions]})


@router.get("/decisions/{decision_id:path}", dependencies=[reader], response_model=RewardAnswer)
async def get_decision(request: Request, decision_id: str, bandit: str | None = None) -> Response:
    """A stored decision, and where its reward stands. ``bandit`` : needed where the server has several."""
    bandits: Bandits = request.app.state.bandits
    engine = await bandits.only(bandit)
    status = await engine.rewards(decision_id)
    return json_answer(reward_document(await engine.decision(decision_id), status))


def check_batch(request: Request, length: int) -> None:
    """Refuse a batch that is too long."""
    limit: int = request.app.state.options.batch
    if length > limit:
        raise Refused(
            413,
            "batch_too_long",
            "the batch has too many items",
            expected=f"at most {limit:,}",
            found=f"{length:,}",
            fix="send them in several requests",
        )
