"""Run the server: in this process, or in several that share one socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import uvicorn

from ...errors import InputInvalid
from ...persistence.database import close_pool, connect
from ...persistence.embedded import start
from ..settings import Settings
from .app import create_app
from .options import ServeOptions

__all__ = ["serve"]

_GRACE_S = 30
_WORKER = f"{__package__}.worker:app"


def serve(options: ServeOptions, *, workers: int, listening: Callable[[str, bool], None]) -> None:
    """Answer until SIGTERM or SIGINT; then end what has begun, and write what waits.

    listening : is told the URL, and whether callers need a key, as soon as the socket is open.

    Raises
    ------
    InputInvalid : it would be open to other machines without a key, or the address cannot be used.
    DatabaseUnavailable, DatabaseSetupFailed, SchemaMismatch : the database is of no use.
    """
    if workers > 1 and options.port == 0:
        raise InputInvalid(
            "several workers cannot find a free port together",
            expected="a port from 1 to 65535",
            found="port 0",
            fix="name a port, or serve with one worker",
        )
    guarded = create_app(options).state.keys is not None
    with ExitStack() as stack:
        settings = Settings.read()
        address = options.dsn or settings.database_url
        if address is None:
            server = start(settings.data_home, binaries=settings.postgres_bin)
            stack.callback(server.close)
            address = server.dsn
        options = replace(options, dsn=address, secret=secrets.token_hex(32))
        if workers > 1:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nyx-metrics-"))
            options = replace(options, metrics=folder)
            # The library looks for it when it is imported, in each worker.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        asyncio.run(_reach(address))
        os.environ["NYX_SERVE"] = options.to_json()
        told = _settings(options, workers)
        stack.enter_context(_outliving_signals())
        config = uvicorn.Config(_WORKER, **told)
        listener = _bound(config)
        stack.callback(listener.close)
        listening(_url(*listener.getsockname()[:2]), guarded)
        if workers > 1:
            listener.close()  # the workers' parent opens it again
            uvicorn.run(_WORKER, **told)
        else:
            uvicorn.Server(config).run(sockets=[listener])


def _bound(config: uvicorn.Config) -> socket.socket:
    try:
        return config.bind_socket()
    except SystemExit:  # it has logged why
        raise InputInvalid(
            "the server cannot listen there",
            expected="an address of this machine, and a port that is free and allowed",
            found=f"{config.host}, port {config.port}",
            fix="name another --port (0 finds a free one) or --host, or end what listens there",
        ) from None


@contextmanager
def _outliving_signals() -> Iterator[None]:
    """The server raises the signal that ended it once more, for whoever was there before: nobody is."""
    kept = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _settings(options: ServeOptions, workers: int) -> dict[str, Any]:
    return {
        "factory": True,
        "host": options.host,
        "port": options.port,
        "workers": workers,
        "lifespan": "on",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": _GRACE_S,
    }


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _reach(address: str) -> None:
    """Bring the schema up to date once, before several workers would."""
    await close_pool(await connect(address, connections=1))
