"""``LearningEngine``: the learner, durable and shared, behind an asynchronous front.

Decisions and rewards are rows in Postgres before anybody hears of them; the memory of the process is a prefix of
the log, kept up by its own commits and by polling what other processes wrote.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..bandit import Beliefs, BanditSpec, Decision, Learner, Receipt, VerifyReport
from ..bandit.bandit import priced_report, same_request
from ..bandit.learner import checked_id
from ..bandit.log import RewardRow
from ..errors import DatabaseUnavailable
from ..features import Value
from ..persistence.database import UNREACHABLE, connect, unavailable
from ..persistence.embedded import EmbeddedServer, start
from ..persistence.group_commit import GroupCommit
from ..persistence.replica import Replica
from ..persistence.store import Store
from .execution import Execution
from .settings import Settings
from .verification import verify_log
from .warm_up import warm_up

__all__ = ["LearningEngine"]

_LOG = logging.getLogger("nyx_learning")
_REMEMBERED = 20_000
_POLL_S = 0.2
_CHECKPOINT_ROWS = 1000


class LearningEngine:
    """Selects arms and learns from outcomes, for many processes on one database. Made by ``open``."""

    def __init__(
        self, spec: BanditSpec, learner: Learner, pool: Any, server: EmbeddedServer | None  # noqa: ANN401
    ) -> None:
        self.spec = spec
        self._pool, self._server = pool, server
        self._store = Store(pool, spec)
        self._replica = Replica(learner, self._store)
        self._learner = learner
        self._known: OrderedDict[str, Decision] = OrderedDict()
        self._commit: GroupCommit
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        spec: BanditSpec,
        dsn: str | None = None,
        *,
        data_home: Path | None = None,
        connections: int = 4,
    ) -> Self:
        """Open the bandit of ``spec``, create it if it is new, and continue where its log ends.

        Parameters
        ----------
        dsn : a Postgres DSN; by default ``NYX_DATABASE_URL``, and without that an embedded server.
        data_home : folder of the embedded server; by default ``NYX_DATA_HOME``, or the user's data directory.
        connections : at most so many connections of this process.

        Raises
        ------
        DatabaseUnavailable, DatabaseSetupFailed, SchemaMismatch : the database cannot be used.
        """
        settings = Settings.read()
        await asyncio.to_thread(warm_up)
        learner = await asyncio.to_thread(Learner, spec)
        server = None
        dsn = dsn or (None if data_home else settings.database_url)
        if dsn is None:
            home = data_home or settings.data_home
            server = await asyncio.to_thread(start, home, binaries=settings.postgres_bin)
            dsn = server.dsn
            _LOG.info("using the embedded Postgres %s in %s", server.version, server.home)
        pool = None
        try:
            pool = await connect(dsn, connections=connections)
            engine = cls(spec, learner, pool, server)
            await engine._store.register()  # noqa: SLF001 (a constructor)
            await engine._replica.restore()  # noqa: SLF001
        except BaseException:
            if pool is not None:
                await pool.close()
            if server is not None:
                await asyncio.to_thread(server.close)
            raise
        engine._commit = GroupCommit(engine._store, engine._committed)  # noqa: SLF001
        engine._spawn(engine._poll(), "poll")  # noqa: SLF001
        return engine

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is waiting, store the sums, and let the database go; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._commit.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with suppress(*UNREACHABLE):
                await self._replica.checkpoint()
        finally:
            with suppress(*UNREACHABLE, TimeoutError):
                await asyncio.wait_for(self._pool.close(), 10.0)
            if self._server is not None:
                await asyncio.to_thread(self._server.close)

    @property
    def state_seq(self) -> int:
        """Last row of the log that this process has learned."""
        return self._replica.seq

    async def select_arm(
        self,
        context: Mapping[str, Value],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        durable: bool = True,
    ) -> Decision:
        """Choose an arm for a context, and store the decision before it is returned.

        Parameters
        ----------
        context : a value for each feature of the spec's schema.
        decision_id : idempotency key, best one that a retry would send again: the same id returns the stored
            decision, whoever made it. Without one, the decision gets a random id.
        eligible, exclude : arm ids or strategy names; by default every arm is eligible.
        durable : False returns before the decision is stored (``mode`` says ``write_behind``): faster, but lost
            if the process dies within the next commit, and without idempotency across processes.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
        DecisionConflict : the id was used with another context or eligibility.
        DatabaseUnavailable : the decision could not be stored.
        """
        self._check_open()
        key = checked_id(decision_id) if decision_id is not None else uuid.uuid4().hex
        learner = self._learner
        clean, phi = learner.encoder.encode(context)
        allowed = learner.arms.eligible(eligible, exclude)
        known = self._known.get(key)
        if known is not None:
            return same_request(known, clean, allowed)
        mode = "normal" if durable else "write_behind"
        decision = learner.choose(clean, phi, key, allowed, time=clock.time(), mode=mode)
        if durable:
            written = await self._commit.write(decision)
            decision = same_request(written.decision or decision, clean, allowed)
        else:
            self._commit.enqueue(decision).add_done_callback(_log_failure)
        self._remember(decision)
        return decision

    async def update_reward(
        self, decision: Decision | str, outcome: Any = None, *, reward: float | None = None  # noqa: ANN401
    ) -> Receipt:
        """Learn what a decision was worth, exactly once.

        Parameters
        ----------
        decision : the decision, or its id.
        outcome, reward : exactly one: an ``Outcome``, which the spec's ``RewardSpec`` prices, or a number in [0, 1].

        Returns
        -------
        The receipt, when the reward is committed; ``applied`` is False where the same report came before.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        OutcomeInvalid : neither or both given, or out of range.
        RewardConflict : the decision has another outcome already.
        DecisionConflict : the given decision is not the one stored under its id.
        DatabaseUnavailable : the outcome could not be stored; send it again.
        """
        self._check_open()
        stored: Decision | None
        if isinstance(decision, Decision):
            stored = self._known.get(decision.decision_id)
            target = decision
        else:
            stored = self._known.get(checked_id(decision)) or await self._stored(decision)
            target = stored
        priced = priced_report(self.spec, target, outcome, reward)
        draft = RewardRow.of(target, self._store.encoding, priced, outcome, clock.time())
        # A decision that is known to be stored need not travel again.
        written = await self._commit.write(target, draft, carry=stored is None or stored != target)
        row = written.row or draft
        self._remember(target)
        return Receipt(
            row.decision_id, row.seq, row.reward, written.applied, priced.components, priced.missing
        )

    def execution(
        self,
        context: Mapping[str, Value],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> Execution:
        """Select an arm, time the block, and report: ``async with engine.execution(context) as run``.

        The block's exception is reported as a failure; a cancelled block is noted as abandoned and not learned from.
        """
        return Execution(self, context, decision_id, eligible=eligible, exclude=exclude)

    def beliefs(self, context: Mapping[str, Value], *, eligible: Iterable[str] | None = None) -> list[Beliefs]:
        """Mean, sd and probability of each arm in a context, in the spec's order; changes nothing."""
        return self._learner.beliefs(context, eligible=eligible)

    async def abandon(self, decision: Decision) -> None:
        """Note that an execution was cancelled: its decision is not learned from."""
        self._check_open()
        await self._commit.write(decision)
        await self._store.abandon(decision.decision_id, clock.time())

    async def verify(self) -> VerifyReport:
        """Fold the stored log, re-derive every stored decision, and name the first row that differs."""
        self._check_open()
        await self._replica.checkpoint()
        return await verify_log(self._store)

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored for this bandit."""
        return await self._store.counts()

    async def _stored(self, decision_id: str) -> Decision:
        try:
            return await self._store.decision(decision_id)
        except UNREACHABLE as error:
            raise unavailable(f"{type(error).__name__}: {error}", "start it, then send the outcome again") from error

    async def _committed(self, rows: list[RewardRow]) -> None:
        """Fold what was just committed; other processes' rows may stand in between."""
        if not self._replica.fold(rows):
            # The rows are committed: if reading back fails, polling will catch up, and the caller was served.
            with suppress(*UNREACHABLE):
                await self._replica.catch_up()
        if self._replica.seq - self._replica.stored_seq >= _CHECKPOINT_ROWS and not self._running("checkpoint"):
            self._spawn(self._checkpoint(), "checkpoint")

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                if await self._store.last_seq() > self._replica.seq:
                    await self._replica.catch_up()
            except UNREACHABLE as error:
                _LOG.warning("cannot follow the log: %s", type(error).__name__)

    async def _checkpoint(self) -> None:
        with suppress(*UNREACHABLE):
            await self._replica.checkpoint()

    def _spawn(self, work: Any, name: str) -> None:  # noqa: ANN401 (a coroutine)
        task = asyncio.create_task(work, name=f"nyx-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _running(self, name: str) -> bool:
        return any(task.get_name() == f"nyx-{name}" for task in self._tasks)

    def _remember(self, decision: Decision) -> None:
        self._known[decision.decision_id] = decision
        self._known.move_to_end(decision.decision_id)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseUnavailable(
                "the engine is closed",
                expected="a call inside 'async with await LearningEngine.open(…)'",
                found="a call after close()",
                fix="open the engine again",
            )


def _log_failure(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and done.exception() is not None:
        _LOG.error("a write-behind decision was not stored: %s", done.exception())
