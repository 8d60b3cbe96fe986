"""What opening an engine needs: checked options, and an embedded server that no cancelled caller leaves."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..bandit import BanditSpec
from ..errors import InputInvalid
from ..persistence.embedded import EmbeddedServer, start
from ..persistence.group_commit import WhenFull

__all__ = ["Options", "check_seconds", "checked", "start_embedded"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``LearningEngine.open``, which says what they mean."""

    data_home: Path | None = None
    connections: int = 4
    patience_s: float = 5.0
    thought_trees: str = "thought_trees"
    fail_open: bool = True
    deadline_s: float = 0.05
    spool: Path | None = None
    spool_fsync: bool = False
    queue_limit: int = 100_000
    when_full: WhenFull = "wait"


def checked(spec: object, dsn: object, options: Options) -> None:
    """Refuse unusable arguments of ``LearningEngine.open``, by their names."""
    folder = "a pathlib.Path, or None"
    checks = [
        (isinstance(spec, BanditSpec), "spec", "a BanditSpec", spec),
        (dsn is None or isinstance(dsn, str), "dsn", "a string such as postgresql://user@host/database", dsn),
        (
            type(options.connections) is int and 1 <= options.connections <= 1000,
            "connections",
            "an integer from 1 to 1000",
            options.connections,
        ),
        (_seconds(options.patience_s), "patience_s", _SECONDS, options.patience_s),
        (_seconds(options.deadline_s), "deadline_s", _SECONDS, options.deadline_s),
        (isinstance(options.fail_open, bool), "fail_open", "True or False", options.fail_open),
        (options.spool is None or isinstance(options.spool, Path), "spool", folder, options.spool),
        (isinstance(options.spool_fsync, bool), "spool_fsync", "True or False", options.spool_fsync),
        (
            type(options.queue_limit) is int and 1 <= options.queue_limit <= 10_000_000,
            "queue_limit",
            "an integer from 1 to 10,000,000",
            options.queue_limit,
        ),
        (options.when_full in {"wait", "refuse"}, "when_full", "'wait' or 'refuse'", options.when_full),
    ]
    for good, name, expected, found in checks:
        if not good:
            raise InputInvalid(
                f"'{name}' of LearningEngine.open is unusable",
                expected=expected,
                # A DSN may hold a password.
                found=f"{type(found).__name__}: {found!r:.100}" if name != "dsn" else type(found).__name__,
                fix=f"correct {name}",
            )


def check_seconds(name: str, value: object) -> None:
    """Refuse a time that nobody can wait for."""
    if not _seconds(value):
        raise InputInvalid(
            f"'{name}' is unusable",
            expected=_SECONDS,
            found=f"{type(value).__name__}: {value!r:.100}",
            fix=f"correct {name}",
        )


_SECONDS = "seconds from 0 to below 3600"


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 3600


async def start_embedded(home: Path, binaries: Path | None) -> EmbeddedServer:
    """Start the embedded server of a folder, or join it, beside the event loop."""
    executor = ThreadPoolExecutor(1, "nyx-start")
    starting = executor.submit(start, home, binaries=binaries)
    executor.shutdown(wait=False)
    try:
        return await asyncio.wrap_future(starting)
    except asyncio.CancelledError:
        # The thread cannot be stopped. It closes what it starts by itself: this loop may have ended by then.
        starting.add_done_callback(_close_started)
        raise


def _close_started(starting: Future[EmbeddedServer]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().close()
