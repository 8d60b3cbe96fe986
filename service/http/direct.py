"""The two most frequent requests, past the framework's routing and dependencies: these cost more than both.

The functions are those of the documented routes, called as the framework would call them, and their errors
become the same answers.
"""

from __future__ import annotations

from types import SimpleNamespace

from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import NyxError
from .decision_routes import decide
from .outcome_routes import report
from .problems import Refused, problem_of

__all__ = ["Direct"]

_DECIDE = ("/v1/bandits/", "/decisions")
_REPORT = ("/v1/decisions/", "/outcome")
_DECIDE_ROUTE = SimpleNamespace(path="/v1/bandits/{name:path}/decisions")
_REPORT_ROUTE = SimpleNamespace(path="/v1/decisions/{decision_id:path}/outcome")


class Direct:
    """Answers decisions and outcomes itself; all else goes on to the framework."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["method"] == "POST":
            path: str = scope["path"]
            name = _between(path, _DECIDE)
            decision_id = _between(path, _REPORT) if name is None else None
            if name is not None or decision_id is not None:
                scope["route"] = _REPORT_ROUTE if name is None else _DECIDE_ROUTE
                try:
                    response = await _answer(Request(scope, receive), name, decision_id)
                except ClientDisconnect:
                    return
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _answer(request: Request, name: str | None, decision_id: str | None) -> Response:
    try:
        if name is not None:
            return await decide(request, name)
        bandit = request.query_params.get("bandit") if request.scope["query_string"] else None
        return await report(request, decision_id or "", bandit)
    except (NyxError, Refused, RequestValidationError) as error:
        return await problem_of(request, error)


def _between(path: str, ends: tuple[str, str]) -> str | None:
    first, last = ends
    if not path.startswith(first) or not path.endswith(last) or "\n" in path:
        return None
    return path[len(first) : -len(last)] if len(path) >= len(first) + len(last) else None
