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
from ..persistence.queries import query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from .log_walk import Found, Section
from .verification import Overview, concluded, overview, verify_log

__all__ = ["BanditVerified", "verify_database", "verify_shared"]

_WORTH_A_PROCESS = 60_000  # rows and decisions: a process takes a second or two to start
_MOST_WORKERS = 4
_FOLD_ONLY = 0.25
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
    """``verify_log`` by several processes, where the log is long enough to be worth it."""
    async with store.snapshot() as connection:
        seen = await overview(store, connection)
    share = min(workers, (seen.rows + seen.decisions) // _WORTH_A_PROCESS)
    if share < 2 or seen.last < share or not seen.dense or seen.found.first is not None:
        return await verify_log(store)
    sections = _sections(seen.last, share)
    tasks = [asyncio.create_task(_delegated(store.bandit, dsn, seen, section)) for section in sections]
    try:
        parts = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    found = Found()
    for part in parts:
        found.join(part)
    return concluded(seen, found)


def _sections(last: int, share: int) -> list[Section]:
    """Sections that take about the same time: later ones are shorter, because they fold what is before."""
    # With length 1 for the last section's time T: from the end, length of section i = T − fold · begin of i.
    lengths: list[float] = []
    begin = 0.0
    for _ in range(share):
        lengths.append(1.0 - _FOLD_ONLY * begin)
        begin += lengths[-1]
    ends = [round(last * sum(lengths[: i + 1]) / begin) for i in range(share)]
    starts = [0, *ends[:-1]]
    return [Section(a + 1, b, b if b == last else b - 1) for a, b in zip(starts, ends, strict=True)]


async def _delegated(bandit: str, dsn: str, seen: Overview, section: Section) -> Found:
    """Have a process check a section; it ends with this one."""
    # The sums go along: those in the database may be newer by now.
    order = {
        "dsn": dsn,
        "bandit": bandit,
        "section": asdict(section),
        "sums": [[spec.spec_hash, seq, blocks] for spec, seq, blocks in seen.sums if seq <= section.last],
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
