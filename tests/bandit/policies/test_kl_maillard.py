from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import rel_entr

Make = Callable[..., Any]


def test_by_hand(probe: Make) -> None:
    # Best mean ½. d(0, ½) = ln 2, three rewards: e^(−3 ln 2) = 1/8; so 8 : 1.
    p = probe("kl_maillard", 2).learn([[2, 1.0, 1.0], [3, 0.0, 0.0]]).pmf()
    assert p == pytest.approx([8 / 9, 1 / 9], rel=1e-15)


def test_a_certain_best_arm_rules_the_others_out(probe: Make) -> None:
    # d(m, 1) is infinite for m < 1; two arms of mean 1 share.
    rows = [[3, 3.0, 3.0], [2, 1.0, 1.0], [1, 1.0, 1.0]]
    assert probe("kl_maillard", 3).learn(rows).pmf().tolist() == [0.5, 0.0, 0.5]
    assert probe("kl_maillard", 3).learn(rows).pmf(eligible=[False, True, False]).tolist() == [0, 1, 0]


def test_untried_arms_share_first(probe: Make) -> None:
    rows = [[3, 3.0, 3.0], [0, 0, 0], [0, 0, 0]]
    assert probe("kl_maillard", 3).learn(rows).pmf().tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("seed", range(6))
def test_against_the_formula_in_scipy(probe: Make, random_arms: Make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = random_arms(rng, 8)
    eligible = rng.random(8) < 0.8
    eligible[0] = True
    mean = rows[:, 1] / rows[:, 0]
    best = mean[eligible].max()
    weight = eligible * np.exp(-rows[:, 0] * (rel_entr(mean, best) + rel_entr(1 - mean, 1 - best)))
    p = probe("kl_maillard", 8).learn(rows).pmf(eligible=eligible)
    assert p == pytest.approx(weight / weight.sum(), rel=1e-11, abs=1e-300)
    order = rng.permutation(8)
    assert probe("kl_maillard", 8).learn(rows[order]).pmf(eligible=eligible[order]) == pytest.approx(
        p[order], rel=1e-13
    )
