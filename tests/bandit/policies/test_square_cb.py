from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.bandit import PolicySpec
from nyx_learning.bandit.kernels.shares import inverse_gap_pmf
from nyx_learning.errors import SpecInvalid

Make = Callable[..., Any]


def weighting(value: Any, gamma: float, eligible: list[bool] | None = None) -> np.ndarray:
    value = np.array(value, float)
    out = np.full(len(value), np.nan)
    inverse_gap_pmf(value, gamma, np.ones(len(value), bool) if eligible is None else np.array(eligible), out)
    return out


def test_by_hand() -> None:
    # γ = 10, gaps 0, .1, .7: 1/(3+1), 1/(3+7), and the rest.
    assert weighting([0.9, 0.8, 0.2], 10) == pytest.approx([0.65, 0.25, 0.1], rel=1e-15)
    # Two best arms share the rest: 1 − 1/(3+3.5) over two.
    assert weighting([0.5, 0.15, 0.5], 10) == pytest.approx([11 / 26, 4 / 26, 11 / 26], rel=1e-14)
    assert weighting([0.9, 0.2, 0.1], 0) == pytest.approx([1 / 3] * 3, rel=1e-15)
    # Not eligible: does not count, and is not the best.
    assert weighting([0.9, 0.8, 0.2], 10, [False, True, True]) == pytest.approx([0, 7 / 8, 1 / 8], rel=1e-15)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 12), st.floats(-2, 5), st.booleans())
def test_the_lemma_of_inverse_gap_weighting(seed: int, arms: int, exponent: float, coarse: bool) -> None:
    # For every f and ŷ: Σ p_a (f* − f_a) ≤ 2K/γ + (γ/4) Σ p_a (ŷ_a − f_a)².
    rng = np.random.default_rng(seed)
    gamma = 10.0**exponent
    f, y = rng.random(arms), rng.random(arms)
    if coarse:  # so that predictions tie
        y = np.round(4 * y) / 4
    if seed % 2:
        f = np.clip(y + rng.normal(0, 1 / gamma, arms), 0, 1)  # close predictions make the bound tight
    p = weighting(y, gamma)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p.min() > 0
    assert p @ (f.max() - f) <= 2 * arms / gamma + gamma / 4 * (p @ (y - f) ** 2) + 1e-12


@pytest.mark.parametrize("schedule", ["sqrt", "constant"])
def test_ridge_predictions_and_schedule(probe: Make, schedule: str) -> None:
    # Ridge 1, prior mean .5: n = 3, Σr = 2.5 → .75; n = 1, Σr = 0 → .25; untried .5. t = 4, E = 3.
    rows = [[3, 2.5, 2.25], [1, 0.0, 0.0], [0, 0, 0]]
    square = probe("square_cb", 3, model="ridge", schedule=schedule, gamma=1.5, mean=0.5).learn(rows)
    gamma = 1.5 * np.sqrt(3 * 4) if schedule == "sqrt" else 1.5
    first, second = 1 / (3 + gamma * 0.5), 1 / (3 + gamma * 0.25)
    assert square.pmf() == pytest.approx([1 - first - second, first, second], rel=1e-13)
    # With two eligible arms E = 2.
    gamma = 1.5 * np.sqrt(2 * 4) if schedule == "sqrt" else 1.5
    last = 1 / (2 + gamma * 0.25)
    assert square.pmf(eligible=[False, True, True]) == pytest.approx([0, last, 1 - last], rel=1e-13)


def test_hierarchical_predictions_are_those_of_hier_ucb(probe: Make) -> None:
    rng = np.random.default_rng(3)
    phi = np.column_stack([np.ones(30), rng.uniform(-1, 1, (30, 2))])
    arm, reward = rng.integers(0, 3, 30), rng.random(30)
    x = np.array([1.0, -0.2, 0.9])
    square = probe("square_cb", 3, 3, gamma=3).learn_rows(arm, phi, reward)
    mean, _ = probe("hier_ucb", 3, 3).learn_rows(arm, phi, reward).beliefs(x)
    assert square.beliefs(x)[0] == pytest.approx(mean, rel=1e-15)
    assert square.pmf(x) == pytest.approx(weighting(mean, 3 * np.sqrt(90)), rel=1e-12)


def test_before_any_reward_all_arms_share(probe: Make) -> None:
    for model in ("hierarchical", "ridge"):
        assert probe("square_cb", 4, model=model).learn(np.zeros((4, 3))).pmf() == pytest.approx([0.25] * 4)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(SpecInvalid) as caught:
        PolicySpec("square_cb", gamma=-2)
    assert caught.value.what == "parameter 'gamma' of policy 'square_cb' has an unusable value"
    assert "0 to 1e+12" in caught.value.expected
    assert caught.value.found == "-2"
    assert "gamma=2.0" in caught.value.fix
    for bad in ({"model": "forest"}, {"schedule": "linear"}, {"gamma": float("inf")}):
        with pytest.raises(SpecInvalid):
            PolicySpec("square_cb", **bad)
