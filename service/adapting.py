"""Advice on running executions, from the durations that the stored log tells, and from earlier advice.

Without stakes of the caller's own, restarts cost what followed advice has taught: each outcome that the log's
window tells is judged once, when it is read, against what was advised on its decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..bandit import BanditSpec, Decision
from ..bandit.adapting import AdaptationRecommendation, AdaptationStakes, should_adapt_workflow
from ..bandit.experience import Experience
from ..bandit.lifetimes import Lifetimes
from ..errors import DatabaseRefused, DatabaseUnavailable
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
        self._window = Windowed(store, partial(Experience, spec))
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

        def told(
            known: Experience, lifetimes: Lifetimes, stakes: AdaptationStakes | None
        ) -> AdaptationRecommendation:
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
                told(known, _NOTHING, stakes)  # bad input is refused before the log is read
                try:
                    with reaching():
                        known = await self._window.catch_up()
                except DatabaseUnavailable:
                    if not known.seq:
                        raise
                if stakes is None:
                    await self._judge(known)
                    stakes, learned = _learned(known)
                else:
                    learned = ()
                found = told(known, known.lifetimes, stakes)
            except asyncio.CancelledError:
                self._window.known = None  # a thread may still be at work on it
                raise
        self.advice.keep(decision.decision_id, float(current.duration_s or 0.0), found, stakes)
        return replace(found, reasons=(*found.reasons, *learned)) if found.enough_evidence else found

    async def _judge(self, known: Experience) -> None:
        """Learn from the advice on decisions whose outcomes have come since the last question."""
        if not known.unjudged:
            return
        outcomes = dict(known.unjudged)
        try:
            given = await self.advice.judged(outcomes)
        except (DatabaseUnavailable, DatabaseRefused):
            return  # the next question tries again
        known.judge(outcomes, given)


def _learned(known: Experience) -> tuple[AdaptationStakes, tuple[str, ...]]:
    """Stakes with what earlier advice has taught, and that in words."""
    stakes, begun = known.lessons.stakes(), AdaptationStakes()
    told = [
        f"a {action} is reckoned to cost {cost:.3f}, as {known.lessons.followed(action)} that were advised"
        " and followed have taught"
        for action, cost, least in (
            ("retry", stakes.retry_cost, begun.retry_cost),
            ("switch", stakes.switch_cost, begun.switch_cost),
        )
        if cost != least
    ]
    return stakes, tuple(told)
