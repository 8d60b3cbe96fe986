"""``health``: alive, ready to decide, learning; and where not, why, and what to do. Told from memory."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .parts import Parts

__all__ = ["Health", "Problem", "SpoolState", "health_of"]

_LATE_S = 5.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that impairs the engine: a stable code, what it is, where it comes from, what to do."""

    code: str
    what: str
    cause: str
    fix: str


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits on the local disk: records and bytes of the files that this process holds.

    ``folder`` None: there is no usable spool. ``damaged_bytes`` : of adopted files, kept beside them.
    """

    folder: str | None
    records: int
    bytes: int
    damaged_bytes: int


@dataclass(frozen=True, slots=True)
class Health:
    """How an engine is.

    live : it works at all; where not, restart the process.
    ready : it decides from what the bandit has learned; where not, from the prior (the database has not been
        reached since the engine was opened).
    learning : what it is told reaches the log, and it follows the log; where not, it still decides.
    state_seq, lag_rows, state_age_s : last row known; how many rows of the log were behind it when the log
        was last looked at; seconds since its end was last seen, None for never.
    conflicts, unlearned : decisions and reports that the database keeps and nothing learns from, as last
        seen.
    monitors_lag_rows : rows of the log that the monitors have not seen, where this process runs them; else
        None (``engine.monitoring()`` asks the database who does).
    last_error, last_error_age_s : of a write, however long ago; None for none.
    """

    live: bool
    ready: bool
    learning: bool
    problems: tuple[Problem, ...]
    state_seq: int
    lag_rows: int
    state_age_s: float | None
    spool: SpoolState
    conflicts: int
    unlearned: int
    last_error: str | None
    last_error_age_s: float | None
    monitors_lag_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def health_of(parts: Parts, *, closed: bool) -> Health:
    """The health of an engine's parts."""
    now = clock.time()
    availability, following, flushing = parts.availability, parts.following, parts.flushing
    spool = parts.spooling.spool
    confirmed = following.confirmed_at
    live = not closed and flushing.alive and (following.alive or not parts.arrival.ready)
    problems = tuple(_problems(parts, now, live=live, closed=closed))
    return Health(
        live,
        not closed and parts.arrival.ready,
        live and parts.arrival.done and not any(problem.code in _UNLEARNING for problem in problems),
        problems,
        parts.replica.seq,
        max(0, following.last_seen - parts.replica.seq),
        None if confirmed is None else max(0.0, now - confirmed),
        SpoolState(
            None if spool is None else str(spool.folder),
            0 if spool is None else len(spool),
            0 if spool is None else spool.bytes,
            0 if spool is None else spool.damaged_bytes,
        ),
        flushing.conflicts,
        flushing.unlearned,
        availability.error,
        None if availability.error_at is None else max(0.0, now - availability.error_at),
        None if parts.monitoring is None else parts.monitoring.lag(following.last_seen),
    )


_UNLEARNING = frozenset({"database_away", "not_ready", "flush_refused", "behind_the_log"})


def _problems(parts: Parts, now: float, *, live: bool, closed: bool) -> Iterator[Problem]:
    availability, following, spooling = parts.availability, parts.following, parts.spooling
    if not live:
        what = "the engine is closed" if closed else "a task of the engine has ended"
        yield Problem("not_live", what, "close()" if closed else "see the log", "open the engine again")
    if not parts.arrival.ready:
        yield Problem(
            "not_ready",
            "decisions come from the prior: nothing that was learned could be read yet",
            availability.cause or "the database has not answered yet",
            "make the database reachable; it is tried again all the time",
        )
    if availability.impaired:
        yield Problem(
            "database_away",
            "decisions and reports go to the spool, and are not learned from yet",
            str(availability.cause),
            "start the database, make room for it, or let it take writes; what waits is then sent by itself",
        )
    if spooling.problem is not None:
        yield Problem(
            "spool_unusable",
            "what the database does not take is lost with the process",
            spooling.problem,
            "give this user a folder with room: NYX_SPOOL, or open(spool=…)",
        )
    if spooling.spool is not None and spooling.spool.damaged_bytes:
        yield Problem(
            "spool_damaged",
            f"{spooling.spool.damaged_bytes} bytes of adopted spools could not be read",
            "a torn or changed file",
            f"look at the files that end in .damaged in {spooling.spool.folder}, then remove them",
        )
    if parts.flushing.problem is not None:
        yield Problem(
            "flush_refused",
            "records of the spool cannot be sent, and are kept",
            parts.flushing.problem,
            "compare the rights and tables of schema nyx with the migrations",
        )
    if parts.flushing.unlearned or parts.flushing.conflicts:
        yield Problem(
            "unlearned",
            f"{parts.flushing.unlearned} reports and {parts.flushing.conflicts} decisions are kept apart",
            "another outcome, or another decision under the same id, was stored before them",
            "look at engine.unlearned(); what is right can be sent again as a correction",
        )
    if parts.replica.lost_rows:
        yield Problem(
            "rows_lost",
            f"the database lost {parts.replica.lost_rows} or more rows of the log that were acknowledged",
            "it failed over to a standby that did not have them yet, or was restored to an earlier moment",
            "replicate synchronously (synchronous_standby_names); send what was reported again",
        )
    late = following.confirmed_at is not None and now - following.confirmed_at > _LATE_S
    if parts.arrival.ready and late and not closed:
        yield Problem(
            "behind_the_log",
            f"the end of the log was last seen {now - (following.confirmed_at or now):.0f} s ago",
            availability.cause or "the log cannot be followed, or there is more than can be folded",
            "see the log for 'cannot follow'; look at the load of the database",
        )
