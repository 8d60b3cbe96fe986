"""``LearningEngine``: the learner, durable and shared, behind an asynchronous front.

Decisions and rewards are rows in Postgres before anybody hears of them; the memory of the process is a prefix
of the log, kept up by its own commits and by polling what other processes wrote.
"""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

from ..bandit import BanditSpec, Beliefs, Decision, Receipt, VerifyReport
from ..bandit.expected_references import ReferenceProposal
from ..bandit.guardrails import Override
from ..bandit.prediction import PerformancePrediction, WorkflowInput
from ..bandit.reports import Reported, RewardStatus
from ..errors import DatabaseUnavailable, NyxError
from ..features import Value
from ..features.monitors import Anomaly, BaselineMetrics, PerformanceMetrics, detect_performance_anomalies
from ..features.trends import Trend
from ..persistence.budgets import BudgetLeft, Reservation
from ..persistence.conflicts import Conflicts, Unlearned
from ..persistence.database import reaching
from ..persistence.group_commit import WhenFull, Written
from ..persistence.retention import Retained
from ..persistence.thought_trees import TreeId
from ..rewards import Adoption, ReferenceTimes, RewardSpec, ScoringResult
from .anomalies import FoundAnomaly, list_anomalies, performance_baseline
from .budgeting import hard_budgets_left, reserve_maximum, settle_used
from .bulk import ArmRequest, RewardReport, select_arms, update_rewards
from .execution import Execution
from .exporting import ExportReport, export_log
from .guarding import list_overrides, order_override, revoke_override
from .health import Health, health_of
from .importing import ImportReport, import_log
from .monitoring import MonitoringStatus
from .opening import Options, check_seconds, checked
from .parts import Parts, open_parts
from .predicting import Predicting
from .referring import adopt_references, propose_references
from .repricing import Repricing, reprice_log
from .retaining import expire_and_retain
from .trending import analyze_performance_trends
from .verification import verify_log

__all__ = ["LearningEngine"]

_DRAIN_S = 5.0


