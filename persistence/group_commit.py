"""Group commit: what arrives while a commit is in flight forms the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from ..bandit import Decision
from ..bandit.log import RewardRow
from ..errors import NyxError
from .database import UNREACHABLE, unavailable
from .store import Batch, Store

__all__ = ["GroupCommit", "Written"]

_BATCH = 1000
_RETRIES = (0.05, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write: the canonical decision, and the reward's row and whether it is new."""

    decision: Decision | None
    row: RewardRow | None
    applied: bool


@dataclass(frozen=True, slots=True)
class _Item:
    decision: Decision
    reward: RewardRow | None
    carry: bool
    done: asyncio.Future[Written]


class GroupCommit:
    """Writes decisions and rewards of one bandit, many in one transaction, in the order in which they came.

    ``committed(rows)`` is awaited behind each commit and before anybody hears of it, with the rows that got numbers.
    """

    def __init__(self, store: Store, committed: Callable[[list[RewardRow]], Awaitable[None]]) -> None:
        self._store, self._committed = store, committed
        self._waiting: list[_Item] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name=f"nyx-commit-{store.bandit}")

    async def write(
        self, decision: Decision, reward: RewardRow | None = None, *, carry: bool = True
    ) -> Written:
        """Store a decision, and its reward if there is one; returns when both are committed.

        ``carry=False`` promises that the decision is stored already.

        Raises
        ------
        RewardConflict, DecisionConflict : what is stored differs; nothing was written.
        DatabaseUnavailable : the database did not take it, also not on repeated tries.
        """
        return await asyncio.shield(self.enqueue(decision, reward, carry=carry))

    def enqueue(
        self, decision: Decision, reward: RewardRow | None = None, *, carry: bool = True
    ) -> asyncio.Future[Written]:
        """``write`` without waiting."""
        if self._closing:
            raise unavailable("the engine is closed", "use the engine inside its 'async with' block")
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(decision, reward, carry, done))
        self._wake.set()
        return done

    async def close(self) -> None:
        """Write what is waiting, then stop."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            items = self._next_batch()
            try:
                await self._commit(items)
            except NyxError as error:
                _fail(items, error)
            except Exception as error:  # noqa: BLE001 (a caller waits for each item, and the writer must live on)
                if len(items) == 1:
                    _fail(items, error)
                else:  # one item may have spoilt the batch: find out which
                    for item in items:
                        await self._alone(item)

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

    async def _alone(self, item: _Item) -> None:
        try:
            await self._commit([item])
        except Exception as error:  # noqa: BLE001 (handed to the caller who waits for it)
            _fail([item], error)

    async def _commit(self, items: list[_Item]) -> None:
        batch = Batch(
            {item.decision.decision_id: item.decision for item in items if item.carry},
            {item.decision.decision_id: item.reward for item in items if item.reward is not None},
        )
        for delay in (*_RETRIES, None):
            try:
                await self._store.commit(batch)
                break
            except UNREACHABLE as error:
                # Also where the outcome of COMMIT is unknown: the batch finds what it wrote, and changes nothing.
                if delay is None:
                    raise unavailable(f"{type(error).__name__}: {error}", "start it, or check the DSN") from error
                await asyncio.sleep(delay)
            except asyncpg.SerializationError:
                if delay is None:
                    raise
        await self._committed(batch.appended)
        numbered = {row.decision_id: row for row in batch.appended}
        for item in items:
            key = item.decision.decision_id
            if item.done.done():
                continue
            if key in batch.refused:
                item.done.set_exception(batch.refused[key])
            else:
                row = numbered.get(key) or batch.known.get(key)
                item.done.set_result(Written(batch.stored.get(key), row, key in numbered))


def _fail(items: list[_Item], error: Exception) -> None:
    for item in items:
        if not item.done.done():
            item.done.set_exception(error)
