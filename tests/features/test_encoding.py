"""φ by hand and by law; contexts that are refused."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import Categorical, ContextSchema, Flag, Numeric, Ordinal
from nyx_learning.errors import ContextInvalid
from nyx_learning.features import ONE, Encoder
from nyx_learning.features.encoding import groups

LAWS = settings(derandomize=True, deadline=None, max_examples=200, database=None)


class Task(str, Enum):  # noqa: UP042 (whose str() is the member's name, as StrEnum's is not)
    CODING = "coding"


def encoded(schema: ContextSchema, **context: Any) -> list[float]:
    return [entry / ONE for entry in Encoder(schema).encode(context)[1]]


def test_categories_by_hand() -> None:
    schema = ContextSchema(task=Categorical(["research", "coding"], optional=True))
    assert encoded(schema, task="research") == [1, 1, 0, 0]
    assert encoded(schema, task="coding") == [1, 0, 1, 0]
    assert encoded(schema, task="never declared") == [1, 0, 0, 1]
    assert encoded(schema, task=None) == [1, 0, 0, 1]
    assert encoded(schema) == [1, 0, 0, 1]


def test_ordinals_by_hand() -> None:
    three = ContextSchema(level=Ordinal(["low", "mid", "high"]))
    # x = −1, 0, 1 and 2x² − 1
    assert encoded(three, level="low") == [1, -1, 1, 0]
    assert encoded(three, level="mid") == [1, 0, -1, 0]
    assert encoded(three, level="high") == [1, 1, 1, 0]
    assert encoded(three, level="other") == [1, 0, 0, 1]
    two = ContextSchema(level=Ordinal(["low", "high"], optional=True))
    assert encoded(two, level="low") == [1, -1, 0]
    assert encoded(two, level="high") == [1, 1, 0]
    assert encoded(two, level=None) == [1, 0, 1]
    five = ContextSchema(level=Ordinal(["a", "b", "c", "d", "e"]))
    assert encoded(five, level="b") == [1, -0.5, -0.5, 0]  # 2·¼ − 1


def test_numbers_by_hand() -> None:
    linear = ContextSchema(size=Numeric(0, 8))
    assert [encoded(linear, size=x)[1] for x in (0, 2, 4, 8)] == [-1, -0.5, 0, 1]
    logarithmic = ContextSchema(size=Numeric(1, 256, log=True))
    assert [encoded(logarithmic, size=x)[1] for x in (1, 4, 16, 256)] == [-1, -0.5, 0, 1]
    optional = ContextSchema(size=Numeric(0, 8, optional=True))
    assert encoded(optional, size=2) == [1, -0.5, 0]
    assert encoded(optional, size=None) == [1, 0, 1]
    assert encoded(optional) == [1, 0, 1]


def test_numbers_beyond_the_bounds_saturate() -> None:
    for schema in (
        ContextSchema(size=Numeric(1, 8)),
        ContextSchema(size=Numeric(1, 8, log=True)),
        ContextSchema(size=Numeric(1, 8, optional=True)),
    ):
        assert encoded(schema, size=-1e308)[1] == -1
        assert encoded(schema, size=0)[1] == -1
        assert encoded(schema, size=9)[1] == 1
        assert encoded(schema, size=2**1000)[1] == 1
        assert encoded(schema, size=-(2**1000))[1] == -1


def test_flags_by_hand() -> None:
    assert encoded(ContextSchema(urgent=Flag()), urgent=True) == [1, 1]
    assert encoded(ContextSchema(urgent=Flag()), urgent=False) == [1, -1]
    optional = ContextSchema(urgent=Flag(optional=True))
    assert encoded(optional, urgent=False) == [1, -1, 0]
    assert encoded(optional) == [1, 0, 1]


def test_the_columns_have_names_and_groups() -> None:
    schema = ContextSchema(
        task=Categorical(["a"]), level=Ordinal(["x", "y", "z"]), size=Numeric(0, 1, optional=True)
    )
    encoder = Encoder(schema)
    assert encoder.column_names == ("1", "task=a", "task=?", "level", "level²", "level=?", "size", "size=?")
    assert groups(schema) == [0, 0, 1, 1, 1, 2, 2]


def test_the_context_comes_back_as_plain_json() -> None:
    schema = ContextSchema(
        task=Categorical(["coding"]),
        a=Numeric(0, 9),
        b=Numeric(1, 9, log=True),
        urgent=Flag(),
        gone=Flag(optional=True),
    )
    context = {
        "task": Task.CODING,
        "a": np.int64(3),
        "b": Fraction(5, 2),
        "urgent": np.bool_(True),
    }
    clean, phi = Encoder(schema).encode(context)  # type: ignore[arg-type]
    assert clean == {"task": "coding", "a": 3, "b": 2.5, "urgent": True, "gone": None}
    assert [type(value) for value in clean.values()] == [str, int, float, bool, type(None)]
    assert phi[1] == ONE  # the enumeration's member is the category, not an unknown one
    assert list(context) == ["task", "a", "b", "urgent"]  # the caller's own is left alone


FULL = ContextSchema(
    task=Categorical(["research", "coding"]),
    level=Ordinal(["low", "high"]),
    size=Numeric(1, 1000, log=True),
    age=Numeric(0, 1),
    urgent=Flag(),
    note=Categorical(["x"], optional=True),
    extra=Numeric(0, 1, optional=True),
)
GOOD: dict[str, Any] = {"task": "coding", "level": "low", "size": 10, "age": 0.5, "urgent": False}


NO_NUMBERS: list[Any] = [math.nan, math.inf, -math.inf, "3", "", True, np.bool_(True), 10**400, -(10**5000)]
NO_NUMBERS += [Fraction(10**400), Decimal(1), 1j, [1], np.float64("nan"), b"1"]
NO_NAMES: list[Any] = [3, True, b"coding", ["coding"], "a\x00b", "\ud800", "x" * 1001, math.nan]
NO_FLAGS: list[Any] = [0, 1, "true", 1.0, []]
CHANGES: list[dict[Any, Any]] = [
    *({key: value} for key in ("age", "size", "extra") for value in NO_NUMBERS),
    *({key: value} for key in ("task", "level", "note") for value in NO_NAMES),
    *({"urgent": value} for value in NO_FLAGS),
    *({key: None} for key in ("task", "level", "age", "size", "urgent")),
    {"colour": 1},
    {"\x00": 1},
    {3: "three"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_unusable_values_are_refused(change: dict[Any, Any]) -> None:
    context = {**GOOD, **change}
    before = dict(context)
    with pytest.raises(ContextInvalid) as error:
        Encoder(FULL).encode(context)
    assert error.value.what
    assert error.value.expected
    assert error.value.found
    assert error.value.fix
    assert context.keys() == before.keys()
    Encoder(FULL).encode(GOOD)


@pytest.mark.parametrize("key", list(GOOD))
def test_missing_keys_are_named(key: str) -> None:
    context = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(ContextInvalid, match=rf"missing keys \['{key}'\]"):
        Encoder(FULL).encode(context)
    with pytest.raises(ContextInvalid, match=rf"unknown keys \['more'\], missing keys \['{key}'\]"):
        Encoder(FULL).encode({**context, "more": 1})


def test_an_unknown_key_does_not_pass_for_an_optional_one() -> None:
    schema = ContextSchema(task=Categorical(["code"]), size=Numeric(0, 1, optional=True))
    with pytest.raises(ContextInvalid, match=r"unknown keys \['more'\], missing keys \[\]"):
        Encoder(schema).encode({"task": "code", "more": 1})


@pytest.mark.parametrize("context", [None, [], "task", 3, [("task", "coding")]])
def test_only_mappings_are_contexts(context: Any) -> None:
    with pytest.raises(ContextInvalid, match="not a mapping"):
        Encoder(FULL).encode(context)


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(1 - 2**1023, 2**1023 - 1),
    st.floats(0, 1001),
)


@LAWS
@given(
    bounds=st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).filter(lambda b: b[0] < b[1] * 0.999),
    values=st.tuples(VALUES, VALUES).map(sorted),
    log=st.booleans(),
    optional=st.booleans(),
)
def test_numbers_stay_in_the_unit_interval_and_keep_their_order(
    bounds: tuple[float, float], values: list[float], log: bool, optional: bool
) -> None:
    (low, high), (value, larger) = bounds, values
    encoder = Encoder(ContextSchema(x=Numeric(low, high, log=log, optional=optional)))
    code = encoder.encode({"x": value})[1][1]
    assert -ONE <= code <= ONE
    assert encoder.encode({"x": low})[1][1] == -ONE
    assert encoder.encode({"x": high})[1][1] == ONE
    assert encoder.encode({"x": larger})[1][1] >= code
    clipped = min(max(float(value), low), high)
    if log:
        expected = 2 * math.log(clipped / low) / math.log(high / low) - 1
    else:
        expected = 2 * (clipped - low) / (high - low) - 1
    assert code / ONE == pytest.approx(expected, abs=1 / ONE)


@LAWS
@given(
    task=st.one_of(
        st.sampled_from(["research", "coding"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    ),
    level=st.sampled_from(["low", "high", "?"]),
    size=VALUES,
    age=VALUES,
    urgent=st.booleans(),
    note=st.none() | st.just("x"),
    extra=st.none() | VALUES,
)
def test_phi_is_bounded_begins_with_one_and_is_a_function_of_the_clean_context(**context: Any) -> None:
    encoder = Encoder(FULL)
    clean, phi = encoder.encode(context)
    assert len(phi) == FULL.dimension
    assert phi[0] == ONE
    assert all(type(entry) is int and -ONE <= entry <= ONE for entry in phi)
    assert encoder.encode(clean) == (clean, phi)
    assert encoder.encode(dict(reversed(clean.items())))[1] == phi


def test_quantiles_space_a_number_by_its_rank() -> None:
    encode = Encoder(ContextSchema(x=Numeric(quantiles=(0, 1, 10, 1000)))).encode
    third = 2 * ONE / 3
    found = [encode({"x": x})[1][1] for x in (0, 0.5, 1, 10, 505, 1000, -5, 5000)]
    expected = [-ONE, -ONE + third / 2, -ONE + third, ONE - third, ONE - third / 2, ONE, -ONE, ONE]
    assert found == pytest.approx(expected, abs=0.51)


def test_a_repeated_quantile_has_the_middle_of_its_positions() -> None:
    encode = Encoder(ContextSchema(x=Numeric(quantiles=(0, 0, 0, 5, 7), optional=True))).encode
    assert [encode({"x": x})[1][1:] for x in (0, 2.5, 5, 7)] == [
        [-ONE // 2, 0],
        [ONE // 4, 0],
        [ONE // 2, 0],
        [ONE, 0],
    ]
    assert encode({})[1][1:] == [0, ONE]
