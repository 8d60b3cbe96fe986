"""Keeps what was advised about running executions: written in groups, behind whoever asked."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import asyncpg

from ..bandit.adapting import AdaptationRecommendation, AdaptationStakes
from ..bandit.advice_record import AdaptationRecord, GivenAdvice, adaptation_record
from ..errors import DatabaseRefused, DatabaseUnavailable
from ..persistence.advice import AdviceRow, advice_and_outcomes, advice_of_decisions, insert_advice
from ..persistence.database import reaching

__all__ = ["AdviceLog"]

_LOG = logging.getLogger("nyx_learning")
_AT_ONCE, _MOST_WAITING, _MOST_READ = 500, 10_000, 50_000
_CLOSE_S = 2.0
_IDS_AT_ONCE = 1000


class AdviceLog:
    """A queue of advice that is to be written. With the database away the newest 10,000 wait for it.

    Advice changes no choice: what a process could not write before its end is lost.
    """

    def __init__(self, pool: asyncpg.Pool, bandit: str) -> None:
        self._pool, self._bandit = pool, bandit
        self._waiting: deque[AdviceRow] = deque(maxlen=_MOST_WAITING)
        self._writing: asyncio.Task[None] | None = None

    def keep(
        self,
        decision_id: str,
        elapsed_s: float,
        told: AdaptationRecommendation,
        stakes: AdaptationStakes | None,
    ) -> None:
        """Queue a piece of advice; one that rests on too little evidence is none."""
        if not told.enough_evidence:
            return
        held = replace(stakes or AdaptationStakes(), time_cost=told.time_cost)
        document = {"values": told.values, "stakes": asdict(held), "executions": told.executions}
        self._waiting.append(
            AdviceRow(decision_id, elapsed_s, clock.time(), told.action, told.arm_id, document)
        )
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="nyx-advice")

    async def record(self, time_window: float | None) -> AdaptationRecord:
        """What came of the advice of the last ``time_window`` seconds, None: of all; the newest 50,000."""
        await self.flush()
        since = 0.0 if time_window is None else clock.time() - time_window
        with reaching():
            rows = await advice_and_outcomes(self._pool, self._bandit, since, _MOST_READ)
        return adaptation_record(_given(row, outcome) for row, outcome in rows)

    async def judged(self, outcomes: Mapping[str, Mapping[str, Any]]) -> list[GivenAdvice]:
        """All advice on some decisions, with their outcomes; what this process has not written yet, too."""
        if any(row.decision_id in outcomes for row in self._waiting):
            await self.flush()
        ids, found = list(outcomes), list[GivenAdvice]()
        for begin in range(0, len(ids), _IDS_AT_ONCE):
            with reaching():
                rows = await advice_of_decisions(self._pool, self._bandit, ids[begin : begin + _IDS_AT_ONCE])
            found += [_given(row, outcomes[row.decision_id]) for row in rows]
        return found

    async def flush(self) -> None:
        """Wait until all that was queued is written, or the database is found away."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._waiting:
            await self._write()

    async def close(self) -> None:
        """Write what is waiting, if the database takes it soon."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.flush()
        except TimeoutError:
            if self._writing is not None:
                self._writing.cancel()

    async def _write(self) -> None:
        while self._waiting:
            rows = [self._waiting[i] for i in range(min(_AT_ONCE, len(self._waiting)))]
            try:
                with reaching():
                    await insert_advice(self._pool, self._bandit, rows)
            except DatabaseUnavailable:
                return  # whoever asked has the answer; the next one tries again
            except DatabaseRefused as error:  # also next time, and others wait behind these
                _LOG.warning("advice of bandit '%s' is not kept: %s", self._bandit, error.found)
            for row in rows:  # the queue may have let some of them go meanwhile
                if self._waiting and self._waiting[0] is row:
                    self._waiting.popleft()


def _given(row: AdviceRow, outcome: Mapping[str, Any] | None) -> GivenAdvice:
    stakes = AdaptationStakes(**row.document["stakes"])
    return GivenAdvice(row.decision_id, row.elapsed_s, row.action, row.document["values"], stakes, outcome)
