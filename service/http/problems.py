"""Errors as ``application/problem+json`` (RFC 9457): a status, and the four parts."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...errors import NyxError, shown

__all__ = ["PROBLEMS", "Refused", "add_handlers", "problem", "problem_of", "status_of", "unexpected"]

_LOG = logging.getLogger("nyx_learning")
_MEDIA = "application/problem+json"
_RETRY_S = "1"

_STATUS: Mapping[str, int] = {
    "bandit_unknown": 404,
    "decision_unknown": 404,
    "decision_conflict": 409,
    "reward_conflict": 409,
    "guardrail_conflict": 409,
    "budget_exhausted": 409,
    "spec_superseded": 409,
    "reward_too_late": 410,
    "state_dropped": 410,
    "overloaded": 503,
    "database_unavailable": 503,
    "database_refused": 503,
    "database_setup_failed": 503,
    "schema_mismatch": 503,
    "keys_unreadable": 503,
    "package_missing": 501,
}
"""Status of each error that is not simply bad input."""

_DOCUMENT = {
    "type": "object",
    "required": ["type", "title", "status", "code", "expected", "found", "fix", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "expected": {"type": "string"},
        "found": {"type": "string"},
        "fix": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {_MEDIA: {"schema": _DOCUMENT}}}
    for status, text in {
        400: "The request cannot be read.",
        401: "There is no key, or it is not known.",
        403: "The key may not do this; or, without keys, a page of another site sent it.",
        404: "There is no such bandit or decision (a decision may still be on its way).",
        409: "Something else is stored under this id.",
        410: "The decision was closed before this came, or retention dropped what it knew.",
        413: "The body is too long.",
        422: "A value is out of its domain; nothing was changed.",
        429: "This caller makes too many requests.",
        503: "The database is away, or too much waits for it; the same request may be sent again.",
    }.items()
}
"""For the OpenAPI document: what every operation may answer."""


class Refused(Exception):
    """An answer that is no success, from outside the engine: keys, limits, paths."""

    def __init__(self, status: int, code: str, what: str, *, expected: str, found: str, fix: str) -> None:
        super().__init__(what)
        self.status, self.code, self.what = status, code, what
        self.expected, self.found, self.fix = expected, found, fix


def problem(
    status: int, code: str, what: str, *, expected: str, found: str, fix: str, retryable: bool
) -> Response:
    """A response of the four parts."""
    document = {
        "type": f"urn:nyx-learning:problem:{code}",
        "title": what,
        "status": status,
        "code": code,
        "expected": expected,
        "found": found,
        "fix": fix,
        "retryable": retryable,
    }
    headers = {"Retry-After": _RETRY_S} if status in {429, 503} else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    # ASCII: a lone surrogate that was sent must not break the answer.
    return Response(json.dumps(document), status, headers, _MEDIA)


def status_of(error: NyxError) -> int:
    """The HTTP status that says what kind of error it is."""
    return _STATUS.get(error.code, 422)


def add_handlers(app: FastAPI) -> None:
    """Let every error that a route raises become a problem."""
    app.add_exception_handler(NyxError, _engine_error)
    app.add_exception_handler(Refused, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, unexpected)


async def problem_of(request: Request, error: NyxError | Refused | RequestValidationError) -> Response:
    """What a route's error is answered with."""
    if isinstance(error, NyxError):
        return await _engine_error(request, error)
    return await (_refusal if isinstance(error, Refused) else _invalid)(request, error)


async def _engine_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NyxError)  # noqa: S101 - registered for these alone
    return problem(
        status_of(error),
        error.code,
        error.what,
        expected=error.expected,
        found=error.found,
        fix=error.fix,
        retryable=error.retryable,
    )


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - registered for these alone
    return problem(
        error.status,
        error.code,
        error.what,
        expected=error.expected,
        found=error.found,
        fix=error.fix,
        retryable=error.status in {429, 503},
    )


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    unreadable = first["type"] == "json_invalid"
    return problem(
        400 if unreadable else 422,
        "request_invalid",
        f"the request does not fit at {place}",
        expected=str(first["msg"]),
        found=shown(first.get("input")),
        fix="compare it with /openapi.json",
        retryable=False,
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    known = {
        404: ("path_unknown", "there is nothing under this path"),
        405: ("method_unknown", "this path does not take this method"),
    }
    code, what = known.get(error.status_code, ("request_invalid", "the request cannot be read"))
    answer = problem(
        error.status_code,
        code,
        what,
        expected="a path and method of /openapi.json",
        found=f"status {error.status_code}",
        fix="compare the request with /openapi.json",
        retryable=False,
    )
    answer.headers.update(error.headers or {})
    return answer


async def unexpected(request: Request, error: Exception) -> Response:
    """What a mistake of the server is answered with; it is logged."""
    _LOG.error("a request to %s failed", request.scope.get("path"), exc_info=error)
    return problem(
        500,
        "internal",
        "the server made a mistake",
        expected="an answer",
        found=type(error).__name__,
        fix="see the server's log, and report it",
        retryable=False,
    )
