"""Advice on running executions, from the durations that the stored log tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from ..bandit import BanditSpec, Decision
from ..bandit.adapting import AdaptationRecommendation, AdaptationStakes, should_adapt_workflow
from ..bandit.lifetimes import Lifetimes
from ..bandit.logged_lifetimes import LoggedLifetimes
from ..errors import DatabaseUnavailable
from ..features.monitors.performance import PerformanceMetrics
from ..persistence.database import reaching
from ..persistence.store import Store
from .advice_log import AdviceLog
from .windowed import Windowed

__all__ = ["Adapting"]

_NOTHING = Lifetimes()


class Adapting:
    """Follows the log from question to question; nobody who decides waits for it."""

    def __init__(self, store: Store, spec: BanditSpec) -> None:
        self._spec = spec
        self._window = Windowed(store, partial(LoggedLifetimes, spec))
        self._turn = asyncio.Lock()
        self.advice = AdviceLog(store.pool, spec.name)

    async def advise(
        self,
        current: PerformanceMetrics,
        expected: PerformanceMetrics | None,
        *,
        decision: Decision,
        stakes: AdaptationStakes | None,
        limit_s: float | None,
        retries: bool,
        alternatives: Sequence[str],
    ) -> AdaptationRecommendation:
        """``LearningEngine.should_adapt_workflow``."""
        arms = self._spec.arms
        arm_id, *others = [arms.follow(name)[1].arm_id for name in (decision.arm_id, *alternatives)]

        def told(known: LoggedLifetimes, lifetimes: Lifetimes) -> AdaptationRecommendation:
            return should_adapt_workflow(
                current,
                expected,
                known=lifetimes,
                arm_id=arm_id,
                cell=known.cell(decision.context),
                stakes=stakes,
                limit_s=limit_s,
                retries=retries,
                alternatives=others,
            )

        async with self._turn:
            try:
                known = await self._window.learner()
                told(known, _NOTHING)  # bad input is refused before the log is read
                try:
                    with reaching():
                        known = await self._window.catch_up()
                except DatabaseUnavailable:
                    if not known.seq:
                        raise
                found = told(known, known.lifetimes)
            except asyncio.CancelledError:
                self._window.known = None  # a thread may still be at work on it
                raise
        self.advice.keep(decision.decision_id, float(current.duration_s or 0.0), found, stakes)
        return found
