"""What ends a decision without an outcome, and where its reward stands: retraction, expiry, status."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Iterable

from ..bandit import BanditSpec, Decision, Receipt
from ..bandit.learner import checked_id
from ..bandit.log import EXPIRY, RETRACTION, RewardRow
from ..bandit.reports import RewardStatus, receipt_of, status_of
from ..errors import InputInvalid, RewardConflict, shown
from ..persistence.database import reaching
from ..persistence.group_commit import GroupCommit
from ..persistence.store import Store
from .provenance import Provenance

__all__ = ["Settling"]

_EXPIRED_AT_ONCE = 1000


class Settling:
    """Rows about decisions that are stored: these need the database, and are not spooled."""

    def __init__(self, spec: BanditSpec, store: Store, commit: GroupCommit, provenance: Provenance) -> None:
        self._spec, self._store, self._commit, self._provenance = spec, store, commit, provenance

    async def retract(self, decision: Decision | str) -> Receipt:
        """``LearningEngine.retract``."""
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        with reaching():
            stored = await self._store.decision(key)
        draft = RewardRow.bare(stored, await self._provenance.encoding(stored), clock.time(), RETRACTION)
        written = await self._commit.write(stored, draft, carry=False)
        return receipt_of(written.row or draft, applied=written.applied)

    async def expire(self, now: float) -> list[Receipt]:
        """``LearningEngine.expire``."""
        if isinstance(now, bool) or not isinstance(now, (int, float)) or now - now != 0.0:
            raise InputInvalid(
                "the time to expire decisions at is none",
                expected="seconds since 1970",
                found=shown(now),
                fix="pass time.time()",
            )
        window = self._spec.reward.window_s
        closed: list[Receipt] = []
        if window is None:
            return closed
        with reaching():
            due = await self._store.log.due(float(now), window)
        for begin in range(0, len(due), _EXPIRED_AT_ONCE):
            with reaching():
                found = await self._store.decisions(due[begin : begin + _EXPIRED_AT_ONCE])
            closed += await self._expire(found.values(), float(now))
        return closed

    async def _expire(self, decisions: Iterable[Decision], now: float) -> list[Receipt]:
        waiting = []
        for decision in decisions:
            draft = RewardRow.bare(decision, await self._provenance.encoding(decision), now, EXPIRY)
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

    async def decision(self, decision_id: str) -> Decision:
        """``LearningEngine.decision``."""
        with reaching():
            return await self._store.decision(checked_id(decision_id))

    async def status(self, decision_id: str) -> RewardStatus:
        """``LearningEngine.rewards``."""
        key = checked_id(decision_id)
        with reaching():
            history = (await self._store.log.histories(None, [key])).get(key, [])
            if not history:
                await self._store.decision(key)
        return status_of(key, history, self._spec)
