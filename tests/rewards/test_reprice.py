"""New weights over stored scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import OutcomeInvalid, SpecInvalid
from nyx_learning.rewards import (
    Gate,
    Outcome,
    RewardRow,
    RewardSpec,
    WeightProfile,
    choices,
    price,
    reprice,
    reprice_reward,
)
from nyx_learning.rewards.reprice import needs_outcomes

OLD = RewardSpec(reference_time_s=10.0)
QUICK = RewardSpec(weights={"speed": 1.0}, reference_time_s=10.0)


def row(arm: str, seconds: float, success: bool, decision: int = 0) -> RewardRow:
    outcome = Outcome(success=success, duration_s=seconds)
    context = {"task_type": "coding"}
    return RewardRow(f"d{decision}", arm, context, price(outcome, OLD, context=context))


@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(
    st.booleans(),
    st.none() | st.floats(0.0, 1e4),
    st.none() | st.floats(0.0, 1.0),
    st.sampled_from(["arithmetic", "geometric"]),
    st.booleans(),
)
def test_repricing_the_scores_is_pricing_the_outcome(
    success: bool, seconds: float | None, quality: float | None, mean: str, gated: bool
) -> None:
    new = RewardSpec(
        weights={"success": 0.1, "speed": 2.0, "quality": 1.0},
        mean=mean,  # type: ignore[arg-type]
        gates=(Gate("quality", 0.5, 0.25),) if gated else (),
        profiles=(WeightProfile({"task_type": "coding"}, {"success": 1.0, "speed": 3.0}),),
        reference_time_s=10.0,
    )
    outcome = Outcome(success=success, duration_s=seconds, quality=quality)
    for context in ({"task_type": "coding"}, {"task_type": "research"}):
        stored = price(outcome, OLD, context=context)
        assert reprice_reward(stored, new, context=context) == price(outcome, new, context=context)


def test_changed_weights_change_the_winner() -> None:
    rows = [
        row("careful", 40.0, True, 1),
        row("careful", 40.0, True, 2),
        row("hasty", 1.0, True, 3),
        row("hasty", 1.0, False, 4),
    ]
    before = choices(reprice(rows, OLD, old=OLD))
    assert [reading.arm_id for reading in before] == ["hasty", "careful"]
    assert all(reading.after == reading.before for reading in before)
    safe = choices(reprice(rows, RewardSpec(weights={"success": 1.0}, reference_time_s=10.0), old=OLD))
    quick = choices(reprice(rows, QUICK, old=OLD))
    assert [reading.arm_id for reading in safe] == ["careful", "hasty"]
    assert [reading.arm_id for reading in quick] == ["hasty", "careful"]
    assert safe[1].after == 0.5
    assert safe[1].after_error == pytest.approx(np.std([0.0, 1.0], ddof=1) / np.sqrt(2))
    assert safe[0].before == pytest.approx(rows[0].reward.value)


def test_rows_without_a_weighted_score_are_kept_and_named() -> None:
    rows = [row("a", 1.0, True)]
    repriced = reprice(rows, RewardSpec(weights={"quality": 1.0}))
    assert repriced[0].after is None
    assert choices(repriced) == ()
    with pytest.raises(OutcomeInvalid):
        reprice_reward(rows[0].reward, RewardSpec(weights={"quality": 1.0}))


def test_what_changes_the_scores_needs_the_outcomes() -> None:
    assert needs_outcomes(OLD, QUICK) == ()
    assert needs_outcomes(OLD, RewardSpec(speed_power=2)) == ("reference_time_s", "speed_power")
    with pytest.raises(SpecInvalid, match="stored scores"):
        reprice([], RewardSpec(reference_time_s=11.0), old=OLD)
