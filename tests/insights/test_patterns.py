"""Strategy patterns: counts and intervals by hand, planted effects, and no findings by chance."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import detect_failure_patterns
from nyx_learning.insights.patterns import analyze_strategy_patterns

DAY = 86_400.0


def runs(seed: int, *, effect: bool, n: int = 900) -> list[Executed]:
    """Three strategies, two tasks; with an effect, ``a`` is better, slower and rising in task ``x``."""
    rng = np.random.default_rng([seed, 0xA])
    found = []
    for i in range(n):
        strategy, task = "abc"[rng.integers(3)], "xy"[rng.integers(2)]
        hit = effect and strategy == "a" and task == "x"
        found.append(
            Executed(
                f"e{i}",
                strategy,
                context={"task": task},
                success=bool(rng.random() < (0.85 if hit else 0.5)),
                reward=float(np.clip(rng.normal(0.5, 0.1) + (0.004 * i / 9 if hit else 0.0), 0, 1)),
                duration_s=float(np.exp(rng.normal(3.7 if hit else 3.0, 0.5))),
                cost=0.0 if i % 2 else float(np.exp(rng.normal())),
                timed_out=i == 5,
                time=DAY * i / 9,
            )
        )
    return found


def test_shares_and_effects_by_hand() -> None:
    rows = [Executed(f"a{i}", "a", success=i < 30) for i in range(40)]
    rows += [Executed(f"b{i}", "b", success=i < 10) for i in range(40)]
    a, b = analyze_strategy_patterns(rows).patterns
    success = a.metric("success")
    assert success is not None
    assert (a.n, success.n, success.others, success.value, success.effect) == (40, 40, 40, 0.75, 0.5)
    # Wilson: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96
    assert (success.low, success.high) == pytest.approx((0.59806, 0.85813), abs=1e-5)
    # Newcombe: .5 − √((.75 − .59806)² + (.40194 − .25)²), and by symmetry above
    assert success.effect_low == pytest.approx(0.5 - math.hypot(0.15194, 0.15194), abs=1e-4)
    assert success.finding == "higher"
    other = b.metric("success")
    assert other is not None
    assert (other.finding, other.p) == ("lower", success.p)
    assert a.metric("reward") is None
    assert success.trend is None


def test_planted_effects_are_found() -> None:
    found = analyze_strategy_patterns(runs(1, effect=True), ["task"])
    told = {
        (p.strategy, dict(p.cell)["task"], m.metric): (m.finding, m.trend_finding)
        for p in found.patterns
        for m in p.metrics
        if m.finding is not None or m.trend_finding is not None
    }
    assert told["a", "x", "success"] == ("higher", None)
    assert told["a", "x", "reward"] == ("higher", "rising")
    assert told["a", "x", "duration_s"] == ("higher", None)
    slow = next(p for p in found.patterns if p.strategy == "a" and p.cell == (("task", "x"),))
    duration, cost = slow.metric("duration_s"), slow.metric("cost")
    assert duration is not None
    assert duration.effect_low is not None
    assert duration.effect_high is not None
    assert duration.effect_low < math.exp(0.7) < duration.effect_high
    assert cost is not None
    assert cost.n < slow.n  # costs of 0 have no logarithm
    assert sum(p.timed_out for p in found.patterns) == 1
    assert "higher than the others: x1.97 [1.77, 2.19]" in slow.to_text()
    json.dumps(found.to_dict(), allow_nan=False)


def test_false_findings_beside_planted_ones_are_rare() -> None:
    # Task y and all costs have no effect in truth; over 100 seeds .033 of the findings are there.
    shares = []
    for seed in range(30):
        found = analyze_strategy_patterns(runs(seed, effect=True), ["task"])
        false = [
            p.cell == (("task", "y"),) or m.metric == "cost"
            for p in found.patterns
            for m in p.metrics
            if m.finding
        ]
        shares.append(np.mean(false))
    assert np.mean(shares) <= 0.07  # 5 %, and three standard errors of thirty seeds


def test_findings_by_chance_are_rare() -> None:
    claims = 0
    for seed in range(40):
        found = analyze_strategy_patterns(runs(seed, effect=False, n=400), ["task"])
        claims += any(m.finding for p in found.patterns for m in p.metrics)
    assert claims <= 5  # at 5 % more than 5 of 40 come with a probability of .014


def test_nothing_is_said_without_support() -> None:
    rows = [Executed(f"e{i}", "a", context={"task": "x"}, success=True) for i in range(25)]
    few = [Executed(f"f{i}", "b", context={"task": "x"}, success=False) for i in range(19)]
    found = analyze_strategy_patterns(rows + few, ["task"])
    assert [p.strategy for p in found.patterns] == ["a"]
    assert found.thin == 1
    success = found.patterns[0].metric("success")
    assert success is not None
    assert (success.effect, success.finding, success.others) == (None, None, 19)
    nothing = analyze_strategy_patterns(few, ["task"])
    assert nothing.patterns == ()
    assert nothing.reason is not None
    assert "not enough evidence" in nothing.to_text()
    assert analyze_strategy_patterns(rows, ["else"]).patterns == ()


def test_bad_questions() -> None:
    for wrong in ({"min_count": 1}, {"coverage": 1.0}, {"false_discovery_rate": float("nan")}):
        with pytest.raises(InputInvalid) as caught:
            analyze_strategy_patterns([], **wrong)
        assert caught.value.fix


def test_numbers_that_are_not_finite_count_as_not_reported() -> None:
    rows = [Executed(f"e{i}", "a", reward=0.1 * (i % 5), time=DAY * i) for i in range(40)]
    odd = [Executed(f"o{i}", "a", reward=math.nan, duration_s=math.inf, time=math.nan) for i in range(20)]
    (found,) = analyze_strategy_patterns(rows + odd).patterns
    assert found.n == 60
    assert [(m.metric, m.n) for m in found.metrics] == [("reward", 40)]
    json.dumps(found.to_dict(), allow_nan=False)
    codes = detect_failure_patterns(
        [Executed(f"e{i}", "a", error_codes=("x",), time=math.nan) for i in range(9)]
    )
    assert (codes.codes[0].occurrences, codes.codes[0].first) == (9, None)
