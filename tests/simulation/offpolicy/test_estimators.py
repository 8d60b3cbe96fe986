"""Estimators by hand, and by law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.errors import InputInvalid, LogInvalid, NoOverlap
from nyx_learning.simulation.offpolicy import (
    ESTIMATORS,
    IntervalSpec,
    LoggedData,
    Settings,
    clipped_ips,
    dm,
    dr,
    dr_shrunk,
    evaluate,
    ips,
    mrdr_weights,
    overlay,
    rejection,
    snips,
    switch_dr,
)

Array = np.ndarray[Any, Any]

# Four rows, two arms. Logged with 1/2 each; the target takes arm 1 with 3/4: weights 1/2 and 3/2.
REWARD = np.array([1.0, 0.0, 1.0, 1.0])
ARM = np.array([0, 0, 1, 1])
WEIGHT = np.array([0.5, 0.5, 1.5, 1.5])
TARGET = np.array([[0.25, 0.75]] * 4)
Q = np.array([[0.4, 0.8]] * 4)


def log_of(seed: int = 3, n: int = 400, arms: int = 4, cells: int = 3) -> tuple[LoggedData, Array]:
    """A log with known pmfs, arms of different worth, and a target that prefers the good ones."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(cells, size=n)
    logging = rng.dirichlet(np.full(arms, 2.0), cells)[cell] * 0.8 + 0.2 / arms
    logging /= logging.sum(axis=1, keepdims=True)
    arm = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    truth = rng.random((cells, arms))
    reward = (rng.random(n) < truth[cell, arm]).astype(float)
    target = np.full((n, arms), 0.1 / arms)
    target[np.arange(n), truth[cell].argmax(axis=1)] += 0.9
    names = tuple(f"arm{a}" for a in range(arms))
    log = LoggedData(
        names,
        arm,
        reward,
        logging[np.arange(n), arm],
        logging,
        cell,
        tuple(f"cell{c}" for c in range(cells)),
        success=reward,
        decision_ids=tuple(f"d{i}" for i in range(n)),
    )
    return log, target


def test_ips_by_hand() -> None:
    found = ips(REWARD, WEIGHT)
    # (.5·1 + .5·0 + 1.5 + 1.5)/4
    assert found.value == 0.875
    # Terms .5, 0, 1.5, 1.5: deviations −.375, −.875, .625, .625 squared sum to 1.6875; /3/4
    assert found.standard_error == pytest.approx(math.sqrt(1.6875 / 12))
    # (Σw)² = 16, Σw² = 5
    assert (found.ess, found.largest_weight, found.match_rate, found.n) == (3.2, 1.5, 1.0, 4)
    assert found.interval.low == pytest.approx(0.875 - 1.959964 * math.sqrt(1.6875 / 12), abs=1e-6)
    assert "effective sample size 3.2" in found.notes[0]


def test_clipping_by_hand() -> None:
    found = clipped_ips(REWARD, WEIGHT, 1.0)
    assert found.value == (0.5 + 0 + 1 + 1) / 4
    assert found.notes[0] == "cut weights take 0.25 off the value"
    assert clipped_ips(REWARD, WEIGHT, 1.5).value == ips(REWARD, WEIGHT).value


def test_snips_by_hand() -> None:
    weight = np.array([1.0, 1.0, 2.0])
    found = snips(np.array([0.0, 1.0, 1.0]), weight)
    assert found.value == 0.75
    # √(Σw²(r − V)²·n/(n − 1))/Σw, = √((9/16 + 1/16 + 4/16)·3/2)/4
    assert found.standard_error == pytest.approx(math.sqrt(14 / 16 * 1.5) / 4)


def test_models_by_hand() -> None:
    # .25·.4 + .75·.8 = .7; residuals .6, −.4, .2, .2
    assert dm(TARGET, Q, WEIGHT).value == pytest.approx(0.7)
    assert "supports no claim" in dm(TARGET, Q, WEIGHT).notes[0]
    found = dr(REWARD, WEIGHT, ARM, TARGET, Q)
    assert found.value == pytest.approx(0.7 + (0.5 * 0.6 - 0.5 * 0.4 + 1.5 * 0.2 + 1.5 * 0.2) / 4)
    switched = switch_dr(REWARD, WEIGHT, ARM, TARGET, Q, 1.0)
    assert switched.value == pytest.approx(0.7 + (0.5 * 0.6 - 0.5 * 0.4) / 4)
    assert "50.00% of the rows" in switched.notes[0]
    # λ = 1: .5/1.25 = .4 and 1.5/3.25 = .461538…
    shrunk = dr_shrunk(REWARD, WEIGHT, ARM, TARGET, Q, 1.0)
    assert shrunk.value == pytest.approx(0.7 + (0.4 * 0.6 - 0.4 * 0.4 + 2 * (1.5 / 3.25) * 0.2) / 4)
    assert mrdr_weights(WEIGHT, np.full(4, 0.5)).tolist() == [0.125, 0.125, 1.125, 1.125]


