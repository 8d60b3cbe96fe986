"""What the asynchronous client asks of stored analyses; a test holds the blocking one to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ...bandit.advice_record import AdaptationRecord
from . import questions
from .calls import Call

__all__ = ["AsyncStored"]

_Result = TypeVar("_Result")
_Document = Mapping[str, Any]


class AsyncStored(ABC):
    """The calls of ``LearningEngine`` about versions of patterns, evidence, and how advice has done."""

    bandit: str
    _patience_s: float

    @abstractmethod
    async def _send(self, call: Call[_Result], deadline_s: float) -> _Result:
        """Send a call until it is answered or the deadline has passed."""

    async def refresh_patterns(
        self,
        time_window: float | None = None,
        *,
        by: Sequence[str] | None = None,
        min_occurrences: int = 3,
        min_count: int = 20,
        threshold_improvement: float = 0.15,
        false_discovery_rate: float = 0.05,
        keep: int = 100,
    ) -> _Document:
        """``LearningEngine.refresh_patterns``, as ``PatternSnapshot.to_dict()``."""
        body = {
            "time_window_s": time_window,
            "by": None if by is None else list(by),
            "min_occurrences": min_occurrences,
            "min_count": min_count,
            "threshold_improvement": threshold_improvement,
            "false_discovery_rate": false_discovery_rate,
            "keep": keep,
        }
        return await self._send(questions.refresh(self.bandit, body), self._patience_s)

    async def patterns(self, version: int | None = None) -> _Document | None:
        """``LearningEngine.patterns``, as ``PatternSnapshot.to_dict()``; None where none are stored."""
        call = questions.ask(self.bandit, "patterns/stored", version=version)
        found: _Document | None = (await self._send(call, self._patience_s))["patterns"]
        return found

    async def pattern_evolution(self, versions: int = 20) -> _Document:
        """``LearningEngine.pattern_evolution``, as ``PatternEvolution.to_dict()``."""
        call = questions.ask(self.bandit, "patterns/evolution", versions=versions)
        return await self._send(call, self._patience_s)

    async def evidence(self, opportunity: _Document) -> Sequence[_Document]:
        """``LearningEngine.evidence`` of one of the ``opportunities``; the first 100,000 executions."""
        return await self._send(questions.evidence(self.bandit, opportunity), self._patience_s)

    async def adaptation_record(self, time_window: float | None = None) -> AdaptationRecord:
        """``LearningEngine.adaptation_record``."""
        return await self._send(questions.adaptation_record(self.bandit, time_window), self._patience_s)
