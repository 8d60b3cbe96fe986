"""Trends and comparisons: known values, honest refusals, coverage at a stated level."""

import numpy as np
import pytest
from scipy import stats

from nyx_learning.errors import InputInvalid, SupportMissing
from nyx_learning.rewards.compare import compare
from nyx_learning.rewards.trends import trend


def test_a_straight_line_has_its_slope() -> None:
    found = trend([0, 1, 2, 3, 4, 5, 6, 7], [0.1 * i for i in range(8)])
    assert found.slope == pytest.approx(0.1)
    assert found.direction == "rising"
    assert found.forecast(8.0) == pytest.approx(0.8)
    assert found.forecast(100.0) == 1.0
    assert trend(range(8), [1 - 0.1 * i for i in range(8)]).direction == "falling"


def test_order_and_outliers_do_not_matter_and_units_scale() -> None:
    source = np.random.default_rng(1)
    t = np.arange(60.0)
    y = 0.2 + 0.005 * t + source.normal(0, 0.02, 60)
    y[::9] = 50.0
    shuffled = source.permutation(60)
    found = trend(t, y)
    assert trend(t[shuffled], y[shuffled]) == found
    assert found.slope == pytest.approx(0.005, abs=0.002)
    assert trend(t * 60.0, y).slope == pytest.approx(found.slope / 60.0)


def test_noise_is_called_rising_or_falling_as_rarely_as_stated() -> None:
    source = np.random.default_rng(2)
    t = np.arange(40.0)
    calls = sum(trend(t, source.normal(size=40)).direction != "no evidence" for _ in range(400))
    # 5 % of 400 is 20; 99.9 % of binomials are below 36.
    assert calls <= 36


def test_long_series_are_averaged_in_blocks() -> None:
    found = trend(np.arange(5000.0), np.arange(5000.0) * 1e-4)
    assert (found.n, found.points) == (5000, 400)
    assert found.slope == pytest.approx(1e-4)


@pytest.mark.parametrize(("t", "y"), [([1.0] * 9, [1.0] * 9), ([1.0, 2.0], [1.0, 2.0])])
def test_trends_without_support_are_refused(t: list[float], y: list[float]) -> None:
    with pytest.raises(SupportMissing):
        trend(t, y)


def test_bad_series_are_refused() -> None:
    for t, y in (([1.0], [1.0, 2.0]), ([1.0, float("nan")], [1.0, 2.0])):
        with pytest.raises(InputInvalid):
            trend(t, y)
    with pytest.raises(InputInvalid, match="confidence"):
        trend(range(8), range(8), confidence=1.0)


def test_a_comparison_agrees_with_scipy() -> None:
    source = np.random.default_rng(3)
    a, b = source.normal(0.5, 0.1, 40), source.normal(0.56, 0.2, 25)
    found = compare(a, b)
    welch = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    assert (found.difference.low, found.difference.high) == pytest.approx((welch.low, welch.high))
    u = stats.mannwhitneyu(b, a).statistic
    assert found.superiority.value == pytest.approx(u / (40 * 25))
    assert found.ratio == pytest.approx(np.median(b) / np.median(a))
    pooled = np.sqrt((39 * a.var(ddof=1) + 24 * b.var(ddof=1)) / 63)
    assert found.hedges_g == pytest.approx((b.mean() - a.mean()) / pooled * (1 - 3 / (4 * 65 - 9)))


def test_swapping_the_groups_mirrors_the_answer() -> None:
    source = np.random.default_rng(4)
    a, b = source.random(30), source.random(20) ** 2
    there, back = compare(a, b), compare(b, a)
    assert there.difference.value == -back.difference.value
    assert there.difference.low == pytest.approx(-back.difference.high)
    assert there.superiority.value == pytest.approx(1 - back.superiority.value)
    assert there.superiority.low == pytest.approx(1 - back.superiority.high)
    assert {there.verdict, back.verdict} in ({"a higher", "b higher"}, {"no evidence"})


def test_intervals_cover_as_often_as_stated() -> None:
    source = np.random.default_rng(5)
    truth = stats.norm.cdf(0.5 / np.sqrt(2))
    held = sum(
        found.superiority.low <= truth <= found.superiority.high
        for found in (compare(source.normal(0, 1, 30), source.normal(0.5, 1, 30)) for _ in range(400))
    )
    # 95 % of 400 is 380, standard deviation 4.4.
    assert held >= 362


def test_groups_that_do_not_vary() -> None:
    same = compare([1.0] * 6, [1.0] * 6)
    assert (same.difference.value, same.hedges_g, same.verdict) == (0.0, None, "no evidence")
    assert same.superiority.low < 0.5 < same.superiority.high
    apart = compare([0.0] * 6, [1.0] * 6)
    assert (apart.superiority.value, apart.verdict, apart.ratio) == (1.0, "b higher", None)
    assert compare([1.0] * 6, [0.0] * 6).verdict == "a higher"


def test_thin_and_bad_groups_are_refused() -> None:
    with pytest.raises(SupportMissing, match="group b"):
        compare([1.0] * 9, [1.0] * 4)
    with pytest.raises(InputInvalid, match="group a"):
        compare([float("nan")] * 9, [1.0] * 9)
    with pytest.raises(InputInvalid, match="confidence"):
        compare([1.0] * 9, [1.0] * 9, confidence=0.0)
