"""Contrasts, cells, sequences and bets: by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning.simulation.offpolicy import clopper_pearson, mover_wilson, wilson
from nyx_learning.simulation.verdict import betting, cells, kernels, sequence
from nyx_learning.simulation.verdict.bounds import cap_for

share = st.floats(0.01, 1.0)


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Contrast c, logging pmf p, guesses q, true means, cap, over 3 arms."""
    raw = np.array(draw(st.lists(share, min_size=3, max_size=3)))
    c = np.array(draw(st.lists(st.floats(-1.2, 1.0), min_size=3, max_size=3)))
    q = np.array(draw(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3)))
    means = np.array(draw(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3)))
    return c, raw / raw.sum(), q, means, draw(st.floats(0.0, 30.0))


# --- one row


def test_a_contrast_by_hand() -> None:
    # c = (1, −1.2), p = (½, ½), q = (.6, .5): expected .6 − .6 = 0; arm 0 with r = 1 adds 2·.4.
    c, p, q = np.array([1.0, -1.2]), np.array([0.5, 0.5]), np.array([0.6, 0.5])
    assert kernels.contrast_row(c, p, q, 0, 1.0, 10.0) == pytest.approx((0.8, 0.8))
    assert kernels.contrast_row(c, p, q, 1, 1.0, 10.0) == pytest.approx((-1.2, -1.2))
    # A cap of .5: the guess of arm 0 becomes .25, that of arm 1 1 − .5/2.4.
    kept = 1.0 - 0.5 / 2.4
    assert kernels.contrast_row(c, p, q, 0, 0.0, 0.5) == pytest.approx((0.25 - 1.2 * kept - 0.5, -0.5))
    # What is never logged counts as the worst.
    assert kernels.contrast_row(c, np.array([0.0, 1.0]), q, 1, 0.5, 10.0)[0] == pytest.approx(-0.6)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(rows())
def test_contrasts_are_unbiased_and_bounded_from_below(
    row: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float],
) -> None:
    c, p, q, means, cap = row
    expected = gap_mean = 0.0
    for arm in range(3):
        for reward, chance in ((1.0, means[arm]), (0.0, 1.0 - means[arm])):
            d, gap = kernels.contrast_row(c, p, q, arm, reward, cap)
            expected += p[arm] * chance * d
            gap_mean += p[arm] * chance * gap
            assert gap >= -cap - 1e-9
            assert d >= np.minimum(c, 0.0).sum() - cap - 1e-9
    assert expected == pytest.approx(float(c @ means), abs=1e-9)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.floats(0.5, 50.0), st.floats(0.001, 0.99), st.floats(-1.0, 40.0))
def test_fans_inequality_holds_for_the_costs(scale: float, part: float, unit: float) -> None:
    y, rate = max(unit * scale, -scale), part / scale
    cost = (-math.log1p(-scale * rate) - scale * rate) / scale**2
    assert math.exp(min(rate * y - cost * y * y, 700.0)) <= (1.0 + rate * y) * (1.0 + 1e-9) + 1e-12
    grid = sequence.mixture(scale)
    assert grid.rates.max() * scale < 1.0
    costs = (-np.log1p(-scale * grid.rates) - scale * grid.rates) / scale**2
    assert grid.costs == pytest.approx(costs)


def test_the_mixture_by_hand() -> None:
    rates, costs = np.array([0.1, 0.2]), np.array([0.01, 0.02])
    found = kernels.log_mixture(5.0, 3.0, rates, costs)
    assert found == pytest.approx(math.log((math.exp(0.5 - 0.03) + math.exp(1.0 - 0.06)) / 2.0))


