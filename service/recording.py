"""``record_execution``: what agents report of their executions, each kept once; written in groups."""

from __future__ import annotations

import asyncio
import time as clock
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import asyncpg

from ..bandit import Receipt
from ..bandit.learner import checked_id
from ..bandit.reports import Reported
from ..errors import DatabaseUnavailable, InputInvalid, NyxError, Overloaded, RewardConflict, shown
from ..features.monitors.performance import PerformanceMetrics
from ..insights.recommending.execution_result import ExecutionResult
from ..persistence.database import reaching, unavailable
from ..persistence.executions import ExecutionRow, KnownExecution, insert_executions, known_executions
from ..rewards import Outcome
from .reporting import Reporting

__all__ = ["ExecutionReceipt", "Recording", "checked_report", "record"]

_MOST_AT_ONCE, _MOST_WAITING = 500, 20_000
_MAX_AGENT = 200
_PATIENCE_S = 5.0

_Waiting: TypeAlias = tuple[ExecutionRow, asyncio.Future[bool]]


@dataclass(frozen=True, slots=True)
class ExecutionReceipt:
    """An execution is stored. applied : by this call; False where the same report came before.

    receipt : what became of the decision's outcome; None for an execution that was no decision's.
    """

    execution_id: str
    agent_id: str
    agent_type: str | None
    applied: bool
    decision_id: str | None = None
    receipt: Receipt | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        found = asdict(self)
        if self.receipt is not None:
            receipt = self.receipt
            found["receipt"] = {
                **receipt._asdict(),
                "components": dict(receipt.components),
                "missing": list(receipt.missing),
            }
        return found


def checked_report(
    agent_id: object,
    execution_result: object,
    performance_metrics: object,
    *,
    agent_type: str | None = None,
    execution_id: str | None = None,
    decision_id: str | None = None,
) -> tuple[ExecutionRow, ExecutionResult]:
    """A report as a row, and as the result with all that was told beside it.

    Raises
    ------
    InputInvalid, OutcomeInvalid : it does not fit together.
    """
    if not isinstance(agent_id, str) or not 0 < len(agent_id) <= _MAX_AGENT or not agent_id.isprintable():
        raise InputInvalid(
            "the agent's id is unusable",
            expected=f"a printable text of 1 to {_MAX_AGENT} characters",
            found=shown(agent_id),
            fix="name the agent as you would find it again, such as 'researcher-2'",
        )
    result = _result(execution_result)
    given: dict[str, Any] = {
        "agent_type": agent_type,
        "execution_id": execution_id,
        "decision_id": decision_id,
    }
    for name, value in given.items():
        own = getattr(result, name)
        if value is not None and own is not None and own != value:
            raise InputInvalid(
                f"the report of an execution contradicts itself: {name}",
                expected=f"{own!r:.80}, as in the result, or none in one of them",
                found=f"{value!r:.80}",
                fix="say it once",
            )
    result = replace(result, **{name: value for name, value in given.items() if value is not None})
    if performance_metrics is not None:
        result = result.with_metrics(_metrics(performance_metrics))
    key = result.execution_id or result.decision_id or f"run-{uuid.uuid4()}"
    at = clock.time() if result.time is None else result.time
    document = result.to_dict()
    for name in ("execution_id", "decision_id", "agent_type"):
        document.pop(name, None)
    row = ExecutionRow(checked_id(key), at, agent_id, result.agent_type, result.decision_id, document)
    return row, result


def _result(told: object) -> ExecutionResult:
    if isinstance(told, ExecutionResult):
        return told
    if isinstance(told, Outcome):
        fields = ExecutionResult.__dataclass_fields__
        return ExecutionResult(**{k: v for k, v in told.to_dict().items() if k in fields})
    if isinstance(told, Mapping):
        return ExecutionResult.from_dict(told)
    raise InputInvalid(
        "the execution's result is none",
        expected="an ExecutionResult, an Outcome, or a mapping with 'success'",
        found=shown(told),
        fix="ExecutionResult(success=True, duration_s=12.5)",
    )


