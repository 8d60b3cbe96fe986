"""The application: routes, limits and problems around the open bandits.

What every request passes stands before the framework, not within: the two most frequent requests never
reach it, whose own layers would cost them as much as all the rest.
"""

from __future__ import annotations

import asyncio
import secrets
import time as clock
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ... import __version__
from ...errors import InputInvalid
from ..settings import Settings
from ..telemetry import configured, continued
from . import (
    advice_routes,
    bandit_routes,
    decision_routes,
    guardrail_routes,
    health_routes,
    insight_routes,
    outcome_routes,
    stored_routes,
)
from .analyses import Analyses
from .bandits import Bandits
from .dashboard import ROUTERS, Desk
from .direct import Direct
from .keys import KeyFile
from .limits import BodyLimit, LocalHost, RateLimit
from .metrics import Metrics
from .options import ServeOptions
from .pauses import Pauses
from .problems import add_handlers, unexpected
from .standings import Standings
from .state import state_of
from .windows import Windows

__all__ = ["create_app", "key_file"]

_ABOUT = "Which strategy to run, and what it was worth: a contextual bandit for orchestrators of AI agents."


def key_file(options: ServeOptions) -> KeyFile:
    """The file of the server's keys."""
    return KeyFile(Path(options.keys).expanduser() if options.keys else Settings.read().api_keys)


def create_app(options: ServeOptions | None = None, *, pauses: Pauses | None = None) -> FastAPI:
    """An ASGI application; the database is reached when it starts, and let go in order when it ends.

    pauses : decide when the process collects garbage, where it does nothing else but serve.

    Raises
    ------
    InputInvalid : it would be open to other machines without a key.
    """
    options = options or ServeOptions()
    keys = key_file(options)
    guarded = bool(keys.keys())
    if not guarded and not options.local:
        raise InputInvalid(
            "without keys, the server would be open to everybody who reaches this machine",
            expected="a key, or a host of this machine alone, such as 127.0.0.1",
            found=f"host {options.host}, and no key in {keys.path}",
            fix="create one: nyx-learning key create --role admin --name NAME",
        )
    app = _Application(
        title="NYX Learning",
        version=__version__,
        description=_ABOUT,
        lifespan=_lifespan(options, pauses),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.options = options
    app.state.keys = keys if guarded else None
    app.state.analyses = Analyses(options.analyses)
    app.state.standings = Standings()
    app.state.metrics = Metrics(shared=options.metrics is not None)
    # What takes a longer path comes first: the last segment of a path names the operation.
    for routes in (
        outcome_routes,
        guardrail_routes,
        stored_routes,
        insight_routes,
        advice_routes,
        decision_routes,
        bandit_routes,
        health_routes,
    ):
        app.include_router(routes.router)
    app.state.dashboard = Desk(
        options.secret or secrets.token_hex(32), app.state.keys, options.streams, options.streams_each
    )
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    front: ASGIApp = Direct(app.framework)  # the last that a request passes
    if options.rate > 0.0:
        front = RateLimit(front, rate=options.rate, burst=options.burst)
    front = BodyLimit(front, limit=options.body_bytes)
    if not guarded:
        front = LocalHost(front)
    app.front = _Timed(front, app.state.metrics, pauses)
    return app


class _Application(FastAPI):
    """The framework, behind what stands before it."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; all else, such as start and end, is the framework's."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.front(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the framework alone would answer."""
        await super().__call__(scope, receive, send)


def _lifespan(
    options: ServeOptions, pauses: Pauses | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        kept = nullcontext() if pauses is None else pauses.kept()
        async with kept, Bandits(options, None if pauses is None else pauses.settle) as bandits:
            app.state.bandits = bandits
            desk: Desk = app.state.dashboard
            metrics: Metrics = app.state.metrics
            windows = app.state.windows = Windows(bandits, options.close_windows_s, metrics.windows_closed)
            noted = metrics.noting(lambda: bandits.opened, lambda: state_of(app).codes())
            noting = asyncio.create_task(noted, name="nyx-metrics")
            try:
                async with desk.at_work(bandits), windows.at_work():
                    yield
            finally:
                noting.cancel()

    return lifespan


class _Timed:
    """Measures every request, by the route that took it: paths have ids in them. And answers mistakes."""

    def __init__(self, app: ASGIApp, metrics: Metrics, pauses: Pauses | None) -> None:
        self._app, self._metrics, self._pauses = app, metrics, pauses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        begin = clock.perf_counter()
        if self._pauses is not None:
            self._pauses.asked(clock.monotonic())
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if configured():
                with continued(Headers(scope=scope)):
                    await self._app(scope, receive, noting)
            else:
                await self._app(scope, receive, noting)
        except Exception as error:
            if not status:  # the framework answers its own
                await (await unexpected(Request(scope), error))(scope, receive, noting)
            raise  # the server logs it
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "any"
            self._metrics.answered(route, method, status or 500, clock.perf_counter() - begin)
