from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import SpecInvalid

Make = Callable[..., Any]


def test_by_hand(probe: Make) -> None:
    # T = 800, K = 2. Arm 0: n = 4, ln(800/8) = ln 100: .5 + √(ln 100/4). Arm 1: n = 400, ln 1 = 0: its mean.
    moss = probe("moss", 2, horizon=800).learn([[4, 2.0, 2.0], [400, 360.0, 360.0]])
    assert moss.policy._index == pytest.approx([0.5 + math.sqrt(math.log(100) / 4), 0.9], rel=1e-14)
    assert moss.pmf().tolist() == [1.0, 0.0]


def test_beyond_its_share_of_the_horizon_an_arm_has_no_bonus(probe: Make) -> None:
    moss = probe("moss", 2, horizon=10).learn([[500, 250.0, 250.0], [6, 3.0, 3.0]])
    assert moss.policy._index.tolist() == [0.5, 0.5]
    assert moss.pmf().tolist() == [0.5, 0.5]


def test_untried_first(probe: Make) -> None:
    assert probe("moss", 2, horizon=10).learn([[5, 5.0, 5.0], [0, 0, 0]]).pmf().tolist() == [0.0, 1.0]


def test_the_horizon_is_required() -> None:
    with pytest.raises(SpecInvalid) as caught:
        PolicySpec("moss")
    error = caught.value
    assert error.what == "policy 'moss' needs 'horizon'"
    assert "decisions in all" in error.expected
    assert error.found == "nothing"
    assert error.fix == "for example PolicySpec('moss', horizon=10000)"
    for bad in (0, -5, float("nan"), "many", True):
        with pytest.raises(SpecInvalid):
            PolicySpec("moss", horizon=bad)
