"""A table priced at once has the bits of its rows priced one by one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import OutcomeInvalid
from nyx_learning.rewards import Gate, Outcome, RewardSpec, ValidationResult, price, price_bulk

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)

maybe = st.none() | st.floats(0.0, 1.0)
amount = st.none() | st.floats(0.0, 1e9)
count = st.integers(0, 1000)
OPTIONAL = (
    "quality",
    "usefulness",
    "format_compliance",
    "goal_achievement",
    "goal_alignment",
    "user_feedback",
    "business_impact",
)
rows = st.fixed_dictionaries(
    {
        "success": st.booleans(),
        "timed_out": st.booleans(),
        "duration_s": amount,
        "cost": amount,
        "tokens": st.none() | count,
        "agents_succeeded": count,
        "agents_failed": count,
        "retries": count,
        "errors": st.integers(0, 5),
        "validation": maybe,
        **dict.fromkeys(OPTIONAL, maybe),
    }
)


def outcome_of(row: dict[str, Any]) -> Outcome:
    fields = {name: value for name, value in row.items() if name not in {"errors", "validation"}}
    fields["error_codes"] = ["e"] * row["errors"]
    if row["validation"] is not None:
        fields["validation_results"] = [ValidationResult(name="all", passed=True, score=row["validation"])]
    return Outcome(**fields)


@LAW
@given(
    st.lists(rows, min_size=1, max_size=15),
    st.sampled_from(["arithmetic", "geometric"]),
    st.sampled_from([1, 2]),
    st.booleans(),
)
def test_bulk_has_the_same_bits(table: list[dict[str, Any]], mean: Any, power: int, gated: bool) -> None:
    spec = RewardSpec(
        weights={"speed": 0.25, "quality": 0.3, "success": 0.3, "usefulness": 0.1, "efficiency": 0.05},
        mean=mean,
        speed_power=power,
        gates=(Gate("success", 0.5, 0.2),) if gated else (),
        reference_time_s=30.0,
        reference_tokens=500.0,
    )
    columns = {
        name: np.array([np.nan if row[name] is None else row[name] for row in table]) for name in table[0]
    }
    priced = price_bulk(columns, spec, reference_time_s=30.0, reference_tokens=500.0)
    for i, row in enumerate(table):
        reward = price(outcome_of(row), spec)
        assert priced.values[i] == reward.value
        for name, scores in priced.scores.items():
            assert (np.isnan(scores[i]) and name not in reward.components) or scores[i] == reward.components[
                name
            ]
    assert priced.reward_fn_version == spec.version


def test_columns_that_are_absent_are_missing_scores() -> None:
    priced = price_bulk({"success": np.array([True, False])}, RewardSpec())
    assert priced.values.tolist() == [1.0, 0.0]
    assert list(priced.scores) == ["success"]


def test_rows_without_any_weighted_score_are_nan() -> None:
    columns = {"success": np.array([True, True]), "quality": np.array([0.5, np.nan])}
    values = price_bulk(columns, RewardSpec(weights={"quality": 1.0})).values
    assert values[0] == 0.5
    assert np.isnan(values[1])


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"quality": np.array([0.5])},
        {"success": np.array([1, 0])},
        {"success": np.array([True]), "fun": np.array([1.0])},
        {"success": np.array([True]), "quality": np.array([0.5, 0.5])},
        {"success": np.array([True]), "quality": np.array([1.5])},
        {"success": np.array([True]), "duration_s": np.array([-1.0])},
        {"success": np.array([True]), "retries": np.array([0.5])},
        {"success": np.array([True]), "timed_out": np.array([1.0])},
    ],
)
def test_bad_tables_are_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(OutcomeInvalid):
        price_bulk(columns, RewardSpec(), reference_time_s=1.0)


def test_long_tables_are_the_same_as_short_ones_and_errors_name_the_row() -> None:
    source = np.random.default_rng(7)
    n = 20_000
    columns = {"success": source.random(n) < 0.5, "duration_s": source.random(n), "quality": source.random(n)}
    references = source.random(n) + 0.5
    whole = price_bulk(columns, RewardSpec(), reference_time_s=references)
    for rows in (slice(0, 100), slice(8150, 8250), slice(19_900, n)):
        part = price_bulk(
            {name: values[rows] for name, values in columns.items()},
            RewardSpec(),
            reference_time_s=references[rows],
        )
        assert whole.values[rows].tolist() == part.values.tolist()
        assert whole.scores["speed"][rows].tolist() == part.scores["speed"].tolist()
    columns["quality"][12_345] = 1.5
    with pytest.raises(OutcomeInvalid, match=r"quality\[12345\]"):
        price_bulk(columns, RewardSpec())
    with pytest.raises(OutcomeInvalid, match="references"):
        price_bulk({"success": np.array([True])}, RewardSpec(), reference_time_s=np.ones(2))
