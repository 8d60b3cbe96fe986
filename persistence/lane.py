"""One lane of the group commit: a queue, and the task that writes it, batch by batch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

import asyncpg

from ..bandit.log import RewardRow
from ..errors import DatabaseUnavailable, NyxError
from .database import UNREACHABLE, refused, unavailable
from .handed import Handed, Written
from .store import Batch, Store

__all__ = ["Lane", "closed"]

_LOG = logging.getLogger("nyx_learning")
_BATCH = 1000
_LOOKED_AT = 4 * _BATCH
_HALVED = 8
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 1.0
_CLOSE_S = 15.0


class Lane:
    """One queue, and the task that writes it, batch by batch."""

    def __init__(
        self,
        name: str,
        store: Store,
        committed: Callable[[Batch], Awaitable[None]],
        patience_s: float,
        taken: Callable[[], None],
    ) -> None:
        self._store, self._committed, self._patience_s = store, committed, patience_s
        self._taken = taken
        self.waiting: deque[Handed] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self.task = asyncio.create_task(self._run(), name=f"nyx-commit-{name}-{store.bandit}")

    @property
    def ended(self) -> bool:
        """True where nothing will be written any more."""
        return self._closing or self.task.done()

    def add(self, item: Handed) -> None:
        """Let an item wait for the next batch."""
        self.waiting.append(item)
        self._wake.set()

    async def close(self) -> None:
        """Write what is waiting, then stop."""
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait([self.task], timeout=_CLOSE_S)
        finally:
            self.task.cancel()
        await asyncio.wait([self.task])

    async def _run(self) -> None:
        """Write batches; half of those who wait for a batch are told of it when the next one is on its way.

        Told all at once they would all come back with the next batch, and while the database works on it
        nobody would be left for this process to work for.
        """
        items: list[Handed] = []
        late: list[_Told] = []
        writing: asyncio.Task[list[_Told]] | None = None
        try:
            while self.waiting or late or not self._closing:
                if not self.waiting:
                    if late:
                        await asyncio.sleep(0)  # those who were told come back now
                        if not self.waiting:
                            _tell(late)
                            late = []
                        continue
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                items = self._next_batch()
                self._taken()
                if late:
                    writing = asyncio.create_task(self._write(items))
                    await asyncio.sleep(0)  # it is sent
                    _tell(late)
                    late = []
                    told = await writing
                else:
                    told = await self._write(items)
                # Where several processes take turns at the log, few large batches are better.
                whole = self.waiting or len(told) < _HALVED or not self._store.alone
                half = 0 if whole else len(told) // 2
                late = told[len(told) - half :]
                _tell(told[: len(told) - half])
                items = []
        finally:
            _tell(late)
            if writing is not None and not writing.done():
                writing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await writing
            # Only where the task is cancelled is anybody left: nobody may wait for ever.
            _fail([*items, *self.waiting], closed())
            self.waiting.clear()
            self._taken()

    def _next_batch(self) -> list[Handed]:
        # Two reports on one decision must not meet in one batch: the second has to see the first.
        taken: list[Handed] = []
        left: list[Handed] = []
        seen: set[str] = set()
        waiting = self.waiting
        while waiting and len(taken) < _BATCH and len(taken) + len(left) < _LOOKED_AT:
            item = waiting.popleft()
            if item.key in seen:
                left.append(item)
            else:
                seen.add(item.key)
                taken.append(item)
        waiting.extendleft(reversed(left))
        return taken

    async def _write(self, items: list[Handed]) -> list[_Told]:
        """Commit; returns what the items' owners are to be told. Failures are told at once."""
        try:
            return await self._commit(items)
        except DatabaseUnavailable as error:
            # Those behind have waited at the same closed door; trying for each batch anew would add up.
            _fail([*items, *self.waiting], error)
            self.waiting.clear()
            self._taken()
        except Exception as error:  # noqa: BLE001 (a caller waits for each item, and the writer must live on)
            if len(items) > 1:  # one item may have spoilt the batch: find out which
                for item in items:
                    _tell(await self._write([item]))
            elif isinstance(error, asyncpg.ForeignKeyViolationError) and not items[0].carry:
                items[0].carry = True  # its decision was removed behind our back
                return await self._write(items)
            else:
                _fail(items, refused(error) if isinstance(error, asyncpg.PostgresError) else error)
        return []

    async def _commit(self, items: list[Handed]) -> list[_Told]:
        batch = _batch_of(items)
        tries = await self._insist(batch)
        try:
            await self._committed(batch)
        except Exception:  # noqa: BLE001 (the rows are committed, and their owners are told so)
            _LOG.exception("what was committed could not be learned at once")
        appended = {row.decision_id: row for row in batch.appended}
        told: list[_Told] = []
        for item in items:
            key = item.key
            if key in batch.refused:
                told.append((item, batch.refused[key]))
                continue
            row = appended.get(key)
            applied = row is not None
            if row is None:
                row = batch.known.get(key)
                # An earlier try of ours may have been committed without our hearing of it.
                applied = tries > 1 and row is not None and _is_of(row, item)
            told.append((item, Written(batch.stored.get(key), row, applied)))
        return told

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


def _batch_of(items: Iterable[Handed]) -> Batch:
    batch = Batch({}, {}, {}, {}, {}, {})
    decisions, rewards, targets = batch.decisions, batch.rewards, batch.targets
    abandoned, decision_texts, texts = batch.abandoned, batch.decision_texts, batch.texts
    for item in items:
        key = item.key
        targets[key] = item.decision
        if item.carry:
            decisions[key] = item.decision
        if item.decision_text is not None:
            decision_texts[key] = item.decision_text
        if item.reward is not None:
            rewards[key] = item.reward
        if item.text is not None:
            texts[key] = item.text
        if item.abandoned_at is not None:
            abandoned[key] = item.abandoned_at
    return batch


_Told: TypeAlias = tuple[Handed, Written | NyxError]


def _is_of(row: RewardRow, item: Handed) -> bool:
    """Tell whether a row that stood in the log was written for this item, by an earlier try."""
    if item.reward is None:
        return row.reported_at == item.abandoned_at
    return row.same_report(item.reward) and row.reported_at == item.reward.reported_at


def closed() -> DatabaseUnavailable:
    """The error for who comes when nothing is written any more."""
    return unavailable("the engine is closed", "use the engine inside its 'async with' block")


def _tell(told: Iterable[_Told]) -> None:
    for item, result in told:
        item.end(result)


def _fail(items: list[Handed], error: Exception) -> None:
    for item in items:
        item.end(error)
