"""``LearningEngine``: the learner, durable and shared, behind an asynchronous front.

Decisions and rewards are rows in Postgres before anybody hears of them; the memory of the process is a prefix
of the log, kept up by its own commits and by polling what other processes wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, overload

from ..bandit import BanditSpec, Beliefs, Decision, Receipt
from ..bandit.reports import Reported, RewardStatus
from ..errors import NyxError
from ..features import Value
from ..persistence.group_commit import WhenFull, Written
from ..persistence.thought_trees import TreeId
from ..rewards import ScoringResult
from .bulk import ArmRequest, RewardReport, select_arms, update_rewards
from .calls.advice import AdviceCalls
from .calls.expectations import ExpectationCalls
from .calls.guardrails import GuardrailCalls
from .calls.insight import InsightCalls
from .calls.references import ReferenceCalls
from .calls.report import ReportCalls
from .calls.upkeep import UpkeepCalls
from .execution import Execution
from .opening import Options, check_seconds, checked
from .parts import open_parts
from .telemetry import configured, told_decisions, told_receipts

__all__ = ["LearningEngine"]


class LearningEngine(
    AdviceCalls, GuardrailCalls, InsightCalls, ExpectationCalls, ReferenceCalls, ReportCalls, UpkeepCalls
):
    """Selects arms and learns from outcomes, for many processes on one database. Made by ``open``."""

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
        deciding = self._parts.selecting.select(
            context,
            decision_id,
            eligible=eligible,
            exclude=exclude,
            durable=durable,
            deadline_s=deadline_s,
        )
        return await (told_decisions(self.spec.name, deciding) if configured() else deciding)

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
        reporting = self._parts.reporting.report(decision, told)
        return await (told_receipts(self.spec.name, reporting) if configured() else reporting)

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
        deciding = select_arms(self._parts, requests, durable=durable)
        return await (told_decisions(self.spec.name, deciding, many=True) if configured() else deciding)

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
        reporting = update_rewards(self._parts, reports, errors=errors)
        return await (told_receipts(self.spec.name, reporting, many=True) if configured() else reporting)

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

        ``nyx-learning serve`` does that by itself; without it, call this from time to time, because no engine
        does. ``now`` : seconds since 1970. Returns the receipts of the decisions that were closed by this
        call; none where the spec has no window.

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

    def execution(
        self,
        context: Mapping[str, Value],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> Execution[Decision, Receipt]:
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
