from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Make = Callable[..., Any]

LN2 = 0.6931471805599453


def test_a_gap_of_temperature_times_ln2_halves_the_probability(probe: Make) -> None:
    # means .5, .2, .2: gap .3 = τ ln 2, so the weights are 1, ½, ½.
    p = probe("softmax", 3, temperature=0.3 / LN2).learn([[2, 1.0, 0.5], [5, 1.0, 0.2], [10, 2.0, 0.4]]).pmf()
    assert p == pytest.approx([0.5, 0.25, 0.25], abs=1e-15)


def test_untried_arms_share_all_mass_first(probe: Make) -> None:
    softmax = probe("softmax", 4).learn([[9, 9.0, 9.0], [0, 0, 0], [3, 0.0, 0.0], [0, 0, 0]])
    assert softmax.pmf().tolist() == [0.0, 0.5, 0.0, 0.5]
    # … but not where they are not eligible: gap 1 at τ = .1 leaves e^−10.
    p = softmax.pmf(eligible=[True, False, True, False])
    assert p == pytest.approx([1 / (1 + np.exp(-10.0)), 0, 1 / (1 + np.exp(10.0)), 0], rel=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_shifting_all_rewards_and_permuting_arms(probe: Make, random_arms: Make, seed: int) -> None:
    rows = random_arms(np.random.default_rng(seed), 6)
    p = probe("softmax", 6).learn(rows).pmf()
    shifted = rows.copy()
    shifted[:, 1] += 0.25 * rows[:, 0]
    assert probe("softmax", 6).learn(shifted).pmf() == pytest.approx(p, rel=1e-12)
    order = np.random.default_rng(seed).permutation(6)
    assert probe("softmax", 6).learn(rows[order]).pmf() == pytest.approx(p[order], rel=1e-14)


def test_equals_the_gumbel_maximum(probe: Make) -> None:
    # argmax(m/τ + Gumbel noise) is a draw from the softmax of m/τ.
    rng = np.random.default_rng(11)
    means = np.array([0.2, 0.35, 0.5, 0.45])
    p = probe("softmax", 4, temperature=0.15).learn(np.column_stack([[10] * 4, means * 10, means * 5])).pmf()
    draws = np.argmax(means / 0.15 + rng.gumbel(size=(1_000_000, 4)), axis=1)
    share = np.bincount(draws, minlength=4) / 1e6
    assert np.abs(share - p).max() < 4.5 * np.sqrt(0.25 / 1e6)
