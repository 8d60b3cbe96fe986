"""Outcomes over HTTP: reports, corrections, retractions; each learned from exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ...bandit import Receipt
from ...bandit.reports import receipt_of
from ...errors import NyxError, OutcomeInvalid
from ...rewards import Outcome
from ..bulk import RewardReport
from ..engine import LearningEngine
from ..evaluations import reports_of_evaluations
from ..reporting import SPOOLED_REPORT
from .access import check_writer, writer
from .answers import json_answer, receipt_document
from .bandits import Bandits
from .bodies import described, read_body
from .decision_routes import check_batch
from .metrics import Metrics
from .models import EvaluationBatch, OutcomeBatch, OutcomeReport, ReceiptAnswer, ReceiptList
from .problems import PROBLEMS

__all__ = ["router"]

_PAIR = 2

router = APIRouter(prefix="/v1", tags=["outcomes"], responses=PROBLEMS)


@router.post(
    "/decisions/{decision_id:path}/outcome",
    response_model=ReceiptAnswer,
    openapi_extra=described(OutcomeReport),
)
async def report(request: Request, decision_id: str, bandit: str | None = None) -> Response:
    """Say what a decision was worth, correct that, or retract it; or that its execution was cancelled.

    ``bandit`` : needed where the server has several. The same report again is answered with the same receipt,
    ``applied`` false; another one of the same source and identifier with 409.
    """
    check_writer(request)
    told = await read_body(request, OutcomeReport)
    bandits: Bandits = request.app.state.bandits
    metrics: Metrics = request.app.state.metrics
    engine = await bandits.only(bandit)
    receipt = await _report(engine, decision_id, told)
    metrics.rewarded(engine.spec.name, receipt)
    return json_answer(receipt_document(receipt))


@router.post("/bandits/{name:path}/outcomes/batch", dependencies=[writer], response_model=ReceiptList)
async def report_batch(request: Request, name: str, batch: OutcomeBatch) -> Response:
    """Say what several decisions were worth, in few statements.

    A report that cannot be right refuses them all. What only the stored rows can refuse (a conflict, an
    unknown decision) stands as ``{"error": …}`` in the place of its receipt; the others are written.
    """
    check_batch(request, len(batch.reports))
    listed = [_listed(i, item.decision_id, item) for i, item in enumerate(batch.reports)]
    return await _report_all(request, name, listed)


@router.post("/bandits/{name:path}/evaluations", dependencies=[writer], response_model=ReceiptList)
async def report_evaluations(request: Request, name: str, batch: EvaluationBatch) -> Response:
    """Report what judges say of executions: events ``gen_ai.evaluation.result`` of OpenTelemetry.

    Each is a part of the outcome of the decision that it names (``nyx.decision.id``), from a source of its
    own: the same again changes nothing. See ``docs/how-to/observe.md``.
    """
    check_batch(request, len(batch.evaluations))
    scales = {name: (pair[0], pair[1]) for name, pair in batch.scales.items() if len(pair) == _PAIR}
    if len(scales) < len(batch.scales):
        raise OutcomeInvalid(
            "a scale is no pair",
            expected="[lowest, highest]",
            found=f"{sorted(batch.scales.keys() - scales.keys())}"[:200],
            fix='for example {"Relevance": [1, 5]}',
        )
    return await _report_all(
        request, name, reports_of_evaluations(batch.evaluations, fields=batch.fields, scales=scales)
    )


async def _report_all(request: Request, name: str, listed: list[RewardReport]) -> Response:
    bandits: Bandits = request.app.state.bandits
    metrics: Metrics = request.app.state.metrics
    engine = await bandits.get(name)
    answers: list[dict[str, Any]] = []
    refused = 0
    for answer in await engine.update_rewards(listed, errors="return"):
        if isinstance(answer, Receipt):
            metrics.rewarded(name, answer)
            answers.append(receipt_document(answer))
        else:
            refused += 1
            answers.append({"error": _error_document(answer)})
    return json_answer({"receipts": answers, "refused": refused})


async def _report(engine: LearningEngine, decision_id: str, told: OutcomeReport) -> Receipt:
    if told.retract or told.abandon:
        if len(told.model_fields_set) > 1:
            raise _no_report("the report ends the decision, and says something else too")
        return await (engine.retract(decision_id) if told.retract else _abandon(engine, decision_id))
    return await engine.update_reward(
        decision_id,
        None if told.outcome is None else Outcome.from_dict(told.outcome),
        reward=told.reward,
        part=told.part,
        source=told.source,
        identifier=told.identifier,
        corrects=told.corrects,
    )


def _listed(i: int, decision_id: str, told: OutcomeReport) -> RewardReport:
    if told.retract or told.abandon:
        raise _no_report(f"item {i} retracts or abandons a decision within a batch")
    try:
        outcome = None if told.outcome is None else Outcome.from_dict(told.outcome)
    except OutcomeInvalid as error:
        raise OutcomeInvalid(
            f"item {i}: {error.what}", expected=error.expected, found=error.found, fix=error.fix
        ) from error
    return RewardReport(
        decision_id, outcome, told.reward, told.part, told.source, told.identifier, told.corrects
    )


async def _abandon(engine: LearningEngine, decision_id: str) -> Receipt:
    written = await asyncio.shield(engine.abandon_soon(await engine.decision(decision_id)))
    if written.row is None:
        return Receipt(decision_id, 0, None, False, {}, (), SPOOLED_REPORT)
    return receipt_of(written.row, applied=written.applied)


def _no_report(what: str) -> OutcomeInvalid:
    return OutcomeInvalid(
        what,
        expected='{"retract": true} or {"abandon": true} alone, for one decision',
        found="it stands beside other fields, or in a batch",
        fix="send it as a request of its own",
    )


def _error_document(error: NyxError) -> dict[str, Any]:
    return {
        "code": error.code,
        "what": error.what,
        "expected": error.expected,
        "found": error.found,
        "fix": error.fix,
        "retryable": error.retryable,
    }
