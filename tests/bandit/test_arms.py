"""Strategies, their grids, arm ids, and who is eligible."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any

import numpy as np
import pytest

from nyx_learning import Strategy
from nyx_learning.bandit import ArmTable
from nyx_learning.errors import ArmUnknown, EligibilityEmpty, SpecInvalid

TABLE = ArmTable(
    [
        Strategy("direct"),
        Strategy("parallel", {"workers": [4, 2], "fast": [True, False]}),
        Strategy("recursive", {"depth": [1, 1.0]}),
    ]
)


class Model(str, Enum):  # noqa: UP042 (whose str() is the member's name, as StrEnum's is not)
    SMALL = "small"


class Depth(IntEnum):
    DEEP = 3


def test_ids_are_canonical() -> None:
    assert TABLE.ids == (
        "direct",
        "parallel(fast=true,workers=4)",
        "parallel(fast=true,workers=2)",
        "parallel(fast=false,workers=4)",
        "parallel(fast=false,workers=2)",
        "recursive(depth=1)",
        "recursive(depth=1.0)",
    )
    arm = TABLE[2]
    assert (arm.arm_id, arm.strategy, dict(arm.parameters)) == (
        TABLE.ids[2],
        "parallel",
        {"fast": True, "workers": 2},
    )
    assert len(TABLE) == 7


def test_the_order_in_which_parameters_are_written_changes_no_id() -> None:
    other = ArmTable([Strategy("parallel", {"fast": [True, False], "workers": [4, 2]})])
    assert other.ids == TABLE.ids[1:5]


def test_index_is_the_inverse_of_ids() -> None:
    assert [TABLE.index(arm_id) for arm_id in TABLE.ids] == list(range(7))


def test_values_become_plain_json() -> None:
    strategy = Strategy("s", {"model": [Model.SMALL], "depth": [Depth.DEEP], "rate": [np.float64(0.5)]})
    assert ArmTable([strategy]).ids == ("s(depth=3,model=small,rate=0.5)",)
    assert [type(values[0]) for values in strategy.to_dict()["parameters"].values()] == [str, int, float]
    assert strategy.to_dict() == {
        "name": "s",
        "parameters": {"model": ["small"], "depth": [3], "rate": [0.5]},
    }


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "a\x00", "\ud800", "x" * 201, None, 3, b"a"])
def test_names_that_no_strategy_can_have(name: Any, four_parts: Callable[..., None]) -> None:
    with pytest.raises(SpecInvalid) as error:
        Strategy(name)
    four_parts(error)


@pytest.mark.parametrize(
    "parameters",
    [
        {"": [1]},
        {"time out": [1]},
        {"1st": [1]},
        {3: [1]},
        {"a": []},
        {"a": "xyz"},
        {"a": b"xyz"},
        {"a": 3},
        {"a": None},
        {"a": {1, 2}},
        {"a": [None]},
        {"a": [[1]]},
        {"a": [math.nan]},
        {"a": [math.inf]},
        {"a": [1j]},
        {"a": [np.int64(1)]},
        {"a": [10**30]},
        {"a": [10**5000]},
        {"a": ["x,y"]},
        {"a": ["x=y"]},
        {"a": ["(x)"]},
        {"a": ["x\n"]},
        {"a": ["\ud800"]},
        {"a": ["x" * 201]},
    ],
)
def test_parameters_that_no_strategy_can_have(parameters: Any, four_parts: Callable[..., None]) -> None:
    with pytest.raises(SpecInvalid) as error:
        Strategy("s", parameters)
    four_parts(error)


@pytest.mark.parametrize(
    "strategies",
    [
        [],
        ["direct"],
        [Strategy("a"), Strategy("a")],
        [Strategy("a"), Strategy("a", {"b": [1]})],
        [Strategy("a", {"b": [1, 1]})],
        [Strategy("a", {"b": [1, "1"]})],
        [Strategy("a", {"b": [True, "true"]})],
        [Strategy("a", {"b": [1]}), Strategy("a(b=1)")],
        [Strategy("a(b=1)"), Strategy("a", {"b": [1]})],
    ],
)
def test_arms_that_cannot_be_told_apart_are_refused(strategies: Any, four_parts: Callable[..., None]) -> None:
    with pytest.raises(SpecInvalid) as error:
        ArmTable(strategies)
    four_parts(error)


def test_at_most_1024_arms_are_listed(four_parts: Callable[..., None]) -> None:
    grid = {"a": list(range(32)), "b": list(range(32))}
    assert len(ArmTable([Strategy("s", grid)])) == 1024
    with pytest.raises(SpecInvalid) as error:
        ArmTable([Strategy("s", grid), Strategy("t")])
    four_parts(error)


def test_eligible_takes_arm_ids_and_strategies() -> None:
    assert TABLE.eligible(None, None) is None
    assert TABLE.eligible(["parallel"], None) == (1, 2, 3, 4)
    assert TABLE.eligible(["recursive(depth=1)", "direct", "direct"], None) == (0, 5)
    assert TABLE.eligible(None, ["parallel"]) == (0, 5, 6)
    assert TABLE.eligible(["parallel"], ["parallel(fast=true,workers=4)"]) == (2, 3, 4)
    assert TABLE.eligible(None, []) is None
    assert TABLE.eligible(TABLE.ids, None) is None
    assert TABLE.eligible("parallel", None) == (1, 2, 3, 4)
    assert TABLE.eligible(iter(["direct"]), iter(["recursive"])) == (0,)


@pytest.mark.parametrize(
    ("eligible", "exclude"),
    [([], None), (["direct"], ["direct"]), (None, ["direct", "parallel", "recursive"])],
)
def test_nothing_eligible_is_refused(eligible: Any, exclude: Any, four_parts: Callable[..., None]) -> None:
    with pytest.raises(EligibilityEmpty) as error:
        TABLE.eligible(eligible, exclude)
    four_parts(error)


@pytest.mark.parametrize("names", [["nobody"], [3], [None], [["direct"]], "nobody", ["direct", "Direct"]])
def test_unknown_arms_are_refused(names: Any, four_parts: Callable[..., None]) -> None:
    for call in (
        lambda: TABLE.eligible(names, None),
        lambda: TABLE.eligible(None, names),
        lambda: TABLE.resolve(names),
        lambda: TABLE.index(names),
    ):
        with pytest.raises(ArmUnknown) as error:
            call()
        four_parts(error)


def test_an_id_too_long_for_a_key_is_refused() -> None:
    with pytest.raises(SpecInvalid, match="too long to be a key"):
        ArmTable([Strategy("a", {f"p{i}": ["x" * 190] for i in range(6)})])
