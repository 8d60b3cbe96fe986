"""The application of a worker process, which knows its options from its parent."""

from __future__ import annotations

from fastapi import FastAPI

from ...errors import InputInvalid
from ..settings import Settings
from .app import create_app
from .options import ServeOptions
from .pauses import Pauses

__all__ = ["app"]


def app() -> FastAPI:
    """What ``nyx-learning serve`` runs in each process."""
    options = Settings.read().serve
    if options is None:
        raise InputInvalid(
            "the worker has no options",
            expected="NYX_SERVE, as 'nyx-learning serve' sets it",
            found="none",
            fix="start it with nyx-learning serve, or build an application with create_app(ServeOptions())",
        )
    return create_app(ServeOptions.from_json(options), pauses=Pauses())