def _metrics(told: object) -> PerformanceMetrics:
    if isinstance(told, PerformanceMetrics):
        return told
    if isinstance(told, Mapping):
        return PerformanceMetrics.from_dict(told)
    raise InputInvalid(
        "the performance metrics are none",
        expected="PerformanceMetrics, or a mapping of metrics",
        found=shown(told),
        fix="PerformanceMetrics(duration_s=12.5, tokens=900), or leave them out",
    )


class Recording:
    """Writes reports that come while others are being written together, in one statement.

    Where the database is away a report fails with ``DatabaseUnavailable``, which is retryable: it is not
    spooled, because nothing is decided from it. Sent again, it is kept once.
    """

    def __init__(self, pool: asyncpg.Pool, bandit: str) -> None:
        self._pool, self._bandit = pool, bandit
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, row: ExecutionRow) -> bool:
        """Store a row; False where it is stored already.

        Raises
        ------
        RewardConflict : another report is stored under its id.
        DatabaseUnavailable, Overloaded (retryable) : it is not stored.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise Overloaded(
                "too many reports of executions wait to be stored",
                expected=f"at most {_MOST_WAITING:,}",
                found=f"{len(self._waiting):,}",
                fix="send it again a little later",
            )
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="nyx-executions")
        return await future

    async def refuse_conflict(self, row: ExecutionRow) -> None:
        """Nothing, unless another report is stored under the row's id.

        Raises
        ------
        RewardConflict : there is one.
        DatabaseUnavailable (retryable) : it cannot be told.
        """
        with reaching():
            async with asyncio.timeout(_PATIENCE_S):
                known = await known_executions(self._pool, self._bandit, [row.execution_id])
        there = known.get(row.execution_id)
        if there is not None and there.digest != row.digest:
            raise _conflict(row, there.agent_id)

    async def finish(self) -> None:
        """Wait until all that was handed in is stored, or has failed."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                keys, batch, later = set[str](), list[_Waiting](), list[_Waiting]()
                for item in self._waiting:
                    fits = len(batch) < _MOST_AT_ONCE and item[0].execution_id not in keys
                    (batch if fits else later).append(item)
                    keys.add(item[0].execution_id)
                self._waiting = later
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            known = await self._inserted([row for row, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, NyxError) else _stopped(error))
            if not isinstance(error, NyxError):
                raise
            return
        for row, future in batch:
            there = known.get(row.execution_id)
            if future.done():
                continue  # its caller was cancelled
            if there is None or there.digest == row.digest:
                future.set_result(there is None)
            else:
                future.set_exception(_conflict(row, there.agent_id))

    async def _inserted(self, rows: list[ExecutionRow]) -> Mapping[str, KnownExecution]:
        with reaching():
            async with asyncio.timeout(_PATIENCE_S):
                return await insert_executions(self._pool, self._bandit, rows)


def _stopped(error: BaseException) -> NyxError:
    return unavailable(f"it was stopped by {type(error).__name__} while reports were written")


def _conflict(row: ExecutionRow, agent_id: str) -> RewardConflict:
    return RewardConflict(
        f"another report is stored for execution '{row.execution_id}'",
        expected=f"the report that agent '{agent_id}' sent before, or an id that was never used",
        found=f"another result, agent, agent type or decision, from agent '{row.agent_id}'",
        fix="report each execution once; an execution of its own needs an id of its own",
    )


async def record(
    recording: Recording, reporting: Reporting, row: ExecutionRow, result: ExecutionResult
) -> ExecutionReceipt:
    """``LearningEngine.record_execution``, behind its checks."""
    receipt = None
    if row.decision_id is not None:
        told = Reported(outcome=result.outcome) if result.reward is None else Reported(reward=result.reward)
        # Before the decision learns of it; where the database is away, the outcome is spooled all the same.
        with suppress(DatabaseUnavailable):
            await recording.refuse_conflict(row)
        receipt = await reporting.report(row.decision_id, told)
    applied = await recording.write(row)
    return ExecutionReceipt(row.execution_id, row.agent_id, row.agent_type, applied, row.decision_id, receipt)
