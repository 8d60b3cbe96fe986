"""``StrategyRecommendation``: what to run in a context, and how far that can be trusted. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...bandit.explaining.explanation import FeatureEffect, GuardrailView
from ...bandit.parameters import ParameterValue
from ...bandit.prediction import PerformancePrediction
from ...features import Value

__all__ = ["Alternative", "StrategyRecommendation"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another arm, with what ``StrategyRecommendation`` says of its own. behind : what its expected reward
    lacks to the recommended arm's; None without beliefs.
    """

    arm_id: str
    strategy: str
    parameters: Mapping[str, ParameterValue]
    expected_reward: float | None
    low: float | None
    high: float | None
    probability_best: float | None
    probability: float
    rewards: int
    behind: float | None


@dataclass(frozen=True, slots=True)
class StrategyRecommendation:
    """The arm of the highest expected reward among those that may be chosen; without beliefs, the one that
    ``select_arm`` most probably chooses.

    Attributes
    ----------
    expected_reward, low, high : posterior mean of the arm's *expected* reward in this context, and the
        credible interval of ``coverage`` for that mean, not for one execution's reward; None where the policy
        holds no belief.
    probability_best : that no other arm which may be chosen has a higher expected reward, where arms are
        taken for independent but for what all share. None without beliefs.
    probability : with which ``select_arm`` would choose it now, exploration, guardrails and holdout included;
        of its strategy, where parameters are chosen in stages.
    rewards : that it has in its present epoch; of its strategy, where parameters are chosen in stages.
    alternatives : by expected reward. arms : how many could be chosen.
    gain, gain_low, gain_high : expected reward above the baseline arm's, with an interval of ``coverage``;
        None without baseline arm or beliefs.
    prediction : success, seconds and cost that executions of the arm let expect; None where nobody asked.
    features : what the context's values do to its expected reward, and to its lead over ``rival``, the best
        arm of another strategy (else the best other one), the weightiest first.
    guardrails : in force. floor : share of exploration. state_seq : last row of the log that was known.
    reasons : in words.
    """

    bandit: str
    state_seq: int
    spec_hash: str
    context: Mapping[str, Value]
    arm_id: str
    strategy: str
    parameters: Mapping[str, ParameterValue]
    expected_reward: float | None
    low: float | None
    high: float | None
    coverage: float
    probability_best: float | None
    probability: float
    rewards: int
    alternatives: tuple[Alternative, ...]
    arms: int
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    prediction: PerformancePrediction | None
    rival: str | None
    features: tuple[FeatureEffect, ...]
    guardrails: tuple[GuardrailView, ...]
    floor: float
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        document = {name: getattr(self, name) for name in self.__slots__}
        prediction = None if self.prediction is None else self.prediction.to_dict()
        return {
            **document,
            "context": dict(self.context),
            "parameters": dict(self.parameters),
            "alternatives": [{**_plain(a), "parameters": dict(a.parameters)} for a in self.alternatives],
            "prediction": prediction,
            "features": [asdict(feature) for feature in self.features],
            "guardrails": [{**asdict(rail), "arms": list(rail.arms)} for rail in self.guardrails],
            "reasons": list(self.reasons),
        }

    def to_text(self) -> str:
        """For people."""
        return "\n".join([f"run {self.arm_id}", *(f"  {sentence}" for sentence in self.reasons)])

    def __str__(self) -> str:
        return self.to_text()


def _plain(alternative: Alternative) -> dict[str, Any]:
    return {name: getattr(alternative, name) for name in alternative.__slots__}
