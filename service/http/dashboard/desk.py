"""What the dashboard holds while its server runs, and the frame around every page: who looks, and errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ....errors import NyxError
from ...engine import LearningEngine
from ..bandits import Bandits
from ..keys import KeyFile, Role
from ..problems import Refused, status_of
from .live import Live
from .reading import Reading
from .render import HEADERS, page
from .session import Sessions, Visitor, check_form, set_cookie

__all__ = ["BeingOpened", "Desk", "Visit", "asset_answer", "framed", "go"]

_LOG = logging.getLogger("nyx_learning")
_FORM_BYTES = 64 * 1024
_OPENING_S, _AGAIN = 0.3, "2"
_FORM = "application/x-www-form-urlencoded"


class Desk:
    """Sessions, streams and answers of one process."""

    def __init__(self, secret: str, keys: KeyFile | None, streams: int, streams_each: int) -> None:
        self.sessions = Sessions(secret, keys)
        self.live = Live(streams, streams_each)
        self.reading: Reading

    @asynccontextmanager
    async def at_work(self, bandits: Bandits) -> AsyncIterator[None]:
        """Answer, as long as the bandits are open."""
        self.reading = Reading(bandits.pool)
        try:
            yield
        finally:
            await self.live.close()
            await self.reading.close()


class BeingOpened(Exception):
    """The bandit of this name is on its way."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser."""

    request: Request
    visitor: Visitor
    bandits: Bandits
    desk: Desk

    @property
    def reading(self) -> Reading:
        """Where pages read from."""
        return self.desk.reading

    def asked(self, name: str) -> str:
        """A part of the query; empty where it is missing."""
        return str(self.request.query_params.get(name, ""))

    async def engine(self) -> LearningEngine:
        """The engine of the bandit that is asked for.

        Raises
        ------
        BanditUnknown, Overloaded : as in ``Bandits.get``.
        BeingOpened : it is not there yet, and comes; the page says so meanwhile.
        """
        name = self.asked("bandit")
        engine = await self.bandits.soon(name, _OPENING_S)
        if engine is None:
            raise BeingOpened(name)
        return engine

    async def form(self) -> dict[str, list[str]]:
        """The fields of a form of this session.

        Raises
        ------
        Refused : it is none, or too long, or comes from elsewhere.
        """
        fields = await _fields(self.request)
        check_form(self.request, self.visitor, {name: values[-1] for name, values in fields.items()})
        return fields

    def shown(self, template: str, code: int = 200, /, **values: Any) -> Response:
        """A page for this visitor; ``code`` : of HTTP."""
        frame = {"visitor": self.visitor, "guarded": self.desk.sessions.guarded}
        return page(template, code, **frame, **values)


Make = Callable[[Visit], Awaitable[Response]]


async def framed(request: Request, make: Make, role: Role | None = Role.READER) -> Response:
    """What ``make`` answers, for whoever may ask; the way to the login, or an error, as a page.

    role : that the visitor must have; None for pages of everybody.
    """
    desk: Desk = request.app.state.dashboard
    visitor = desk.sessions.visitor(request.cookies)
    visit = Visit(request, visitor, request.app.state.bandits, desk)
    if role is not None and visitor.role is None:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        answer: Response = go("/ui/login", next=path if request.method == "GET" else "/")
    else:
        try:
            _check_role(visitor, role)
            answer = await make(visit)
        except BeingOpened as opening:
            answer = _opening(visit, str(opening))
        except (NyxError, Refused) as error:
            answer = _failed(visit, error)
        except Exception as error:  # noqa: BLE001 (people get a page, whatever went wrong)
            answer = _failed(visit, _unexpected(request, error))
    # With pages alone, whose forms need it: another answer could come behind the login of another window.
    if visitor.fresh and answer.headers.get("content-type", "").startswith("text/html"):
        set_cookie(request, answer, visitor)
    return answer


def go(path: str, **query: str) -> Response:
    """Send the browser to another page."""
    told = f"?{urlencode(query, errors='replace')}" if query else ""
    return RedirectResponse(f"{path}{told}", HTTPStatus.SEE_OTHER, dict(HEADERS))


def asset_answer(content: bytes, kind: str) -> Response:
    """A file, which never changes under its address."""
    kept = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, 200, kept, kind)


def _opening(visit: Visit, name: str) -> Response:
    again = visit.request.url
    path = f"{again.path}?{again.query}" if again.query else again.path
    answer = visit.shown("opening.html", HTTPStatus.ACCEPTED, opening=name, again=path, bandit=None)
    # As a header it works without scripts, and only until the page has come.
    answer.headers["Refresh"] = _AGAIN
    return answer


def _unexpected(request: Request, error: Exception) -> Refused:
    _LOG.error("a page of %s failed", request.url.path, exc_info=error)
    return Refused(
        500,
        "internal",
        "the server made a mistake",
        expected="a page",
        found=type(error).__name__,
        fix="see the server's log, and report it; the other pages may work",
    )


def _failed(visit: Visit, error: NyxError | Refused) -> Response:
    status = error.status if isinstance(error, Refused) else status_of(error)
    told: Mapping[str, Any] = {
        "what": error.what,
        "expected": error.expected,
        "found": error.found,
        "fix": error.fix,
        "code": error.code,
    }
    return visit.shown("error.html", status, error=told, bandit=None)


def _check_role(visitor: Visitor, role: Role | None) -> None:
    if role is not None and visitor.role is not None and visitor.role < role:
        raise _forbidden(role, visitor.role)


def _forbidden(role: Role, found: Role) -> Refused:
    return Refused(
        403,
        "key_forbids",
        "your key may look, and not do this",
        expected=f"a key of role {role.name.lower()}",
        found=f"a {found.name.lower()}'s",
        fix=f"log in with another key: nyx-learning key create --role {role.name.lower()}",
    )


async def _fields(request: Request) -> dict[str, list[str]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body() if kind == _FORM else b""
    try:
        if kind != _FORM or len(body) > _FORM_BYTES:
            raise ValueError(kind)  # noqa: TRY301 - one message for all that is wrong with it
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=2000
        )
    except ValueError:
        raise Refused(
            422,
            "form_invalid",
            "the form cannot be read",
            expected=f"{_FORM} of at most {_FORM_BYTES:,} bytes",
            found=f"{kind or 'no type'!r:.60}, {len(body):,} bytes",
            fix="send the form of the page",
        ) from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields
