# mypy: disable-error-code="var-annotated"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import PolicySpec, Strategy
from nyx_learning.errors import SpecInvalid

Make = Callable[..., Any]
Array = np.ndarray

ARMS = [Strategy("a"), Strategy("b", {"n": [1, 2], "k": [1, 2, 3]}), Strategy("c")]
BLOCK = {0: (0, []), 7: (2, [])} | {1 + i: (1, [i // 2 % 3, 3 + i % 2]) for i in range(6)}
# Parameters in sorted order: k (columns 0–2 of λ), then n (columns 3–4); the last one runs fastest.


def design(arm: int, phi: np.ndarray) -> np.ndarray:
    """(θ₀, θ_a, θ_b, λ_b, θ_c) of one row: what ``policies.hierarchical`` says, written out densely."""
    d = len(phi)
    x = np.zeros(4 * d + 5)
    x[:d] = phi
    node, levels = BLOCK[arm]
    start = d + node * d + (5 if node == 2 else 0)
    x[start : start + d] = phi
    for level in levels:
        x[3 * d + level] = 1.0
    return x


def posterior(
    arm: Array, phi: Array, reward: Array, query: Array, ratio: float
) -> tuple[Array, Array, Array, float]:
    """Mean, own and whole variance of every arm, and the log evidence, by dense linear algebra."""
    d = phi.shape[1]
    features = max(1, d - 1)
    main = np.sqrt(ratio)
    root = [0.12] + [main * 0.05 / np.sqrt(features)] * (d - 1)
    node = [main * 0.11] + [ratio * 0.12 / np.sqrt(features)] * (d - 1)
    sd = np.array([*root, *node, *node, *[main * 0.10] * 5, *node])
    prior = np.diag(0.21 / sd**2)
    X = np.array([design(a, x) for a, x in zip(arm, phi, strict=True)])
    y = reward - 0.65
    precision = prior + X.T @ X
    mean = np.linalg.solve(precision, X.T @ y)
    residual = 4.0 * 0.21 + y @ y - y @ X @ mean
    weight = 4.0 + len(y)
    sigma2 = residual / weight
    evidence = 0.5 * (
        np.linalg.slogdet(prior)[1] - np.linalg.slogdet(precision)[1] - weight * np.log(0.5 * residual)
    )
    Q = np.array([design(a, query) for a in range(8)])
    own = Q.copy()
    own[:, :d] = 0.0
    covariance = sigma2 * np.linalg.inv(precision)
    return (
        0.65 + Q @ mean,
        np.einsum("ij,jk,ik->i", own, covariance, own),
        np.einsum("ij,jk,ik->i", Q, covariance, Q),
        evidence,
    )


@pytest.mark.parametrize("part", ["whole", "own"])
@pytest.mark.parametrize("ratios", [(1.0, 1.0), (0.7, 2.0)])
@pytest.mark.parametrize("seed", range(3))
def test_against_a_dense_bayesian_regression(
    probe: Make, part: str, ratios: tuple[float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    phi = np.column_stack([np.ones(70), rng.uniform(-1, 1, (70, 3))])
    arm, reward = rng.integers(0, 8, 70), rng.random(70)
    query = np.array([1.0, *rng.uniform(-1, 1, 3)])
    hier = probe(
        "hier_ucb", ARMS, 4, width=1.3, part=part, ratio_low=ratios[0], ratio_high=ratios[1]
    ).learn_rows(arm, phi, reward)
    p = hier.pmf(query)
    found = [posterior(arm, phi, reward, query, ratio) for ratio in sorted(set(ratios))]
    weight = np.exp([f[3] - max(g[3] for g in found) for f in found])
    weight /= weight.sum()
    mean = sum(w * f[0] for w, f in zip(weight, found, strict=True))
    variance = sum(
        w * (f[2 if part == "whole" else 1] + (f[0] - mean) ** 2) for w, f in zip(weight, found, strict=True)
    )
    expected = mean + 1.3 * np.sqrt(variance)
    assert hier.policy._index == pytest.approx(expected, rel=1e-9)
    assert p[np.argmax(expected)] == 1.0
    believed, sd = hier.beliefs(query)
    assert believed == pytest.approx(mean, rel=1e-9)
    whole = sum(w * (f[2] + (f[0] - mean) ** 2) for w, f in zip(weight, found, strict=True))
    assert sd == pytest.approx(np.sqrt(whole), rel=1e-9)


def test_without_rewards_equal_arms_share(probe: Make) -> None:
    # Strategies without parameters are alike before the data; those with parameters have a larger sd.
    p = probe("hier_ucb", 3, 2).learn(np.zeros((3, 8))).pmf([1.0, 0.4])
    assert p.tolist() == [1 / 3] * 3
    assert probe("hier_ucb", ARMS, 1).learn(np.zeros((8, 5))).pmf() == pytest.approx([0, *[1 / 6] * 6, 0])


def test_width_0_is_greedy_and_a_large_one_explores(probe: Make) -> None:
    rows = [[40, 24.0, 24.0], [4, 2.0, 2.0]]
    assert probe("hier_ucb", 2, width=0).learn(rows).pmf().tolist() == [1.0, 0.0]
    assert probe("hier_ucb", 2, width=5).learn(rows).pmf().tolist() == [0.0, 1.0]


def test_bad_settings_are_refused() -> None:
    for bad in ({"part": "half"}, {"width": -1}, {"part": 1}):
        with pytest.raises(SpecInvalid):
            PolicySpec("hier_ucb", **bad)
