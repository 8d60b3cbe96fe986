"""``OptimizedParameters``: whether to change parameters, to what, and what that is worth. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...bandit.parameters import ParameterValue
from ...features import Value

__all__ = ["OptimizedParameters"]


@dataclass(frozen=True, slots=True)
class OptimizedParameters:
    """What to run a strategy with, from now on.

    Attributes
    ----------
    parameters : to run with; the current ones where ``changed`` is False. arm_id : the arm that they make.
    candidate : the best parameters within the allowed steps, whether or not they are taken; None where there
        are none.
    gain, gain_low, gain_high : expected reward of the candidate above the current parameters', and its
        credible interval of ``coverage``; None where nothing can be told.
    probability_better : that the candidate's expected reward is the higher one.
    best_known : the best parameters of the strategy however far away, where they are known to the log; None
        where parameters are chosen in stages.
    current_rewards, candidate_rewards : of their own, history included; of the strategy, in stages.
    history_used, history_skipped : executions of the given history that were learned from, and not.
    context : that the question was about; None: the average of all contexts known.
    reasons : in words.
    """

    strategy: str
    current: Mapping[str, ParameterValue]
    parameters: Mapping[str, ParameterValue]
    arm_id: str
    changed: bool
    candidate: Mapping[str, ParameterValue] | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    coverage: float
    probability_better: float | None
    confidence: float
    best_known: Mapping[str, ParameterValue] | None
    current_rewards: int
    candidate_rewards: int | None
    considered: int
    history_used: int
    history_skipped: int
    context: Mapping[str, Value] | None
    state_seq: int
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        found = {name: getattr(self, name) for name in self.__slots__}
        for name in ("current", "parameters", "candidate", "best_known", "context"):
            found[name] = None if found[name] is None else dict(found[name])
        return {**found, "reasons": list(self.reasons)}

    def to_text(self) -> str:
        """For people."""
        head = f"{'change to' if self.changed else 'keep'} {self.arm_id}"
        return "\n".join([head, *(f"  {sentence}" for sentence in self.reasons)])

    def __str__(self) -> str:
        return self.to_text()
