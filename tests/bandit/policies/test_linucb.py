from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import SpecInvalid

Make = Callable[..., Any]
Array = np.ndarray


def contexts(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.column_stack([np.ones(rows), rng.uniform(-1, 1, (rows, columns - 1))])


def dense(
    arm: Array, phi: Array, reward: Array, arms: int, ridge: float, center: float = 0.0
) -> list[tuple[Array, Array]]:
    """θ̂ and A of each arm by numpy's solver."""
    found = []
    for a in range(arms):
        x, r = phi[arm == a], reward[arm == a]
        A = ridge * np.eye(phi.shape[1]) + x.T @ x
        found.append((np.linalg.solve(A, x.T @ (r - center)), A))
    return found


def test_by_hand_without_context(probe: Make) -> None:
    # A = 1 + n; n = 3, Σr = 2: θ̂ = ½, norm = ½, index = .5 + .6·.5 = .8; untried: 0 + .6.
    linucb = probe("linucb", 2, alpha=0.6).learn([[3, 2.0, 2.0], [0, 0, 0]])
    assert linucb.pmf().tolist() == [1.0, 0.0]
    assert linucb.policy._index == pytest.approx([0.8, 0.6], rel=1e-15)
    mean, sd = linucb.beliefs()
    assert mean == pytest.approx([0.5, 0.0], abs=1e-15)
    assert sd == pytest.approx([0.25, 0.5], rel=1e-15)  # noise .5 · norm


@pytest.mark.parametrize(("seed", "columns", "rows"), [(0, 1, 40), (1, 2, 60), (2, 5, 30), (3, 16, 400)])
def test_against_a_dense_ridge(probe: Make, seed: int, columns: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    arm, phi, reward = rng.integers(0, 4, rows), contexts(rng, rows, columns), rng.random(rows)
    arm[arm == 3] = 0  # the last arm stays untried
    linucb = probe("linucb", 4, columns, alpha=1.7, ridge=0.3).learn_rows(arm, phi, reward)
    for x in contexts(rng, 5, columns):
        index = [
            x @ theta + 1.7 * np.sqrt(x @ np.linalg.solve(A, x))
            for theta, A in dense(arm, phi, reward, 4, 0.3)
        ]
        p = linucb.pmf(x)
        assert linucb.policy._index == pytest.approx(index, rel=1e-11, abs=1e-12)
        assert p[np.argmax(index)] == 1.0


def test_stays_accurate_after_a_million_rewards(probe: Make) -> None:
    rng = np.random.default_rng(5)
    phi = contexts(rng, 1_000_000, 8)
    theta = np.array([0.5, 0.1, -0.1, 0.05, 0, 0, 0.02, 0.1])
    reward = phi @ theta + rng.normal(0, 0.1, 1_000_000)
    arm = np.zeros(1_000_000, int)
    linucb = probe("linucb", 1, 8).learn_rows(arm, phi, reward)
    [(expected, A)] = dense(arm, phi, reward, 1, 1.0)
    x = contexts(rng, 1, 8)[0]
    linucb.pmf(x)
    assert linucb.policy._model.value[0] == pytest.approx(x @ expected, rel=1e-10)
    assert linucb.policy._model.norm[0] == pytest.approx(np.sqrt(x @ np.linalg.solve(A, x)), rel=1e-10)


def test_radius_of_oful(probe: Make) -> None:
    rng = np.random.default_rng(6)
    arm, phi, reward = rng.integers(0, 3, 90), contexts(rng, 90, 4), rng.random(90)
    linucb = probe("linucb", 3, 4, delta=0.05, ridge=2.0, noise=0.5, norm=1.5).learn_rows(arm, phi, reward)
    for a, (_, A) in enumerate(dense(arm, phi, reward, 3, 2.0)):
        information = np.linalg.slogdet(A)[1] - 4 * np.log(2.0)
        width = 0.5 * np.sqrt(information + 2 * np.log(1 / 0.05)) + np.sqrt(2.0) * 1.5
        assert linucb.policy._width[a] == pytest.approx(width, rel=1e-13)


@pytest.mark.parametrize(("seed", "columns", "ridge"), [(s, 1 + s % 6, 1.0 + s / 2) for s in range(12)])
def test_elliptical_potential_lemma(probe: Make, seed: int, columns: int, ridge: float) -> None:
    # Σ min(1, ‖φ_t‖²_{A_t⁻¹}) ≤ 2 ln(det A_T / λ^D), with norms and determinants of our own kernels.
    phi = contexts(np.random.default_rng(seed), 60, columns)
    total = 0.0
    for t in range(60):
        linucb = probe("linucb", 1, columns, ridge=ridge).learn_rows(np.zeros(t, int), phi[:t], np.zeros(t))
        linucb.pmf(phi[t])
        total += min(1.0, linucb.policy._model.norm[0] ** 2)
    final = probe("linucb", 1, columns, ridge=ridge).learn_rows(np.zeros(60, int), phi, np.zeros(60))
    assert 0 < total <= 2 * final.policy._model.information(0)


def test_permuting_arms_ties_and_eligibility(probe: Make) -> None:
    rng = np.random.default_rng(7)
    arm, phi, reward = rng.integers(0, 3, 50), contexts(rng, 50, 3), rng.random(50)
    x = contexts(rng, 1, 3)[0]
    p = probe("linucb", 3, 3).learn_rows(arm, phi, reward).pmf(x)
    order = np.array([2, 0, 1])
    assert probe("linucb", 3, 3).learn_rows(order[arm], phi, reward).pmf(x)[order].tolist() == p.tolist()
    fresh = probe("linucb", 3, 3).learn(np.zeros((3, 12)))
    assert fresh.pmf(x).tolist() == [1 / 3] * 3
    assert fresh.pmf(x, [True, False, True]).tolist() == [0.5, 0, 0.5]


def test_only_the_changed_arm_is_solved_anew(probe: Make) -> None:
    # Incremental equals fresh, bit for bit.
    rng = np.random.default_rng(8)
    arm, phi, reward = rng.integers(0, 3, 50), contexts(rng, 50, 3), rng.random(50)
    fresh = probe("linucb", 3, 3).learn_rows(arm, phi, reward)
    before = arm.copy()
    before[arm == 1] = 9
    grown = probe("linucb", 3, 3).learn_rows(before, phi, reward)
    full = np.zeros((3, 12))
    for a in range(3):
        x, r = phi[arm == a], reward[arm == a]
        full[a] = [len(r), r.sum(), (r * r).sum(), *(x.T @ r), *(x.T @ x)[np.tril_indices(3)]]
    grown.policy.refresh(full, [1])
    x = contexts(rng, 1, 3)[0]
    grown.pmf(x), fresh.pmf(x)
    assert grown.policy._index.tobytes() == fresh.policy._index.tobytes()


def test_bad_settings_are_refused() -> None:
    for bad in ({"ridge": 0}, {"ridge": -1}, {"alpha": -0.1}, {"delta": 1.0}, {"gamma": 1}):
        with pytest.raises(SpecInvalid):
            PolicySpec("linucb", **bad)
