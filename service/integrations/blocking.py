"""The engine and the execution block for code without an event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ...bandit import BanditSpec, Decision, Receipt
from ...errors import NyxError, RewardConflict
from ...rewards import Outcome
from ..engine import LearningEngine
from ..learners import BlockingLearner, Chosen
from ..noting import Ending, Notes, ending_of, entered_twice

__all__ = ["BlockingEngine", "BlockingExecution"]

_LOG = logging.getLogger("nyx_learning")
_Decision = TypeVar("_Decision", bound=Chosen)
_Receipt = TypeVar("_Receipt")
_Result = TypeVar("_Result")


class BlockingEngine:
    """A ``LearningEngine`` on an event loop in a thread of its own: for threads and worker processes.

    Safe to use from several threads. Neither it nor its connections survive a fork: open it in the process
    that uses it.
    """

    def __init__(
        self, engine: LearningEngine, loop: asyncio.AbstractEventLoop, thread: threading.Thread
    ) -> None:
        self.engine, self._loop, self._thread = engine, loop, thread

    @classmethod
    def open(cls, spec: BanditSpec, dsn: str | None = None, **options: Any) -> Self:
        """Open the bandit; arguments and errors of ``LearningEngine.open``."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="nyx-engine", daemon=True)
        thread.start()
        try:
            engine = asyncio.run_coroutine_threadsafe(
                LearningEngine.open(spec, dsn, **options), loop
            ).result()
        except BaseException:
            _stop(loop, thread)
            raise
        return cls(engine, loop, thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """``LearningEngine.close``, and the end of the thread; safe to call twice."""
        if not self._loop.is_closed():
            try:
                self.call(LearningEngine.close)
            finally:
                _stop(self._loop, self._thread)

    def call(
        self, method: Callable[..., Coroutine[Any, Any, _Result]], *arguments: Any, **options: Any
    ) -> _Result:
        """Any other call of the engine: ``blocking.call(LearningEngine.verify)``."""
        running = method(self.engine, *arguments, **options)
        return asyncio.run_coroutine_threadsafe(running, self._loop).result()

    def select_arm(
        self,
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> Decision:
        """``LearningEngine.select_arm``."""
        return self.call(LearningEngine.select_arm, context, decision_id, eligible=eligible, exclude=exclude)

    def update_reward(self, decision: Decision | str, outcome: Outcome | None = None, **told: Any) -> Receipt:
        """``LearningEngine.update_reward``."""
        return self.call(LearningEngine.update_reward, decision, outcome, **told)

    def abandon(self, decision: Decision) -> None:
        """``LearningEngine.abandon``."""
        self.call(LearningEngine.abandon, decision)

    def execution(
        self, context: Mapping[str, Any], decision_id: str | None = None, **options: Any
    ) -> BlockingExecution[Decision, Receipt]:
        """Select an arm, time the block, and report: ``with engine.execution(context) as run``."""
        return BlockingExecution(self, context, decision_id, **options)


class BlockingExecution(Generic[_Decision, _Receipt]):
    """``Execution`` for ``with``: the same rules, and the same arguments.

    Abandoned is what ``ending`` calls so, and what ends with the error of an unusable report; a learner
    without ``abandon(decision)`` leaves such a decision without a reward.
    """

    def __init__(
        self,
        learner: BlockingLearner[_Decision, _Receipt],
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        attempt: int = 1,
        ending: Callable[[BaseException], Ending] = ending_of,
    ) -> None:
        self._learner, self._context, self._decision_id = learner, context, decision_id
        self._eligible, self._exclude = eligible, exclude
        self._notes, self._ending = Notes(attempt), ending
        self._entered = False
        self.decision: _Decision
        self.receipt: _Receipt | None = None

    def report(self, **fields: Any) -> None:
        """Note fields of the outcome, for example ``quality=0.9``; checked at once.

        Raises
        ------
        OutcomeInvalid : an unknown field or a value out of range; what was reported before stays.
        InputInvalid : the block has ended.
        """
        self._notes.add(fields)

    def __enter__(self) -> Self:
        if self._entered:
            raise entered_twice("engine.execution(…)")
        self._entered = True
        try:
            self.decision = self._learner.select_arm(
                self._context, self._decision_id, eligible=self._eligible, exclude=self._exclude
            )
        except BaseException:
            self._entered = False
            raise
        self._notes.start(self.decision)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = self._notes.end()
        if error is None:
            outcome = self._notes.success(seconds)
            try:
                self.receipt = self._learner.update_reward(self.decision, outcome)
            except RewardConflict as conflict:
                _LOG.warning(
                    "the first outcome of decision '%s' stands: %s", self.decision.decision_id, conflict
                )
            return
        try:
            ending = "abandoned" if self._notes.refused(error) else self._ending(error)
            if ending == "abandoned":
                abandon = getattr(self._learner, "abandon", None)
                if abandon is not None:
                    abandon(self.decision)
            elif ending == "failed":
                outcome = self._notes.failure(error, seconds)
                self.receipt = self._learner.update_reward(self.decision, outcome)
        except NyxError as problem:
            _LOG.warning(
                "the outcome of decision '%s' was not stored: %s", self.decision.decision_id, problem
            )


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
