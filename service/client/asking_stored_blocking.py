"""What the blocking client asks of stored analyses; a test holds it to the asynchronous one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ...bandit.advice_record import AdaptationRecord
from . import questions
from .calls import Call

__all__ = ["Stored"]

_Result = TypeVar("_Result")
_Document = Mapping[str, Any]


class Stored(ABC):
    """The calls of ``LearningEngine`` about versions of patterns, evidence, and how advice has done."""

    bandit: str
    _patience_s: float

    @abstractmethod
    def _send(self, call: Call[_Result], deadline_s: float) -> _Result:
        """Send a call until it is answered or the deadline has passed."""

    def refresh_patterns(
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
        return self._send(questions.refresh(self.bandit, body), self._patience_s)

    def patterns(self, version: int | None = None) -> _Document | None:
        """``LearningEngine.patterns``, as ``PatternSnapshot.to_dict()``; None where none are stored."""
        call = questions.ask(self.bandit, "patterns/stored", version=version)
        found: _Document | None = (self._send(call, self._patience_s))["patterns"]
        return found

    def pattern_evolution(self, versions: int = 20) -> _Document:
        """``LearningEngine.pattern_evolution``, as ``PatternEvolution.to_dict()``."""
        call = questions.ask(self.bandit, "patterns/evolution", versions=versions)
        return self._send(call, self._patience_s)

    def evidence(self, opportunity: _Document) -> Sequence[_Document]:
        """``LearningEngine.evidence`` of one of the ``opportunities``; the first 100,000 executions."""
        return self._send(questions.evidence(self.bandit, opportunity), self._patience_s)

    def adaptation_record(self, time_window: float | None = None) -> AdaptationRecord:
        """``LearningEngine.adaptation_record``."""
        return self._send(questions.adaptation_record(self.bandit, time_window), self._patience_s)
