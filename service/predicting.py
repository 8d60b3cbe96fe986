"""What the stored log lets expect of an execution: read when it is asked for, from the rows of a window."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..bandit import BanditSpec
from ..bandit.expected_references import ReferenceProposal, expected_references
from ..bandit.expecting import Expectations, window_start
from ..bandit.log import LogRow
from ..bandit.prediction import PerformancePrediction, WorkflowInput
from ..errors import DatabaseUnavailable
from ..persistence.adopting import executions
from ..persistence.database import reaching
from ..persistence.queries import query
from ..persistence.store import Store
from .referring import baseline_arm_id

__all__ = ["Predicting"]

_PAGE = 500


class Predicting:
    """Follows the log from question to question; who asks in another process is told the same.

    Nothing runs beside the callers, and nobody who decides waits: rows are read and learned in a thread, when
    somebody asks.
    """

    def __init__(self, store: Store, spec: BanditSpec) -> None:
        self._store, self._spec = store, spec
        self._known: Expectations | None = None
        self._newest: LogRow | None = None
        self._turn = asyncio.Lock()

    async def predict(self, workflow_input: WorkflowInput, proposed_strategy: str) -> PerformancePrediction:
        """``LearningEngine.predict_workflow_performance``."""
        async with self._turn:
            try:
                return await self._predict(workflow_input, proposed_strategy)
            except asyncio.CancelledError:
                self._known = None  # a thread may still be at work on it
                raise

    async def propose_references(self, by: Sequence[str] | None, min_n: int) -> ReferenceProposal:
        """``LearningEngine.propose_expected_references``."""
        async with self._turn:
            try:
                if self._known is None:
                    self._known = await asyncio.to_thread(Expectations, self._spec)
                with reaching():
                    await self._catch_up()
                    rows = await executions(self._store, self._known.first + 1, self._known.seq)
                    adopted = await self._store.log.adoptions()
                return await asyncio.to_thread(
                    expected_references,
                    self._known,
                    rows,
                    adopted[-1].references if adopted else None,
                    by=self._spec.reward.reference_by if by is None else tuple(by),
                    baseline_arm=baseline_arm_id(self._spec),
                    min_n=min_n,
                )
            except asyncio.CancelledError:
                self._known = None  # a thread may still be at work on it
                raise

    async def _predict(self, workflow_input: WorkflowInput, proposed_strategy: str) -> PerformancePrediction:
        if self._known is None:
            self._known = await asyncio.to_thread(Expectations, self._spec)
        # Bad input is refused before the log is read.
        await asyncio.to_thread(self._known.predict_workflow_performance, workflow_input, proposed_strategy)
        try:
            with reaching():
                await self._catch_up()
        except DatabaseUnavailable:
            if not self._known.seq:
                raise
        return await asyncio.to_thread(
            self._known.predict_workflow_performance, workflow_input, proposed_strategy
        )

    async def _catch_up(self) -> None:
        pool, name = self._store.pool, self._spec.name
        last = await self._store.log.last_seq()
        base = int(await pool.fetchval(query("base_seq"), name) or 0)
        first = window_start(last, base)
        known = self._known
        if known is None or known.first != first or not await self._stands(known, last):
            known, self._newest = await asyncio.to_thread(Expectations, self._spec, first), None
        while known.seq < last:
            page = await self._store.log.after(known.seq, min(_PAGE, last - known.seq))
            if not page:
                break
            await asyncio.to_thread(_absorb, known, page)
            self._newest = page[-1][0]
        self._known = known

    async def _stands(self, known: Expectations, last: int) -> bool:
        """Tell whether the log still is what was read: behind a failover it may be another."""
        if self._newest is None or known.seq > last:
            return known.seq == known.first
        rows = await self._store.log.after(known.seq - 1, 1)
        return bool(rows) and rows[0][0] == self._newest


def _absorb(known: Expectations, page: list[tuple[LogRow, dict[str, object] | None]]) -> None:
    for row, context in page:
        known.absorb(row, context)
