"""``PerformanceScorer``: the product plan's asynchronous scoring calls over the pure scores.

The methods await nothing: they are coroutines because orchestrators call them as such. Every number comes
from the same functions as the engine's rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ..errors import OutcomeInvalid
from .composite import composite, price
from .numbers import number, unit
from .outcome import Outcome, ValidationResult
from .quality import quality_score
from .reference import ReferenceTimes
from .spec import RewardSpec
from .speed import speed_score
from .success import success_score
from .usefulness import usefulness_score

__all__ = ["COMPLEXITY_FACTORS", "ComplexityLevel", "PerformanceScorer", "ScoringContext", "ScoringResult"]


class ComplexityLevel(StrEnum):
    """How much work a task is, in the order of the context's usual ordinal."""

    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"


COMPLEXITY_FACTORS: Mapping[str, float] = MappingProxyType({"simple": 0.5, "moderate": 1.0, "complex": 2.0})
"""Expected time of a task of each complexity over the baseline time of its type."""


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """What the scores are judged in.

    task_type, complexity : as in the bandit's context. features : further context features, for weight
    profiles.
    """

    task_type: str | None = None
    complexity: ComplexityLevel | None = None
    features: Mapping[str, Any] = field(default_factory=dict)

    def as_context(self) -> dict[str, Any]:
        """Return the features as one mapping, as a decision's context has them."""
        context = dict(self.features)
        if self.task_type is not None:
            context["task_type"] = self.task_type
        if self.complexity is not None:
            context["complexity"] = str(self.complexity)
        return context


@dataclass(frozen=True, slots=True)
class ScoringResult:
    """Scores of one execution under the names of the ``thought_trees`` columns; None where one is missing.

    overall_weight : the composite reward. missing : scores that have weight and could not be computed.
    """

    success_score: float | None
    quality_score: float | None
    speed_score: float | None
    usefulness_score: float | None
    overall_weight: float
    efficiency_score: float | None = None
    missing: tuple[str, ...] = ()
    reward_fn_version: str = ""


class PerformanceScorer:
    """Score executions.

    Parameters
    ----------
    spec : weights, mean, gates and references of the composite; default ``RewardSpec()``.
    references : adopted references, for ``score_execution``.
    complexity_factors : by complexity; default halves the baseline time for simple tasks and doubles it for
        complex ones.
    required_keys : keys that ``output_data`` must have (with a value other than None); the share of them
    that it
        has is its format compliance.
    """

    def __init__(
        self,
        spec: RewardSpec | None = None,
        *,
        references: ReferenceTimes | None = None,
        complexity_factors: Mapping[str, float] = COMPLEXITY_FACTORS,
        required_keys: Sequence[str] = (),
    ) -> None:
        self.spec = RewardSpec() if spec is None else spec
        self.references = references
        self._factors = dict(complexity_factors)
        self._required = tuple(required_keys)

    async def calculate_speed_score(
        self, execution_time: float, baseline_time: float, complexity_level: ComplexityLevel
    ) -> float:
        """Score a time in seconds against the baseline time of a task of moderate complexity.

        Raises
        ------
        OutcomeInvalid : a negative or non-finite time, a baseline that is not above 0, an unknown complexity.
        """
        factor = self._factors.get(complexity_level)
        if factor is None:
            raise OutcomeInvalid(
                "the complexity is not known",
                expected=f"one of {sorted(self._factors)}",
                found=repr(complexity_level),
                fix="use ComplexityLevel, or give the scorer a factor for it",
            )
        baseline = number("baseline_time", baseline_time)
        return speed_score(
            number("execution_time", execution_time), baseline * factor, power=self.spec.speed_power
        )

    async def calculate_quality_score(
        self,
        output_data: Mapping[str, Any],
        validation_results: Sequence[ValidationResult],
        goal_achievement: float,
    ) -> float:
        """Score an output: its checks, its format, its goal.

        Format compliance is ``output_data["format_compliance"]`` where that is given, else the share of the
        scorer's ``required_keys`` that the output has, else missing.

        Raises
        ------
        OutcomeInvalid : a part out of [0, 1].
        """
        score = quality_score(validation_results, self._format(output_data), goal_achievement)
        # goal_achievement is always present, so the mean is.
        return unit("goal_achievement", goal_achievement) if score is None else score

    async def calculate_success_score(
        self, agents_succeeded: int, agents_failed: int, retry_count: int, overall_success: bool
    ) -> float:
        """Score completion; counts are integers >= 0.

        Raises
        ------
        OutcomeInvalid : a count that is negative or no integer.
        """
        return success_score(
            overall_success,
            agents_succeeded=agents_succeeded,
            agents_failed=agents_failed,
            retries=retry_count,
        )

    async def calculate_usefulness_score(
        self, goal_alignment: float, user_feedback: float | None, business_impact: float
    ) -> float:
        """Score what the result was worth; feedback that is None is never taken for praise.

        Raises
        ------
        OutcomeInvalid : a part out of [0, 1].
        """
        score = usefulness_score(goal_alignment, user_feedback, business_impact)
        return unit("goal_alignment", goal_alignment) if score is None else score

    async def calculate_composite_score(
        self, individual_scores: Mapping[str, float | None], context: ScoringContext
    ) -> float:
        """Combine scores by name (``speed`` or ``speed_score``) with the weights of the context.

        Raises
        ------
        OutcomeInvalid : an unknown name, a score twice or out of [0, 1], or every weighted score missing.
        """
        scores: dict[str, float | None] = {}
        for name, score in individual_scores.items():
            plain = name.removesuffix("_score")
            if plain in scores:
                raise OutcomeInvalid(
                    "a score is given twice",
                    expected="each score under one name",
                    found=f"{name!r} beside {plain!r}",
                    fix="keep one of the two",
                )
            scores[plain] = score
        return composite(scores, self.spec, context=context.as_context()).value

    async def score_execution(self, outcome: Outcome, context: ScoringContext | None = None) -> ScoringResult:
        """Compute all scores of an outcome and their composite.

        Raises
        ------
        OutcomeInvalid : every score that has weight is missing.
        """
        where = None if context is None else context.as_context()
        reward = price(outcome, self.spec, context=where, reference=self.references)
        scores = reward.components
        return ScoringResult(
            success_score=scores.get("success"),
            quality_score=scores.get("quality"),
            speed_score=scores.get("speed"),
            usefulness_score=scores.get("usefulness"),
            overall_weight=reward.value,
            efficiency_score=scores.get("efficiency"),
            missing=reward.missing,
            reward_fn_version=reward.reward_fn_version,
        )

    def _format(self, output_data: Mapping[str, Any]) -> float | None:
        if not isinstance(output_data, Mapping):
            raise OutcomeInvalid(
                "the output is not usable",
                expected="a mapping",
                found=type(output_data).__name__,
                fix="pass the output's fields as a dict",
            )
        stated = output_data.get("format_compliance")
        if stated is not None:
            return unit("format_compliance", stated)
        if not self._required:
            return None
        present = sum(output_data.get(key) is not None for key in self._required)
        return present / len(self._required)
