"""Tests and intervals of patterns: by hand, and against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nyx_learning.insights.evidence import (
    adjusted,
    binomial_tail,
    fisher,
    hypergeometric_tail,
    mean_difference,
    mean_interval,
    slope,
    stratified_fisher,
)


def test_q_values_by_hand() -> None:
    # p·m/rank from above, each at most the next: .5·3/3, .02·3/2, .001·3/1.
    assert adjusted([0.5, 0.02, 0.001]) == pytest.approx([0.5, 0.03, 0.003])
    assert adjusted([0.01, 0.04], hypotheses=10) == pytest.approx([0.1, 0.2])
    assert adjusted([]) == []
    p = np.random.default_rng(1).random(30) ** 3
    assert adjusted(p.tolist()) == pytest.approx(stats.false_discovery_control(p).tolist())


def test_tails_by_hand_and_against_scipy() -> None:
    # 2 of 4 marked, 2 drawn: both marked with 1/6, at least one with 5/6.
    assert hypergeometric_tail(2, 2, 2, 4) == pytest.approx(1 / 6)
    assert hypergeometric_tail(1, 2, 2, 4) == pytest.approx(5 / 6)
    assert hypergeometric_tail(0, 2, 2, 4) == pytest.approx(1.0)
    for k, marked, drawn, total in [(7, 12, 20, 60), (3, 50, 4, 60), (0, 5, 9, 30)]:
        there = stats.hypergeom(total, marked, drawn)
        assert hypergeometric_tail(k, marked, drawn, total) == pytest.approx(there.sf(k - 1))
        both = 2.0 * min(there.sf(k - 1), there.cdf(k))
        assert fisher(k, marked, drawn, total) == pytest.approx(min(1.0, both))
    assert binomial_tail(3, 4, 0.1) == pytest.approx(4 * 0.1**3 * 0.9 + 0.1**4)
    assert binomial_tail(1, 4, 0.5) == 1.0
    assert binomial_tail(5, 4, 0.1) == 0.0


def test_the_binomial_tail_bounds_that_of_unequal_trials() -> None:
    q = np.array([0.9, 0.5, 0.05, 0.05, 0.0])
    exact = np.array([1.0])
    for p in q:
        exact = np.convolve(exact, [1 - p, p])
    for k in range(6):
        assert binomial_tail(k, 5, float(q.mean())) >= exact[k:].sum() - 1e-12


def test_tables_together_against_all_of_their_sums() -> None:
    marked, drawn, total = np.array([3.0, 2.0]), np.array([4.0, 3.0]), np.array([9.0, 5.0])
    chance: dict[int, float] = {}
    for i in range(4):
        for j in range(3):
            p = stats.hypergeom.pmf(i, 9, 3, 4) * stats.hypergeom.pmf(j, 5, 2, 3)
            chance[i + j] = chance.get(i + j, 0.0) + float(p)
    for k in chance:
        tails = sum(p for s, p in chance.items() if s >= k), sum(p for s, p in chance.items() if s <= k)
        assert stratified_fisher(k, marked, drawn, total) == pytest.approx(min(1.0, 2.0 * min(tails)))
    one = stratified_fisher(4, np.array([5.0]), np.array([6.0]), np.array([20.0]))
    assert one == pytest.approx(fisher(4, 5, 6, 20))
    many = np.full(40, 100.0)  # a variance of 40 · 6.3 and of twice that: exact, and approximate
    exact = stratified_fisher(1030, many / 2, many / 2, many)
    again = stratified_fisher(2042, np.tile(many, 2) / 2, np.tile(many, 2) / 2, np.tile(many, 2))
    assert exact == pytest.approx(again, rel=0.05)


def test_means_and_slopes_against_scipy() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(1.0, 1.0, 30), rng.normal(0.5, 2.0, 21)
    welch = stats.ttest_ind(a, b, equal_var=False)
    found = mean_difference(a, b, 0.95)
    assert found is not None
    assert found.p == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    line = stats.linregress(np.arange(30.0), a)
    trend = slope(np.arange(30.0), a, 0.95)
    assert trend is not None
    assert (trend.value, trend.p) == pytest.approx((line.slope, line.pvalue))
    equal = np.ones(20)  # no variance of their own, and no proof that the share is above the others' 95 %
    mostly = (np.arange(1000) % 20 > 0).astype(np.float64)
    found = mean_difference(equal, mostly, 0.95)
    told = 1.0, 0.0, 20, mostly.mean(), mostly.std(ddof=1), 1000
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_ind_from_stats(*told).pvalue)
    assert found.p > 0.3
    assert stats.ttest_ind_from_stats(*told, equal_var=False).pvalue < 1e-9
    assert mean_interval(np.array([1.0, 3.0]), 0.5) == pytest.approx((2.0, 1.0, 3.0))  # t₁(.75) = 1
    assert mean_difference(np.ones(3), np.zeros(3), 0.95) is None
    assert slope(np.zeros(9), a[:9], 0.95) is None
