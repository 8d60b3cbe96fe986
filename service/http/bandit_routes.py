"""Bandits over HTTP: create, list, look at."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from .access import admin, reader
from .answers import bandit_document, belief_document, json_answer
from .bandits import Bandits
from .models import BanditAnswer, BanditList, BeliefsAnswer, BeliefsRequest
from .problems import PROBLEMS

__all__ = ["router"]

router = APIRouter(prefix="/v1/bandits", tags=["bandits"], responses=PROBLEMS)


@router.post("", dependencies=[admin], response_model=BanditAnswer)
async def create_bandit(request: Request, spec: dict[str, Any]) -> Response:
    """Create a bandit, or go over to a changed spec; ``spec`` is what ``BanditSpec.to_dict()`` writes.

    The same spec again changes nothing.
    """
    bandits: Bandits = request.app.state.bandits
    return json_answer(bandit_document(await bandits.put(spec)))


@router.get("", dependencies=[reader], response_model=BanditList)
async def list_bandits(request: Request) -> Response:
    """Every bandit of the database."""
    bandits: Bandits = request.app.state.bandits
    return json_answer({"bandits": await bandits.names()})


@router.post("/{name:path}/beliefs", dependencies=[reader], response_model=BeliefsAnswer)
async def beliefs(request: Request, name: str, asked: BeliefsRequest) -> Response:
    """What the bandit believes of each arm in a context; changes nothing."""
    bandits: Bandits = request.app.state.bandits
    engine = await bandits.get(name)
    held = engine.beliefs(asked.context, eligible=asked.eligible)
    return json_answer(
        {
            "bandit": name,
            "state_seq": engine.state_seq,
            "beliefs": [belief_document(belief) for belief in held],
        }
    )


@router.get("/{name:path}", dependencies=[reader], response_model=BanditAnswer)
async def get_bandit(request: Request, name: str) -> Response:
    """A bandit's spec, and how far its process knows the log."""
    bandits: Bandits = request.app.state.bandits
    return json_answer(bandit_document(await bandits.get(name)))
