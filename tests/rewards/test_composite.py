"""From an outcome to a reward: the mean, what is missing, profiles, gates, references, versions."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import ContextInvalid, OutcomeInvalid
from nyx_learning.rewards import (
    COMPONENTS,
    Gate,
    Outcome,
    ReferenceCell,
    ReferenceTimes,
    Reward,
    RewardSpec,
    WeightProfile,
    composite,
    composite_bulk,
    price,
)

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)

units = st.floats(0.0, 1.0)
weights = st.sampled_from([0.0, 1e-9, 0.15, 0.3, 1.0, 7.0, 1e9])
means = st.sampled_from(["arithmetic", "geometric"])
rows = st.tuples(*[st.none() | units] * 5)
vectors = st.tuples(*[weights] * 5).filter(any)


def spec_of(vector: tuple[float, ...], **more: Any) -> RewardSpec:
    return RewardSpec(weights=dict(zip(COMPONENTS, vector, strict=True)), **more)


def value_of(row: tuple[float | None, ...], spec: RewardSpec) -> float | None:
    try:
        return composite(dict(zip(COMPONENTS, row, strict=True)), spec).value
    except OutcomeInvalid:
        return None


def test_the_arithmetic_mean_by_hand() -> None:
    outcome = Outcome(success=True, duration_s=90.0, quality=0.8, usefulness=0.4)
    reward = price(outcome, RewardSpec(reference_time_s=30.0))
    assert dict(reward.components) == {"speed": 0.25, "quality": 0.8, "success": 1.0, "usefulness": 0.4}
    assert reward.value == pytest.approx(0.25 * 0.25 + 0.3 * 0.8 + 0.3 * 1.0 + 0.15 * 0.4)
    assert reward.missing == ()
    assert reward.reference_time_s == 30.0


def test_the_geometric_mean_by_hand() -> None:
    spec = RewardSpec(weights={"speed": 1, "success": 3}, mean="geometric", reference_time_s=1.0)
    assert price(Outcome(success=True, duration_s=15.0), spec).value == pytest.approx((1 / 16) ** 0.25)
    assert price(Outcome(success=False, duration_s=1.0), spec).value == 0.0


def test_missing_scores_renormalise_and_are_named() -> None:
    reward = price(Outcome(success=True, duration_s=5.0, quality=0.5), RewardSpec())
    assert reward.missing == ("speed", "usefulness")
    assert reward.value == pytest.approx((0.3 * 0.5 + 0.3) / 0.6)
    assert reward.reference_version is None


def test_a_score_without_weight_is_kept_but_never_missing() -> None:
    spec = RewardSpec(weights={"success": 1.0}, reference_tokens=100)
    reward = price(Outcome(success=True, tokens=100, quality=0.2), spec)
    assert reward.value == 1.0
    assert reward.components["efficiency"] == 0.5
    assert reward.missing == ()


def test_reported_quality_and_usefulness_win_over_their_parts() -> None:
    outcome = Outcome(
        success=True, quality=0.9, goal_achievement=0.1, usefulness=0.2, goal_alignment=1.0, user_feedback=1.0
    )
    reward = price(outcome, RewardSpec())
    assert reward.components["quality"] == 0.9
    assert reward.components["usefulness"] == 0.2


def test_all_weighted_scores_missing_is_refused() -> None:
    with pytest.raises(OutcomeInvalid, match="every score that has weight is missing"):
        price(Outcome(success=True), RewardSpec(weights={"speed": 1.0, "quality": 1.0}))
    with pytest.raises(OutcomeInvalid):
        composite({"speed": None}, RewardSpec())


@pytest.mark.parametrize("scores", [{"fun": 0.5}, {"speed": 1.5}, {"speed": float("nan")}, {"success": "1"}])
def test_bad_scores_are_refused(scores: dict[str, Any]) -> None:
    with pytest.raises(OutcomeInvalid):
        composite(scores, RewardSpec())


def test_profiles_apply_by_context_first_match_first() -> None:
    spec = RewardSpec(
        weights={"success": 1.0},
        profiles=(
            WeightProfile({"urgent": True, "task_type": "coding"}, {"speed": 1.0}),
            WeightProfile({"task_type": "coding"}, {"quality": 1.0}),
        ),
        reference_time_s=10.0,
    )
    outcome = Outcome(success=True, duration_s=30.0, quality=0.7)

    def priced(context: dict[str, Any] | None) -> tuple[float, int | None]:
        reward = price(outcome, spec, context=context)
        return reward.value, reward.profile

    assert priced({"task_type": "coding", "urgent": True}) == (0.25, 0)
    assert priced({"task_type": "coding", "urgent": False}) == (0.7, 1)
    assert priced({"task_type": "research"}) == (1.0, None)
    assert priced(None) == (1.0, None)


def test_gates_cap_only_below_their_score() -> None:
    spec = RewardSpec(gates=(Gate("success", below=0.5, cap=0.2), Gate("quality", below=0.4, cap=0.3)))
    bad = price(Outcome(success=False, quality=0.9, usefulness=0.9), spec)
    assert bad.value == 0.2
    assert bad.gates == ("success",)
    low = price(Outcome(success=True, quality=0.3, usefulness=1.0), spec)
    assert low.value == 0.3
    assert low.gates == ("quality",)
    assert price(Outcome(success=True, quality=0.4), spec).gates == ()
    assert price(Outcome(success=True), spec).value == 1.0  # quality is missing: its gate says nothing


def test_references_come_from_the_adopted_version_then_from_the_spec() -> None:
    spec = RewardSpec(
        reference_time_s={("coding", "simple"): 10.0, ("coding", "*"): 40.0, ("*", "*"): 20.0},
        reference_cost=1.0,
        weights={"speed": 1.0, "efficiency": 1.0},
    )
    outcome = Outcome(success=True, duration_s=20.0, cost=1.0)

    def speed(context: dict[str, Any] | None, adopted: ReferenceTimes | None = None) -> Reward:
        return price(outcome, spec, context=context, reference=adopted)

    assert speed({"task_type": "coding", "complexity": "simple"}).reference_time_s == 10.0
    assert speed({"task_type": "coding", "complexity": "complex"}).reference_time_s == 40.0
    assert speed({"task_type": "research", "complexity": "simple"}).reference_time_s == 20.0
    assert speed(None).reference_time_s == 20.0
    assert spec.static_reference is not None
    assert speed(None).reference_version == spec.static_reference.version
    adopted = ReferenceTimes(cells=(ReferenceCell(("coding", "*"), time_s=60.0),))
    reward = speed({"task_type": "coding", "complexity": "simple"}, adopted)
    assert (reward.reference_time_s, reward.reference_version) == (60.0, adopted.version)
    assert reward.components["efficiency"] == 0.5
    reward = speed({"task_type": "research", "complexity": "simple"}, adopted)
    assert (reward.reference_time_s, reward.reference_version) == (20.0, spec.static_reference.version)


def test_complexity_factors_scale_only_unspecific_references() -> None:
    spec = RewardSpec(
        reference_time_s={("coding", "complex"): 100.0, ("*", "*"): 20.0},
        complexity_factors={"simple": 0.5, "complex": 4.0},
    )
    outcome = Outcome(success=True, duration_s=1.0)

    def used(**context: str) -> float | None:
        return price(outcome, spec, context=context).reference_time_s

    assert used(task_type="coding", complexity="complex") == 100.0
    assert used(task_type="research", complexity="complex") == 80.0
    assert used(task_type="research", complexity="simple") == 10.0
    assert used(task_type="research") == 20.0
    with pytest.raises(ContextInvalid, match="no factor"):
        used(task_type="research", complexity="absurd")


@LAW
@given(rows, vectors, means)
def test_the_reward_lies_between_its_scores(
    row: tuple[float | None, ...], vector: tuple[float, ...], mean: Any
) -> None:
    value = value_of(row, spec_of(vector, mean=mean))
    present = [score for score, weight in zip(row, vector, strict=True) if score is not None and weight > 0]
    if not present:
        assert value is None
        return
    assert value is not None
    assert min(present) <= value <= max(present)


@LAW
@given(rows, vectors, means, st.integers(0, 4), units, st.booleans())
def test_the_reward_rises_with_each_score(
    row: tuple[float | None, ...], vector: tuple[float, ...], mean: Any, which: int, other: float, gated: bool
) -> None:
    score = row[which]
    if score is None:
        return
    gates = (Gate("success", 0.5, 0.3), Gate("quality", 0.2, 0.1)) if gated else ()
    spec = spec_of(vector, mean=mean, gates=gates)
    ends = [value_of((*row[:which], s, *row[which + 1 :]), spec) for s in sorted((score, other))]
    if ends[0] is None or ends[1] is None:
        return
    # The geometric mean goes through exp and log, which are within one unit in the last place.
    slack = 0.0 if mean == "arithmetic" else 4e-16
    assert ends[0] <= ends[1] + slack


@LAW
@given(rows, vectors, means, st.sampled_from([2.0**-20, 0.5, 4.0]))
def test_only_ratios_of_weights_matter(
    row: tuple[float | None, ...], vector: tuple[float, ...], mean: Any, scale: float
) -> None:
    scaled = tuple(weight * scale for weight in vector)
    if any(0.0 < weight < 1e-9 or weight > 1e9 for weight in scaled):
        return
    assert value_of(row, spec_of(vector, mean=mean)) == value_of(row, spec_of(scaled, mean=mean))


@LAW
@given(st.tuples(*[units] * 5), vectors, st.integers(0, 4), st.floats(0.0, 1e-9))
def test_without_gates_the_reward_is_continuous(
    row: tuple[float, ...], vector: tuple[float, ...], which: int, step: float
) -> None:
    spec = spec_of(vector)
    moved = (*row[:which], min(row[which] + step, 1.0), *row[which + 1 :])
    here, there = value_of(row, spec), value_of(moved, spec)
    assert here is not None
    assert there is not None
    assert abs(there - here) <= step + 1e-15


@LAW
@given(st.tuples(*[units] * 5))
def test_with_equal_weights_every_order_of_scores_is_worth_the_same(row: tuple[float, ...]) -> None:
    spec = spec_of((1.0,) * 5)
    values = [value_of(order, spec) for order in list(permutations(row))[::17]]
    assert all(value == pytest.approx(values[0], abs=1e-15) for value in values)


@LAW
@given(st.lists(rows, min_size=1, max_size=30), vectors, means, st.booleans())
def test_bulk_has_the_same_bits(
    table: list[tuple[float | None, ...]], vector: tuple[float, ...], mean: Any, gated: bool
) -> None:
    gates = (Gate("success", 0.5, 0.3), Gate("speed", 0.2, 0.1)) if gated else ()
    spec = spec_of(vector, mean=mean, gates=gates)
    columns = {
        name: np.array([np.nan if v is None else v for v in column])
        for name, column in zip(COMPONENTS, zip(*table, strict=True), strict=True)
    }
    for row, value in zip(table, composite_bulk(columns, spec).tolist(), strict=True):
        expected = value_of(row, spec)
        assert (np.isnan(value) and expected is None) or value == expected


def test_bulk_refuses_bad_tables() -> None:
    good = np.array([0.5, 0.5])
    for table in (
        {},
        {"fun": good},
        {"speed": good, "success": np.array([1.0])},
        {"speed": np.array([0.5, 1.1])},
    ):
        with pytest.raises(OutcomeInvalid):
            composite_bulk(table, RewardSpec())
