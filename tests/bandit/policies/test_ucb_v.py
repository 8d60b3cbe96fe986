from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit.kernels.indices import ucb_v_index

Make = Callable[..., Any]


def index(rows: Any, zeta: float = 1.0, c: float = 1.0) -> np.ndarray:
    out = np.zeros(len(rows))
    ucb_v_index(np.array(rows, float), zeta, c, out)
    return out


def test_by_hand() -> None:
    # t = 8, ln 8 = 2.0794415. Arm 0: 4 rewards 1, 0, 1, 0: mean .5, V = 2/4 − .25 = .25,
    # √(2·.25·2.0794415/4) = .5098335, 3·2.0794415/4 = 1.5595812. Arm 1: four times .5: V = 0.
    ln8 = 3 * 0.6931471805599453
    assert index([[4, 2.0, 2.0], [4, 2.0, 1.0]]) == pytest.approx(
        [0.5 + np.sqrt(0.5 * ln8 / 4) + 0.75 * ln8, 0.5 + 0.75 * ln8], rel=1e-14
    )
    # Without the correction (c = 0) a constant arm's bound is its mean.
    assert index([[4, 2.0, 2.0], [4, 2.0, 1.0]], c=0.0)[1] == 0.5
    assert index([[1, 1.0, 1.0], [0, 0, 0]]).tolist() == [1.0, np.inf]


@pytest.mark.parametrize("seed", range(5))
def test_against_the_formula_in_numpy(random_arms: Make, seed: int) -> None:
    rows = random_arms(np.random.default_rng(seed), 7)
    n, mean = rows[:, 0], rows[:, 1] / rows[:, 0]
    level = 1.3 * np.log(n.sum())
    variance = rows[:, 2] / n - mean**2
    expected = mean + np.sqrt(2 * variance * level / n) + 3 * 0.4 * level / n
    assert index(rows, 1.3, 0.4) == pytest.approx(expected, rel=1e-12)


def test_prefers_the_steadier_of_two_uncertain_arms_less(probe: Make) -> None:
    # Equal means and counts: the arm that varies has the larger bound, and gets all the mass.
    rows = [[50, 25.0, 25.0], [50, 25.0, 12.5]]
    assert probe("ucb_v", 2).learn(rows).pmf().tolist() == [1.0, 0.0]
    assert probe("ucb_v", 2).learn([rows[0], rows[0]]).pmf().tolist() == [0.5, 0.5]
    assert probe("ucb_v", 2).learn(rows).pmf(eligible=[False, True]).tolist() == [0.0, 1.0]
