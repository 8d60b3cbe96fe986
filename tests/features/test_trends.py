"""Trends: level, slope, forecast and patterns of series whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nyx_learning import ieee
from nyx_learning.errors import InputInvalid
from nyx_learning.features.trends import (
    Series,
    TrendRow,
    analyze_trends,
    daily_pattern,
    forecast,
    load_pattern,
    series_of,
)
from nyx_learning.features.trends.local_trend import _exps, _logs, ahead, filtered, stacked

HOUR, DAY = 3600.0, 86400.0


def series(values: Any, width: float = HOUR, count: Any = None) -> Series:
    mean = np.array(values, np.float64)
    counts = np.where(np.isnan(mean), 0.0, 1.0) if count is None else np.array(count, np.float64)
    return Series(0.0, width, mean, counts)


def noise(n: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=n)


def test_buckets_by_hand() -> None:
    found = series_of([7205.0, 3601.0, 3700.0], [9.0, 1.0, 3.0], HOUR)
    assert (found.start, found.width_s) == (3600.0, 3600.0)
    assert found.mean.tolist() == [2.0, 9.0]
    assert found.count.tolist() == [2.0, 1.0]
    gap = series_of([0.0, 3 * HOUR], [1.0, 2.0], HOUR)
    assert gap.count.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert np.isnan(gap.mean[1])
    assert len(series_of([0.0, 1e9], [1.0, 2.0], 60.0).mean) == 2000  # the newest buckets


def test_a_constant_goes_on() -> None:
    found = forecast(series([5.0] * 40), 10)
    assert found is not None
    np.testing.assert_allclose(found.mean, 5.0, rtol=1e-6)
    assert found.direction == "steady"


@pytest.mark.parametrize(("slope", "direction"), [(0.3, "rising"), (-0.3, "falling"), (0.0, "steady")])
def test_a_line_in_noise(slope: float, direction: str) -> None:
    found = forecast(series(10.0 + slope * np.arange(60) + noise(60, 1)), 12)
    assert found is not None
    assert found.direction == direction
    assert found.change_low <= slope <= found.change_high
    truth = 10.0 + slope * np.arange(60, 72)
    assert np.abs(found.mean - truth).max() < 1.5
    assert (found.low < truth).all()
    assert (truth < found.high).all()


def test_the_level_follows_a_shift() -> None:
    found = forecast(series(np.where(np.arange(80) < 50, 0.0, 8.0) + noise(80, 2)))
    assert found is not None
    assert found.level == pytest.approx(8.0, abs=1.0)
    assert found.level_low < 8.0 < found.level_high


def test_a_random_walk_is_no_trend_and_its_intervals_grow() -> None:
    claims = 0
    for seed in range(20):
        found = forecast(series(np.cumsum(noise(100, seed))), 20)
        assert found is not None
        width = found.high - found.low
        assert width[-1] > 2.0 * width[0]
        claims += found.direction != "steady"
    assert claims <= 3


def test_a_series_that_returns_is_let_return() -> None:
    """Three sds above its middle, it is expected to come down, though no trend is claimed."""
    for seed in range(5):
        y = np.zeros(120)
        for t, step in enumerate(noise(119, seed), start=1):
            y[t] = 0.7 * y[t - 1] + step
        y[-4:] = 4.0
        found = forecast(series(y), 12)
        assert found is not None
        assert found.mean[0] > 1.0
        assert abs(found.mean[-1]) < 0.5 * found.mean[0]
        assert found.direction == "steady"


def test_coverage_on_series_of_several_kinds() -> None:
    """Stated .9; 25 series of each kind, 8 steps."""
    kinds: dict[str, Callable[[int], Any]] = {
        "noise": lambda s: noise(88, s),
        "walk": lambda s: np.cumsum(noise(88, s)),
        "line": lambda s: 0.2 * np.arange(88) + noise(88, s),
        "heavy tails": lambda s: np.random.default_rng(s).standard_t(3, 88),
    }
    for name, make in kinds.items():
        inside = []
        for seed in range(25):
            y = make(seed)
            found = forecast(series(y[:80]), 8)
            assert found is not None
            inside.append((found.low <= y[80:]) & (y[80:] <= found.high))
        assert 0.82 <= np.mean(inside) <= 0.97, name


def test_empty_buckets_are_passed_over() -> None:
    y = 10.0 + 0.3 * np.arange(80) + 0.2 * noise(80, 3)
    y[40:60] = np.nan
    found = forecast(series(y), 3)
    assert found is not None
    assert found.buckets == 60
    assert found.mean[0] == pytest.approx(10.0 + 0.3 * 80, abs=0.5)
    assert forecast(series([1.0] * 7)) is None


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.floats(-50, 50), st.floats(0.1, 50), st.integers(0, 5))
def test_units_do_not_matter(shift: float, scale: float, seed: int) -> None:
    y = np.cumsum(noise(30, seed))
    one, other = forecast(series(y), 4), forecast(series(shift + scale * y), 4)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other.mean, shift + scale * one.mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other.high, shift + scale * one.high, rtol=1e-6, atol=1e-6)
    assert one.direction == other.direction


def test_an_hourly_pattern_is_found_and_only_where_there_is_one() -> None:
    hours = np.arange(14 * 24)
    found = daily_pattern(series(np.sin(hours / 24 * 2 * np.pi) + noise(len(hours), 4)))
    assert found.found
    assert len(found.effects) == 24
    top = max(found.effects, key=lambda effect: effect[1])
    assert 3 * HOUR <= top[0] <= 9 * HOUR
    claims = 0
    for seed in range(15):
        wandering = np.convolve(
            noise(14 * 24 + 5, seed), np.ones(6), "valid"
        )  # neighbours resemble each other
        claims += bool(daily_pattern(series(wandering), seed).found)
    assert claims <= 1
    assert daily_pattern(series(noise(5 * 24, 0))).found is None
    assert daily_pattern(series(noise(50, 0), DAY)).found is None


def test_a_pattern_with_the_load() -> None:
    load = np.random.default_rng(5).poisson(20, 200).astype(float)
    busy = series(load * 0.1 + 0.5 * noise(200, 6))
    counts = Series(0.0, HOUR, np.ones(200), load)
    found = load_pattern(busy, counts)
    assert found.found
    assert found.correlation is not None
    assert found.correlation > 0.4
    assert load_pattern(series(noise(200, 7)), counts).found is False
    assert load_pattern(series(noise(20, 7)), counts).found is None


def rows(n: int = 400, seed: int = 0) -> list[TrendRow]:
    rng = np.random.default_rng(seed)
    return [
        TrendRow(
            i * 900.0,
            {
                "reward": float(np.clip(0.4 + 0.001 * i + rng.normal() * 0.1, 0, 1)),
                "duration_s": float(np.exp(rng.normal(3, 0.3))),
                "cost": float("nan") if i % 2 else 0.01,
            },
        )
        for i in range(n)
    ]


def test_metrics_of_rows() -> None:
    found = {t.metric: t for t in analyze_trends(rows(), ["reward", "duration_s", "cost", "quality"])}
    reward, duration, cost, quality = (found[m] for m in ("reward", "duration_s", "cost", "quality"))
    assert reward.forecast is not None
    assert reward.forecast.direction == "rising"
    assert reward.forecast.high.max() <= 1.0
    assert duration.logarithmic
    assert duration.forecast is not None
    assert duration.forecast.level == pytest.approx(np.exp(3), rel=0.15)
    assert duration.forecast.low.min() > 0.0
    assert (cost.rows, cost.missing) == (200, 200)
    assert quality.forecast is None
    assert "not enough evidence" in quality.reason
    for trend in found.values():
        json.dumps(trend.to_dict(), allow_nan=False)


def test_the_order_of_rows_does_not_matter() -> None:
    ordered = rows(100)
    mixed = [ordered[i] for i in np.random.default_rng(1).permutation(100)]
    one, other = analyze_trends(ordered, ["duration_s"])[0], analyze_trends(mixed, ["duration_s"])[0]
    assert one.forecast is not None
    assert other.forecast is not None
    np.testing.assert_allclose(one.forecast.mean, other.forecast.mean, rtol=1e-9)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), True, "now", 1e300])
def test_times_that_are_none(time: Any) -> None:
    with pytest.raises(InputInvalid, match="no usable time"):
        analyze_trends([TrendRow(time, {"reward": 0.5})])


@pytest.mark.parametrize(
    "wrong",
    [{"metrics": ["joy"]}, {"steps": 0}, {"steps": 10_000}, {"coverage": 1.0}, {"bucket_s": 0.0}],
)
def test_bad_questions(wrong: dict[str, Any]) -> None:
    for listed in ([], rows(50)):
        with pytest.raises(InputInvalid) as caught:
            analyze_trends(listed, **wrong)
        assert caught.value.fix
    with pytest.raises(InputInvalid):
        series_of([0.0], [float("nan")], HOUR)


def test_nothing_is_not_enough() -> None:
    assert {t.forecast for t in analyze_trends([])} == {None}


def test_logarithms_of_many_are_those_of_each_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([np.exp(rng.uniform(-600.0, 600.0, 500)), [1.0, 0.5, 2.0, 1e-300]])
    assert _logs(values).tolist() == [ieee.log(value) for value in values.tolist()]
    powers = np.concatenate([rng.uniform(-700.0, 0.0, 500), [0.0, -700.0]])
    assert _exps(powers).tolist() == [ieee.exp(power) for power in powers.tolist()]


def test_states_ahead_together_are_those_of_each() -> None:
    values = np.cumsum(noise(60, 4)) / 5.0
    states = filtered(values, np.ones(60), 9)
    means, sds = ahead(stacked(states), 7)
    assert means.shape == sds.shape == (9, 7)
    for i, state in enumerate(states):
        mean, sd = ahead(state, 7)
        assert means[i].tolist() == mean.tolist()
        assert sds[i].tolist() == sd.tolist()
