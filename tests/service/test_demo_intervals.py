"""The comparison's intervals, by hand and against published figures."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from nyx_learning.errors import SupportMissing
from nyx_learning.service.demo.intervals import mean, paired_rates, rate


def test_mean_by_hand() -> None:
    # mean 3, s = √2.5, n = 5, t(.975, 4) = 2.776445: half = 2.776445·1.581139/2.236068 = 1.963243
    found = mean([1, 2, 3, 4, 5])
    assert (found.value, found.n) == (3.0, 5)
    assert found.low == pytest.approx(3 - 1.963243, abs=1e-6)
    assert found.high == pytest.approx(3 + 1.963243, abs=1e-6)


def test_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(5).normal(size=37)
    reference = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = mean(values.tolist())
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize("values", [[], [0.5]])
def test_mean_refuses_what_has_no_spread(values: list[float]) -> None:
    with pytest.raises(SupportMissing, match="at least 2 values"):
        mean(values)


def test_rate_by_hand() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857, table I, method 3: 81 of 263 is .2553 to .3662.
    found = rate([True] * 81 + [False] * 182)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_rate_at_the_edge_has_a_width() -> None:
    # 0 of 20 (the same table): 0 to .1611
    found = rate([False] * 20)
    assert (found.value, found.low, round(found.high, 4)) == (0.0, 0.0, 0.1611)


def pairs(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    kinds = list(product((True, False), repeat=2))
    counts = (both, only_first, only_second, neither)
    rows = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    return [a for a, _ in rows], [b for _, b in rows]


def test_paired_rates_by_hand() -> None:
    # p₁ = 48/50, Wilson .86542 to .98896; p₂ = 38/50, Wilson .62588 to .85699.
    # φ: 36·0 − 12·2 = −24, not above 0, so not corrected: −24/√(48·2·38·12) = −.11471
    # δ² = .09458² − 2φ·.09458·.09699 + .09699², δ = .1430
    # ε² = .02896² − 2φ·.02896·.13412 + .13412², ε = .1404
    found = paired_rates(*pairs(36, 12, 2, 0))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 0.1430, abs=2e-4)
    assert found.high == pytest.approx(0.2 + 0.1404, abs=2e-4)


def test_paired_rates_correct_a_positive_correlation_for_continuity() -> None:
    # φ: 30·10 − 5·5 = 275, less n/2 = 25: 250/(35·15) = .476190
    # p₁ = p₂ = .7, Wilson .562496 to .808964
    # δ² = .137504² − 2φ·.137504·.108964 + .108964², δ = .128495 = ε
    found = paired_rates(*pairs(30, 5, 5, 10))
    assert found.value == 0.0
    assert found.high == pytest.approx(0.128495, abs=2e-5)
    assert found.low == -found.high


def test_paired_rates_have_a_width_where_all_pairs_agree() -> None:
    found = paired_rates(*pairs(20, 0, 0, 0))
    # Wilson of 20 of 20 is .8389 to 1, and φ counts as 0: ±.1611
    assert found.value == 0.0
    assert (round(found.low, 4), round(found.high, 4)) == (-0.1611, 0.1611)


@pytest.mark.parametrize("counts", [(10, 6, 2, 2), (0, 5, 3, 12), (7, 0, 4, 9)])
def test_swapping_the_contestants_turns_the_sign(counts: tuple[int, int, int, int]) -> None:
    first, second = pairs(*counts)
    one, two = paired_rates(first, second), paired_rates(second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))


def test_coverage_of_the_paired_interval() -> None:
    rng = np.random.default_rng(9)
    hits, replications = 0, 600
    for _ in range(replications):
        common = rng.random(90) < 0.6
        first, second = common | (rng.random(90) < 0.5), common | (rng.random(90) < 0.3)
        found = paired_rates(first.tolist(), second.tolist())
        # P(first) − P(second) = .4·(.5 − .3) = .08
        hits += found.low <= 0.08 <= found.high
    # 95 % ± 3.3 standard errors of a binomial with 600 draws
    assert 0.92 <= hits / replications <= 0.98