def test_the_cap_comes_from_the_first_row_alone() -> None:
    assert cap_for(np.array([1.0, -1.2]), np.array([0.1, 0.9])) == pytest.approx(6.0)
    assert cap_for(np.array([1.0, -1.2]), np.array([0.5, 0.5])) == 2.0
    assert cap_for(np.array([1.0, -1.2]), np.array([1e-6, 1.0])) == 40.0
    assert cap_for(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 2.0


# --- sequences


def test_a_sequence_bound_is_where_the_evidence_is() -> None:
    d = np.full(400, 0.5) + np.resize([0.3, -0.3], 400)
    gaps = d - 0.45
    found = sequence.run(d, gaps, 2.0, 0.05)
    low = sequence.lower_bound(found, 2.0, 0.05, -1.2)
    grid = sequence.mixture(2.0)
    evidence = kernels.log_mixture(found.total - 400 * low, found.variance, grid.rates, grid.costs)
    assert evidence == pytest.approx(-math.log(0.05), abs=1e-6)
    assert found.crossed
    assert 0.0 < low < found.mean == pytest.approx(0.5)
    # The first crossing is the first row whose own bound is above 0.
    before = sequence.run(d[: found.first_crossing - 1], gaps[: found.first_crossing - 1], 2.0, 0.05)
    assert not before.crossed
    assert sequence.run(d[: found.first_crossing], gaps[: found.first_crossing], 2.0, 0.05).crossed


def test_a_sequence_forgets_what_is_no_longer_true() -> None:
    # 300 rows at +1, then 900 at −1: it crossed once, and its bound is below 0 now.
    d = np.concatenate([np.ones(300), -np.ones(900)])
    found = sequence.run(d, d, 2.0, 0.05)
    assert found.first_crossing > 0
    assert not found.crossed
    assert sequence.lower_bound(found, 2.0, 0.05, -2.0) < 0.0


def test_rows_needed_settle_the_question() -> None:
    rows = sequence.rows_needed(0.1, 3.0, 6.0, 0.05, 0.8416, 10**8)
    assert rows is not None
    grid = sequence.mixture(6.0)

    def settled(n: float) -> bool:
        total = n * 0.1 - 0.8416 * math.sqrt(n * 3.0)
        return bool(kernels.log_mixture(total, n * 3.0, grid.rates, grid.costs) >= -math.log(0.05))

    assert settled(rows)
    assert not settled(rows * 0.99)
    assert sequence.rows_needed(-0.1, 3.0, 6.0, 0.05, 0.84, 10**8) is None
    assert sequence.rows_needed(1e-9, 3.0, 6.0, 0.05, 0.84, 10**8) is None


# --- bets


def test_a_bet_by_hand() -> None:
    # One row: λ = √(2·3·1/(1·1)) capped at ½ / 2 → ln(1 + ¼·1).
    assert kernels.bet(np.array([1.0]), 0.0, 2.0, 1.0, 3.0) == pytest.approx(math.log(1.25))
    # At the lowest mean possible there is nothing left to bet against.
    assert kernels.bet(np.array([1.0]), -2.0, 2.0, 1.0, 3.0) == math.inf


def test_a_bet_bound_is_where_the_wealth_is() -> None:
    d = np.resize([1.5, -0.5, 0.4], 600)
    low = betting.lower_bound(d, 1.0, 0.05, -1.0)
    assert 0.0 < low < d.mean()
    assert betting.shows(d, 1.0, 0.05)
    assert kernels.bet(d, low, 1.0, 600.0, -math.log(0.05)) == pytest.approx(-math.log(0.05), abs=1e-3)
    assert betting.lower_bound(-np.ones(3), 1.0, 0.05, -1.0) == -1.0
    assert not betting.shows(np.zeros(500), 1.0, 0.05)
    fewer = betting.rows_needed(0.2, 1.0, 2.0, 0.05, 0.84, 10**6)
    more = betting.rows_needed(0.1, 1.0, 2.0, 0.05, 0.84, 10**6)
    assert fewer is not None
    assert more is not None
    assert 3.0 < more / fewer < 4.5
    assert betting.rows_needed(-0.1, 1.0, 2.0, 0.05, 0.84, 10**6) is None


# --- cells


def test_limits_are_wilsons_and_exact_where_there_is_little() -> None:
    trials, won = np.array([100, 8, 50, 0]), np.array([40, 3, 50, 0])
    low, high = cells.limits(trials, won, 0.05)
    z = 1.6448536269514722
    expected = wilson(np.array([40.0]), np.array([100.0]), z)
    assert (low[0], high[0]) == pytest.approx((float(expected[0][0]), float(expected[1][0])))
    assert (low[1], high[1]) == pytest.approx(clopper_pearson(3, 8, 0.9))
    assert low[2] == pytest.approx(0.05 ** (1 / 50))
    assert high[2] == 1.0
    assert (low[3], high[3]) == (0.0, 1.0)


def test_one_context_with_many_of_each_is_mover_wilson() -> None:
    counted = cells.Cells(np.array([[400, 200, 100]]), np.array([[240, 150, 40]]))
    contrast = np.array([[-1.2, 1.0, 0.0]])
    estimate, low = cells.lower_bound(counted, contrast, 0.05)
    expected = mover_wilson(np.array([-1.2, 1.0]), np.array([240.0, 150.0]), np.array([400.0, 200.0]), 0.95)
    assert (low, estimate) == pytest.approx(expected[:2])


def test_what_was_never_tried_is_the_worst() -> None:
    counted = cells.Cells(np.array([[50, 0]]), np.array([[25, 0]]))
    _, low = cells.lower_bound(counted, np.array([[0.0, 1.0]]), 0.05)
    assert low == 0.0
    _, low = cells.lower_bound(counted, np.array([[0.0, -1.0]]), 0.05)
    assert low == -1.0


def test_contexts_are_a_sample_too() -> None:
    same = cells.Cells(np.array([[100], [100]]), np.array([[50], [50]]))
    apart = cells.Cells(np.array([[100], [100]]), np.array([[90], [10]]))
    one = np.ones((2, 1))
    width = [estimate - low for estimate, low in (cells.lower_bound(c, one, 0.05) for c in (same, apart))]
    # Variance within: 2·¼·.25/100 against 2·¼·.09/100; between: 0 against (.4·100/101)²/200.
    assert width[0] == pytest.approx(1.645 * math.sqrt(0.25 / 200), rel=0.02)
    assert width[1] == pytest.approx(1.645 * math.sqrt(0.09 / 200 + (0.4 * 100 / 101) ** 2 / 200), rel=0.05)


def test_counting_cells() -> None:
    counted = cells.cells_of(
        np.array([0, 1, 1, 1]), np.array([1, 0, 0, 1]), np.array([1.0, 1.0, 0.0, 0.0]), 2, 2
    )
    assert counted.trials.tolist() == [[0, 1], [2, 1]]
    assert counted.successes.tolist() == [[0, 1], [1, 0]]
    assert counted.shares.tolist() == [0.25, 0.75]
