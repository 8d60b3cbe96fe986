"""Writers on one embedded server with fsync on, killed at random instants, and checked after every kill."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Self

import asyncpg

from nyx_learning import LearningEngine
from nyx_learning.errors import DatabaseUnavailable
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.persistence.embedded.supervisor import postmaster_pid
from tests.crash.checks import Checks
from tests.crash.mutants import MUTANTS
from tests.crash.traffic import SPEC, fork_of
from tests.crash.writer import Order, write

__all__ = ["Plan", "Report", "Site", "crash"]

_KINDS = {"writer": 6, "all_writers": 2, "postmaster": 4, "backend": 2, "server": 2, "everything": 4}
"""What is killed, and how often in 20."""
_STOP_S = 60.0
_PROGRESS_S = 5.0
_ADOPTED_S = 0.5
_SETTLED_S = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what.

    ``between_s`` : from one kill to the next; ``between_calls`` : and up to so many calls are answered, on a
    busy machine as on an idle one. ``fail_open`` : how many of the writers spool. ``whole_every`` : so many
    kills between two checks that re-derive all.
    """

    kills: int
    seed: int
    writers: int = 3
    between_s: tuple[float, float] = (0.05, 0.4)
    between_calls: int = 150
    fail_open: int = 1
    mutant: str | None = None
    whole_every: int = 20


@dataclass
class Report:
    """What was done, and what did not hold; nothing in ``found`` is the good case.

    ``ended`` : writers with a fault in them that ended by themselves: that a process dies of its fault shows
    no broken promise, so another one takes its place.
    """

    mutant: str | None
    seed: int
    kills: int = 0
    killed: dict[str, int] = field(default_factory=dict)
    lives: int = 0
    checks: int = 0
    whole_checks: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


class Site:
    """A folder with an embedded server, and the process that writers are forked from."""

    def __init__(self) -> None:
        # Not in the user's own temp folder: for root that one is closed to the account that runs Postgres.
        self._data = Path(tempfile.mkdtemp(prefix="nyx-crash-", dir="/tmp"))
        self.folder = Path(tempfile.mkdtemp(prefix="nyx-journals-", dir="/tmp"))
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.crash.writer"])
        self._server = self._started()
        self._databases = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        shutil.rmtree(self.folder)
        shutil.rmtree(self._data)

    def _started(self) -> EmbeddedServer:
        return start(self._data, durable=True)

    def revive(self) -> None:
        """Wait until the server answers; its supervisor gives up after a few deaths in a row."""
        before = self._server
        self._server = self._started()
        before.close()

    def postmaster(self) -> int | None:
        """Process id of the postmaster."""
        return postmaster_pid(self._server.home / "cluster")

    def new_database(self) -> str:
        """The address of an empty database."""
        self._databases += 1
        name = f"crash_{self._databases}"
        asyncio.run(_execute(self._server.dsn, f"CREATE DATABASE {name}"))
        return self._server.dsn_of(name)


def crash(site: Site, plan: Plan, told: Callable[[Report], None] = lambda _report: None) -> Report:
    """Kill and check until the plan is done, or something does not hold; ``told`` hears of each check."""
    return _Run(site, plan, told).run()


