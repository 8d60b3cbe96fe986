"""The pages that show: bandits, and of one of them what it learned, how it is, and what it decided."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ....errors import DecisionUnknown
from ....persistence.dashboard import BanditRecord
from ...engine import LearningEngine
from .desk import Visit, framed
from .estimates import mean_of
from .reading import together
from .views import (
    arm_lines,
    event_lines,
    events_plot,
    example_context,
    reward_curve,
    success_curve,
)

__all__ = ["frame_of", "router"]

router = APIRouter(include_in_schema=False)

_ID_MAX = 1000


@router.get("/")
async def bandits(request: Request) -> Response:
    """All bandits."""
    return await framed(request, _bandits)


@router.get("/ui/bandit")
async def overview(request: Request) -> Response:
    """What a bandit has learned."""
    return await framed(request, _overview)


@router.get("/ui/health")
async def health(request: Request) -> Response:
    """How its learning is, and what was odd."""
    return await framed(request, _health)


@router.get("/ui/patterns")
async def patterns(request: Request) -> Response:
    """Failures that repeat, and what could be better."""
    return await framed(request, _patterns)


@router.get("/ui/decisions")
async def decisions(request: Request) -> Response:
    """Its newest decisions, and where their rewards stand."""
    return await framed(request, _decisions)


@router.get("/ui/decision")
async def decision(request: Request) -> Response:
    """One decision, and why it was made."""
    return await framed(request, _decision)


async def frame_of(visit: Visit, engine: LearningEngine, view: str) -> dict[str, Any]:
    """What every page of a bandit shows around its own content.

    ``state_seq`` : a row that guardrails and health know, while the database answers; read first, for rows
    come while the rest is asked for. Figures may be a second older.
    """
    state_seq = engine.state_seq
    guards = await visit.reading.guards(engine)
    return {
        "bandit": engine.spec.name,
        "view": view,
        "state_seq": state_seq,
        "health": engine.health(),
        "guards": guards,
    }


async def _bandits(visit: Visit) -> Response:
    found = await visit.reading.bandits()
    opened = {name: engine.health() for name, engine in visit.bandits.opened.items()}
    records: list[BanditRecord] = found.value or []
    means = {r.bandit: mean_of(r.rewards, r.mean or 0.0, r.sd) for r in records if r.rewards}
    return visit.shown("bandits.html", bandit=None, answer=found, records=records, means=means, opened=opened)


async def _overview(visit: Visit) -> Response:
    engine = await visit.engine()
    read = visit.reading
    frame, found, arms, choices, decided, waiting = await together(
        frame_of(visit, engine, "bandit"),
        read.stretches(engine),
        read.arms(engine),
        read.choices(engine),
        read.decided(engine),
        read.waiting(engine),
    )
    lines, in_all = arm_lines(engine.spec, arms.value, choices.value)
    return visit.shown(
        "overview.html",
        **frame,
        spec=engine.spec,
        stretches=found,
        reward=reward_curve(found.value or []),
        success=success_curve(found.value or []),
        arms=arms,
        lines=lines,
        arms_in_all=in_all,
        choices=choices,
        decided=decided,
        waiting=waiting,
        example=example_context(engine.spec),
    )


async def _health(visit: Visit) -> Response:
    engine = await visit.engine()
    read = visit.reading
    frame, events, waiting = await together(
        frame_of(visit, engine, "health"), read.events(engine), read.waiting(engine)
    )
    lines = event_lines(events.value or [])
    return visit.shown(
        "health.html",
        **frame,
        events=events,
        lines=lines,
        plot=events_plot(lines),
        waiting=waiting,
        watched=engine.spec.monitors is not None,
        window_s=engine.spec.reward.window_s,
    )


async def _patterns(visit: Visit) -> Response:
    engine = await visit.engine()
    read = visit.reading
    frame, failures, opportunities = await together(
        frame_of(visit, engine, "patterns"),
        read.analysis(engine, "failures", engine.detect_failure_patterns),
        read.analysis(engine, "opportunities", engine.identify_optimization_opportunities),
    )
    return visit.shown("patterns.html", **frame, failures=failures, opportunities=opportunities)


async def _decisions(visit: Visit) -> Response:
    engine = await visit.engine()
    frame, waiting = await together(frame_of(visit, engine, "decisions"), visit.reading.waiting(engine))
    return visit.shown("decisions.html", **frame, waiting=waiting, sought="")


async def _decision(visit: Visit) -> Response:
    engine = await visit.engine()
    sought = visit.asked("id").strip()
    frame = await frame_of(visit, engine, "decisions")
    try:
        found = await engine.decision(_checked(sought))
    except DecisionUnknown as error:
        waiting = await visit.reading.waiting(engine)
        return visit.shown("decisions.html", 404, **frame, waiting=waiting, sought=sought, error=error)
    reward, why = await together(
        engine.rewards(sought),
        visit.reading.analysis(engine, f"explain {sought}", partial(engine.explain, sought)),
    )
    return visit.shown("decision.html", **frame, decision=found, reward=reward, why=why, sought=sought)


def _checked(sought: str) -> str:
    if 0 < len(sought) <= _ID_MAX and sought.isprintable():
        return sought
    raise DecisionUnknown(
        "this can be no decision's id",
        expected=f"1 to {_ID_MAX} printable characters",
        found=f"{sought!r:.60}",
        fix="copy the id from the list of decisions, or from the log of the orchestrator",
    )
