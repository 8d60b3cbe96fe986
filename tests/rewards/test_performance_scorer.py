"""The plan's scoring calls give the numbers of the pure scores."""

import inspect
from typing import Any

import pytest

from nyx_learning.errors import OutcomeInvalid
from nyx_learning.rewards import (
    ComplexityLevel,
    Outcome,
    PerformanceScorer,
    RewardSpec,
    ScoringContext,
    ScoringResult,
    ValidationResult,
    WeightProfile,
    price,
)
from nyx_learning.rewards.quality import quality_score
from nyx_learning.rewards.success import success_score
from nyx_learning.rewards.usefulness import usefulness_score

SCORER = PerformanceScorer()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("calculate_speed_score", ["execution_time", "baseline_time", "complexity_level"]),
        ("calculate_quality_score", ["output_data", "validation_results", "goal_achievement"]),
        ("calculate_success_score", ["agents_succeeded", "agents_failed", "retry_count", "overall_success"]),
        ("calculate_usefulness_score", ["goal_alignment", "user_feedback", "business_impact"]),
        ("calculate_composite_score", ["individual_scores", "context"]),
    ],
)
def test_the_calls_have_the_names_and_arguments_of_the_plan(method: str, arguments: list[str]) -> None:
    function = getattr(PerformanceScorer, method)
    assert inspect.iscoroutinefunction(function)
    assert list(inspect.signature(function).parameters)[1:] == arguments


async def test_speed_is_adjusted_to_the_complexity() -> None:
    for level, seconds in (("simple", 5.0), ("moderate", 10.0), ("complex", 20.0)):
        assert await SCORER.calculate_speed_score(seconds, 10.0, ComplexityLevel(level)) == 0.5


async def test_an_unknown_complexity_and_a_baseline_of_zero_are_refused() -> None:
    with pytest.raises(OutcomeInvalid, match="complexity"):
        await SCORER.calculate_speed_score(1.0, 1.0, "absurd")  # type: ignore[arg-type]
    with pytest.raises(OutcomeInvalid):
        await SCORER.calculate_speed_score(1.0, 0.0, ComplexityLevel.SIMPLE)
    with pytest.raises(OutcomeInvalid):
        await SCORER.calculate_speed_score(-1.0, 1.0, ComplexityLevel.SIMPLE)


async def test_quality_takes_its_format_from_the_output() -> None:
    checks = [ValidationResult(name="tests", passed=True)]
    scorer = PerformanceScorer(required_keys=("summary", "sources"))
    assert await scorer.calculate_quality_score({"summary": "x"}, checks, 0.5) == quality_score(
        checks, 0.5, 0.5
    )
    assert await SCORER.calculate_quality_score({"format_compliance": 0.2}, [], 0.5) == quality_score(
        [], 0.2, 0.5
    )
    assert await SCORER.calculate_quality_score({}, [], 0.5) == 0.5
    for output, goal in (({"format_compliance": 2}, 0.5), ({}, 1.5), ([], 0.5)):
        with pytest.raises(OutcomeInvalid):
            await SCORER.calculate_quality_score(output, [], goal)  # type: ignore[arg-type]


async def test_success_and_usefulness_are_the_pure_scores() -> None:
    expected = success_score(True, agents_succeeded=3, agents_failed=1, retries=2)
    assert await SCORER.calculate_success_score(3, 1, 2, True) == expected
    assert await SCORER.calculate_usefulness_score(0.9, None, 0.9) == usefulness_score(0.9, None, 0.9)
    with pytest.raises(OutcomeInvalid):
        await SCORER.calculate_usefulness_score(0.9, 2.0, 0.9)


async def test_the_composite_uses_the_weights_of_the_context() -> None:
    spec = RewardSpec(
        weights={"speed": 1.0, "success": 1.0},
        profiles=(WeightProfile({"complexity": "complex", "urgent": True}, {"speed": 1.0}),),
    )
    scorer = PerformanceScorer(spec)
    scores = {"speed_score": 0.2, "success": 0.8}
    assert await scorer.calculate_composite_score(scores, ScoringContext()) == pytest.approx(0.5)
    context = ScoringContext("coding", ComplexityLevel.COMPLEX, {"urgent": True})
    assert await scorer.calculate_composite_score(scores, context) == 0.2
    bad: list[dict[str, Any]] = [{"speed": 0.1, "speed_score": 0.1}, {"fun": 1.0}, {}, {"speed": 1.1}]
    for unusable in bad:
        with pytest.raises(OutcomeInvalid):
            await scorer.calculate_composite_score(unusable, context)


async def test_an_execution_is_scored_under_the_names_of_the_table() -> None:
    scorer = PerformanceScorer(RewardSpec(reference_time_s=10.0))
    outcome = Outcome(success=True, duration_s=30.0, quality=0.6)
    result = await scorer.score_execution(outcome, ScoringContext("coding"))
    assert result == ScoringResult(
        success_score=1.0,
        quality_score=0.6,
        speed_score=0.25,
        usefulness_score=None,
        overall_weight=price(outcome, scorer.spec).value,
        missing=("usefulness",),
        reward_fn_version=scorer.spec.version,
    )
