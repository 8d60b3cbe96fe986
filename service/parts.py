"""What an engine is made of, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from hashlib import blake2b

import asyncpg

from ..bandit import BanditSpec, Learner
from ..errors import DatabaseUnavailable
from ..persistence.database import close_pool, connect, may_pass, place
from ..persistence.embedded import EmbeddedServer
from ..persistence.gate import Gate
from ..persistence.group_commit import GroupCommit
from ..persistence.news import News
from ..persistence.replica import Replica
from ..persistence.spool import Spool
from ..persistence.store import Store
from ..persistence.thought_trees import ThoughtTrees
from .arrival import Arrival
from .availability import Availability
from .flushing import Flushing
from .following import Following
from .monitoring import Monitoring
from .opening import Options, start_embedded
from .provenance import Provenance
from .remembered import Remembered
from .reporting import Reporting
from .selecting import Selecting
from .sentinel import Sentinel
from .settings import Settings
from .settling import Settling
from .spooling import Spooling
from .warming import warm_up

__all__ = ["Parts", "open_parts"]

_LOG = logging.getLogger("nyx_learning")
_CLOSE_S = 20.0
_AWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one engine; those further down use those further up."""

    spec: BanditSpec
    server: EmbeddedServer | None
    pool: asyncpg.Pool
    store: Store
    learner: Learner
    replica: Replica
    availability: Availability
    following: Following
    arrival: Arrival
    commit: GroupCommit
    spooling: Spooling
    flushing: Flushing
    remembered: Remembered
    selecting: Selecting
    reporting: Reporting
    settling: Settling
    thought_trees: ThoughtTrees
    monitoring: Monitoring | None

    async def close(self) -> None:
        """Write what is waiting, store the sums, let the database go; what cannot be written is spooled."""
        try:
            await self._finish_writing()
            await self.thought_trees.close()
            await self.flushing.stop()
            await self.following.stop()
            if not self.availability.impaired:
                await self.following.checkpoint()
        finally:
            self.spooling.close()
            await _let_go(self.pool, self.server)
            await self.flushing.stop()
            await self.following.stop()

    async def _finish_writing(self) -> None:
        flushing: asyncio.Task[int] | None = None
        if self.spooling.waits:
            flushing = asyncio.create_task(self.flushing.flush(), name="nyx-close-flush")
            flushing.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([flushing], timeout=_AWAY_S if self.availability.impaired else _CLOSE_S)
            # Where it has not ended, its writes end with the commit's, and its records stay in the spool.
        closing = asyncio.create_task(self.commit.close(), name="nyx-close-commit")
        await asyncio.wait([closing], timeout=_CLOSE_S)
        if not closing.done():
            self.pool.terminate()  # the server does not answer, and a cancelled commit would wait for it
        await closing
        if flushing is not None and not flushing.done():
            flushing.cancel()
            await asyncio.wait([flushing], timeout=_CLOSE_S)
        for _ in range(3):
            await asyncio.sleep(0)  # whoever waited for a write that failed now spools it


async def open_parts(spec: BanditSpec, dsn: str | None, options: Options) -> Parts:
    """Reach the database, restore what the bandit knows, and start what runs beside the callers."""
    settings = Settings.read()
    watched = spec.monitors is not None
    await asyncio.to_thread(warm_up, [spec.policy.name], staged=spec.arms.staged, monitors=watched)
    learner = await asyncio.to_thread(Learner, spec)
    server = None
    dsn = dsn or (None if options.data_home else settings.database_url)
    where = "" if dsn is None else place(dsn)
    if dsn is None:
        home = options.data_home or settings.data_home
        server = await start_embedded(home, settings.postgres_bin)
        dsn, where = server.dsn, str(home.resolve())
        _LOG.info("using the embedded Postgres %s in %s", server.version, server.home)
    pool = spooling = None
    try:
        availability = Availability(spec.name)
        gate = Gate()
        pool = await _pool(dsn, gate, options, availability)
        spooling = await asyncio.to_thread(_spooling, spec, where, options, settings)
        return await _assemble(spec, learner, pool, gate, server, dsn, availability, spooling, options)
    except BaseException:
        try:
            if spooling is not None:
                spooling.close()
        finally:
            await _let_go(pool, server)
        raise