class LearningEngine:
    """Selects arms and learns from outcomes, for many processes on one database. Made by ``open``."""

    def __init__(self, parts: Parts) -> None:
        self.spec = parts.spec
        self._parts = parts
        self._pool, self._server = parts.pool, parts.server
        self._store, self._replica, self._learner = parts.store, parts.replica, parts.learner
        self._following = parts.following
        self._predicting = Predicting(parts.store, parts.spec)
        self._closing: asyncio.Task[None] | None = None
        self.thought_trees = parts.thought_trees
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
        fail_open: bool = True,
        deadline_s: float = 0.05,
        spool: Path | None = None,
        spool_fsync: bool = False,
        queue_limit: int = 100_000,
        when_full: WhenFull = "wait",
    ) -> Self:
        """Open the bandit of ``spec``, create it if it is new, and continue where its log ends.

        Parameters
        ----------
        dsn : a Postgres DSN; by default ``NYX_DATABASE_URL``, and without that an embedded server.
        data_home : folder of the embedded server; by default ``NYX_DATA_HOME``, or the user's data directory.
        connections : at most so many connections of this process.
        patience_s : for so long a write is tried again while the database is away.
        thought_trees : the table that ``update_thought_tree_scores`` writes, perhaps ``schema.table``.
        fail_open : while the database is away or slow, decide from memory, and spool what is decided and
            told; an engine that is opened then decides from the prior until it answers. False: raise
            ``DatabaseUnavailable`` instead. A DSN that is wrong, or lacks rights, is an error either way.
        deadline_s : for so long ``select_arm`` waits until its decision is stored, where it fails open.
        spool : folder for what waits for the database; by default ``NYX_SPOOL``, or in the user's data
            directory.
        spool_fsync : bring each record to the disk before it counts, so that it survives a power cut too.
        queue_limit : at most so many writes wait for the database in this process.
        when_full : what a caller meets then: ``wait``, or ``refuse`` (``Overloaded``, which is retryable).

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused, DatabaseSetupFailed, SchemaMismatch : the database is of no use.
        InputInvalid : an argument is out of its domain.
        """
        options = Options(
            data_home,
            connections,
            patience_s,
            thought_trees,
            fail_open,
            deadline_s,
            spool,
            spool_fsync,
            queue_limit,
            when_full,
        )
        checked(spec, dsn, options)
        return cls(await open_parts(spec, dsn, options))

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
            self._closing = asyncio.create_task(self._parts.close(), name="nyx-close")
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await asyncio.wait([self._closing])
            raise

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
        deadline_s: float | None = None,
    ) -> Decision:
        """Choose an arm for a context, and store the decision before it is returned.

        Parameters
        ----------
        context : a value for each feature of the spec's schema.
        decision_id : idempotency key, best one that a retry would send again: the same id returns the stored
            decision, whoever made it. Without one, the decision gets a random id.
        eligible, exclude : arm ids or strategy names; by default every arm is eligible.
        durable : False returns before the decision is stored (``mode`` says ``write_behind``): faster, kept
            on the local disk until it is, and without idempotency across processes.
        deadline_s : for so long it may take until the decision is stored; by default the engine's. One that
            is not stored by then waits on the local disk, and ``mode`` says ``spooled``: it is never made
            again.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : bad input.
        DecisionConflict : the id was used with another context or eligibility.
        RewardTooLate : the id belongs to a decision that retention dropped.
        DatabaseUnavailable : the decision could not be stored, and the engine does not fail open.
        """
        self._check_open()
        if deadline_s is not None:
            check_seconds("deadline_s", deadline_s)
        return await self._parts.selecting.select(
            context,
            decision_id,
            eligible=eligible,
            exclude=exclude,
            durable=durable,
            deadline_s=deadline_s,
        )

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
        Its ``state`` is ``spooled``, and ``seq`` 0, where the database is away: the report waits on the local
        disk, and is learned from once it has a number. It is ``conflict`` where the decision lost its id to
        one that was made apart: the report is stored, and never learned from.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        OutcomeInvalid : not exactly one given, out of range, or without any score that has weight.
        RewardConflict : there is another outcome of this source already, the correction does not name the
            latest revision, or the decision was retracted.
        RewardTooLate : the decision was closed, and the spec rejects late outcomes.
        DecisionConflict : the given decision is not the one stored under its id.
        DatabaseUnavailable : the outcome could not be stored, nor spooled; send it again.
        """
        self._check_open()
        told = Reported(outcome, reward, part, source, identifier, corrects)
        return await self._parts.reporting.report(decision, told)

    async def select_arms(self, requests: Iterable[ArmRequest], *, durable: bool = True) -> list[Decision]:
        """``select_arm`` for many, in few statements; the decisions in the order of the requests.

        All requests are checked before anything is decided: one that does not fit refuses them all, and the
        error says which. The deadline grows by a millisecond each.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : one does not fit; nothing was decided.
        DecisionConflict : an id stands there twice with different questions, and nothing was decided; or it
            was used before with another one, and the other requests were decided and stored.
        DatabaseUnavailable, Overloaded : as in ``select_arm``; the same list may be sent again.
        """
        self._check_open()
        return await select_arms(self._parts, requests, durable=durable)

    @overload
    async def update_rewards(self, reports: Iterable[RewardReport]) -> list[Receipt]: ...
    @overload
    async def update_rewards(
        self, reports: Iterable[RewardReport], *, errors: Literal["raise"]
    ) -> list[Receipt]: ...
    @overload
    async def update_rewards(
        self, reports: Iterable[RewardReport], *, errors: Literal["return"]
    ) -> list[Receipt | NyxError]: ...
    async def update_rewards(
        self, reports: Iterable[RewardReport], *, errors: Literal["raise", "return"] = "raise"
    ) -> list[Receipt] | list[Receipt | NyxError]:
        """``update_reward`` for many, in few statements; the receipts in the order of the reports.

        What can be told without the stored rows is checked for all reports before anything is written: one
        that does not fit refuses them all, and the error says which. What only the stored rows can refuse (a
        conflict, a closed or an unknown decision) concerns its own report; the others are written.

        errors : what becomes of such refusals: ``raise`` the first one, behind all others; or ``return`` them
            in the places of their receipts. Either way the same list may be sent again.

        Raises
        ------
        OutcomeInvalid, InputInvalid : a report does not fit; nothing was written.
        DecisionUnknown, RewardConflict, RewardTooLate, DecisionConflict : as in ``update_reward``, with
            ``errors='raise'``.
        DatabaseUnavailable, Overloaded : as in ``update_reward``.
        """
        self._check_open()
        return await update_rewards(self._parts, reports, errors=errors)

    async def decision(self, decision_id: str) -> Decision:
        """A stored decision, whoever made it.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        """
        self._check_open()
        return await self._parts.settling.decision(decision_id)

    async def retract(self, decision: Decision | str) -> Receipt:
        """Forget a decision: its contribution leaves the sums exactly, and it takes no more reports.

        Past decisions stay as they are. Again, it changes nothing.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        """
        self._check_open()
        return await self._parts.settling.retract(decision)

    async def expire(self, now: float) -> list[Receipt]:
        """Close every decision that has no reward ``window_s`` after it was made: it gets the default reward.

        Nothing expires by itself: call this from time to time. ``now`` : seconds since 1970. Returns the
        receipts of the decisions that were closed by this call; none where the spec has no window.

        Raises
        ------
        InputInvalid : ``now`` is not a finite number.
        """
        self._check_open()
        return await self._parts.settling.expire(now)

    async def rewards(self, decision_id: str) -> RewardStatus:
        """Where a decision's reward stands, and all that was logged about it.

        Raises
        ------
        DecisionUnknown (retryable) : no such decision is stored.
        """
        self._check_open()
        return await self._parts.settling.status(decision_id)

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
        return await adopt_references(self._store, self._replica, references, earlier)

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
        return await propose_references(
            self._store,
            self.spec,
            first_seq=first_seq,
            last_seq=last_seq,
            by=by,
            min_n=min_n,
            succeeded_only=succeeded_only,
        )

    async def propose_expected_references(
        self, *, by: Sequence[str] | None = None, min_n: int = 10
    ) -> ReferenceProposal:
        """References as executions are expected to be now, beside those in force; nothing is adopted.

        Where ``propose_references`` takes medians of a stretch of the log, these are what the baseline arm is
        expected to take in each cell's contexts: they follow a shift at once, and no change of the mix of
        tasks. A person reads the proposal and calls ``adopt_references(proposal.references)``, or does not.

        by : context features, by default the spec's ``reference_by``. min_n : executions that a cell needs.

        Raises
        ------
        SupportMissing : too few executions that reported a time, tokens or a cost.
        """
        self._check_open()
        return await self._predicting.propose_references(by, min_n)

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

    async def predict_workflow_performance(
        self, workflow_input: WorkflowInput, proposed_strategy: str
    ) -> PerformancePrediction:
        """What an execution is expected to do: success, seconds and cost, each with an interval.

        Learned from the newest 2,000 to 4,000 rows of the stored log, whoever wrote them: every process says
        the same, and where little is known the intervals are wide and ``cold`` says so. Decides nothing and
        stores nothing. See ``docs/how-to/predict.md``.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        proposed_strategy : an arm id; or a strategy, which stands for its arms as they were used.

        Raises
        ------
        ContextInvalid, ArmUnknown : bad input; the log is not read.
        DatabaseUnavailable : the log cannot be read, and nothing was read before.
        """
        self._check_open()
        return await self._predicting.predict(workflow_input, proposed_strategy)

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
        return self._parts.reporting.abandon(decision)

    async def update_thought_tree_scores(self, thought_tree_id: TreeId, scores: ScoringResult) -> None:
        """Queue scores for the row of a thought tree in the user's own table, and return.

        ``engine.thought_trees.flush()`` writes what is queued and names the ids that the table does not have;
        closing the engine writes it too.

        Raises
        ------
        InputInvalid, OutcomeInvalid : an id or a score that cannot be written.
        Overloaded (retryable) : 50,000 wait already, and the database does not take them.
        """
        self._check_open()
        await self.thought_trees.update(thought_tree_id, scores)

    async def analyze_performance_trends(
        self,
        time_window: float | None = None,
        *,
        metrics: Sequence[str] | None = None,
        bucket_s: float | None = None,
        steps: int = 24,
        coverage: float = 0.9,
    ) -> tuple[Trend, ...]:
        """Level, trend and forecast of each metric, and whether it depends on the hour or the load.

        Read from the newest 50,000 rows of the log, by the time of their reports; changes nothing. See
        ``docs/how-to/trends.md``.

        Parameters
        ----------
        time_window : seconds back from now; None: all of them. metrics : out of ``features.trends.METRICS``;
            None: all. bucket_s : length of a bucket, by default what fits the rows. steps : buckets that are
            forecast. coverage : of the intervals.

        Raises
        ------
        InputInvalid : an unknown metric, or a number out of its domain; the log is not read.
        """
        self._check_open()
        return await analyze_performance_trends(self._store, time_window, metrics, bucket_s, steps, coverage)

    async def reprice(self, spec: RewardSpec, *, by: Sequence[str] | None = None) -> Repricing:
        """Read every stored reward under other weights, means, profiles and gates; changes nothing.

        by : features whose values together make a group of contexts; by default each that is no number.

        Raises
        ------
        SpecInvalid : ``spec`` has other references, factors or powers, which the stored scores cannot tell.
        """
        self._check_open()
        return await reprice_log(self._store, spec, by=by)

    async def import_log(
        self, path: str | Path, *, form: str | None = None, skip_bad: bool = False
    ) -> ImportReport:
        """Import decisions and rewards from a file (JSONL, CSV or Parquet), and learn from them.

        They count as made elsewhere (mode ``imported``); what they were worth joins the sums as any reward
        does. All lines are imported, in one transaction, or none; a file that was imported before changes
        nothing. See ``docs/how-to/import-a-history.md``.

        Parameters
        ----------
        form : ``jsonl``, ``csv`` or ``parquet``; by default what the file's name says, or its beginning.
        skip_bad : import the lines that fit, and list the others in the report.

        Raises
        ------
        ImportRejected : a line does not fit; its ``report`` lists them all, and nothing was written.
        LogUnreadable, PackageMissing : the file cannot be read to its end; nothing was written.
        DatabaseUnavailable, DatabaseRefused : nothing was written.
        """
        self._check_open()
        epochs = tuple(self._learner.sums.epochs)
        report = await import_log(self._store, epochs, path, form=form, skip_bad=skip_bad, time=clock.time())
        with reaching():
            await self._replica.catch_up()
        return report

    async def export_log(
        self,
        path: str | Path,
        *,
        form: str | None = None,
        context_columns: Literal["dotted", "json"] = "dotted",
    ) -> ExportReport:
        """Write a line for each stored decision, with the reward that counts now; streamed, of one moment.

        form : as ``import_log`` takes it. context_columns : of a CSV: a column for each feature, or JSON.

        Raises
        ------
        LogUnwritable, PackageMissing : the file cannot be written as asked; an old one stays as it was.
        """
        self._check_open()
        return await export_log(self._store, path, form=form, context_columns=context_columns)

    async def verify(self) -> VerifyReport:
        """Fold the stored log, re-derive every stored decision, and name the first row that differs."""
        self._check_open()
        await self._parts.flushing.drain(_DRAIN_S)
        with reaching():
            await self._replica.checkpoint()
            return await verify_log(self._store)

    async def retain(self, older_than_s: float, *, dry_run: bool = False) -> Retained:
        """Drop decisions that are older, with their rows of the log; what they taught stays, exactly.

        Their sums are stored first, and ``verify`` and restarts begin there. Kept is what is still needed;
        the report says what holds it. Windows that have passed are closed before, as by ``expire``. Needs
        the rights of the schema's owner. ``older_than_s`` : seconds. ``dry_run`` : only say what would go.

        Raises
        ------
        InputInvalid : an age that is none.
        """
        self._check_open()
        now = clock.time()
        with reaching():
            (found,) = await expire_and_retain([self._store], older_than_s, now=now, dry_run=dry_run)
            await self._replica.catch_up()
        return found

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored for this bandit."""
        self._check_open()
        with reaching():
            return await self._store.log.counts()

    async def monitoring(self) -> MonitoringStatus | None:
        """How far the spec's monitors have come, in whichever process they run; None where it has none."""
        self._check_open()
        if self._parts.monitoring is None:
            return None
        with reaching():
            return await self._parts.monitoring.status(self._parts.pool)

    async def override(
        self,
        rule: str,
        arms: Iterable[str] | str = (),
        *,
        author: str,
        reason: str,
        share: float | None = None,
        rows: int | None = None,
        until: float | None = None,
    ) -> Override:
        """Order a guardrail: a numbered row of the log, which every process obeys once it has learned it.

        It acts on the pmf before the draw, so that propensities stay exact. See
        ``docs/how-to/guardrails.md``.

        Parameters
        ----------
        rule : ``pin``, ``exclude``, ``pause``, ``retire``, ``cap``, ``ramp``, ``kill_switch``, ``shadow`` or
            ``freeze``.
        arms : arm ids or strategy names; none for the last three.
        author, reason : who orders it, and why; kept in the row.
        share : of ``cap``, and what ``ramp`` begins with. rows : of ``ramp``.
        until : it expires then, in seconds since 1970; by default never.

        Raises
        ------
        InputInvalid, ArmUnknown, GuardrailConflict : it does not fit; nothing was written.
        DatabaseUnavailable : an order that is not in the log is none.
        """
        self._check_open()
        return await order_override(
            self._store,
            self._replica,
            self.spec,
            rule,
            arms,
            author=author,
            reason=reason,
            share=share,
            rows=rows,
            until=until,
        )

    async def revoke(self, seq: int, *, author: str, reason: str) -> Override:
        """End an override, by the number of its row.

        Raises
        ------
        InputInvalid : none of this number is in force; nothing was written.
        """
        self._check_open()
        return await revoke_override(self._store, self._replica, self.spec, seq, author=author, reason=reason)

    async def overrides(self, *, expired: bool = False) -> list[Override]:
        """The overrides in force, in the order of their rows; ``expired`` : also those that have expired."""
        self._check_open()
        return await list_overrides(self._store, self.spec, expired=expired)

    async def reserve(self, decision: Decision | str, **maximum: float) -> Reservation:
        """Hold what an execution may use at most of the spec's hard budgets, before it starts.

        ``maximum`` : by metric, such as ``cost=0.5``. All or nothing; again, it changes nothing. What is held
        counts in full until ``settle``, or until the window ends.

        Raises
        ------
        BudgetExhausted : not that much is left; nothing is held.
        InputInvalid : a metric of no hard budget, one that is missing, or other amounts than before.
        DatabaseUnavailable : nothing can be held while the database is away.
        """
        self._check_open()
        return await reserve_maximum(self._store, self.spec, decision, maximum)

    async def settle(self, decision: Decision | str, **used: float) -> Reservation:
        """Say what an execution has used; the rest of what it held is free again. Again, it changes nothing.

        Raises
        ------
        InputInvalid : it holds nothing, or said another number before.
        """
        self._check_open()
        return await settle_used(self._store, self.spec, decision, used)

    async def budgets(self) -> list[BudgetLeft]:
        """The spec's hard budgets in their present windows: held, spent, and left."""
        self._check_open()
        return await hard_budgets_left(self._store, self.spec)

    async def flush(self) -> int:
        """Send what waits on the local disk now; returns how many records still wait there.

        That happens by itself too, as soon as the database answers.

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused : the database does not take it; everything is kept.
        """
        self._check_open()
        return await self._parts.flushing.flush()

    def health(self) -> Health:
        """Whether the engine is live, ready and learning, and where not, why, and what to do.

        Told from memory at once, whatever the database does; also behind ``close``.
        """
        return health_of(self._parts, closed=self._closing is not None)

    async def anomalies(
        self, limit: int = 100, *, before: int | None = None, arm: str | None = None
    ) -> list[FoundAnomaly]:
        """The odd executions that the monitors found, the latest first: read from the log, whoever led.

        ``before`` : only events below this number, to go on behind a page. ``arm`` : of this arm only (of
        this strategy, where parameters are chosen in stages).

        Raises
        ------
        InputInvalid : a limit that is no whole number from 1 to 100,000.
        """
        self._check_open()
        return await list_anomalies(self._store, limit, before, arm)

    async def performance_baseline(self, arm: str | None = None) -> BaselineMetrics:
        """What the newest 1,000 reports, or those of one arm, let expect of a further execution."""
        self._check_open()
        return await performance_baseline(self._store, arm)

    async def detect_performance_anomalies(
        self, current_metrics: PerformanceMetrics, historical_baseline: BaselineMetrics | None = None
    ) -> list[Anomaly]:
        """What is odd about an execution beside a baseline (else ``performance_baseline()``), oddest first.

        Writes nothing. Monitors also know the context, and follow levels that move.
        """
        self._check_open()
        if historical_baseline is None:
            historical_baseline = await self.performance_baseline()
        return detect_performance_anomalies(current_metrics, historical_baseline)

    async def unlearned(self, limit: int = 1000) -> list[Unlearned]:
        """The reports that are stored and not learned from, the latest first: each with the reason.

        Reports that waited for the database, and that the log then refused; and those on decisions that lost
        their id to another process's.
        """
        self._check_open()
        with reaching():
            return await Conflicts(self._store).reports(limit)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise DatabaseUnavailable(
                "the engine is closed",
                expected="a call inside 'async with await LearningEngine.open(…)'",
                found="a call after close()",
                fix="open the engine again",
            )
