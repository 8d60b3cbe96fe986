"""The prior that a history gives: known scales come back, and the evidence is the dense model's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_t

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, PolicySpec, Range, Strategy
from nyx_learning.bandit import fit_prior
from nyx_learning.bandit.arms import ArmTable
from nyx_learning.bandit.policies.base import Setting
from nyx_learning.bandit.policies.catalog import checked_parameters
from nyx_learning.bandit.policies.hierarchical import HierarchicalModel
from nyx_learning.bandit.policies.tree import Scales
from nyx_learning.errors import InputInvalid, SpecInvalid

TYPES = [f"t{i}" for i in range(6)]
ARMS = [f"s{i}" for i in range(8)]


def _spec(policy: PolicySpec | None = None) -> BanditSpec:
    return BanditSpec(
        name="prior",
        strategies=[Strategy(arm) for arm in ARMS],
        context=ContextSchema(task=Categorical(TYPES)),
        policy=policy or PolicySpec("hier_ts", floor=0.02),
    )


def _numbers(policy: PolicySpec) -> dict[str, float]:
    return {name: value for name, value in policy.parameters.items() if not isinstance(value, str)}


def _history(
    rng: np.random.Generator, mean: float, strategy: float, interaction: float, noise: float, rows: int = 3000
) -> list[tuple[dict[str, str], str, float]]:
    cells = (
        mean
        + rng.normal(0.0, strategy, len(ARMS))[:, None]
        + rng.normal(0.0, interaction, (len(ARMS), len(TYPES)))
    )
    arm, task = rng.integers(len(ARMS), size=rows), rng.integers(len(TYPES), size=rows)
    reward = np.clip(cells[arm, task] + rng.normal(0.0, noise, rows), 0.0, 1.0)
    found = zip(arm.tolist(), task.tolist(), reward.tolist(), strict=True)
    return [({"task": TYPES[c]}, ARMS[a], r) for a, c, r in found]


@pytest.mark.parametrize(("mean", "strategy", "interaction"), [(0.5, 0.12, 0.03), (0.4, 0.03, 0.1)])
def test_known_scales_come_back_within_a_factor_of_two(
    mean: float, strategy: float, interaction: float
) -> None:
    rng = np.random.default_rng(5)
    fitted = _numbers(fit_prior(_history(rng, mean, strategy, interaction, 0.1), _spec()))
    assert strategy / 2 <= fitted["sd_strategy"] <= strategy * 2
    assert interaction / 2 <= fitted["sd_interaction"] <= interaction * 2
    assert fitted["noise"] == pytest.approx(0.01, rel=0.2)
    assert fitted["mean"] == pytest.approx(mean, abs=0.1)


def test_without_interactions_their_scale_shrinks() -> None:
    fitted = fit_prior(_history(np.random.default_rng(6), 0.5, 0.1, 0.0, 0.1), _spec())
    assert _numbers(fitted)["sd_interaction"] <= 0.02


def test_the_order_of_the_rows_changes_nothing_and_the_rest_of_the_policy_stays() -> None:
    rows = _history(np.random.default_rng(7), 0.5, 0.1, 0.1, 0.2, rows=200)
    spec = _spec(PolicySpec("hier_ucb", floor=0.03, width=0.7))
    fitted = fit_prior(rows, spec)
    assert fit_prior(rows[::-1], spec) == fitted
    assert (fitted.name, fitted.floor, fitted.parameters["width"]) == ("hier_ucb", 0.03, 0.7)
    assert Bandit(_spec(fitted)).select_arm({"task": "t0"}).propensity > 0.0


def test_what_no_prior_can_be_taken_from_is_refused() -> None:
    rows = _history(np.random.default_rng(8), 0.5, 0.1, 0.1, 0.2, rows=30)
    with pytest.raises(SpecInvalid, match="too short"):
        fit_prior(rows[:19], _spec())
    with pytest.raises(SpecInvalid, match="hierarchical model"):
        fit_prior(rows, _spec(PolicySpec("ucb1")))
    with pytest.raises(InputInvalid):
        fit_prior([("no", "row")], _spec())  # type: ignore[list-item]
    staged = BanditSpec("wide", [Strategy("run", {"size": Range(1, 9)})])
    with pytest.raises(SpecInvalid, match="hierarchical model"):
        fit_prior([], staged)


def test_constant_rewards_give_a_usable_prior() -> None:
    rows = [({"task": TYPES[i % 6]}, ARMS[i % 8], 0.5) for i in range(60)]
    fitted = _numbers(fit_prior(rows, _spec()))
    assert fitted["mean"] == 0.5
    assert fitted["noise"] <= 1e-3


def test_the_weights_of_scales_are_those_of_the_dense_marginal_likelihood() -> None:
    """Rewards are multivariate t: noise ~ inverse gamma(w/2, w·noise/2), effects in units of it."""
    rng = np.random.default_rng(11)
    strategies = [Strategy("a"), Strategy("b", {"p": [1, 2, 3]})]
    table, d, rows = ArmTable(strategies), 3, 40
    scales = [
        Scales(0.3, 0.1, 0.1, 0.1, 0.15),
        Scales(0.3, 0.2, 0.05, 0.3, 0.4),
        Scales(1.0, 0.1, 0.4, 0.02, 0.1),
    ]
    noise, weight, center = 0.2, 4.0, 0.45
    given = {"noise": noise, "noise_weight": weight, "mean": center}
    setting = Setting(table, (0, 1), -1, checked_parameters("hier_ucb", given))
    model = HierarchicalModel(setting, scales)
    arm = rng.integers(len(table), size=rows)
    phi = np.column_stack([np.ones(rows), rng.uniform(-1, 1, (rows, d - 1))])
    reward = rng.uniform(0, 1, rows)
    reading = np.array(
        [
            [len(r), r.sum(), (r * r).sum(), *(x.T @ r), *(x.T @ x)[np.tril_indices(d)]]
            for a in range(len(table))
            for x, r in [(phi[arm == a], reward[arm == a])]
        ]
    )
    model.refresh(reading, range(len(table)))
    logs = []
    for s in scales:
        design = np.zeros((rows, d + 2 * d + 3))
        design[:, :d] = phi
        for i, a in enumerate(arm):
            place = d if a == 0 else 2 * d
            design[i, place : place + d] = phi[i]
            if a > 0:
                design[i, 3 * d + a - 1] = 1.0
        root, cross = (
            [s.level, *[s.context / np.sqrt(2)] * 2],
            [s.strategy, *[s.interaction / np.sqrt(2)] * 2],
        )
        sd = np.array([*root, *cross, *cross, *[s.parameter] * 3])
        shape = noise * np.eye(rows) + (design * sd**2) @ design.T
        logs.append(multivariate_t.logpdf(reward, np.full(rows, center), shape, df=weight))
    dense = np.exp(np.array(logs) - max(logs))
    np.testing.assert_allclose(model.weight, dense / dense.sum(), rtol=1e-9)
