"""What is stored of analyses: versions of patterns, the executions behind one, and how advice has done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from .access import reader, writer
from .analyses import analysing
from .answers import finite, json_answer
from .bandits import engine_of
from .problems import PROBLEMS
from .stored_models import (
    AdaptationRecordAnswer,
    EvidenceAnswer,
    EvidenceRequest,
    EvolutionAnswer,
    PatternsRequest,
    StoredPatternsAnswer,
)

__all__ = ["router"]

router = APIRouter(prefix="/v1/bandits/{name:path}", tags=["insights"], responses=PROBLEMS)

_TURN = [reader, Depends(analysing)]


@router.post(
    "/patterns/stored", dependencies=[writer, Depends(analysing)], response_model=StoredPatternsAnswer
)
async def refresh_patterns(request: Request, name: str, asked: PatternsRequest) -> Response:
    """Find all patterns anew, and store them as the next version.

    Where the log has not moved since the newest version, and the same is asked, that one is the answer.
    """
    engine = await engine_of(request, name)
    found = await engine.refresh_patterns(
        asked.time_window_s,
        by=asked.by,
        min_occurrences=asked.min_occurrences,
        min_count=asked.min_count,
        threshold_improvement=asked.threshold_improvement,
        false_discovery_rate=asked.false_discovery_rate,
        keep=asked.keep,
    )
    return json_answer({"patterns": finite(found.to_dict())})


@router.get("/patterns/stored", dependencies=_TURN, response_model=StoredPatternsAnswer)
async def stored_patterns(
    request: Request, name: str, version: Annotated[int | None, Query(ge=1, le=1 << 62)] = None
) -> Response:
    """The newest stored patterns, or those of a version."""
    engine = await engine_of(request, name)
    found = await engine.patterns(version)
    return json_answer({"patterns": None if found is None else finite(found.to_dict())})


@router.get("/patterns/evolution", dependencies=_TURN, response_model=EvolutionAnswer)
async def pattern_evolution(
    request: Request, name: str, versions: Annotated[int, Query(ge=1, le=1000)] = 20
) -> Response:
    """What appeared, strengthened, weakened or faded through the newest stored versions."""
    engine = await engine_of(request, name)
    return json_answer(finite((await engine.pattern_evolution(versions)).to_dict()))


@router.post("/evidence", dependencies=_TURN, response_model=EvidenceAnswer)
async def evidence(request: Request, name: str, asked: EvidenceRequest) -> Response:
    """The executions that an opportunity's estimate rests on; ``evidence`` is what its answer has."""
    from ...insights.opportunities import Evidence  # noqa: PLC0415 - loads scipy

    engine = await engine_of(request, name)
    told = asked.evidence
    rows = await engine.evidence(
        Evidence(
            tuple(told.context.items()),
            tuple(told.arms),
            tuple(told.error_codes),
            told.first_seq,
            told.last_seq,
            rows=0,
            chosen=0,
        )
    )
    return json_answer({"executions": finite(rows[: asked.limit]), "found": len(rows)})


@router.get("/adaptation", dependencies=_TURN, response_model=AdaptationRecordAnswer)
async def adaptation_record(
    request: Request,
    name: str,
    time_window_s: Annotated[float | None, Query(description="Seconds back from now.")] = None,
) -> Response:
    """What advice on running executions promised, and what came, for each action."""
    engine = await engine_of(request, name)
    return json_answer(finite((await engine.adaptation_record(time_window_s)).to_dict()))
