"""What a learner must offer so that executions can be run with it: the engine does, and so do the clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from ..rewards import Outcome

__all__ = ["AsyncLearner", "BlockingLearner", "Chosen"]


class Chosen(Protocol):
    """What is read of a decision: ``Decision`` and ``ServedDecision`` have it."""

    @property
    def decision_id(self) -> str:
        """Its id."""

    @property
    def strategy(self) -> str:
        """Name of the chosen strategy."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Chosen value of each of the strategy's parameters."""

    @property
    def arm_id(self) -> str:
        """Strategy and parameters as one name."""

    @property
    def time(self) -> float | None:
        """When it was made, seconds since 1970."""


DecisionT = TypeVar("DecisionT", bound=Chosen)
ReceiptT_co = TypeVar("ReceiptT_co", covariant=True)


class AsyncLearner(Protocol[DecisionT, ReceiptT_co]):
    """``LearningEngine``, ``AsyncNyxClient``, or what stands in for them.

    A learner may also have ``abandon_soon(decision)``, which notes a cancelled execution without waiting
    (engine and client have it); one that has not leaves its decision without a reward.
    """

    async def select_arm(
        self,
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> DecisionT:
        """Choose; the same id again is the same decision."""

    async def update_reward(self, decision: DecisionT, outcome: Outcome | None = None) -> ReceiptT_co:
        """Learn from an outcome, once."""


class BlockingLearner(Protocol[DecisionT, ReceiptT_co]):
    """``NyxClient``, ``BlockingEngine``: the same calls, without a loop."""

    def select_arm(
        self,
        context: Mapping[str, Any],
        decision_id: str | None = None,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> DecisionT:
        """Choose; the same id again is the same decision."""

    def update_reward(self, decision: DecisionT, outcome: Outcome | None = None) -> ReceiptT_co:
        """Learn from an outcome, once."""