class _Run:
    def __init__(self, site: Site, plan: Plan, told: Callable[[Report], None]) -> None:
        self._site, self._plan, self._told = site, plan, told
        self._rng = fork_of(plan.seed, -1)
        self._dsn = site.new_database()
        self._folder = Path(tempfile.mkdtemp(prefix="journals-", dir=site.folder))
        self._stop = self._folder / "stop"
        self._writers: list[Any] = []
        self._lives = [0] * plan.writers
        self._killed: Counter[str] = Counter()
        self._report = Report(plan.mutant, plan.seed)
        self._checks = Checks(self._dsn, self._folder)

    def run(self) -> Report:
        began = time.monotonic()
        report, plan = self._report, self._plan
        asyncio.run(self._prepare())
        try:
            self._writers = [self._new_writer(number) for number in range(plan.writers)]
            while report.kills < plan.kills and not report.found:
                self._let_run()
                self._kill()
                self._site.revive()
                self._check(whole=report.kills % plan.whole_every == 0)
                report.seconds = round(time.monotonic() - began, 1)
                self._told(report)
            self._end()
            if not report.found:
                self._site.revive()
                asyncio.run(self._flush())
                # From the start, with nothing remembered of the checks before.
                self._checks = Checks(self._dsn, self._folder)
                self._check(whole=True, alone=True)
        finally:
            for writer in self._writers:
                writer.kill()
                writer.join()
        report.killed = dict(sorted(self._killed.items()))
        report.lives = sum(self._lives)
        report.counts = asdict(self._checks.counts)
        report.seconds = round(time.monotonic() - began, 1)
        return report

    def _let_run(self) -> None:
        wanted = self._checks.acknowledged() + self._rng.randrange(self._plan.between_calls)
        time.sleep(self._rng.uniform(*self._plan.between_s))
        deadline = time.monotonic() + _PROGRESS_S
        while self._checks.acknowledged() < wanted and time.monotonic() < deadline:
            time.sleep(0.01)

    async def _prepare(self) -> None:
        if self._plan.mutant is not None and MUTANTS[self._plan.mutant].schema:
            await close_pool(await connect(self._dsn))
            await _execute(self._dsn, MUTANTS[self._plan.mutant].schema)
        connection = await asyncpg.connect(self._dsn)
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            self._report.settings[name] = await connection.fetchval("SELECT current_setting($1)", name)
        await connection.close()

    def _new_writer(self, number: int) -> Any:
        life = self._lives[number]
        self._lives[number] += 1
        journal = self._folder / f"{number}-{life}.jsonl"
        plan = self._plan
        order = Order(
            self._dsn,
            journal,
            self._stop,
            self._folder / "hold",
            plan.seed,
            number,
            life,
            plan.mutant,
            number >= plan.writers - plan.fail_open and plan.mutant is None,
            self._folder / "spool",
        )
        process = self._site.context.Process(target=write, args=(order,), daemon=True)
        process.start()
        return process

    def _kill(self) -> None:
        """Kill something, and put new writers in the place of the dead."""
        kind = self._rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        victim = self._rng.randrange(len(self._writers))
        postmaster = self._site.postmaster()
        backends = _children(postmaster)
        pids: list[int] = []
        if kind in {"postmaster", "server", "everything"} and postmaster is not None:
            pids.append(postmaster)
        if kind == "server":
            pids += backends
        if kind == "backend" and backends:
            pids.append(self._rng.choice(sorted(backends)))
        dying = {
            "writer": [victim],
            "all_writers": range(len(self._writers)),
            "everything": range(len(self._writers)),
        }
        for number in dying.get(kind, ()):
            pids.append(self._writers[number].pid)
        self._rng.shuffle(pids)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for number in dying.get(kind, ()):
            self._writers[number].join()
            self._writers[number] = self._new_writer(number)
        self._report.kills += 1
        self._killed[kind] += 1

    def _check(self, *, whole: bool, alone: bool = False) -> None:
        self._report.checks += 1
        self._report.whole_checks += whole
        for number, writer in enumerate(self._writers):
            if writer.exitcode is not None and not self._stop.exists():
                self._ended(number, f"writer {number} ended by itself, exit code {writer.exitcode}")
        while True:
            try:
                self._report.found += asyncio.run(self._checks.run(whole=whole, alone=alone))
                break
            except (
                OSError,
                asyncpg.PostgresConnectionError,
                asyncpg.OperatorInterventionError,
                DatabaseUnavailable,
            ):
                # A killed backend has the postmaster end all sessions, and recover. A killed postmaster may
                # have answered a moment longer, and its supervisor have given up behind that.
                time.sleep(0.05)
                self._site.revive()

    def _ended(self, number: int, told: str) -> None:
        if self._plan.mutant is None:
            self._report.found.append(told)
        else:
            self._report.ended.append(told)
            self._writers[number] = self._new_writer(number)

    async def _flush(self) -> None:
        """Adopt what killed writers have spooled, as any engine does, and wait until nothing more is stored.

        Reports on decisions that nobody made stay: they may come yet.
        """
        if not self._plan.fail_open or self._plan.mutant is not None:
            return
        async with await LearningEngine.open(SPEC, self._dsn, spool=self._folder / "spool") as engine:
            await asyncio.sleep(_ADOPTED_S)
            left, until = -1, 0.0
            while (left != 0 and time.monotonic() < until) or left < 0:
                records = engine.health().spool.records
                if records != left:
                    left, until = records, time.monotonic() + _SETTLED_S
                await asyncio.sleep(0.05)

    def _end(self) -> None:
        """Let the writers finish in good order."""
        self._stop.touch()
        deadline = time.monotonic() + _STOP_S
        for number, writer in enumerate(self._writers):
            writer.join(max(0.0, deadline - time.monotonic()))
            if writer.exitcode != 0 and self._plan.mutant is None:
                self._report.found.append(f"writer {number} did not end, exit code {writer.exitcode}")


def _children(pid: int | None) -> list[int]:
    """Processes that the postmaster has forked."""
    if pid is None:
        return []
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
