"""Group commit: what arrives while a commit is in flight forms the next batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import asyncpg

from ..bandit import Decision
from ..bandit.log import RewardRow
from ..errors import DatabaseUnavailable, NyxError
from .database import UNREACHABLE, refused, unavailable
from .store import Batch, Store

__all__ = ["GroupCommit", "Written"]

_LOG = logging.getLogger("nyx_learning")
_BATCH = 1000
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 1.0
_CLOSE_S = 15.0


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the canonical decision, and the row and whether it is new."""

    decision: Decision | None
    row: RewardRow | None
    applied: bool


@dataclass(frozen=True, slots=True)
class _Item:
    decision: Decision
    reward: RewardRow | None
    abandoned_at: float | None
    carry: bool
    done: asyncio.Future[Written]


class GroupCommit:
    """Writes decisions and rewards of one bandit, many in one transaction, in the order in which they came.

    ``committed(batch)`` is awaited behind each commit and before anybody hears of it. ``patience_s``: for so
    long a batch is tried again while the database is away.
    """

    def __init__(
        self, store: Store, committed: Callable[[Batch], Awaitable[None]], *, patience_s: float = 5.0
    ) -> None:
        self._store, self._committed, self._patience_s = store, committed, patience_s
        self._waiting: list[_Item] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name=f"nyx-commit-{store.bandit}")

    async def write(
        self,
        decision: Decision,
        reward: RewardRow | None = None,
        *,
        abandoned_at: float | None = None,
        carry: bool = True,
    ) -> Written:
        """Store a decision, and its reward if there is one; returns when both are committed.

        ``carry=False`` promises that the decision is stored already. What was handed in is written even if
        the caller is cancelled while it waits.

        Raises
        ------
        RewardConflict, RewardTooLate, OutcomeInvalid, DecisionConflict : what is stored does not allow it;
            nothing was written.
        DatabaseUnavailable : the database did not take it, also not on repeated tries.
        DatabaseRefused : the database answered with an error.
        """
        return await asyncio.shield(self.enqueue(decision, reward, abandoned_at=abandoned_at, carry=carry))

    def enqueue(
        self,
        decision: Decision,
        reward: RewardRow | None = None,
        *,
        abandoned_at: float | None = None,
        carry: bool = True,
    ) -> asyncio.Future[Written]:
        """``write`` without waiting."""
        if self._closing or self._task.done():
            raise _closed()
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(decision, reward, abandoned_at, carry, done))
        self._wake.set()
        return done

    async def close(self) -> None:
        """Write what is waiting, then stop; what the database does not take in time fails."""
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait([self._task], timeout=_CLOSE_S)
        finally:
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        items: list[_Item] = []
        try:
            while self._waiting or not self._closing:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                items = self._next_batch()
                await self._write(items)
        finally:
            # Only where the task is cancelled is anybody left: nobody may wait for ever.
            _fail([*items, *self._waiting], _closed())
            self._waiting = []

    def _next_batch(self) -> list[_Item]:
        # Two reports on one decision must not meet in one batch: the second has to see the first.
        taken: list[_Item] = []
        left: list[_Item] = []
        seen: set[str] = set()
        for item in self._waiting:
            key = item.decision.decision_id
            if len(taken) < _BATCH and key not in seen:
                taken.append(item)
            else:
                left.append(item)
            seen.add(key)
        self._waiting = left
        return taken

    async def _write(self, items: list[_Item]) -> None:
        try:
            await self._commit(items)
        except DatabaseUnavailable as error:
            # Those behind have waited at the same closed door; trying for each batch anew would add up.
            _fail([*items, *self._waiting], error)
            self._waiting = []
        except Exception as error:  # noqa: BLE001 (a caller waits for each item, and the writer must live on)
            if len(items) > 1:  # one item may have spoilt the batch: find out which
                for item in items:
                    if not item.done.done():
                        await self._write([item])
            elif isinstance(error, asyncpg.ForeignKeyViolationError) and not items[0].carry:
                await self._write([replace(items[0], carry=True)])  # its decision was removed behind our back
            else:
                _fail(items, refused(error) if isinstance(error, asyncpg.PostgresError) else error)

    async def _commit(self, items: list[_Item]) -> None:
        batch = Batch(
            {item.decision.decision_id: item.decision for item in items if item.carry},
            {item.decision.decision_id: item.reward for item in items if item.reward is not None},
            {item.decision.decision_id: item.decision for item in items},
            {item.decision.decision_id: item.abandoned_at for item in items if item.abandoned_at is not None},
        )
        tries = await self._insist(batch)
        try:
            await self._committed(batch)
        except Exception:  # noqa: BLE001 (the rows are committed, and their owners are told so)
            _LOG.exception("what was committed could not be learned at once")
        appended = {row.decision_id: row for row in batch.appended}
        for item in items:
            key = item.decision.decision_id
            row = appended.get(key) or batch.known.get(key)
            if item.done.done():
                continue
            if key in batch.refused:
                item.done.set_exception(batch.refused[key])
            else:
                # An earlier try of ours may have been committed without our hearing of it.
                ours = tries > 1 and row is not None and _is_of(row, item)
                item.done.set_result(Written(batch.stored.get(key), row, ours or key in appended))

    async def _insist(self, batch: Batch) -> int:
        """Commit, repeatedly while the database is away; returns the number of tries."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience_s
        delay = _FIRST_DELAY_S
        tries = 1
        while True:
            try:
                await self._store.commit(batch)
            except NyxError:
                raise
            except UNREACHABLE as error:
                # Also where the outcome of COMMIT is unknown: the next try finds what was written.
                if now() + delay > deadline:
                    raise unavailable(f"{type(error).__name__}: {error!s:.200}") from error
                await asyncio.sleep(delay)
                delay = min(2.0 * delay, _LONGEST_DELAY_S)
                tries += 1
            else:
                return tries


def _is_of(row: RewardRow, item: _Item) -> bool:
    """Tell whether a row that stood in the log was written for this item, by an earlier try."""
    if item.reward is None:
        return row.reported_at == item.abandoned_at
    return row.same_report(item.reward) and row.reported_at == item.reward.reported_at


def _closed() -> DatabaseUnavailable:
    return unavailable("the engine is closed", "use the engine inside its 'async with' block")


def _fail(items: list[_Item], error: Exception) -> None:
    for item in items:
        if not item.done.done():
            item.done.set_exception(error)
