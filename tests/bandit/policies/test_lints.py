from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

Make = Callable[..., Any]


def test_two_arms_by_hand(probe: Make) -> None:
    # Prior mean .5, A = 1 + n. Arm 0: n = 3, Σ(r − .5) = 1 → .5 + .25, sd .5·½ = .25; arm 1: .5, sd .5.
    lints = probe("lints", 2).learn([[3, 2.5, 2.25], [0, 0, 0]])
    mean, sd = lints.beliefs()
    assert mean == pytest.approx([0.75, 0.5], rel=1e-15)
    assert sd == pytest.approx([0.25, 0.5], rel=1e-15)
    first = norm.cdf(0.25 / np.sqrt(0.25**2 + 0.5**2))
    assert lints.pmf() == pytest.approx([first, 1 - first], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_against_draws_of_the_coefficients(probe: Make, seed: int) -> None:
    # The definition: draw every θ from its dense posterior, and take the best φ·θ.
    rng = np.random.default_rng(seed)
    phi = np.column_stack([np.ones(60), rng.uniform(-1, 1, (60, 3))])
    arm, reward = rng.integers(0, 4, 60), rng.random(60)
    x = np.array([1.0, *rng.uniform(-1, 1, 3)])
    p = probe("lints", 4, 4, ridge=0.7, scale=0.4, mean=0.3).learn_rows(arm, phi, reward).pmf(x)
    values = np.empty((4, 1_000_000))
    for a in range(4):
        rows, r = phi[arm == a], reward[arm == a]
        A = 0.7 * np.eye(4) + rows.T @ rows
        root = np.linalg.cholesky(0.4**2 * np.linalg.inv(A))
        theta = np.linalg.solve(A, rows.T @ (r - 0.3))
        values[a] = 0.3 + x @ theta + (x @ root) @ rng.standard_normal((4, 1_000_000))
    share = np.bincount(values.argmax(axis=0), minlength=4) / 1e6
    assert np.abs(share - p).max() < 4.5 * np.sqrt(0.25 / 1e6)


def test_shifting_rewards_and_prior_mean_together_changes_nothing(probe: Make) -> None:
    rng = np.random.default_rng(9)
    phi = np.column_stack([np.ones(40), rng.uniform(-1, 1, (40, 2))])
    arm, reward = rng.integers(0, 3, 40), 0.5 * rng.random(40)
    x = np.array([1.0, 0.3, -0.8])
    p = probe("lints", 3, 3, mean=0.2).learn_rows(arm, phi, reward).pmf(x)
    shifted = probe("lints", 3, 3, mean=0.6).learn_rows(arm, phi, reward + 0.4).pmf(x)
    assert shifted == pytest.approx(p, abs=1e-12)


def test_ties_and_eligibility(probe: Make) -> None:
    lints = probe("lints", 3, 2).learn(np.zeros((3, 8)))
    p = lints.pmf([1.0, 0.5])
    assert p[0] == p[1] == p[2] == pytest.approx(1 / 3, abs=1e-12)
    assert lints.pmf([1.0, 0.5], [False, True, False]).tolist() == [0.0, 1.0, 0.0]
