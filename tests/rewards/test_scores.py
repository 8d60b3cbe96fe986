"""The five scores: by hand, by law, and on arrays to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import OutcomeInvalid
from nyx_learning.rewards import ValidationResult
from nyx_learning.rewards.efficiency import efficiency_bulk, efficiency_score
from nyx_learning.rewards.quality import quality_bulk, quality_score, validation_score
from nyx_learning.rewards.speed import speed_bulk, speed_score
from nyx_learning.rewards.success import success_bulk, success_score
from nyx_learning.rewards.usefulness import usefulness_bulk, usefulness_score

LAW = settings(derandomize=True, deadline=None, database=None, max_examples=100)

units = st.floats(0.0, 1.0)
maybe = st.none() | units
times = st.floats(0.0, 1e308)
references = st.floats(1e-12, 1e15)
counts = st.integers(0, 10**6)
powers = st.sampled_from([1, 2])
NAN = float("nan")


def as_float(value: float | None) -> float:
    return NAN if value is None else value


def same(a: float | None, b: float) -> bool:
    return bool(np.isnan(b)) if a is None else a == b


# --- speed


def test_speed_by_hand() -> None:
    assert speed_score(60.0, 60.0) == 0.5
    assert speed_score(0.0, 60.0) == 1.0
    assert speed_score(20.0, 60.0) == pytest.approx(1 / (1 + 1 / 3))
    assert speed_score(120.0, 60.0, power=2) == pytest.approx(1 / (1 + 4))
    assert speed_score(60.0, 60.0, timed_out=True) == 0.25
    assert speed_score(1e308, 1e-12) == 0.0


@LAW
@given(times, times, references, powers, st.booleans())
def test_speed_stays_in_range_and_never_rises_with_time(
    a: float, b: float, reference: float, power: int, timed_out: bool
) -> None:
    quick, slow = (speed_score(t, reference, timed_out=timed_out, power=power) for t in sorted((a, b)))
    assert 0.0 <= slow <= quick <= 1.0
    if timed_out:
        assert quick == 0.5 * speed_score(min(a, b), reference, power=power)


@LAW
@given(times, references, references, powers)
def test_speed_never_falls_with_the_reference(t: float, a: float, b: float, power: int) -> None:
    assert speed_score(t, min(a, b), power=power) <= speed_score(t, max(a, b), power=power)


@LAW
@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.floats(1e-3, 1e3), powers)
def test_speed_does_not_depend_on_the_unit(t: float, reference: float, unit: float, power: int) -> None:
    exact = speed_score(t * 1024.0, reference * 1024.0, power=power)
    assert exact == speed_score(t, reference, power=power)
    assert speed_score(t * unit, reference * unit, power=power) == pytest.approx(exact, rel=1e-14, abs=1e-15)


@LAW
@given(st.floats(1e-6, 1e6), powers)
def test_speed_is_symmetric_in_twice_as_fast_and_twice_as_slow(x: float, power: int) -> None:
    assert speed_score(x, 1.0, power=power) + speed_score(1.0, x, power=power) == pytest.approx(
        1.0, abs=1e-15
    )


@LAW
@given(st.floats(0.0, 1e6), st.floats(1e-3, 1e6), st.floats(0.0, 1e-6), powers)
def test_speed_is_continuous(t: float, reference: float, step: float, power: int) -> None:
    # |ds/dx| <= 1 for power 1 and <= 0.65 for power 2, with x = t / reference.
    moved = speed_score(t + step, reference, power=power)
    change = ((t + step) - t) / reference
    assert abs(moved - speed_score(t, reference, power=power)) <= change + 1e-15


def test_a_timeout_gets_the_mean_score_of_the_times_that_it_may_hide() -> None:
    # Log-logistic times with median 10: score of those beyond t = 15, by inverting the survival function.
    survivors = (np.arange(200_000) + 0.5) / 200_000 * (1 / (1 + 15 / 10))
    hidden = 10.0 * (1.0 / survivors - 1.0)
    assert hidden.min() >= 15.0 - 1e-9
    assert speed_bulk(hidden, 10.0).mean() == pytest.approx(speed_score(15.0, 10.0, timed_out=True), abs=1e-9)


@LAW
@given(st.lists(st.tuples(times, references, st.booleans()), min_size=1, max_size=20), powers)
def test_speed_bulk_has_the_same_bits(rows: list[tuple[float, float, bool]], power: int) -> None:
    t, reference, timed_out = (np.array(column) for column in zip(*rows, strict=True))
    bulk = speed_bulk(t, reference, timed_out=timed_out, power=power)
    assert bulk.tolist() == [speed_score(a, b, timed_out=c, power=power) for a, b, c in rows]


def test_speed_bulk_keeps_missing_times_missing() -> None:
    bulk = speed_bulk(np.array([1.0, NAN, 1.0]), np.array([1.0, 1.0, NAN]))
    assert bulk[0] == 0.5
    assert np.isnan(bulk[1:]).all()


@pytest.mark.parametrize(
    ("t", "reference"),
    [
        (-1.0, 1.0),
        (NAN, 1.0),
        (float("inf"), 1.0),
        (1.0, 0.0),
        (1.0, -1.0),
        (1.0, NAN),
        ("1", 1.0),
        (True, 1.0),
    ],
)
def test_speed_refuses_bad_numbers(t: float, reference: float) -> None:
    with pytest.raises(OutcomeInvalid, match="expected"):
        speed_score(t, reference)


def test_speed_refuses_bad_arrays_and_names_the_row() -> None:
    with pytest.raises(OutcomeInvalid, match=r"duration_s\[1\]"):
        speed_bulk(np.array([1.0, -2.0]), 1.0)
    with pytest.raises(OutcomeInvalid, match="reference_s"):
        speed_bulk(np.array([1.0]), 0.0)
    with pytest.raises(OutcomeInvalid, match="power"):
        speed_score(1.0, 1.0, power=3)


# --- quality


def check(passed: bool, **more: float | bool) -> ValidationResult:
    return ValidationResult(name="check", passed=passed, **more)  # type: ignore[arg-type]


def test_quality_by_hand() -> None:
    assert quality_score() is None
    assert quality_score(format_compliance=0.4) == 0.4
    assert validation_score([check(True, weight=3.0), check(False, weight=1.0)]) == 0.75
    assert validation_score([check(True, weight=3.0), check(False, required=True)]) == 0.0
    assert validation_score([check(False, score=0.4), check(True)]) == pytest.approx(0.7)
    assert quality_score([check(True)], 0.5, 0.0) == pytest.approx(0.5 * 1 + 0.2 * 0.5)
    assert quality_score([check(True)], None, 0.2) == pytest.approx((0.5 * 1 + 0.3 * 0.2) / 0.8)


@LAW
@given(maybe, maybe, maybe, units, st.integers(0, 2))
def test_quality_rises_with_each_part(
    a: float | None, b: float | None, c: float | None, other: float, which: int
) -> None:
    before, after = [a, b, c], [a, b, c]
    if before[which] is None:
        return
    before[which], after[which] = sorted((before[which], other))  # type: ignore[type-var]

    def score(parts: list[float | None]) -> float:
        checks = [] if parts[0] is None else [check(True, score=parts[0])]
        value = quality_score(checks, parts[1], parts[2])
        assert value is not None
        return value

    assert 0.0 <= score(before) <= score(after) <= 1.0


@LAW
@given(st.lists(st.tuples(st.booleans(), st.floats(1e-3, 1e3), units), min_size=1, max_size=6), st.data())
def test_a_check_that_passes_never_lowers_validation(
    rows: list[tuple[bool, float, float]], data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(rows) - 1))
    required = data.draw(st.booleans())
    checks = [check(passed, weight=weight) for passed, weight, _ in rows]
    failed, passed = (check(p, weight=rows[which][1], required=required) for p in (False, True))
    low = validation_score([*checks[:which], failed, *checks[which + 1 :]])
    high = validation_score([*checks[:which], passed, *checks[which + 1 :]])
    assert low is not None
    assert high is not None
    assert 0.0 <= low <= high <= 1.0


@LAW
@given(st.lists(st.tuples(maybe, maybe, maybe), min_size=1, max_size=20))
def test_quality_bulk_has_the_same_bits(rows: list[tuple[float | None, float | None, float | None]]) -> None:
    columns = [np.array([as_float(v) for v in column]) for column in zip(*rows, strict=True)]
    bulk = quality_bulk(*columns)
    for (validation, compliance, goal), value in zip(rows, bulk, strict=True):
        checks = [] if validation is None else [check(True, score=validation)]
        assert same(quality_score(checks, compliance, goal), value)


# --- success


def test_success_by_hand() -> None:
    assert success_score(True) == 1.0
    assert success_score(False) == 0.0
    assert success_score(True, retries=3) == pytest.approx(0.7 + 0.3 / 2)
    assert success_score(True, errors=4) == pytest.approx(0.7 + 0.3 / 2)
    assert success_score(True, agents_succeeded=3, agents_failed=1) == pytest.approx(0.7 + 0.3 * 0.75)
    assert success_score(False, agents_succeeded=3, agents_failed=1) == pytest.approx(0.3 * 0.75)
    assert success_score(True, agents_failed=2) == 0.7


@LAW
@given(st.booleans(), counts, counts, counts, counts, st.integers(1, 1000))
def test_success_is_monotone_in_each_argument(
    success: bool, good: int, bad: int, retries: int, errors: int, more: int
) -> None:
    def score(
        success: bool = success, good: int = good, bad: int = bad, r: int = retries, e: int = errors
    ) -> float:
        return success_score(success, agents_succeeded=good, agents_failed=bad, retries=r, errors=e)

    here = score()
    assert (0.7 if success else 0.0) <= here <= (1.0 if success else 0.3)
    assert score(r=retries + more) <= here
    assert score(e=errors + more) <= here
    assert score(success=False) <= score(success=True)
    if good + bad > 0:
        assert score(good=good + more) >= here
        assert score(bad=bad + more) <= here
    # Without agents a success is taken to be clean, so the first failed agent may only lower it.
    if success:
        assert score(bad=bad + more) <= here


@LAW
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_agents_that_swap_sides_swap_the_share(good: int, bad: int) -> None:
    if good + bad == 0:
        return
    there = success_score(False, agents_succeeded=good, agents_failed=bad)
    back = success_score(False, agents_succeeded=bad, agents_failed=good)
    assert there + back == pytest.approx(0.3)


@LAW
@given(st.lists(st.tuples(st.booleans(), counts, counts, counts, counts), min_size=1, max_size=20))
def test_success_bulk_has_the_same_bits(rows: list[tuple[bool, int, int, int, int]]) -> None:
    s, good, bad, retries, errors = (np.array(column) for column in zip(*rows, strict=True))
    bulk = success_bulk(s, agents_succeeded=good, agents_failed=bad, retries=retries, errors=errors)
    assert bulk.tolist() == [
        success_score(a, agents_succeeded=b, agents_failed=c, retries=d, errors=e) for a, b, c, d, e in rows
    ]


@pytest.mark.parametrize("value", [-1, 1.5, True, None, "2"])
def test_success_refuses_what_is_no_count(value: int) -> None:
    with pytest.raises(OutcomeInvalid, match="retries"):
        success_score(True, retries=value)


@pytest.mark.parametrize("value", [-1.0, 1.5, NAN, float("inf")])
def test_success_bulk_refuses_what_is_no_count(value: float) -> None:
    with pytest.raises(OutcomeInvalid, match=r"errors\[1\]"):
        success_bulk([True, False], errors=[0.0, value])


# --- usefulness


def test_usefulness_by_hand() -> None:
    assert usefulness_score() is None
    assert usefulness_score(user_feedback=0.3) == 0.3
    assert usefulness_score(1.0, 0.5, 0.0) == pytest.approx(0.4 + 0.15)
    assert usefulness_score(0.8, None, 0.6) == pytest.approx(0.4 * 0.8 + 0.3 * 0.5 + 0.3 * 0.6)
    assert usefulness_score(0.2, None, 0.2) == pytest.approx(0.2)
    assert usefulness_score(1.0) == pytest.approx((0.4 + 0.3 * 0.5) / 0.7)


@LAW
@given(maybe, maybe, maybe, units, st.integers(0, 2))
def test_usefulness_rises_with_each_part(
    a: float | None, b: float | None, c: float | None, other: float, which: int
) -> None:
    before, after = [a, b, c], [a, b, c]
    if before[which] is None:
        return
    before[which], after[which] = sorted((before[which], other))  # type: ignore[type-var]
    low, high = usefulness_score(*before), usefulness_score(*after)
    assert low is not None
    assert high is not None
    assert 0.0 <= low <= high <= 1.0


@LAW
@given(maybe, maybe, st.floats(0.5, 1.0))
def test_silence_is_never_worth_more_than_neutral_feedback(
    alignment: float | None, impact: float | None, feedback: float
) -> None:
    silent = usefulness_score(alignment, None, impact)
    if silent is None:
        return
    spoken = usefulness_score(alignment, feedback, impact)
    assert spoken is not None
    assert silent <= spoken


@LAW
@given(st.lists(st.tuples(maybe, maybe, maybe), min_size=1, max_size=20))
def test_usefulness_bulk_has_the_same_bits(
    rows: list[tuple[float | None, float | None, float | None]],
) -> None:
    columns = [np.array([as_float(v) for v in column]) for column in zip(*rows, strict=True)]
    bulk = usefulness_bulk(*columns)
    assert all(same(usefulness_score(*row), value) for row, value in zip(rows, bulk, strict=True))


# --- efficiency


def test_efficiency_by_hand() -> None:
    assert efficiency_score() is None
    assert efficiency_score(tokens=10.0) is None
    assert efficiency_score(tokens=300.0, reference_tokens=100.0) == 0.25
    assert efficiency_score(300.0, 100.0, 1.0, 1.0) == pytest.approx((0.25 + 0.5) / 2)


@LAW
@given(st.none() | times, references, st.none() | times, references, times)
def test_efficiency_falls_with_what_is_used(
    tokens: float | None, by_tokens: float, cost: float | None, by_cost: float, more: float
) -> None:
    here = efficiency_score(tokens, by_tokens, cost, by_cost)
    if tokens is None or here is None:
        return
    there = efficiency_score(max(tokens, more), by_tokens, cost, by_cost)
    assert there is not None
    assert 0.0 <= there <= here <= 1.0


@LAW
@given(
    st.lists(st.tuples(st.none() | times, st.none() | references, st.none() | times), min_size=1, max_size=20)
)
def test_efficiency_bulk_has_the_same_bits(
    rows: list[tuple[float | None, float | None, float | None]],
) -> None:
    tokens, by_tokens, cost = (np.array([as_float(v) for v in column]) for column in zip(*rows, strict=True))
    bulk = efficiency_bulk(tokens, by_tokens, cost, 2.5)
    for row, value in zip(rows, bulk, strict=True):
        assert same(efficiency_score(row[0], row[1], row[2], 2.5), value)


def test_efficiency_refuses_bad_numbers() -> None:
    with pytest.raises(OutcomeInvalid, match="tokens"):
        efficiency_score(tokens=-1.0, reference_tokens=1.0)
    with pytest.raises(OutcomeInvalid, match="reference_cost"):
        efficiency_score(cost=1.0, reference_cost=0.0)
    with pytest.raises(OutcomeInvalid, match=r"cost\[0\]"):
        efficiency_bulk(np.array([NAN]), NAN, np.array([-1.0]), 1.0)
