"""The page of guardrails: overrides with their form, breakers and budgets; orders and revocations."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ....bandit import BanditSpec
from ....bandit.arms import ArmTable
from ....bandit.guardrails.override import OF_ARMS, RULES
from ....errors import InputInvalid, NyxError, shown
from ...engine import LearningEngine
from ..keys import Role
from ..problems import status_of
from .desk import Visit, framed, go
from .pages import frame_of

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_ARMS_LISTED = 60
_FIELDS = ("rule", "further", "share", "rows", "expires", "author", "reason")

RULE_WORDS: Mapping[str, str] = {
    "exclude": "exclude: never choose these arms",
    "pause": "pause: the same, they are expected back",
    "retire": "retire: the same, for good",
    "pin": "pin: choose only these arms",
    "cap": "cap: at most this share of decisions",
    "ramp": "ramp: a cap that grows with their rewards",
    "kill_switch": "kill switch: serve the baseline arm alone",
    "shadow": "shadow: the same, noting what would be chosen",
    "freeze": "freeze: learn nothing until revoked",
}
SPANS: Mapping[str, tuple[str, float | None]] = {
    "30m": ("30 minutes", 1800.0),
    "1h": ("1 hour", 3600.0),
    "4h": ("4 hours", 14_400.0),
    "1d": ("1 day", 86_400.0),
    "7d": ("7 days", 604_800.0),
    "never": ("when somebody revokes it", None),
}


@router.get("/ui/guardrails")
async def guardrails(request: Request) -> Response:
    """Overrides, breakers and budgets of a bandit."""
    return await framed(request, _guardrails)


@router.post("/ui/override")
async def override(request: Request) -> Response:
    """Order an override."""
    return await framed(request, _override, Role.ADMIN)


@router.post("/ui/revoke")
async def revoke(request: Request) -> Response:
    """End an override."""
    return await framed(request, _revoke, Role.ADMIN)


async def _guardrails(visit: Visit) -> Response:
    return await _shown(visit, await visit.engine(), {})


async def _override(visit: Visit) -> Response:
    form = await visit.form()
    engine = await visit.bandits.get(_one(form, "bandit"))
    rule = _one(form, "rule")
    try:
        span = SPANS.get(_one(form, "expires"))
        if span is None:
            raise _unusable("expiry", f"one of {', '.join(SPANS)}", _one(form, "expires"))
        arms = [name for name in form.get("arms", []) if name]
        further = _one(form, "further").strip()
        made = await engine.override(
            rule,
            ([*arms, further] if further else arms) if rule in OF_ARMS else (),
            author=_author(visit, form),
            reason=_one(form, "reason").strip(),
            share=_share(form) if rule in {"cap", "ramp"} else None,
            rows=_rows(form) if rule == "ramp" else None,
            until=None if span[1] is None else clock.time() + span[1],
        )
    except NyxError as error:
        return await _shown(visit, engine, form, error)
    return go("/ui/guardrails", bandit=engine.spec.name, ordered=str(made.seq))


async def _revoke(visit: Visit) -> Response:
    form = await visit.form()
    engine = await visit.bandits.get(_one(form, "bandit"))
    number = _one(form, "seq")
    try:
        seq = int(number) if number.isdecimal() and len(number) < 20 else 0
        await engine.revoke(seq, author=_author(visit, form), reason=_one(form, "reason").strip())
    except NyxError as error:
        return await _shown(visit, engine, form, error)
    return go("/ui/guardrails", bandit=engine.spec.name, revoked=str(seq))


async def _shown(
    visit: Visit, engine: LearningEngine, form: Mapping[str, list[str]], error: NyxError | None = None
) -> Response:
    rails = engine.spec.guardrails
    return visit.shown(
        "guardrails.html",
        200 if error is None else status_of(error),
        **await frame_of(visit, engine, "guardrails"),
        spec=engine.spec,
        rails=rails,
        choices=_names(engine.spec),
        rules=[(name, RULE_WORDS[name]) for name in sorted(RULES, key=list(RULE_WORDS).index)],
        spans=[(name, words) for name, (words, _) in SPANS.items()],
        form={name: _one(form, name) for name in _FIELDS},
        ticked=set(form.get("arms", ())),
        error=error,
        ordered=visit.asked("ordered"),
        revoked=visit.asked("revoked"),
    )


def _names(spec: BanditSpec) -> list[tuple[str, list[str]]]:
    """Strategies, each with its arms where these can be listed."""
    arms: dict[str, list[str]] = {strategy.name: [] for strategy in spec.strategies}
    if isinstance(spec.arms, ArmTable) and len(spec.arms) <= _ARMS_LISTED:
        for arm in spec.arms:
            if arm.arm_id != arm.strategy:
                arms[arm.strategy].append(arm.arm_id)
    return list(arms.items())


def _author(visit: Visit, form: Mapping[str, list[str]]) -> str:
    """The key's name: what stands in the log must be true. Without keys, what the form says."""
    return visit.visitor.name or _one(form, "author").strip()


def _one(form: Mapping[str, list[str]], name: str) -> str:
    values = form.get(name)
    return values[-1] if values else ""


def _share(form: Mapping[str, list[str]]) -> float:
    text = _one(form, "share").strip().removesuffix("%").strip()
    try:
        return float(text) / 100.0
    except ValueError:
        raise _unusable("share", "percent, from 0 to below 100", text) from None


def _rows(form: Mapping[str, list[str]]) -> int:
    text = _one(form, "rows").strip()
    if not text.isdecimal() or len(text) > 12:
        raise _unusable("number of rewards", "a whole number from 1 on", text)
    return int(text)


def _unusable(part: str, expected: str, found: Any) -> InputInvalid:
    return InputInvalid(
        f"the {part} of the override is unusable",
        expected=expected,
        found=shown(found, 60),
        fix="correct it in the form, and send it again",
    )
