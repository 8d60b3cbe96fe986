"""Is it alive, is it ready, does it learn: three questions, for three who ask. And what it counts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from ..health import Health
from .access import reader
from .answers import json_answer
from .bandits import Bandits
from .metrics import CONTENT_TYPE, Metrics
from .models import HealthAnswer
from .standings import Standings
from .state import state_of

__all__ = ["router"]

router = APIRouter(tags=["health"])

_ANSWERS: dict[int | str, dict[str, Any]] = {503: {"model": HealthAnswer, "description": "No."}}


def _answer(request: Request, question: str, *, details: bool) -> Response:
    bandits: Bandits = request.app.state.bandits
    found: dict[str, Health] = {name: engine.health() for name, engine in bandits.opened.items()}
    good = all(getattr(health, question) for health in found.values())
    shown = {name: _document(health) for name, health in found.items()} if details else {}
    told: dict[str, Any] = {"ok": good, "bandits": shown}
    if details:
        told["server"] = state_of(request.app).to_dict()
    return json_answer(told, 200 if good else 503)


def _document(health: Health) -> dict[str, Any]:
    document = health.to_dict()
    # Where files lie is for who has the machine, not for who has a key.
    document["spool"].pop("folder")
    document["problems"] = [
        {"code": problem.code, "what": problem.what, "fix": problem.fix} for problem in health.problems
    ]
    document.pop("last_error")
    return document


@router.get("/health/live", response_model=HealthAnswer, responses=_ANSWERS)
async def live(request: Request) -> Response:
    """Whether the process works at all: where not, restart it. Needs no key."""
    return _answer(request, "live", details=False)


@router.get("/health/ready", response_model=HealthAnswer, responses=_ANSWERS)
async def ready(request: Request) -> Response:
    """Whether it decides from what was learned: where not, send requests elsewhere. Needs no key."""
    return _answer(request, "ready", details=False)


@router.get("/health/learning", dependencies=[reader], response_model=HealthAnswer, responses=_ANSWERS)
async def learning(request: Request) -> Response:
    """Whether what it is told reaches the log: where not, why, for each open bandit. It still decides.

    ``server`` : how reward windows are closed, and what concerns all bandits, such as a damaged file of keys.
    """
    return _answer(request, "learning", details=True)


@router.get("/metrics", dependencies=[reader], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Counts and gauges for Prometheus."""
    bandits: Bandits = request.app.state.bandits
    counted: Metrics = request.app.state.metrics
    counted.noted_problems(state_of(request.app).codes())
    standings: Standings = request.app.state.standings
    for name, standing in (await standings.read(bandits.pool, bandits.opened)).items():
        counted.logged(name, standing)
    return Response(counted.text(bandits.opened), media_type=CONTENT_TYPE)
