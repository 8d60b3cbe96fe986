"""Intervals by hand, against independent computation, and by what they promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import beta, binomtest

from nyx_learning.errors import LogInvalid
from nyx_learning.simulation.offpolicy import (
    IntervalSpec,
    betting_log_capital,
    betting_lower,
    clopper_pearson,
    eb_lower,
    eb_lower_path,
    empirical_bernstein,
    ips,
    mover_wilson,
    snips,
    wilson,
)
from nyx_learning.simulation.offpolicy.sequences import gamma_exponential_boundary

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (3, 10), (450, 1000)])
def test_intervals_of_proportions_are_scipys(successes: int, trials: int) -> None:
    exact = binomtest(successes, trials).proportion_ci(0.9, "exact")
    assert clopper_pearson(successes, trials, 0.9) == pytest.approx((exact.low, exact.high), abs=1e-10)
    score = binomtest(successes, trials).proportion_ci(0.9, "wilson")
    low, high = wilson(np.array([successes]), np.array([trials]), 1.6448536269514722)
    assert (low[0], high[0]) == pytest.approx((score.low, score.high), abs=1e-9)
    assert clopper_pearson(3, 10, 0.95)[0] == pytest.approx(beta.ppf(0.025, 3, 8))


def test_empirical_bernstein_by_hand() -> None:
    values = np.array([0.0, 1.0] * 50)
    # V = 100/99/4; L = ln 80; √(2 V L/100) + 7 L/(3·99)
    level = math.log(80)
    reach = math.sqrt(2 * (100 / 99 / 4) * level / 100) + 7 * level / 297
    assert empirical_bernstein(values, 0.0, 1.0, 0.95) == pytest.approx((0.5 - reach, 0.5 + reach))
    scaled = empirical_bernstein(3 * values - 1, -1.0, 2.0, 0.95)
    assert scaled == pytest.approx((0.5 - 3 * reach, 0.5 + 3 * reach))
    assert empirical_bernstein(values[:2], 0.0, 1.0, 0.95) == (0.0, 1.0)


def test_mover_wilson_by_hand() -> None:
    # Two cells, 8 of 10 and 5 of 10, coefficients 1 and −1.2.
    z = 1.6448536269514722
    l, u = (x[0] for x in wilson(np.array([8.0]), np.array([10.0]), z))
    l2, u2 = (x[0] for x in wilson(np.array([5.0]), np.array([10.0]), z))
    low, value, high = mover_wilson(np.array([1.0, -1.2]), np.array([8, 5]), np.array([10, 10]), 0.95)
    assert value == pytest.approx(0.8 - 0.6)
    assert low == pytest.approx(0.2 - math.hypot(0.8 - l, 1.2 * (u2 - 0.5)))
    assert high == pytest.approx(0.2 + math.hypot(u - 0.8, 1.2 * (0.5 - l2)))


def test_mover_wilson_takes_cells_without_trials_at_their_worst() -> None:
    with_data = mover_wilson(np.array([0.5]), np.array([5.0]), np.array([10.0]), 0.95)
    low, _, high = mover_wilson(np.array([0.5, 0.25, -0.25]), np.array([5, 0, 0]), np.array([10, 0, 0]), 0.95)
    assert low == pytest.approx(with_data[0] - 0.25)
    assert high == pytest.approx(with_data[2] + 0.25)
    with pytest.raises(LogInvalid):
        mover_wilson(np.array([1.0]), np.array([3.0]), np.array([2.0]), 0.95)
    with pytest.raises(LogInvalid):
        mover_wilson(np.array([1.0, 2.0]), np.array([3.0]), np.array([5.0]), 0.95)


def test_the_bootstrap_has_the_spread_of_the_mean() -> None:
    rng = np.random.default_rng(1)
    reward, weight = rng.random(2001), rng.exponential(size=2001)
    for estimator in (ips, snips):
        normal = estimator(reward, weight).interval
        resampled = estimator(reward, weight, IntervalSpec("bootstrap", replicates=4000)).interval
        width = normal.high - normal.low
        assert resampled.low == pytest.approx(normal.low, abs=0.08 * width)
        assert resampled.high == pytest.approx(normal.high, abs=0.08 * width)


def test_resampling_draws_every_row_alike() -> None:
    from nyx_learning.simulation.keys import key_of
    from nyx_learning.simulation.offpolicy import kernels

    for n in (4, 5):
        share = np.empty((n, 20_000))
        for row in range(n):
            kernels.resampled_means(np.eye(n)[row], *key_of(0, 0, "bootstrap"), share[row])
        # Multinomial: mean 1/n, variance (1 − 1/n)/n², sum 1 in every sample.
        assert share.sum(axis=0) == pytest.approx(np.ones(20_000))
        assert share.mean(axis=1) == pytest.approx(np.full(n, 1 / n), abs=0.005)
        assert share.var(axis=1) == pytest.approx(np.full(n, (1 - 1 / n) / n**2), rel=0.05)


def test_betting_by_hand() -> None:
    # One row x = 4, stakes θ: W(m) = ave (1 − θ + 4θ/m)
    bets = np.array([0.9, *(0.5**j for j in range(1, 14))])
    assert betting_log_capital(np.array([4.0]), 0.5)[0] == pytest.approx(
        math.log(np.mean(1 - bets + bets * 8))
    )
    # W(m) = 20 where m = 4·ave θ/(19 + ave θ)
    assert betting_lower(np.array([4.0]), 0.05) == pytest.approx(4 * bets.mean() / (19 + bets.mean()))
    assert betting_lower(np.zeros(5), 0.05) == 0.0


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.floats(0.001, 0.4))
def test_betting_crosses_its_threshold_at_the_bound(values: list[float], alpha: float) -> None:
    x = np.array(values)
    low = betting_lower(x, alpha)
    assert 0.0 <= low <= x.mean() + 1e-12
    if low > 1e-9:
        below, above = (betting_log_capital(x, low * f)[-1] for f in (1 - 1e-6, 1 + 1e-6))
        assert above <= math.log(1 / alpha) <= below + 1e-9


def test_the_boundary_is_that_of_the_mixture() -> None:
    # m(s, v) by quadrature over λ, with no closed form.
    v_opt, alpha, c, v = 25.0, 0.025, 1.5, 40.0
    level = 2 * math.log(1 / alpha)
    rho = v_opt / (level + math.log(1 + level))
    s = gamma_exponential_boundary(v, alpha, c, v_opt)

    def density(x: float) -> float:
        return float((1 - c * x) ** (rho / c**2 - 1)) * math.exp(-rho * (1 - c * x) / c**2)

    def process(x: float) -> float:
        return math.exp(x * s - v * (-math.log(1 - c * x) - c * x) / c**2) * density(x)

    top = integrate.quad(process, 0, 1 / c, limit=200)[0]
    assert top / integrate.quad(density, 0, 1 / c, limit=200)[0] == pytest.approx(1 / alpha, rel=1e-6)
    # It grows as √(v log v): wider than a fixed-n bound, and not by much near v_opt.
    assert s > math.sqrt(2 * v * math.log(1 / alpha))
    assert gamma_exponential_boundary(25.0, alpha, 0.01, v_opt) < 1.35 * math.sqrt(
        2 * 25 * math.log(1 / alpha)
    )


def test_sequences_hold_under_peeking_also_where_the_mean_moves() -> None:
    rng = np.random.default_rng(8)
    at = np.unique(np.geomspace(5, 600, 15).astype(int))
    missed = 0
    for _ in range(150):
        weight = rng.choice([0.0, 0.5, 6.0], 600, p=[0.2, 0.7, 0.1])
        mean = np.linspace(0.2, 0.8, 600)
        weight /= 0.95
        x = weight * (rng.random(600) < mean)
        bound = eb_lower_path(x, 0.1, at=at)
        truth = np.cumsum(mean)[at - 1] / at
        missed += bool((bound > truth + 1e-12).any())
    assert missed <= 15
    x = np.array([0.0, 1.0, 0.5, 2.0] * 30)
    path = eb_lower_path(x, 0.1)
    assert path[-1] == eb_lower(x, 0.1)
    assert path[49] == eb_lower(x[:50], 0.1)


def test_lower_limits_below_zero_shift_the_bound() -> None:
    x = np.random.default_rng(1).random(400)
    assert eb_lower(x - 3, 0.05, low=-3.0) == pytest.approx(eb_lower(x, 0.05) - 3, abs=1e-9)
    with pytest.raises(LogInvalid):
        eb_lower(x - 0.5, 0.05)
    with pytest.raises(LogInvalid):
        betting_lower(np.array([math.nan]), 0.05)


def test_ends_of_bounded_intervals_come_from_rewards_and_from_what_is_missing_of_them() -> None:
    # All rewards are 1: the upper end is 1, for no weighted reward is missing.
    weight = np.array([0.5, 1.5] * 100)
    for method in ("betting", "empirical_bernstein_sequence"):
        found = ips(np.ones(200), weight, IntervalSpec(method)).interval
        assert found.high == 1.0
        assert 0.5 < found.low < 1.0
        other = ips(np.zeros(200), weight, IntervalSpec(method)).interval
        assert (other.low, other.high) == pytest.approx((0.0, 1.0 - found.low))
