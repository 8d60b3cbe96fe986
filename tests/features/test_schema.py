"""What a schema accepts and refuses, and when its version changes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest

from nyx_learning import Categorical, ContextSchema, Flag, Numeric, NyxError, Ordinal
from nyx_learning.errors import SpecInvalid

FULL: dict[str, Any] = {
    "task": Categorical(["research", "coding"]),
    "level": Ordinal(["low", "mid", "high"], optional=True),
    "size": Numeric(1, 1000, log=True),
    "age": Numeric(-5, 5, optional=True),
    "urgent": Flag(),
}


class Task(str, Enum):  # noqa: UP042 (whose str() is the member's name, as StrEnum's is not)
    RESEARCH = "research"
    CODING = "coding"


def refused(error: pytest.ExceptionInfo[NyxError]) -> None:
    parts = (error.value.what, error.value.expected, error.value.found, error.value.fix)
    assert all(parts), parts
    assert error.value.code in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Categorical([]),
        lambda: Categorical("coding"),
        lambda: Categorical(["a", "a"]),
        lambda: Categorical([1, 2]),  # type: ignore[list-item]
        lambda: Categorical(["a", None]),  # type: ignore[list-item]
        lambda: Categorical(["a\x00"]),
        lambda: Categorical(["\ud800"]),
        lambda: Categorical(["x" * 1001]),
        lambda: Categorical(7),  # type: ignore[arg-type]
        lambda: Categorical(["a"], optional="no"),  # type: ignore[arg-type]
        lambda: Ordinal(["a"]),
        lambda: Ordinal(["a", "b", "b"]),
        lambda: Ordinal(["a", "b"], optional=1),  # type: ignore[arg-type]
        lambda: Numeric(1, 1),
        lambda: Numeric(2, 1),
        lambda: Numeric(math.nan, 1),
        lambda: Numeric(0, math.inf),
        lambda: Numeric(True, 2),
        lambda: Numeric("0", 1),  # type: ignore[arg-type]
        lambda: Numeric(0, 10**400),
        lambda: Numeric(0, 10**5000),
        lambda: Numeric(-1.7e308, 1.7e308),
        lambda: Numeric(0, 1, log=True),
        lambda: Numeric(-1, 1, log=True),
        lambda: Numeric(0, 5e-324),
        lambda: Numeric(1e10, math.nextafter(1e10, math.inf), log=True),
        lambda: Numeric(0, 1, log="yes"),  # type: ignore[arg-type]
        lambda: Numeric(0, 1, optional=1),  # type: ignore[arg-type]
        lambda: Flag(optional="yes"),  # type: ignore[arg-type]
        lambda: ContextSchema(task="categorical"),  # type: ignore[arg-type]
        lambda: ContextSchema(task=Categorical),  # type: ignore[arg-type]
        lambda: ContextSchema({"": Flag()}),
        lambda: ContextSchema({"a\n": Flag()}),
        lambda: ContextSchema({"x" * 121: Flag()}),
        lambda: ContextSchema({1: Flag()}),  # type: ignore[dict-item]
        lambda: ContextSchema(task=Categorical([str(i) for i in range(255)])),
    ],
)
def test_what_no_schema_can_be(make: Any) -> None:
    with pytest.raises(SpecInvalid) as error:
        make()
    refused(error)


def test_dimension_is_the_leading_one_and_each_kinds_columns() -> None:
    # 1 + (2 levels + unknown) + (x, 2x²−1, unknown) + 1 + (value, missing) + 1
    assert ContextSchema(FULL).dimension == 1 + 3 + 3 + 1 + 2 + 1
    assert ContextSchema().dimension == 1
    assert ContextSchema(a=Ordinal(["x", "y"])).dimension == 1 + 2
    assert ContextSchema(task=Categorical([str(i) for i in range(254)])).dimension == 256


def test_a_schema_is_a_mapping_in_declared_order() -> None:
    schema = ContextSchema(FULL)
    assert list(schema) == list(FULL)
    assert schema["urgent"] == Flag()
    assert len(schema) == 5
    assert schema == ContextSchema(FULL)
    assert hash(schema) == hash(ContextSchema(FULL))
    assert schema != FULL
    assert "urgent=Flag" in repr(schema)


def test_to_dict_and_back() -> None:
    schema = ContextSchema(FULL)
    again = ContextSchema.from_dict(schema.to_dict())
    assert (again, again.to_dict(), again.version) == (schema, schema.to_dict(), schema.version)


@pytest.mark.parametrize(
    "document",
    [
        None,
        "task",
        {"task": {}},
        [1],
        [["name", "task"]],
        [{"kind": "flag"}],
        [{"name": "a"}],
        [{"name": "a", "kind": []}],
        [{"name": "a", "kind": "moon"}],
        [{"name": 1, "kind": "flag"}],
        [{"name": "a", "kind": "flag", "optional": False, "colour": 1}],
        [{"name": "a", "kind": "flag", "optional": "false"}],
        [{"name": "a", "kind": "numeric", "low": 0}],
        [{"name": "a", "kind": "flag"}, {"name": "a", "kind": "flag"}],
        [{"name": "a", "kind": "categorical", "levels": None}],
    ],
)
def test_damaged_documents_are_refused(document: Any) -> None:
    with pytest.raises(SpecInvalid) as error:
        ContextSchema.from_dict(document)
    refused(error)


CHANGES: list[dict[str, Any]] = [
    {**FULL, "task": Categorical(["coding", "research"])},
    {**FULL, "task": Categorical(["research", "coding", "other"])},
    {**FULL, "task": Categorical(["research", "coding"], optional=True)},
    {**FULL, "task": Ordinal(["research", "coding"])},
    {**FULL, "level": Ordinal(["low", "mid", "high"])},
    {**FULL, "size": Numeric(1, 1000)},
    {**FULL, "size": Numeric(1, 1001, log=True)},
    {**FULL, "size": Numeric(0.5, 1000, log=True)},
    {**FULL, "age": Numeric(-5, 5)},
    {**FULL, "urgent": Flag(optional=True)},
    {**FULL, "more": Flag()},
    {key: FULL[key] for key in reversed(FULL)},
    {("Task" if key == "task" else key): feature for key, feature in FULL.items()},
]


def test_every_change_of_a_schema_changes_its_version() -> None:
    versions = [ContextSchema(FULL).version, *(ContextSchema(change).version for change in CHANGES)]
    assert len(set(versions)) == len(versions)


def test_the_version_is_pinned_and_the_same_in_every_process() -> None:
    # Stored sums are keyed by it: a release that changes it must refold them.
    schema = ContextSchema(task=Categorical(["research", "coding"]), size=Numeric(1, 1000, log=True))
    assert schema.version == PINNED
    code = (
        "from nyx_learning import Categorical, ContextSchema, Numeric; print(ContextSchema(task="
        "Categorical(['research', 'coding']), size=Numeric(1, 1000, log=True)).version)"
    )
    for seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == PINNED


def test_enumerations_and_numbers_of_other_types_become_plain_values() -> None:
    plain = ContextSchema(task=Categorical(["research", "coding"]), size=Numeric(0, 0.5))
    dressed = ContextSchema(task=Categorical(list(Task)), size=Numeric(Fraction(0), Fraction(1, 2)))  # type: ignore[arg-type]
    assert dressed.to_dict() == plain.to_dict()
    assert dressed.version == plain.version


PINNED = "ac4bfc5c79e06219c53a1a2125ba90f6"


def test_quantiles_stand_in_the_document_and_others_keep_their_hash() -> None:
    schema = ContextSchema(x=Numeric(quantiles=(0, 1, 10)))
    assert ContextSchema.from_dict(schema.to_dict()) == schema
    assert (schema["x"].low, schema["x"].high) == (0.0, 10.0)  # type: ignore[union-attr]
    assert "quantiles" not in Numeric(0, 10).to_dict()
    assert ContextSchema(x=Numeric(0, 10)) != schema


@pytest.mark.parametrize(
    "given",
    [
        {"quantiles": [1]},
        {"quantiles": "12"},
        {"quantiles": [2, 1]},
        {"quantiles": [1, 1]},
        {"quantiles": [0, float("nan")]},
        {"quantiles": [1, 2], "log": True},
        {"quantiles": [1, 2], "low": 0},
        {"quantiles": [0.0] * 1002},
        {},
    ],
)
def test_unusable_quantiles_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(SpecInvalid):
        Numeric(**given)  # type: ignore[arg-type]


def test_quantiles_are_taken_from_values_in_any_order() -> None:
    assert Numeric.by_quantiles([9, 1, 5], steps=2).quantiles == (1.0, 5.0, 9.0)
    assert Numeric.by_quantiles(range(100), steps=4).quantiles == (0.0, 25.0, 50.0, 74.0, 99.0)
    with pytest.raises(SpecInvalid):
        Numeric.by_quantiles([])
    with pytest.raises(SpecInvalid):
        Numeric.by_quantiles([1, 2], steps=0)
