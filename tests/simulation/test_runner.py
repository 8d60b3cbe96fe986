"""The runner: anchors, pairing, workers, folders of results, refusals."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nyx_learning.bandit import PolicySpec
from nyx_learning.errors import ArmUnknown, InputInvalid, SpecInvalid
from nyx_learning.simulation import lockstep
from nyx_learning.simulation.contender import Contender
from nyx_learning.simulation.keys import key_of
from nyx_learning.simulation.play import play_with_learner
from nyx_learning.simulation.results import COLUMNS, Results, log_spaced
from nyx_learning.simulation.runner import simulate
from nyx_learning.simulation.worlds import (
    PROBLEM_1,
    SCENARIOS,
    Bernoulli,
    Delayed,
    Gaussian,
    Orchestration,
    RandomBernoulli,
)

BESSON = Bernoulli([0.6, 0.2, 0.55, 0.7, 0.5])
UCB1, KL_UCB = PolicySpec("ucb1", floor=0, alpha=1), PolicySpec("kl_ucb", floor=0, level="ln t")
THOMPSON = PolicySpec("thompson_beta", floor=0)


def near(found: tuple[float, float], reference: float, error: float) -> bool:
    """Within 3.5 combined standard errors: error rate 5e-4."""
    mean, own = found
    return bool(abs(mean - reference) <= 3.5 * np.hypot(own, error))


# --- anchors


def test_published_and_exact_regrets_are_met() -> None:
    # Besson's thesis, T = 100; uniform loses Σ(.7 − μ)/5 = .19 a round.
    found = simulate(
        BESSON,
        [
            Contender("ucb1", UCB1),
            Contender("kl_ucb", KL_UCB),
            Contender("uniform", PolicySpec("uniform")),
            Contender("thompson", THOMPSON, sampled=True),
        ],
        horizon=100,
        replications=1500,
        seed=1,
    )
    assert near(found.final("ucb1"), 9.98, 0.06)
    assert near(found.final("kl_ucb"), 9.58, 0.07)
    assert near(found.final("thompson"), 9.70, 0.07)
    assert near(found.final("uniform"), 19.0, 0.0)


def test_piecewise_anchor() -> None:
    found = simulate(PROBLEM_1, {"kl_ucb": KL_UCB}, replications=60, seed=1)
    assert found.horizon == 5000
    assert near(found.final("kl_ucb"), 273.2, 3.7)


def test_sampled_thompson_has_the_law_of_the_exact_one() -> None:
    exact, sampled = Contender("exact", THOMPSON), Contender("sampled", THOMPSON, sampled=True)
    found = simulate(Bernoulli([0.8, 0.6, 0.6]), [exact, sampled], horizon=60, replications=800, seed=5)
    one, two = (found.curves[label].regret[:, -1] for label in ("exact", "sampled"))
    assert stats.ks_2samp(one, two).pvalue > 1e-4
    assert near((float(one.mean()), float(one.std() / 800**0.5)), two.mean(), two.std() / 800**0.5)
    assert [found.curves[label].method for label in found.curves] == ["compiled", "sampled"]


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1.0, 1.0), (3.0, 50.0), (1.0, 1000.0), (2e4, 3e4)])
def test_beta_numbers_have_the_law_of_beta(a: float, b: float) -> None:
    numbers = np.empty(50_000)
    lockstep.sampled.betas_into(a, b, *key_of(1, 5, "test"), numbers)
    assert stats.kstest(numbers, stats.beta(a, b).cdf).pvalue > 1e-4


def test_normal_quantiles_are_exact() -> None:
    p = np.concatenate(
        [np.logspace(-300, -1, 500), np.linspace(0.01, 0.99, 999), 1 - np.logspace(-15, -2, 99)]
    )
    mine = np.array([lockstep.counter.normal_quantile(x) for x in p.tolist()])
    np.testing.assert_allclose(mine, stats.norm.ppf(p), rtol=2e-14, atol=1e-15)


def test_uniforms_and_normals_have_their_laws() -> None:
    key = key_of(3, 3, "test")
    uniforms = np.empty(200_000)
    lockstep.counter.uniforms_into(*key, 0, uniforms)
    assert stats.kstest(uniforms, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(uniforms[1:], uniforms[:-1])[0, 1]) < 0.01
    normals, spare, n = np.empty(50_000), np.empty(50_000), 0
    for i in range(len(normals)):
        normals[i], n, spare[i] = lockstep.ziggurat.running_normal(*key, n)
    assert stats.kstest(normals, "norm").pvalue > 1e-4
    assert stats.chisquare(np.bincount(spare.astype(int), minlength=16)).pvalue > 1e-4
    assert abs(np.corrcoef(np.abs(normals), spare)[0, 1]) < 0.02


def test_keys_differ_in_seed_replication_and_purpose() -> None:
    keys = {key_of(s, r, p) for s in (0, 1) for r in range(300) for p in ("rewards", "contexts")}
    assert len(keys) == 1200
    assert all(int(key.step) % 2 == 1 for key in keys)


# --- pairing and determinism


def curves_of(found: Results) -> list[bytes]:
    return [
        array.tobytes()
        for curves in found.curves.values()
        for array in (curves.regret, curves.expected, curves.reward, curves.best)
    ]


def test_policies_meet_the_same_world_and_do_not_disturb_each_other() -> None:
    world = Orchestration(drift_round=20)
    alone = simulate(world, {"h": PolicySpec("hier_ts")}, 40, 3, seed=4)
    both = simulate(world, {"u": PolicySpec("uniform"), "h": PolicySpec("hier_ts")}, 40, 3, seed=4)
    assert alone.curves["h"].regret.tobytes() == both.curves["h"].regret.tobytes()
    # The same policy under two labels: the same draws, the same choices.
    twins = simulate(BESSON, {"a": THOMPSON, "b": THOMPSON}, 50, 5)
    assert twins.curves["a"].regret.tobytes() == twins.curves["b"].regret.tobytes()
    # Best rewards of the rounds are those of the world, whatever was chosen.
    best = both.curves["u"].regret + both.curves["u"].expected
    np.testing.assert_allclose(best, both.curves["h"].regret + both.curves["h"].expected, rtol=1e-12)


def test_the_number_of_workers_changes_no_digit() -> None:
    world = Delayed(SCENARIOS["interaction"], mean=3.0, missing=0.05)
    policies = {"hier_ts": PolicySpec("hier_ts"), "ucb1": UCB1}
    one = simulate(world, policies, 400, 48, seed=9)
    two = simulate(world, policies, 400, 48, seed=9, workers=2)
    assert curves_of(one) == curves_of(two)
    assert one.to_csv() == two.to_csv()


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="the extra 'dask' is missing")
@pytest.mark.filterwarnings("ignore")  # distributed's own, on starting and closing a cluster
def test_a_dask_cluster_changes_no_digit() -> None:
    from distributed import LocalCluster

    policies = {"ucb1": UCB1, "hier_ts": PolicySpec("hier_ts")}
    here = simulate(SCENARIOS["main_effect"], policies, 400, 48, seed=9)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = simulate(
            SCENARIOS["main_effect"],
            policies,
            400,
            48,
            seed=9,
            backend="dask",
            scheduler=cluster.scheduler_address,
        )
    assert curves_of(here) == curves_of(there)


def test_more_replications_keep_the_first_ones() -> None:
    few, more = (simulate(BESSON, {"ucb1": UCB1}, 200, r, seed=2) for r in (7, 20))
    np.testing.assert_array_equal(few.curves["ucb1"].regret, more.curves["ucb1"].regret[:7])


def test_delayed_rewards_are_learned_after_their_delay() -> None:
    # With a delay of T nothing is ever learned: untried arms keep an infinite index, and ties share mass.
    found = play_with_learner(Delayed(BESSON, fixed=50), Contender("x", UCB1), 50, seed=1)
    assert found.learner is not None
    assert found.learner.sums.seq == 0
    assert len(set(found.arms.tolist())) == 5
    known = play_with_learner(Delayed(BESSON, fixed=10), Contender("x", UCB1), 50, seed=1)
    assert known.learner is not None
    assert known.learner.sums.seq == 39, "rounds 0 to 38 before round 49 is decided"
    lost = play_with_learner(Delayed(BESSON, missing=1.0), Contender("x", UCB1), 50, seed=1)
    assert lost.learner is not None
    assert lost.learner.sums.seq == 0


# --- results


def test_the_tidy_table_by_hand() -> None:
    found = simulate(
        Bernoulli([1.0, 0.0]), {"u": PolicySpec("uniform"), "k": KL_UCB}, 8, 4, checkpoints=[2, 8], seed=3
    )
    regret = found.curves["u"].regret
    rows = [row for row in csv.DictReader(io.StringIO(found.to_csv())) if row["policy"] == "u"]
    assert tuple(rows[0]) == COLUMNS
    assert [row["round"] for row in rows] == ["2", "8"]
    assert float(rows[1]["mean_regret"]) == regret[:, 1].sum() / 4
    assert float(rows[1]["standard_error"]) == pytest.approx(regret[:, 1].std(ddof=1) / 2)
    # Regret counts the rounds without the best arm; the share is of the six rounds since the checkpoint.
    assert float(rows[1]["best_arm_share"]) == pytest.approx(1 - (regret[:, 1] - regret[:, 0]).sum() / 24)
    assert float(rows[1]["mean_reward"]) == pytest.approx(1 - regret[:, 1].sum() / 32)
    assert {row["method"] for row in rows} == {"compiled"}


def test_one_replication_has_no_standard_error() -> None:
    found = simulate(BESSON, {"ucb1": UCB1}, 10, 1)
    assert np.isnan(found.final("ucb1")[1])
    assert next(csv.DictReader(io.StringIO(found.to_csv())))["standard_error"] == ""


@pytest.mark.parametrize("horizon", [1, 2, 5, 100, 10_000, 10**7])
def test_checkpoints_are_log_spaced_and_end_at_the_horizon(horizon: int) -> None:
    rounds = log_spaced(horizon)
    assert rounds[0] == 1
    assert rounds[-1] == horizon
    assert list(rounds) == sorted(set(rounds))
    assert max(1, horizon // 4) in rounds
    assert len(rounds) <= 62


class Shifted(Bernoulli):
    """A world that no document of the package describes."""

    def to_dict(self) -> dict[str, object]:
        return {**super().to_dict(), "kind": "shifted"}


def test_a_world_of_ones_own_is_simulated(tmp_path: Path) -> None:
    own = simulate(Shifted([0.9, 0.5]), {"u": UCB1}, 100, 5, folder=tmp_path)
    same = simulate(Bernoulli([0.9, 0.5]), {"u": UCB1}, 100, 5, folder=tmp_path)
    assert curves_of(own) == curves_of(same)
    assert len(list(tmp_path.iterdir())) == 2, "the document is part of the key"


def test_bayesian_regret_draws_a_world_for_each_replication() -> None:
    found = simulate(RandomBernoulli(3), {"u": PolicySpec("uniform")}, 10, 400, seed=1)
    # E[max − mean] of three uniforms = 3/4 − 1/2
    assert near(found.final("u"), 2.5, 0.0)
    assert len(set(found.curves["u"].regret[:, -1].tolist())) > 390


# --- a folder of results


def test_an_interrupted_simulation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    world, policies = SCENARIOS["main_effect"], {"ucb1": UCB1, "uniform": PolicySpec("uniform")}
    whole = simulate(world, policies, 1000, 40, seed=3)
    ticks: list[int] = []

    def stop_early(done: int) -> None:
        ticks.append(done)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(world, policies, 1000, 40, seed=3, folder=tmp_path, progress=stop_early)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(first) == 2, "what was finished was kept"
    again: list[int] = []
    resumed = simulate(world, policies, 1000, 40, seed=3, folder=tmp_path, progress=again.append)
    assert curves_of(resumed) == curves_of(whole)
    assert {path: path.stat().st_mtime_ns for path in first} == first, "and not run again"
    assert again[-1] == 80
    assert sorted(again) == again
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "not json", "other shape"])
def test_a_damaged_file_is_run_again(tmp_path: Path, damage: str) -> None:
    whole = simulate(BESSON, {"ucb1": UCB1}, 300, 6, seed=3, folder=tmp_path)
    (path,) = tmp_path.glob("*.json")
    good = path.read_text(encoding="utf-8")
    document = json.loads(good)
    if damage == "changed":
        document["curves"][0][0][-1] += 1.0
    elif damage == "other shape":
        document["curves"] = document["curves"][0]
    bad = {"truncated": good[:-30], "empty": "", "not json": "[1, 2"}.get(damage, json.dumps(document))
    path.write_text(bad, encoding="utf-8")
    again = simulate(BESSON, {"ucb1": UCB1}, 300, 6, seed=3, folder=tmp_path)
    assert curves_of(again) == curves_of(whole)
    assert path.read_text(encoding="utf-8") == good


def test_what_the_numbers_depend_on_is_in_the_name(tmp_path: Path) -> None:
    def run(policy: PolicySpec = UCB1, world: Bernoulli = BESSON, horizon: int = 30, seed: int = 1) -> int:
        simulate(world, {"any label": policy}, horizon, 5, seed=seed, folder=tmp_path)
        return len(list(tmp_path.iterdir()))

    assert run() == 1
    assert run() == 1
    assert run(seed=2) == 2
    assert run(horizon=31) == 3
    assert run(policy=PolicySpec("ucb1", floor=0, alpha=2)) == 4
    assert run(world=Bernoulli([0.6, 0.2, 0.55, 0.7, 0.4])) == 5


# --- refusals


@pytest.mark.parametrize(
    "change",
    [
        {"horizon": 0},
        {"horizon": 2.0},
        {"replications": 0},
        {"seed": -1},
        {"policies": {}},
        {"policies": [UCB1, UCB1]},
        {"checkpoints": [5]},
        {"checkpoints": [0, 10]},
        {"checkpoints": [5, 2, 10]},
        {"workers": 0},
        {"backend": "threads"},
        {"backend": "dask"},
        {"scheduler": "tcp://localhost:1"},
        {"policies": [Contender("x", THOMPSON, sampled=True)], "world": SCENARIOS["main_effect"]},
    ],
)
def test_bad_input_is_refused_in_four_parts(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"world": BESSON, "policies": [UCB1], "horizon": 10, "replications": 2}
    with pytest.raises(InputInvalid) as caught:
        simulate(**{**arguments, **change})  # type: ignore[arg-type]
    assert all((caught.value.expected, caught.value.found, caught.value.fix))


@pytest.mark.parametrize(
    "policy", [UCB1, PolicySpec("thompson_beta"), PolicySpec("thompson_beta", floor=0, a=0.1)]
)
def test_only_plain_thompson_is_sampled(policy: PolicySpec) -> None:
    with pytest.raises(SpecInvalid):
        Contender("x", policy, sampled=True)


def test_a_policy_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ArmUnknown):
        simulate(
            BESSON, {"u": UCB1, "f": PolicySpec("fixed", arm="no such arm")}, 10, 2, folder=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputInvalid, match="folder"):
        simulate(BESSON, {"u": UCB1}, 10, 2, folder=tmp_path / "file")


def test_forgetting_policies_play_too() -> None:
    window = PolicySpec("kl_ucb", floor=0, level="ln t", window=206)
    found = simulate(PROBLEM_1, {"w": window}, 2500, 2, seed=1)
    assert found.curves["w"].method == "learner"
    graded = simulate(Gaussian([0.5, 0.6], sd=0.1), {"d": PolicySpec("ucb1", discount=0.99)}, 300, 2)
    assert graded.curves["d"].method == "learner"