def test_replay_of_a_deterministic_target_on_a_uniform_log_is_the_mean_of_its_rows() -> None:
    weight = np.array([2.0, 0.0, 2.0, 0.0, 2.0])
    found = rejection(np.array([1.0, 0.3, 0.0, 0.9, 1.0]), weight)
    assert found.value == pytest.approx(2 / 3)
    assert (found.match_rate, found.ess, found.n) == (0.6, 3.0, 5)
    exact = rejection(np.array([1.0, 0.3, 0.0, 0.9, 1.0]), weight, IntervalSpec("clopper_pearson"))
    # 2 of 3: the 2.5 % points of Beta(2, 2) and Beta(3, 1)
    assert exact.interval.low == pytest.approx(0.0943, abs=1e-4)
    assert exact.interval.high == pytest.approx(0.975 ** (1 / 3), abs=1e-9)


def test_limits_join_the_estimators() -> None:
    zero = np.zeros((4, 2))
    assert dr(REWARD, WEIGHT, ARM, TARGET, zero).value == pytest.approx(ips(REWARD, WEIGHT).value)
    assert switch_dr(REWARD, WEIGHT, ARM, TARGET, Q, math.inf).value == pytest.approx(
        dr(REWARD, WEIGHT, ARM, TARGET, Q).value
    )
    assert dr_shrunk(REWARD, WEIGHT, ARM, TARGET, Q, math.inf).value == pytest.approx(
        dr(REWARD, WEIGHT, ARM, TARGET, Q).value
    )
    assert dr_shrunk(REWARD, WEIGHT, ARM, TARGET, Q, 1e-12).value == pytest.approx(0.7)
    on_policy = np.ones(4)
    assert ips(REWARD, on_policy).value == snips(REWARD, on_policy).value == REWARD.mean()


rows = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 50), st.integers(0, 2)), min_size=2, max_size=40
).filter(lambda found: sum(weight for _, weight, _ in found) > 1e-6)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(rows, st.floats(-3, 3))
def test_shifted_rewards_shift_the_value(found: list[tuple[float, float, int]], shift: float) -> None:
    reward, weight = (np.array([row[j] for row in found]) for j in (0, 1))
    arm = np.array([row[2] for row in found])
    target = np.full((len(found), 3), 1 / 3)
    q = np.linspace(0, 1, 3 * len(found)).reshape(-1, 3)
    before, after = snips(reward, weight), snips(reward + shift, weight)
    assert after.value == pytest.approx(before.value + shift, abs=1e-8)
    assert after.standard_error == pytest.approx(before.standard_error, abs=1e-7)
    assert reward.min() - 1e-12 <= before.value <= reward.max() + 1e-12
    moved = dr(reward + shift, weight, arm, target, q + shift)
    assert moved.value == pytest.approx(dr(reward, weight, arm, target, q).value + shift, abs=1e-8)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(found: list[tuple[float, float, int]], random: Any) -> None:
    order = list(range(len(found)))
    random.shuffle(order)
    reward, weight = (np.array([row[j] for row in found]) for j in (0, 1))
    for how in (IntervalSpec(), IntervalSpec("betting")):
        one, two = ips(reward, weight, how), ips(reward[order], weight[order], how)
        assert two.value == pytest.approx(one.value, rel=1e-12, abs=1e-12)
        assert two.interval.low == pytest.approx(one.interval.low, rel=1e-9, abs=1e-9)


def test_permuted_arms_and_rows_change_no_estimate() -> None:
    log, target = log_of()
    order = np.array([2, 0, 3, 1])
    place = np.argsort(order)
    rows = np.random.default_rng(1).permutation(len(log))
    assert log.propensity is not None
    assert log.logging is not None
    assert log.cell is not None
    assert log.decision_ids is not None
    other = LoggedData(
        tuple(log.arms[a] for a in order),
        place[log.arm][rows],
        log.reward[rows],
        log.propensity[rows],
        log.logging[:, order][rows],
        log.cell[rows],
        log.cells,
        decision_ids=tuple(log.decision_ids[i] for i in rows),
    )
    names = [name for name in ESTIMATORS if name != "replay"]
    one = evaluate(overlay(log, target), names)
    two = evaluate(overlay(other, target[:, order][rows]), names)
    for name in ("ips", "snips", "clipped_ips"):
        assert two[name].value == pytest.approx(one[name].value, rel=1e-12)
    # Folds follow the ids; only the halves that strengths are chosen by follow the order.
    for name in ("dm", "dr", "switch_dr", "dr_shrunk", "mrdr"):
        assert two[name].value == pytest.approx(one[name].value, abs=0.02)


