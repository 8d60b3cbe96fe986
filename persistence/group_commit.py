"""Group commit: what arrives while a commit is in flight forms the next batch.

Decisions and rewards travel in lanes of their own: a decision waits for no number, so it need not queue
behind those that do. A report that brings its decision along takes the lane of the rewards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from ..bandit import Decision
from ..bandit.decision import DecisionText
from ..bandit.log import RewardRow
from ..errors import Overloaded
from .handed import Handed, Written
from .lane import Lane, closed
from .store import Batch, Store

__all__ = ["GroupCommit", "Handed", "WhenFull", "Written"]

WhenFull: TypeAlias = Literal["wait", "refuse"]
"""What a caller meets where too many writes are waiting already."""


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
            Lane(name, store, committed, patience_s, self._room.set) for name in ("decisions", "rewards")
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
            raise closed()
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
            raise closed()

    async def close(self) -> None:
        """Write what is waiting, then stop; what the database does not take in time fails."""
        self._closing = True
        self._room.set()
        await asyncio.gather(*(lane.close() for lane in self._lanes))
