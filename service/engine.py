"""``LearningEngine``: the learner, durable and shared, behind an asynchronous front.

Decisions and rewards are rows in Postgres before anybody hears of them; the memory of the process is a prefix
of the log, kept up by its own commits and by polling what other processes wrote.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from ..bandit import BanditSpec, Beliefs, Decision, Learner, Receipt, VerifyReport
from ..bandit.bandit import same_request, unknown_decision
from ..bandit.learner import checked_id
from ..bandit.log import EXPIRY, RETRACTION, RewardRow
from ..bandit.reports import Reported, RewardStatus, draft_report, receipt_of, status_of
from ..bandit.space import ArmSpace
from ..errors import DatabaseUnavailable, InputInvalid, RewardConflict, shown
from ..features import Value
from ..persistence.adopting import adopt, executions
from ..persistence.database import close_pool, connect, reaching
from ..persistence.embedded import EmbeddedServer, start
from ..persistence.group_commit import GroupCommit, Written
from ..persistence.replica import Replica
from ..persistence.store import Batch, Store, decision_conflict
from ..persistence.thought_trees import ThoughtTrees, TreeId
from ..rewards import Adoption, ReferenceTimes, RewardSpec, ScoringResult, estimate_references
from .authentic import Authenticity
from .execution import Execution
from .repricing import Repricing, reprice_log
from .settings import Settings
from .verification import verify_log
from .warming import warm_up

__all__ = ["LearningEngine"]

_LOG = logging.getLogger("nyx_learning")
_REMEMBERED = 20_000
_POLL_S = 0.2
_CHECKPOINT_ROWS = 1000
_EXPIRED_AT_ONCE = 1000


class LearningEngine:
    """Selects arms and learns from outcomes, for many processes on one database. Made by ``open``."""

    def __init__(
        self,
        spec: BanditSpec,
        learner: Learner,
        pool: Any,
        server: EmbeddedServer | None,
        thought_trees: str = "thought_trees",
    ) -> None:
        self.spec = spec
        self._pool, self._server = pool, server
        self._store = Store(pool, spec)
        self._replica = Replica(learner, self._store)
        self._learner = learner
        self._known: OrderedDict[str, Decision] = OrderedDict()
        self._behind: set[str] = set()  # among the known ones, those that may not be stored yet
        self._commit: GroupCommit
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.thought_trees = ThoughtTrees(pool, thought_trees)
        """Scores for the user's own table: queued by ``update``, many at once by ``update_many``."""

    @classmethod
    async def open(
        cls,
        spec: BanditSpec,
        dsn: str | None = None,
        *,
        data_home: Path | None = None,
        connections: int = 4,
        patience_s: float = 5.0,
        thought_trees: str = "thought_trees",
    ) -> Self:
        """Open the bandit of ``spec``, create it if it is new, and continue where its log ends.

        Parameters
        ----------
        dsn : a Postgres DSN; by default ``NYX_DATABASE_URL``, and without that an embedded server.
        data_home : folder of the embedded server; by default ``NYX_DATA_HOME``, or the user's data directory.
        connections : at most so many connections of this process.
        patience_s : for so long a write is tried again while the database is away.
        thought_trees : the table that ``update_thought_tree_scores`` writes, perhaps ``schema.table``.

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused, DatabaseSetupFailed, SchemaMismatch : the database is of no use.
        InputInvalid : an argument is out of its domain.
        """
        _check_arguments(spec, dsn, connections, patience_s)
        settings = Settings.read()
        await asyncio.to_thread(warm_up, [spec.policy.name], staged=spec.arms.staged)
        learner = await asyncio.to_thread(Learner, spec)
        server = None
        dsn = dsn or (None if data_home else settings.database_url)
        if dsn is None:
            home = data_home or settings.data_home
            server = await _started(home, settings.postgres_bin)
            dsn = server.dsn
            _LOG.info("using the embedded Postgres %s in %s", server.version, server.home)
        pool = None
        try:
            pool = await connect(dsn, connections=connections)
            engine = cls(spec, learner, pool, server, thought_trees)
            await engine._begin(patience_s)
        except BaseException:
            try:
                if pool is not None:
                    await close_pool(pool)
            finally:
                if server is not None:
                    await asyncio.to_thread(server.close)
            raise
        return engine

    async def _begin(self, patience_s: float) -> None:
        with reaching():
            await self._store.register()
            await self._replica.restore()
        self._commit = GroupCommit(self._store, self._committed, patience_s=patience_s)
        self._spawn(self._follow(), "follow")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is waiting, store the sums, and let the database go; safe to call twice.

        Ends in bounded time also where the database is away; what could not be written then fails with
        ``DatabaseUnavailable``. A caller who is cancelled meanwhile hears of it when all is closed.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="nyx-close")
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await asyncio.wait([self._closing])
            raise

    async def _close(self) -> None:
        try:
            await self._commit.close()
            await self.thought_trees.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._checkpoint()
        finally:
            try:
                await close_pool(self._pool)
            finally:
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
        durable : False returns before the decision is stored (``mode`` says ``write_behind``): faster, but
            lost if the process dies within the next commit, and without idempotency across processes.

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
            decision = same_request(known, clean, allowed)
            if not durable or key not in self._behind:
                return decision
        else:
            mode = "normal" if durable else "write_behind"
            decision = learner.choose(clean, phi, key, allowed, time=clock.time(), mode=mode)
        if durable:
            written = await self._commit.write(decision)
            decision = same_request(written.decision or decision, clean, allowed)
            self._behind.discard(key)
        else:
            stored = self._commit.enqueue(decision)
            self._behind.add(key)
            stored.add_done_callback(lambda done: self._stored_behind(decision, done))
        self._remember(decision)
        return decision

    async def update_reward(
        self,
        decision: Decision | str,
        outcome: Any = None,
        *,
        reward: float | None = None,
        part: Mapping[str, Any] | None = None,
        source: str = "",
        identifier: str = "",
        corrects: int | None = None,
    ) -> Receipt:
        """Learn what a decision was worth, exactly once.

        Parameters
        ----------
        decision : the decision, or its id.
        outcome, reward, part : exactly one: an ``Outcome``, which the spec's ``RewardSpec`` prices; a number
            in [0, 1]; or some fields of an outcome, such as ``{"user_feedback": 0.9}``. Parts are put
            together by the spec's ``aggregate``, and count once ``success`` is among them.
        source, identifier : who reports, and which of its reports this is.
        corrects : revision of the report of the same source and identifier that this one replaces.

        Returns
        -------
        The receipt, when the reward is committed; ``applied`` is False where the same report came before.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        OutcomeInvalid : not exactly one given, out of range, or without any score that has weight.
        RewardConflict : there is another outcome of this source already, the correction does not name the
            latest revision, or the decision was retracted.
        RewardTooLate : the decision was closed, and the spec rejects late outcomes.
        DecisionConflict : the given decision is not the one stored under its id.
        DatabaseUnavailable : the outcome could not be stored; send it again.
        """
        self._check_open()
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        known = self._known.get(key)
        carry = key in self._behind
        if not isinstance(decision, Decision):
            if known is None:
                with reaching():
                    known = await self._store.decision(key)
            target = known
        elif known is None:
            await self._check_made(decision)
            target, carry = decision, True
        elif known == decision:
            target = decision
        else:
            raise decision_conflict(known, decision)
        told = Reported(outcome, reward, part, source, identifier, corrects)
        draft = draft_report(self.spec, target, await self._encoding(target), told, clock.time())
        # A decision that is known to be stored need not travel again.
        written = await self._commit.write(target, draft, carry=carry)
        self._behind.discard(key)
        self._remember(target)
        return receipt_of(written.row or draft, applied=written.applied)

    async def retract(self, decision: Decision | str) -> Receipt:
        """Forget a decision: its contribution leaves the sums exactly, and it takes no more reports.

        Past decisions stay as they are. Again, it changes nothing.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        """
        self._check_open()
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        with reaching():
            stored = await self._store.decision(key)
        draft = RewardRow.bare(stored, await self._encoding(stored), clock.time(), RETRACTION)
        written = await self._commit.write(stored, draft, carry=False)
        return receipt_of(written.row or draft, applied=written.applied)

    async def expire(self, now: float) -> list[Receipt]:
        """Close every decision that has no reward ``window_s`` after it was made: it gets the default reward.

        Nothing expires by itself: call this from time to time. ``now`` : seconds since 1970. Returns the
        receipts of the decisions that were closed by this call; none where the spec has no window.

        Raises
        ------
        InputInvalid : ``now`` is not a finite number.
        """
        self._check_open()
        window = self.spec.reward.window_s
        if isinstance(now, bool) or not isinstance(now, (int, float)) or now - now != 0.0:
            raise InputInvalid(
                "the time to expire decisions at is none",
                expected="seconds since 1970",
                found=shown(now),
                fix="pass time.time()",
            )
        closed: list[Receipt] = []
        if window is None:
            return closed
        with reaching():
            due = await self._store.due(float(now), window)
        for begin in range(0, len(due), _EXPIRED_AT_ONCE):
            with reaching():
                found = await self._store.decisions(due[begin : begin + _EXPIRED_AT_ONCE])
            closed += await self._expire(found.values(), float(now))
        return closed

    async def _expire(self, decisions: Iterable[Decision], now: float) -> list[Receipt]:
        waiting = []
        for decision in decisions:
            draft = RewardRow.bare(decision, await self._encoding(decision), now, EXPIRY)
            waiting.append(self._commit.enqueue(decision, draft, carry=False))
        closed = []
        for written in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(written, RewardConflict):
                continue  # a report came first
            if isinstance(written, BaseException):
                raise written
            if written.applied and written.row is not None:
                closed.append(receipt_of(written.row, applied=True))
        return closed

    async def rewards(self, decision_id: str) -> RewardStatus:
        """Where a decision's reward stands, and all that was logged about it.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        """
        self._check_open()
        key = checked_id(decision_id)
        with reaching():
            history = (await self._store.histories(None, [key])).get(key, [])
            if not history:
                await self._store.decision(key)
        return status_of(key, history, self.spec)

    async def adopt_references(
        self, references: ReferenceTimes, earlier: Literal["keep", "reprice"] = "keep"
    ) -> Adoption:
        """Judge from here on by these references, in every process: a numbered row of the log.

        They price what is decided behind that row. ``earlier`` : ``keep`` leaves the rewards of earlier
        decisions, and prices their later outcomes by the references of their time; ``reprice`` prices all of
        them again, as rows of their own in the same transaction. Adopting again what is in force changes
        nothing.

        Raises
        ------
        SpecInvalid, InputInvalid : an unknown rule, or no references.
        """
        self._check_open()
        if not isinstance(references, ReferenceTimes):
            raise InputInvalid(
                "what is to be adopted are no references",
                expected="ReferenceTimes, as propose_references() returns them",
                found=shown(references),
                fix="build ReferenceTimes, or estimate them from the log",
            )
        Adoption(0, references, earlier)  # refuses an unknown rule before anything is touched
        with reaching():
            adoption = await adopt(self._store, references, earlier, clock.time())
            await self._replica.catch_up()
        return adoption

    async def propose_references(
        self,
        *,
        first_seq: int = 1,
        last_seq: int | None = None,
        by: Sequence[str] | None = None,
        min_n: int = 10,
        succeeded_only: bool = False,
    ) -> ReferenceTimes:
        """Estimate references from a stretch of the log: medians, of the baseline arm where it has enough.

        ``by`` : context features, by default the spec's ``reference_by``. Nothing is adopted.

        Raises
        ------
        SupportMissing : too few executions that reported a time, tokens or a cost.
        """
        self._check_open()
        with reaching():
            rows = await executions(self._store, first_seq, last_seq)
        arms = self.spec.arms
        baseline = self.spec.baseline_arm
        if baseline is not None and not isinstance(arms, ArmSpace):
            baseline = arms[self.spec.baseline].arm_id
        return await asyncio.to_thread(
            estimate_references,
            rows,
            by=self.spec.reward.reference_by if by is None else tuple(by),
            baseline_arm=baseline,
            min_n=min_n,
            succeeded_only=succeeded_only,
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

        The block's exception is reported as a failure; a cancelled block is noted as abandoned and not
        learned from.
        """
        return Execution(self, context, decision_id, eligible=eligible, exclude=exclude)

    def beliefs(
        self, context: Mapping[str, Value], *, eligible: Iterable[str] | None = None
    ) -> list[Beliefs]:
        """Mean, sd and probability of each arm in a context, in the spec's order; changes nothing."""
        return self._learner.beliefs(context, eligible=eligible)

    async def abandon(self, decision: Decision) -> None:
        """Note that an execution was cancelled: its decision is not learned from.

        An outcome that comes all the same is a late one. Again, it changes nothing.

        Raises
        ------
        RewardConflict : the decision has a reward, or was retracted.
        """
        await asyncio.shield(self.abandon_soon(decision))

    def abandon_soon(self, decision: Decision) -> asyncio.Future[Written]:
        """``abandon`` without waiting: a cancelled caller has no time; closing waits for it."""
        self._check_open()
        noted = self._commit.enqueue(decision, abandoned_at=clock.time())
        noted.add_done_callback(_log_failure)
        return noted

    async def update_thought_tree_scores(self, thought_tree_id: TreeId, scores: ScoringResult) -> None:
        """Queue scores for the row of a thought tree in the user's own table, and return.

        ``engine.thought_trees.flush()`` writes what is queued and names the ids that the table does not have;
        closing the engine writes it too.

        Raises
        ------
        InputInvalid, OutcomeInvalid : an id or a score that cannot be written.
        """
        self._check_open()
        await self.thought_trees.update(thought_tree_id, scores)

    async def reprice(self, spec: RewardSpec, *, by: Sequence[str] | None = None) -> Repricing:
        """Read every stored reward under other weights, means, profiles and gates; changes nothing.

        by : features whose values together make a group of contexts; by default each that is no number.

        Raises
        ------
        SpecInvalid : ``spec`` has other references, factors or powers, which the stored scores cannot tell.
        """
        self._check_open()
        return await reprice_log(self._store, spec, by=by)

    async def verify(self) -> VerifyReport:
        """Fold the stored log, re-derive every stored decision, and name the first row that differs."""
        self._check_open()
        with reaching():
            await self._replica.checkpoint()
            return await verify_log(self._store)

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored for this bandit."""
        self._check_open()
        with reaching():
            return await self._store.counts()

    async def _check_made(self, decision: Decision) -> None:
        """Raise unless a bandit of this name can have made a decision that comes from outside."""
        with reaching():
            spec = await self._store.spec(decision.spec_hash) if isinstance(decision.spec_hash, str) else None
            if spec is None:
                problem: str | None = "its spec has never been used with this bandit"
            else:
                problem = Authenticity(spec).problem(decision)
            if problem is None and decision.state_seq > self.state_seq:
                last = await self._store.last_seq()
                if decision.state_seq > last:
                    problem = f"it knows row {decision.state_seq} of a log with {last} rows"
        if problem is not None:
            raise InputInvalid(
                f"the decision {decision.decision_id!r:.80} was not made by bandit '{self.spec.name}'",
                expected="a decision as select_arm of this bandit returned it",
                found=problem,
                fix="pass that decision unchanged, or its id",
            )

    async def _encoding(self, decision: Decision) -> str:
        """Hash of the encoding that made a decision's φ."""
        if decision.spec_hash == self.spec.spec_hash:
            return (
                self._store.encoding
            )  # without an await: a report on one's own decision cannot be cut off here
        with reaching():
            spec = await self._store.spec(decision.spec_hash)
        if spec is None:
            raise unknown_decision(self.spec.name, decision.decision_id)
        return spec.encoding

    def _stored_behind(self, decision: Decision, done: asyncio.Future[Written]) -> None:
        key = decision.decision_id
        if done.cancelled() or done.exception() is not None:
            _LOG.error("write-behind decision '%s' was not stored: its outcome will bring it along", key)
            return
        self._behind.discard(key)
        stored = done.result().decision
        if stored is not None and stored != decision:
            _LOG.warning("write-behind decision '%s' was decided before by another process", key)
            self._known.pop(key, None)

    async def _committed(self, batch: Batch) -> None:
        """Learn what was just committed; other processes' rows may stand in between."""
        if not self._replica.fold(batch.appended) or self._replica.seq < batch.last_seq:
            await self._replica.catch_up()
        due = self._replica.seq - self._replica.stored_seq >= _CHECKPOINT_ROWS
        if due and not any(task.get_name() == "nyx-checkpoint" for task in self._tasks):
            self._spawn(self._checkpoint(), "checkpoint")

    async def _follow(self) -> None:
        """Learn what other processes commit."""
        away = False
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                if await self._store.last_seq() > self._replica.seq:
                    await self._replica.catch_up()
                away = False
            except Exception as error:  # noqa: BLE001 (whatever it is, the next round may pass)
                if not away:
                    _LOG.warning("cannot follow the log of bandit '%s': %r", self.spec.name, error)
                away = True

    async def _checkpoint(self) -> None:
        try:
            await self._replica.checkpoint()
        except Exception as error:  # noqa: BLE001 (a cache: the log has everything)
            _LOG.warning("cannot store the sums of bandit '%s': %r", self.spec.name, error)

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"nyx-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _remember(self, decision: Decision) -> None:
        self._known[decision.decision_id] = decision
        self._known.move_to_end(decision.decision_id)
        if len(self._known) > _REMEMBERED:
            self._behind.discard(self._known.popitem(last=False)[0])

    def _check_open(self) -> None:
        if self._closing is not None:
            raise DatabaseUnavailable(
                "the engine is closed",
                expected="a call inside 'async with await LearningEngine.open(…)'",
                found="a call after close()",
                fix="open the engine again",
            )


def _check_arguments(spec: object, dsn: object, connections: object, patience_s: object) -> None:
    number = (
        isinstance(patience_s, (int, float)) and not isinstance(patience_s, bool) and 0 <= patience_s < 3600
    )
    checks = [
        (isinstance(spec, BanditSpec), "spec", "a BanditSpec", spec),
        (dsn is None or isinstance(dsn, str), "dsn", "a string such as postgresql://user@host/database", dsn),
        (
            type(connections) is int and 1 <= connections <= 1000,
            "connections",
            "an integer from 1 to 1000",
            connections,
        ),
        (number, "patience_s", "seconds from 0 to below 3600", patience_s),
    ]
    for good, name, expected, found in checks:
        if not good:
            raise InputInvalid(
                f"'{name}' of LearningEngine.open is unusable",
                expected=expected,
                found=f"{type(found).__name__}: {found!r:.100}" if name != "dsn" else type(found).__name__,
                fix=f"correct {name}",
            )


async def _started(home: Path, binaries: Path | None) -> EmbeddedServer:
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


def _log_failure(noted: asyncio.Future[Written]) -> None:
    if not noted.cancelled() and noted.exception() is not None:
        _LOG.warning("an abandoned execution was not noted: %s", noted.exception())
