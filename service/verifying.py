"""``verify`` for whole databases, and for logs that are long enough to be shared between processes.

A log is cut into sections. Whoever checks a later one folds what stands before it without checking it: that
is quick, and the one before checks it. What was found is put together in the order of the log, so that the
report does not depend on the number of processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time as clock
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..bandit import VerifyReport
from ..errors import DatabaseUnavailable, InputInvalid
from ..persistence.database import close_pool, connect, reaching
from ..persistence.queries import Connection, query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from .log_walk import Found, Section, StoredSums
from .verification import Overview, concluded, overview, verify_log
from .verify_walk import walk_section

__all__ = ["BanditVerified", "verify_database", "verify_shared"]

_WORTH_A_PROCESS = 150_000  # rows and decisions: a process takes two seconds or three to start
_MOST_WORKERS = 4
_START = 50_000
"""Rows that are checked while another process starts."""
_FOLD_ONLY = 0.15
"""Time of folding a row, as a share of the time of checking it with the decisions that belong to it."""
_OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BanditVerified:
    """A bandit's report, and how long it took."""

    bandit: str
    report: VerifyReport
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"bandit": self.bandit, "ok": self.report.ok, **asdict(self.report), "seconds": self.seconds}


async def verify_database(
    dsn: str, bandit: str | None = None, *, workers: int | None = None
) -> list[BanditVerified]:
    """Verify one bandit, or all, in the order of their names.

    workers : processes that share a long log; by default one for each processor, at most 4.

    Raises
    ------
    InputInvalid : there is no such bandit, or less than one worker.
    DatabaseUnavailable, DatabaseRefused, SchemaMismatch : the database is of no use.
    """
    most = min(_MOST_WORKERS, os.cpu_count() or 1) if workers is None else workers
    if most < 1:
        raise InputInvalid(
            "nobody is to verify", expected="at least one worker", found=f"{workers}", fix="pass --workers 1"
        )
    pool = await connect(dsn, connections=2)
    found = []
    try:
        with reaching():
            names = [row["bandit"] for row in await pool.fetch(query("bandits"))]
            for name in _chosen(bandit, names):
                document = await pool.fetchval(query("newest_spec"), name)
                if document is None:
                    continue  # made by hand: it has never decided
                began = clock.perf_counter()
                report = await verify_shared(Store(pool, spec_from(document)), dsn, most)
                found.append(BanditVerified(name, report, clock.perf_counter() - began))
    finally:
        await close_pool(pool)
    return found


async def verify_shared(store: Store, dsn: str, workers: int) -> VerifyReport:
    """``verify_log`` by several processes, this one among them, where the log is long enough."""
    async with store.snapshot() as connection:
        seen = await overview(store, connection)
        share = min(workers, (seen.rows + seen.decisions) // _WORTH_A_PROCESS)
        whole = share < 2 or seen.rows < share or not seen.dense or seen.found.first is not None
        parts = [] if whole else await _by_sections(store, connection, dsn, seen, share)
    found = Found()
    for part in parts:
        if part is None:
            whole = True
        else:
            found.join(part)
    return await verify_log(store) if whole else concluded(seen, found)


async def _by_sections(
    store: Store, connection: Connection, dsn: str, seen: Overview, share: int
) -> list[Found | None]:
    """What was found in each section; None where retention dropped rows meanwhile."""
    own, *others = _sections(seen.last, share, seen.base.seq)
    tasks = [asyncio.create_task(_delegated(store.bandit, dsn, seen, section)) for section in others]
    try:
        first = await walk_section(connection, store.bandit, seen.specs, own, _due(seen, own), seen.base)
        return [first, *await asyncio.gather(*tasks)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _due(seen: Overview, section: Section) -> list[StoredSums]:
    """The sums that a section is to compare."""
    return [sums for sums in seen.sums if sums[1] <= section.last]


def _sections(last: int, share: int, base: int = 0) -> list[Section]:
    """Sections of the rows behind ``base`` that take about the same time, the first one for this process.

    Later ones are shorter: they fold what is before, and their process has to start.
    """
    rows = last - base
    start = min(_START, rows / (2 * share))
    # The first takes the time T; from then on, length of section i = T − start − fold · begin of i. Each is
    # a·T − b, with a and b that follow from the ones before.
    lengths, a, b = [(1.0, 0.0)], 1.0, 0.0
    for _ in range(share - 1):
        lengths.append((1.0 - _FOLD_ONLY * a, start - _FOLD_ONLY * b))
        a, b = a + lengths[-1][0], b + lengths[-1][1]
    time = (rows + b) / a
    ends, end = [], float(base)
    for times, less in lengths:
        end += times * time - less
        ends.append(round(end))
    starts = [base, *ends[:-1]]
    return [
        Section(first + 1, end, end if end == last else end - 1)
        for first, end in zip(starts, ends, strict=True)
    ]


async def _delegated(bandit: str, dsn: str, seen: Overview, section: Section) -> Found | None:
    """Have a process check a section; it ends with this one. None where it sees another base of the log."""
    # The sums go along: those in the database may be newer by now.
    order = {
        "dsn": dsn,
        "bandit": bandit,
        "section": asdict(section),
        "base": seen.base.seq,
        "sums": [[spec.spec_hash, seq, blocks] for spec, seq, blocks in _due(seen, section)],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"{__package__}.verify_worker",
        # Not among the arguments: everybody may read those, and the DSN may hold a password.
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_OUTPUT_BYTES,
    )
    try:
        said, _ = await process.communicate(json.dumps(order).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise DatabaseUnavailable(
            "a process that verifies a part of the log has failed",
            expected="its report",
            found=f"exit code {process.returncode}; its own words are above",
            fix="verify again; with --workers 1 all is done in this process",
        )
    answer = json.loads(said)
    if answer is None:
        return None
    first = answer.pop("first")
    return Found(**answer, first=None if first is None else tuple(first))


def _chosen(name: str | None, names: Sequence[str]) -> Sequence[str]:
    if name is None:
        return names
    if name in names:
        return [name]
    raise InputInvalid(
        "there is no such bandit",
        expected=f"one of {list(names[:20])}" if names else "a database with a bandit",
        found=repr(name),
        fix="name one with --bandit, or correct the DSN",
    )
