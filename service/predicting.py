"""What the stored log lets expect of an execution: read when it is asked for, from the rows of a window."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from ..bandit import BanditSpec
from ..bandit.expected_references import ReferenceProposal, expected_references
from ..bandit.expecting import Expectations
from ..bandit.prediction import PerformancePrediction, WorkflowInput
from ..errors import DatabaseUnavailable
from ..persistence.adopting import executions
from ..persistence.database import reaching
from ..persistence.store import Store
from .referring import baseline_arm_id
from .windowed import Windowed

__all__ = ["Predicting"]


class Predicting:
    """Follows the log from question to question; who asks in another process is told the same.

    Nothing runs beside the callers, and nobody who decides waits: rows are read and learned in a thread, when
    somebody asks.
    """

    def __init__(self, store: Store, spec: BanditSpec) -> None:
        self._store, self._spec = store, spec
        self._window = Windowed(store, partial(Expectations, spec))
        self._turn = asyncio.Lock()

    async def predict(self, workflow_input: WorkflowInput, proposed_strategy: str) -> PerformancePrediction:
        """``LearningEngine.predict_workflow_performance``."""
        async with self._turn:
            try:
                return await self._predict(workflow_input, proposed_strategy)
            except asyncio.CancelledError:
                self._window.known = None  # a thread may still be at work on it
                raise

    async def propose_references(self, by: Sequence[str] | None, min_n: int) -> ReferenceProposal:
        """``LearningEngine.propose_expected_references``."""
        async with self._turn:
            try:
                with reaching():
                    known = await self._window.catch_up()
                    rows = await executions(self._store, known.first + 1, known.seq)
                    adopted = await self._store.log.adoptions()
                return await asyncio.to_thread(
                    expected_references,
                    known,
                    rows,
                    adopted[-1].references if adopted else None,
                    by=self._spec.reward.reference_by if by is None else tuple(by),
                    baseline_arm=baseline_arm_id(self._spec),
                    min_n=min_n,
                )
            except asyncio.CancelledError:
                self._window.known = None  # a thread may still be at work on it
                raise

    async def _predict(self, workflow_input: WorkflowInput, proposed_strategy: str) -> PerformancePrediction:
        known = await self._window.learner()
        # Bad input is refused before the log is read.
        await asyncio.to_thread(known.predict_workflow_performance, workflow_input, proposed_strategy)
        try:
            with reaching():
                known = await self._window.catch_up()
        except DatabaseUnavailable:
            if not known.seq:
                raise
        return await asyncio.to_thread(known.predict_workflow_performance, workflow_input, proposed_strategy)