async def _pool(dsn: str, gate: Gate, options: Options, availability: Availability) -> asyncpg.Pool:
    try:
        return await connect(dsn, connections=options.connections, gate=gate)
    except DatabaseUnavailable as error:
        if not options.fail_open or not may_pass(error):
            raise
        availability.lost(error.found)
        return await connect(dsn, connections=options.connections, away=True, gate=gate)


def _spooling(spec: BanditSpec, where: str, options: Options, settings: Settings) -> Spooling:
    name = blake2b(f"{spec.name}\n{where}".encode(), digest_size=8).hexdigest()
    folder = (options.spool or settings.spool).expanduser().resolve() / name
    header = {"bandit": spec.name, "spec": spec.to_dict()}
    try:
        return Spooling(spec, Spool(folder, header, sync=options.spool_fsync))
    except OSError as error:
        _LOG.error("there is no spool for bandit '%s': %s", spec.name, error)
        return Spooling(spec, None, f"{type(error).__name__}: {error}")


async def _assemble(
    spec: BanditSpec,
    learner: Learner,
    pool: asyncpg.Pool,
    gate: Gate,
    server: EmbeddedServer | None,
    dsn: str,
    availability: Availability,
    spooling: Spooling,
    options: Options,
) -> Parts:
    store = Store(pool, spec)
    replica = Replica(learner, store)
    trees = ThoughtTrees(pool, options.thought_trees)
    following = Following(store, replica, availability, News(pool, spec.name))
    arrival = Arrival(pool, gate, store, replica, following)
    try:
        await _arrive(arrival, availability, options)
        commit = GroupCommit(
            store,
            following.committed,
            patience_s=options.patience_s,
            limit=options.queue_limit,
            when_full=options.when_full,
        )
    except BaseException:
        await following.stop()
        raise
    remembered, provenance = Remembered(), Provenance(spec, store, replica)
    flushing = Flushing(spec, store, commit, remembered, provenance, spooling, availability, arrival.attempt)
    selecting = Selecting(
        learner,
        commit,
        remembered,
        spooling,
        availability,
        fail_open=options.fail_open,
        deadline_s=options.deadline_s,
    )
    reporting = Reporting(
        spec,
        store,
        commit,
        remembered,
        provenance,
        spooling,
        availability,
        fail_open=options.fail_open,
        patience_s=options.patience_s,
    )
    settling = Settling(spec, store, commit, provenance)
    await flushing.adopt()  # before the first decision: what a dead process decided stays decided
    flushing.start()
    monitoring = None
    if spec.monitors is not None:
        monitoring = Monitoring(dsn, spec, replica.catch_up)
        following.spawn(monitoring.run(), "monitors")
    if spec.guardrails is not None:
        following.spawn(Sentinel(dsn, spec, replica.catch_up).run(), "guardrails")
    return Parts(
        spec,
        server,
        pool,
        store,
        learner,
        replica,
        availability,
        following,
        arrival,
        commit,
        spooling,
        flushing,
        remembered,
        selecting,
        reporting,
        settling,
        trees,
        monitoring,
    )


async def _arrive(arrival: Arrival, availability: Availability, options: Options) -> None:
    if availability.impaired:
        return
    try:
        await arrival.attempt()
    except DatabaseUnavailable as error:
        if not options.fail_open or not may_pass(error):
            raise
        availability.lost(error.found)


async def _let_go(pool: asyncpg.Pool | None, server: EmbeddedServer | None) -> None:
    try:
        if pool is not None:
            await close_pool(pool)
    finally:
        if server is not None:
            await asyncio.to_thread(server.close)
