"""Likely root causes: by hand, in planted worlds, and none where there is none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning.insights.evidence import hypergeometric_tail, stratified_tail
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import detect_failure_patterns
from nyx_learning.insights.failures.adjusting import groups_of, risk_difference

ROOT = Path(__file__).resolve().parents[2]


def _benchmark() -> Any:
    """What the benchmark measures is what is tested; its folder is no installed package."""
    spec = importlib.util.spec_from_file_location("causes_benchmark", ROOT / "benchmarks" / "causes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = _benchmark()


def test_the_adjusted_difference_by_hand() -> None:
    # Group 0: 6 of 10 with the factor, 2 of 10 without; group 1: 4 of 5, and 9 of 15.
    cells = [(0, 1, 10, 6), (0, 0, 10, 2), (1, 1, 5, 4), (1, 0, 15, 9)]
    groups = np.concatenate([np.full(n, g) for g, _, n, _ in cells])
    exposed = np.concatenate([np.full(n, bool(x)) for _, x, n, _ in cells])
    failed = np.concatenate([np.arange(n) < k for _, _, n, k in cells])
    found = risk_difference(failed, exposed, groups)
    assert found is not None
    # Weights 10·10/20 = 5 and 5·15/20 = 3.75; differences .4 and .2.
    assert found.value == pytest.approx((5 * 0.4 + 3.75 * 0.2) / 8.75)
    assert found.low < found.value < found.high
    chance: dict[int, float] = {}
    for i in range(9):
        for j in range(6):
            one = hypergeometric_tail(i, 8, 10, 20) - hypergeometric_tail(i + 1, 8, 10, 20)
            other = hypergeometric_tail(j, 13, 5, 20) - hypergeometric_tail(j + 1, 13, 5, 20)
            chance[i + j] = chance.get(i + j, 0.0) + one * other
    assert found.p == pytest.approx(sum(p for k, p in chance.items() if k >= 10))


def test_where_nothing_differs_there_is_no_difference() -> None:
    exposed = np.arange(20) < 10
    assert risk_difference(exposed, exposed, groups_of([exposed.astype(np.int64)], 20)) is None
    sure = risk_difference(exposed, exposed, np.zeros(20, np.int64))
    assert sure is not None
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert 0.5 < sure.low < 0.9  # ten of ten are no certainty


def test_the_interval_holds_what_is_true() -> None:
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(400):
        groups = rng.integers(0, 6, 400)
        exposed = rng.random(400) < np.array([0.1, 0.3, 0.5, 0.5, 0.7, 0.9])[groups]
        failed = rng.random(400) < 0.02 * (groups + 1) + 0.1 * exposed
        found = risk_difference(failed, exposed, groups)
        assert found is not None
        held += found.low <= 0.1 <= found.high
    assert 370 <= held <= 394  # .95 of 400 is 380, with a standard deviation of 4.4


def test_groups_are_those_that_are_equal_in_all_columns() -> None:
    rng = np.random.default_rng(5)
    columns = [rng.integers(-1, 40, 200) for _ in range(6)]
    groups = groups_of(columns, 200)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert len({(group, row) for group, row in zip(groups.tolist(), rows, strict=True)}) == len(set(rows))
    assert len(set(groups.tolist())) == len(set(rows))


def test_the_approximate_tail_is_near_the_exact_one() -> None:
    marked, drawn, total = np.full(6, 9.0), np.full(6, 12.0), np.full(6, 30.0)  # a variance of 9.4
    part = slice(0, 5)  # 7.8, exact
    for k, z in ((24, 1.5), (27, 2.4)):
        assert stratified_tail(k, marked, drawn, total) == pytest.approx(
            1.0 - _normal(k, 21.6, 9.387), rel=0.01
        )
        assert stratified_tail(k - 4, marked[part], drawn[part], total[part]) == pytest.approx(
            1.0 - _normal(k - 4, 18.0, 7.822), rel=0.15
        ), z


def _normal(k: int, mean: float, variance: float) -> float:
    from statistics import NormalDist

    return NormalDist(mean, variance**0.5).cdf(k - 0.5)


@pytest.mark.parametrize("name", ["proxy", "number", "part of a strategy", "two", "error before"])
def test_what_is_planted_is_named_and_its_proxy_is_not(name: str) -> None:
    exact = 0
    for seed in range(1000, 1020):
        named = [cause.text for cause in BENCHMARK.concluded(name, 1000, seed).causes]
        planted = BENCHMARK.WORLDS[name]
        assert not any(text.startswith(("queue", "desk", "tokens")) for text in named)
        exact += len(named) == len(planted) and all(
            any(text.startswith(each) for text in named) for each in planted
        )
    assert exact >= 17


def test_nothing_is_named_in_shuffled_worlds() -> None:
    named = sum(bool(BENCHMARK.concluded("shuffled", 600, seed).causes) for seed in range(1000, 1060))
    assert named <= 7  # at 5 % more than 7 of 60 come with a probability of .006


def test_what_always_comes_together_is_undecided() -> None:
    found = BENCHMARK.concluded("copy", 1000, 3)
    assert (found.state, found.causes) == ("undecided", ())
    ((one, other),) = found.undecided
    assert {one.text, other.text} == {"strategy a", "queue near"}
    assert "undecided between" in found.reason
    assert "perhaps strategy a" in found.to_text()


def test_a_cause_tells_its_difference_and_what_it_explains() -> None:
    rows = BENCHMARK.world("proxy", 2000, 7)
    pattern = detect_failure_patterns(rows).codes[0]
    found = pattern.likely_cause
    (cause,) = found.causes
    assert (cause.kind, cause.text, found.state) == ("strategy", "strategy a", "likely")
    assert cause.of == sum(e.strategy == "a" for e in rows)
    assert cause.together == sum(e.strategy == "a" and bool(e.error_codes) for e in rows)
    assert cause.alike_in == ("queue",)
    assert cause.low is not None
    assert cause.high is not None
    assert cause.low < 0.25 < cause.high
    (proxy,) = found.explained
    assert (proxy.text, proxy.alike_in) == ("queue near", ("strategy",))
    assert proxy.crude > 0.05 > abs(proxy.difference or 1.0)
    assert "not proof" in found.reason
    assert "explained away: queue near" in pattern.to_text()
    assert json.loads(json.dumps(pattern.to_dict()))["likely_cause"]["causes"][0]["value"] == "a"


def test_two_that_bring_it_only_together_are_told_so() -> None:
    found = BENCHMARK.concluded("both", 2000, 1)
    assert {cause.text for cause in found.causes} == {"strategy a", "task code"}
    meeting = found.meeting
    assert meeting is not None
    assert meeting.low > 0.2
    assert "where they meet" in found.reason
    assert found.to_dict()["meeting"]["both"] == list(meeting.both)
    apart = BENCHMARK.concluded("two", 2000, 1).meeting
    assert apart is not None
    assert apart.low < 0.0 < apart.high


def test_where_it_goes_with_nothing_nothing_is_named() -> None:
    rows = [Executed(f"e{i}", "s", error_codes=("x",) if i % 7 == 0 else ()) for i in range(70)]
    (pattern,) = detect_failure_patterns(rows).codes
    assert (pattern.likely_cause.state, pattern.likely_cause.causes) == ("none", ())
    assert "likely cause" not in pattern.to_text()
