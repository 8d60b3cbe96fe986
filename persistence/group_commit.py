"""Group commit: what arrives while a commit is in flight forms the next batch.

Decisions and rewards travel in lanes of their own: a decision waits for no number, so it need not queue
behind those that do. A report that brings its decision along takes the lane of the rewards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import asyncpg

from ..bandit import Decision
from ..bandit.decision import DecisionText
from ..bandit.log import RewardRow, RowText
from ..errors import DatabaseUnavailable, NyxError, Overloaded
from .database import UNREACHABLE, refused, unavailable
from .store import Batch, Store

__all__ = ["GroupCommit", "Handed", "WhenFull", "Written"]

WhenFull: TypeAlias = Literal["wait", "refuse"]
"""What a caller meets where too many writes are waiting already."""

_LOG = logging.getLogger("nyx_learning")
_BATCH = 1000
_LOOKED_AT = 4 * _BATCH
_HALVED = 8
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 1.0
_CLOSE_S = 15.0


class Written(NamedTuple):
    """What became of one write: the canonical decision, and the row and whether it is new."""

    decision: Decision | None
    row: RewardRow | None
    applied: bool


class Handed:
    """A write that was handed in. Each who waits for it has a future of their own, which they may give up."""

    __slots__ = (
        "_listening",
        "_result",
        "abandoned_at",
        "carry",
        "decision",
        "decision_text",
        "key",
        "reward",
        "text",
        "then",
    )

    def __init__(
        self,
        decision: Decision,
        reward: RewardRow | None,
        abandoned_at: float | None,
        *,
        carry: bool,
        text: DecisionText | None,
    ) -> None:
        self.key = decision.decision_id
        self.decision, self.reward, self.abandoned_at, self.carry = decision, reward, abandoned_at, carry
        # Spelled here, and not for the whole batch: so it is done while another batch is in flight.
        self.text: RowText | None = None if reward is None else reward.spelled()
        self.decision_text: DecisionText | None = (text or decision.spelled()) if carry else None
        self.then: Callable[[Handed], object] | None = None
        """Called as soon as it is known what became of it."""
        self._listening: list[asyncio.Future[Any]] = []
        self._result: Written | Exception | None = None

    @property
    def ended(self) -> bool:
        """True where it is known what became of it."""
        return self._result is not None

    def listen(self) -> asyncio.Future[Any]:
        """A future that gets what becomes of it, ``Written`` or an error; others may listen too."""
        future = asyncio.get_running_loop().create_future()
        if self._result is None:
            self._listening.append(future)
        else:
            _resolve(future, self._result)
        return future

    def end(self, result: Written | Exception) -> None:
        """Tell all who listen, once."""
        if self._result is not None:
            return
        self._result = result
        for future in self._listening:
            if not future.done():
                _resolve(future, result)
        self._listening.clear()
        if self.then is not None:
            self.then(self)


def _resolve(future: asyncio.Future[Any], result: Written | Exception) -> None:
    if isinstance(result, Written):
        future.set_result(result)
    else:
        future.set_exception(result)


class GroupCommit:
    """Writes decisions and rewards of one bandit, many in one transaction, each kind in the order it came.

    ``committed(batch)`` is awaited behind each commit and before anybody hears of it. ``patience_s``: for so
    long a batch is tried again while the database is away. ``limit``: at most so many writes wait;
    ``when_full`` says what ``write`` does then: wait for room, or refuse.
    """

    def __init__(
        self,
        store: Store,
        committed: Callable[[Batch], Awaitable[None]],
        *,
        patience_s: float = 5.0,
        limit: int = 100_000,
        when_full: WhenFull = "wait",
    ) -> None:
        self._limit, self._when_full = limit, when_full
        self._bandit = store.bandit
        self._room = asyncio.Event()
        self._lanes = tuple(
            _Lane(name, store, committed, patience_s, self._room.set) for name in ("decisions", "rewards")
        )
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many writes wait for a batch to take them."""
        decisions, rewards = self._lanes
        return len(decisions.waiting) + len(rewards.waiting)

    @property
    def full(self) -> bool:
        """True where no more writes are to wait."""
        return self.waiting >= self._limit

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
        Overloaded (retryable) : too many writes wait, and the setting is to refuse; nothing was written.
        """
        if self.full:
            await self.room()
        # A caller who is cancelled takes its future along, and not what was handed in.
        return await self.enqueue(decision, reward, abandoned_at=abandoned_at, carry=carry)

    def enqueue(
        self,
        decision: Decision,
        reward: RewardRow | None = None,
        *,
        abandoned_at: float | None = None,
        carry: bool = True,
    ) -> asyncio.Future[Written]:
        """``write`` without waiting, neither for the commit nor for room: ask for ``room`` before."""
        return self.hand_in(decision, reward, abandoned_at=abandoned_at, carry=carry).listen()

    def hand_in(
        self,
        decision: Decision,
        reward: RewardRow | None = None,
        *,
        abandoned_at: float | None = None,
        carry: bool = True,
        text: DecisionText | None = None,
    ) -> Handed:
        """``enqueue`` for who wants to listen, or to listen again, later.

        ``text`` : the decision as it is spelled, where that is known.
        """
        lane = self._lanes[reward is not None or abandoned_at is not None]
        if self._closing or lane.ended:
            raise _closed()
        item = Handed(decision, reward, abandoned_at, carry=carry, text=text)
        lane.add(item)
        return item

    async def room(self) -> None:
        """Return when there is room for a write.

        Raises
        ------
        Overloaded (retryable) : there is none, and the setting is to refuse.
        DatabaseUnavailable : the writer was closed meanwhile.
        """
        while self.full and not self._closing:
            if self._when_full == "refuse":
                raise Overloaded(
                    f"too many writes of bandit '{self._bandit}' are waiting for the database",
                    expected=f"fewer than {self._limit} that wait",
                    found=str(self.waiting),
                    fix="send fewer at a time, or the same call later; or open with a larger queue_limit",
                )
            self._room.clear()
            await self._room.wait()
        if self._closing:
            raise _closed()

    async def close(self) -> None:
        """Write what is waiting, then stop; what the database does not take in time fails."""
        self._closing = True
        self._room.set()
        await asyncio.gather(*(lane.close() for lane in self._lanes))


class _Lane:
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
            _fail([*items, *self.waiting], _closed())
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
        batch = Batch(
            {item.key: item.decision for item in items if item.carry},
            {item.key: item.reward for item in items if item.reward is not None},
            {item.key: item.decision for item in items},
            {item.key: item.abandoned_at for item in items if item.abandoned_at is not None},
            {item.key: item.decision_text for item in items if item.decision_text is not None},
            {item.key: item.text for item in items if item.text is not None},
        )
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


_Told: TypeAlias = tuple[Handed, Written | NyxError]


def _is_of(row: RewardRow, item: Handed) -> bool:
    """Tell whether a row that stood in the log was written for this item, by an earlier try."""
    if item.reward is None:
        return row.reported_at == item.abandoned_at
    return row.same_report(item.reward) and row.reported_at == item.reward.reported_at


def _closed() -> DatabaseUnavailable:
    return unavailable("the engine is closed", "use the engine inside its 'async with' block")


def _tell(told: Iterable[_Told]) -> None:
    for item, result in told:
        item.end(result)


def _fail(items: list[Handed], error: Exception) -> None:
    for item in items:
        item.end(error)
