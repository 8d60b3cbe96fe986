"""Login and logout, the files of the pages, and the stream of news."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ....errors import NyxError
from ....persistence.dashboard import beat, decided
from ....persistence.database import reaching
from ..problems import Refused, problem_of
from .desk import Desk, Visit, asset_answer, framed, go
from .render import ASSETS, HEADERS, asset_bytes
from .session import set_cookie

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_COUNT_EVERY = 10  # looks between two that ask the database for decisions without rewards


@router.get("/ui/login")
async def login_page(request: Request) -> Response:
    """Where a key is given."""
    return await framed(request, _login_page, None)


@router.post("/ui/login")
async def login(request: Request) -> Response:
    """Begin a session."""
    return await framed(request, _login, None)


@router.post("/ui/logout")
async def logout(request: Request) -> Response:
    """End a session."""
    return await framed(request, _logout, None)


@router.get("/ui/static/{name}")
async def static(name: str) -> Response:
    """A style sheet, a script or a picture."""
    if name not in ASSETS:
        return Response(status_code=404, headers=dict(HEADERS))
    return asset_answer(asset_bytes(name), ASSETS[name])


@router.get("/ui/events")
async def events(request: Request) -> Response:
    """Server-sent events: something about a bandit, or all of them, has changed."""
    # A script reads it, which the way to the login tells nothing.
    return await framed(request, _events, None)


async def _login_page(visit: Visit) -> Response:
    return visit.shown("login.html", bandit=None, next=_inside(visit.asked("next")), wrong=False)


async def _login(visit: Visit) -> Response:
    form = await visit.form()
    after = _inside(form.get("next", [""])[-1])
    visitor = visit.desk.sessions.open(form.get("key", [""])[-1].strip())
    if visitor is None:
        return visit.shown("login.html", 401, bandit=None, next=after, wrong=True)
    answer = go(after)
    set_cookie(visit.request, answer, visitor)
    return answer


async def _logout(visit: Visit) -> Response:
    await visit.form()
    answer = go("/ui/login" if visit.desk.sessions.guarded else "/")
    set_cookie(visit.request, answer, visit.desk.sessions.closed())
    return answer


async def _events(visit: Visit) -> Response:
    """The stream; refusals are read by programs, and are no pages."""
    live, subject = visit.desk.live, visit.asked("bandit") or None
    try:
        if visit.visitor.role is None:
            raise _session_ended()
        if subject is not None:
            await visit.bandits.get(subject)
        leave = live.enter(visit.visitor.key)
    except (NyxError, Refused) as error:
        answer = await problem_of(visit.request, error)
        answer.headers.update(HEADERS)
        return answer
    events = live.stream(subject, _look(visit, subject), _gone(visit), _known(visit, subject))
    return _Stream(events, leave)


class _Stream(StreamingResponse):
    """An answer that holds its place until it has ended, whether it began or not."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], None]) -> None:
        super().__init__(events, 200, dict(HEADERS), "text/event-stream")
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is, as long as somebody listens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def _look(visit: Visit, subject: str | None) -> Callable[[], Awaitable[object]]:
    """What changes where the subject does: from memory; now and then also from the database."""
    bandits, count, stored = visit.bandits, 0, None

    async def look() -> object:
        nonlocal count, stored
        if count % _COUNT_EVERY == 0:
            with reaching():
                stored = await (beat(bandits.pool) if subject is None else decided(bandits.pool, subject))
        count += 1
        opened = bandits.opened if subject is None else {subject: await bandits.get(subject)}
        return stored, [
            (engine.state_seq, engine.spec.spec_hash, [problem.code for problem in engine.health().problems])
            for engine in opened.values()
        ]

    return look


def _known(visit: Visit, subject: str | None) -> Callable[[], int]:
    """Up to which row of a bandit's log this process has learned; 0 for all bandits together."""

    def known() -> int:
        engine = None if subject is None else visit.bandits.opened.get(subject)
        return 0 if engine is None else engine.state_seq

    return known


def _session_ended() -> Refused:
    return Refused(
        401,
        "session_ended",
        "nobody is logged in here, or no longer",
        expected="the cookie of a session whose key is known",
        found="none, or one that has ended",
        fix="log in: /ui/login",
    )


def _gone(visit: Visit) -> Callable[[], Awaitable[bool]]:
    desk: Desk = visit.desk

    async def gone() -> bool:
        revoked = desk.sessions.visitor(visit.request.cookies).role is None
        return revoked or await visit.request.is_disconnected()

    return gone


def _inside(path: str) -> str:
    """A path of this dashboard; the first page for whatever else was asked for."""
    try:
        split = urlsplit(path) if path.isprintable() and "\\" not in path else None
    except ValueError:  # such as //[
        split = None
    inside = split is not None and not split.scheme and not split.netloc
    known = split is not None and (split.path == "/" or split.path.startswith("/ui/"))
    return path if inside and known and not path.startswith("//") else "/"
