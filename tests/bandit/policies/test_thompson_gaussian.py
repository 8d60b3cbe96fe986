from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

Make = Callable[..., Any]

KNOWN = 1e12


def test_posterior_by_hand(probe: Make) -> None:
    # Prior N(.5, .5²), noise .25 known: precisions 4 + 4n. n = 3, Σr = 3: mean (2 + 12)/16 = .875, sd ¼.
    thompson = probe("thompson_gaussian", 2, noise=0.25, noise_weight=KNOWN).learn([[3, 3.0, 3.0], [0, 0, 0]])
    mean, sd = thompson.beliefs()
    assert mean == pytest.approx([0.875, 0.5], abs=1e-9)
    assert sd == pytest.approx([0.25, 0.5], abs=1e-9)
    # Difference N(.375, ¼² + ½²).
    first = norm.cdf(0.375 / np.sqrt(0.3125))
    assert thompson.pmf() == pytest.approx([first, 1 - first], abs=1e-9)


def test_noise_is_pooled_within_arms(probe: Make) -> None:
    # Arm 0: .2, .4 → SS .02; arm 1: .5, .6, .7 → SS .02; weight 2·.1 + .04 = .24 over 2 + 1 + 2 = 5: .048.
    rows = [[2, 0.6, 0.20], [3, 1.8, 1.10], [0, 0, 0]]
    _, sd = probe("thompson_gaussian", 3, noise=0.1, noise_weight=2.0, sd=0.5).learn(rows).beliefs()
    assert sd == pytest.approx(1 / np.sqrt(4 + np.array([2, 3, 0]) / 0.048), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_against_draws_from_the_definition(probe: Make, random_arms: Make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = random_arms(rng, 5)
    p = probe("thompson_gaussian", 5, mean=0.4, sd=0.3, noise=0.2, noise_weight=3.0).learn(rows).pmf()
    n, s, q = rows.T
    variance = (3.0 * 0.2 + (q - s * s / n).sum()) / (3.0 + (n - 1).sum())
    precision = 1 / 0.09 + n / variance
    mean = (0.4 / 0.09 + s / variance) / precision
    draws = rng.standard_normal((1_000_000, 5)) / np.sqrt(precision) + mean
    share = np.bincount(draws.argmax(axis=1), minlength=5) / 1e6
    assert np.abs(share - p).max() < 4.5 * np.sqrt(0.25 / 1e6)


def test_small_spread_separates_arms_sooner_than_a_beta_posterior(probe: Make) -> None:
    rows = [[30, 30 * 0.55, 30 * (0.55**2 + 0.01)], [30, 30 * 0.45, 30 * (0.45**2 + 0.01)]]
    gaussian, beta = (probe(name, 2).learn(rows).pmf()[0] for name in ("thompson_gaussian", "thompson_beta"))
    assert beta < 0.85
    assert gaussian > 0.97


def test_permuting_arms_and_ties(probe: Make, random_arms: Make) -> None:
    rows = random_arms(np.random.default_rng(4), 6)
    order = [3, 1, 0, 5, 4, 2]
    p = probe("thompson_gaussian", 6).learn(rows).pmf()
    assert probe("thompson_gaussian", 6).learn(rows[order]).pmf() == pytest.approx(p[order], abs=1e-12)
    same = probe("thompson_gaussian", 3).learn([[4, 2.0, 1.2]] * 3).pmf()
    assert same == pytest.approx([1 / 3] * 3, abs=1e-12)
    assert same[0] == same[1] == same[2]