def test_every_estimator_comes_near_the_truth() -> None:
    rng = np.random.default_rng(5)
    n, arms = 20_000, 3
    logging, target = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.3, 0.6])
    truth = np.array([0.3, 0.5, 0.7])
    arm = rng.choice(arms, n, p=logging)
    reward = (rng.random(n) < truth[arm]).astype(float)
    log = LoggedData(("a", "b", "c"), arm, reward, logging[arm])
    found = evaluate(
        overlay(log, target), list(ESTIMATORS), settings=Settings(clip=6.0, switch=6.0, shrinkage=1e4)
    )
    for name, one in found.items():
        assert abs(one.value - truth @ target) < 4 * max(one.standard_error, 0.01), name
        assert one.propensities == "logged"
        assert one.n == n
    # 7 of 10 rows hardly count for the target; the model takes most of the noise out.
    assert found["dr"].standard_error < found["ips"].standard_error
    assert found["replay"].match_rate == pytest.approx(1 / 6, abs=0.02)


def test_the_same_call_gives_the_same_bits() -> None:
    log, target = log_of()
    how = IntervalSpec("bootstrap", seed=4, replicates=200)
    one, two = (evaluate(overlay(log, target), ["snips", "dr"], how) for _ in range(2))
    assert one == two
    other = evaluate(overlay(log, target), ["snips"], IntervalSpec("bootstrap", seed=5, replicates=200))
    assert other["snips"].interval != one["snips"].interval


def test_cross_fitting_does_not_score_a_row_by_itself() -> None:
    # Rewards are noise. A model that saw its own rows would explain a part of it, and the residuals that
    # correct it would be too small; out of fold they are as large as the noise.
    rng = np.random.default_rng(2)
    n = 300
    arm = rng.integers(3, size=n)
    cell = rng.integers(60, size=n)
    log = LoggedData(("a", "b", "c"), arm, rng.random(n), np.full(n, 1 / 3), cell=cell)
    from nyx_learning.simulation.offpolicy.models import cross_fit, fit_cells

    out = cross_fit(log, model="cells")[np.arange(n), arm]
    inside = fit_cells(log.reward, arm, cell, (60, 3)).table[cell, arm]
    assert np.var(log.reward - out) > np.var(log.reward)
    assert np.var(log.reward - inside) < np.var(log.reward)


@pytest.mark.parametrize(
    ("reward", "weight"),
    [([], []), ([0.5], [math.nan]), ([math.inf], [1.0]), ([0.5], [-1.0]), ([0.5, 0.5], [1.0])],
)
def test_unusable_rows_are_refused(reward: list[float], weight: list[float]) -> None:
    for estimator in (ips, snips, rejection):
        with pytest.raises(LogInvalid):
            estimator(np.array(reward), np.array(weight))


def test_no_overlap_is_refused_everywhere() -> None:
    nothing = np.zeros(4)
    for call in (
        lambda: ips(REWARD, nothing),
        lambda: snips(REWARD, nothing),
        lambda: clipped_ips(REWARD, nothing, 2.0),
        lambda: rejection(REWARD, nothing),
        lambda: dm(TARGET, Q, nothing),
        lambda: dr(REWARD, nothing, ARM, TARGET, Q),
        lambda: switch_dr(REWARD, nothing, ARM, TARGET, Q, 1.0),
        lambda: dr_shrunk(REWARD, nothing, ARM, TARGET, Q, 1.0),
    ):
        with pytest.raises(NoOverlap, match="weight 0 to all 4"):
            call()  # type: ignore[no-untyped-call]


def test_settings_out_of_their_domain_are_refused() -> None:
    log, target = log_of(n=50)
    for call in (
        lambda: clipped_ips(REWARD, WEIGHT, 0.0),
        lambda: switch_dr(REWARD, WEIGHT, ARM, TARGET, Q, math.nan),
        lambda: evaluate(overlay(log, target), ["snipps"]),
        lambda: evaluate(overlay(log, target), ["dr"], settings=Settings(folds=1)),
        lambda: IntervalSpec("wald"),  # type: ignore[arg-type]
        lambda: IntervalSpec(confidence=1.0),
        lambda: snips(REWARD, WEIGHT, IntervalSpec("betting")),
        lambda: ips(REWARD, WEIGHT, IntervalSpec("empirical_bernstein")),
        lambda: ips(REWARD, WEIGHT, IntervalSpec("clopper_pearson")),
        lambda: ips(2 * REWARD, WEIGHT, IntervalSpec("betting")),
    ):
        with pytest.raises(InputInvalid):
            call()
    with pytest.raises(LogInvalid, match="weight_max of ips is wrong"):
        ips(REWARD, WEIGHT, IntervalSpec("empirical_bernstein", weight_max=1.2))
    with pytest.raises(LogInvalid, match="does not fit the log"):
        dr(REWARD, WEIGHT, ARM, TARGET, Q[:, :1])
    with pytest.raises(LogInvalid, match="none"):
        dr(REWARD, WEIGHT, ARM, TARGET, np.full((4, 2), math.nan))
