"""What a request must keep to before anything reads it: length of the body, rate of the caller, host."""

from __future__ import annotations

import time as clock
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem

__all__ = ["BodyLimit", "LocalHost", "RateLimit", "is_foreign"]

_CALLERS_MAX = 10_000
_HARMLESS = {"GET", "HEAD", "OPTIONS"}


class BodyLimit:
    """Refuses bodies that are too long: by what they say of themselves, and by what comes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        announced = _header(scope, b"content-length") or "0"
        if not announced.isdigit() or int(announced) > self._limit:
            await self._refuse(scope, receive, send)
            return
        if announced != "0":
            await self._app(scope, receive, send)  # the server reads no more than was announced
            return
        # Chunked: read it here, because an answer cannot be taken back once the route has begun.
        parts, length = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            length += len(parts[-1])
            if length > self._limit:
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        body: Message | None = {"type": "http.request", "body": b"".join(parts), "more_body": False}

        async def once() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            message, body = body, None
            return message

        await self._app(scope, once, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(
            413,
            "body_too_long",
            "the body of the request is too long",
            expected=f"at most {self._limit:,} bytes",
            found="more",
            fix="send the items in several requests",
            retryable=False,
        )
        await answer(scope, receive, send)


class RateLimit:
    """A bucket of tokens for each caller: its key where it sends one, otherwise its address."""

    def __init__(self, app: ASGIApp, rate: float, burst: int) -> None:
        self._app, self._rate, self._burst = app, rate, float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if self._take(_caller(scope), clock.monotonic()):
            await self._app(scope, receive, send)
            return
        answer = problem(
            429,
            "rate_limited",
            "too many requests from this caller",
            expected=f"at most {self._rate:g} a second, {self._burst:g} at once",
            found="more",
            fix="wait a second, or send several items in one request",
            retryable=True,
        )
        await answer(scope, receive, send)

    def _take(self, caller: str, now: float) -> bool:
        tokens, then = self._buckets.pop(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        taken = tokens >= 1.0
        self._buckets[caller] = (tokens - 1.0 if taken else tokens, now)
        if len(self._buckets) > _CALLERS_MAX:
            self._buckets.popitem(last=False)
        return taken


class LocalHost:
    """Refuses other names for this machine: without keys, a page of another site must not reach it.

    (A browser lets a page talk to its own host; a name server can point that name here afterwards. And it
    lets any page send some requests without asking first, though not read the answers.)
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 or 403."""
        host = _header(scope, b"host")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name in {"localhost", "127.0.0.1", "[::1]"}:
            headers = None
            if scope["method"] not in _HARMLESS and _header(scope, b"origin"):
                headers = Headers(scope=scope)
            if headers is None or not is_foreign(headers):
                await self._app(scope, receive, send)
            else:
                await self._foreign(headers, scope, receive, send)
            return
        answer = problem(
            400,
            "host_refused",
            "without keys, the server answers only under the names of this machine",
            expected="localhost, 127.0.0.1 or [::1]",
            found=f"{name!r:.80}",
            fix="use one of these, or create a key: nyx-learning key create",
            retryable=False,
        )
        await answer(scope, receive, send)

    async def _foreign(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(
            403,
            "origin_refused",
            "without keys, the server takes nothing from pages of other sites",
            expected="no Origin, or this server's own",
            found=f"{headers.get('origin', '')!r:.80}",
            fix="send it from a program, or create a key: nyx-learning key create",
            retryable=False,
        )
        await answer(scope, receive, send)


def is_foreign(headers: Headers) -> bool:
    """Whether a browser says that a page of another site sent this; false where nothing is said."""
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host", "")
    except ValueError:  # no address at all
        return True


def _header(scope: Scope, name: bytes) -> str:
    """The first header of a name in small letters, as the server gives all of them; empty for none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def _caller(scope: Scope) -> str:
    presented = _header(scope, b"authorization")
    # Only the public half of the key: the secret stays nowhere in memory.
    _, _, key = presented.partition("nyx_")
    number = key.partition("_")[0][:16]
    client = scope.get("client")
    return f"key {number}" if number else f"address {client[0] if client else ''}"
