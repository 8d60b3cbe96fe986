"""Patterns that come and go, and failures behind changes: by hand."""

from __future__ import annotations

import importlib.util
import json
from math import hypot, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from nyx_learning.insights.evolution import pattern_evolution
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import Change, detect_failure_patterns
from nyx_learning.insights.patterns import analyze_strategy_patterns

ROOT = Path(__file__).resolve().parents[2]


def _benchmark() -> Any:
    """What the benchmark measures is what is tested; its folder is no installed package."""
    spec = importlib.util.spec_from_file_location("evolution_benchmark", ROOT / "benchmarks" / "evolution.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = _benchmark()


def document(good: int, failing: int) -> dict[str, Any]:
    """a succeeds in ``good`` of 40 executions, b in 20; ``failing`` of all 80 meet an error."""
    rows = [Executed(f"a{i}", "a", success=i < good) for i in range(40)]
    rows += [Executed(f"b{i}", "b", success=i < 20) for i in range(40)]
    errors = [Executed(f"e{i}", "a", error_codes=("late",) if i < failing else ()) for i in range(80)]
    found = {
        "strategy_patterns": analyze_strategy_patterns(rows).to_dict(),
        "failure_patterns": detect_failure_patterns(errors).to_dict(),
    }
    copied: dict[str, Any] = json.loads(json.dumps(found))
    return copied


def test_appeared_strengthened_weakened_faded() -> None:
    stored = [(3, document(20, 10)), (4, document(35, 10)), (5, document(35, 40)), (6, document(20, 20))]
    found = pattern_evolution(stored)
    told = {p.text: [(c.version, c.state) for c in p.history] for p in found.patterns}
    assert told == {
        "a: success higher": [(4, "appeared"), (5, "steady"), (6, "faded")],
        "b: success lower": [(4, "appeared"), (5, "steady"), (6, "faded")],
        "late": [(3, "appeared"), (4, "steady"), (5, "strengthened"), (6, "weakened")],
    }
    late = next(p for p in found.patterns if p.text == "late")
    assert (late.kind, late.state, late.first, late.last) == ("failure", "weakened", 3, 6)
    assert [c.strength for c in late.history] == [0.125, 0.125, 0.5, 0.25]
    gone = next(p for p in found.patterns if p.text == "a: success higher")
    assert (gone.state, gone.last, gone.history[-1].strength) == ("faded", 5, None)
    assert found.patterns[0].state == "weakened"
    assert json.loads(json.dumps(found.to_dict()))["versions"] == [3, 4, 5, 6]
    assert "faded: a: success higher" in found.to_text()


def _wilson(k: int, n: int) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.975)
    middle, reach = k + z * z / 2, z * sqrt(k * (n - k) / n + z * z / 4)
    return (middle - reach) / (n + z * z), (middle + reach) / (n + z * z)


def test_both_versions_err() -> None:
    # 20 and 29 of 80: .3625 is outside the first one's interval, .168 to .355, and no change for all that.
    stored = [(1, document(20, 20)), (2, document(20, 29)), (3, document(20, 60))]
    (late,) = pattern_evolution(stored).patterns
    assert [c.state for c in late.history] == ["appeared", "steady", "strengthened"]
    first, second, third = late.history
    assert (first.difference, first.p, first.q) == (None, None, None)
    assert second.difference == pytest.approx(9 / 80)
    (l1, u1), (l2, u2) = _wilson(20, 80), _wilson(29, 80)
    below = hypot(29 / 80 - l2, u1 - 20 / 80)
    assert second.low == pytest.approx(9 / 80 - below)
    assert second.high == pytest.approx(9 / 80 + hypot(u2 - 29 / 80, 20 / 80 - l1))
    z = NormalDist().inv_cdf(0.975) * 9 / 80 / below
    assert second.p == pytest.approx(2 * NormalDist().cdf(-z))
    assert third.q is not None
    assert third.q < 0.001


def test_the_more_patterns_the_more_it_takes() -> None:
    def failing(code: str, first: int, second: int) -> list[list[Executed]]:
        return [
            [Executed(f"{code}{i}", "a", error_codes=(code,) if i < k else ()) for i in range(100)]
            for k in (first, second)
        ]

    def told(codes: dict[str, tuple[int, int]]) -> dict[str, str]:
        both = [failing(code, *counts) for code, counts in codes.items()]
        stored = []
        for version in (0, 1):
            rows = [e for one in both for e in one[version]]
            stored.append((version, {"failure_patterns": detect_failure_patterns(rows).to_dict()}))
        return {p.text: p.state for p in pattern_evolution(stored).patterns}

    alone = told({"x": (20, 35)})
    assert alone == {"x": "strengthened"}
    among = told({"x": (20, 35), **{f"y{i}": (30, 30) for i in range(9)}})
    assert set(among.values()) == {"steady"}


def test_what_comes_and_goes_at_the_border_is_no_change() -> None:
    # a succeeds in 32 of 40 and is higher, then in 26 and is not told any more.
    found = pattern_evolution([(1, document(32, 0)), (2, document(26, 0))])
    gone = next(p for p in found.patterns if p.text == "a: success higher")
    change = gone.history[-1]
    assert (change.state, change.strength, change.q) == ("faded", None, None)
    assert change.difference == pytest.approx(-6 / 40)
    assert (change.p or 0.0) > 0.05
    assert "not told from chance" in found.to_text()


@pytest.mark.parametrize("kind", ["apart", "growing"])
def test_what_did_not_change_is_seldom_told_to_have(kind: str) -> None:
    told = BENCHMARK.judged(kind, range(1000, 1006), 400)
    assert told.asked > 200
    assert told.moved <= 0.02 * told.asked
    assert told.alarms <= 4  # of 30 pairs; at 5 % more than 4 come with a probability of .016


def test_what_doubled_is_told() -> None:
    assert BENCHMARK.power(range(1000, 1003), 600) == (3, 3)


def test_what_faded_and_comes_again() -> None:
    found = pattern_evolution(
        [(1, document(35, 0)), (2, document(20, 0)), (3, document(20, 0)), (4, document(35, 0))]
    )
    (first, _) = found.patterns
    assert [(c.version, c.state) for c in first.history] == [(1, "appeared"), (2, "faded"), (4, "appeared")]
    assert first.state == "appeared"


def test_one_version_is_not_enough() -> None:
    for stored in ([], [(1, document(35, 5))]):
        found = pattern_evolution(stored)
        assert found.reason is not None
        assert found.reason.startswith("not enough evidence")


def test_whether_failures_repeat_behind_a_change() -> None:
    # "fixed" in half of the first 60 and never again; "stays" in a third throughout.
    rows = [
        Executed(
            f"e{i}",
            "s",
            error_codes=(*(("fixed",) if i < 60 and i % 2 else ()), *(("stays",) if i % 3 == 0 else ())),
            time=float(i),
            seq=10 + i,
        )
        for i in range(160)
    ]
    changes = [
        Change("epoch", "s began anew", 10 + 59),
        Change("spec", "spec abc", None, 120.0),
        Change("override", "at the end", 5000),
    ]
    found = detect_failure_patterns(rows, changes=changes)
    told = {p.sequence: p.after_changes for p in found.codes}
    (first,) = told["fixed",]
    assert (first.before, first.of_before, first.after, first.of_after) == (30, 60, 0, 60)
    assert first.repeats is False
    assert [(a.change.kind, a.repeats) for a in told["stays",]] == [("epoch", True), ("spec", True)]
    assert [(a.before, a.of_before, a.after, a.of_after) for a in told["stays",]] == [
        (20, 60, 20, 60),
        (20, 60, 14, 40),
    ]
    assert "after s began anew: less, or gone" in found.to_text()
    few = detect_failure_patterns(rows, changes=[Change("epoch", "early", 15)]).codes
    assert {a.repeats for p in few for a in p.after_changes} == {None}
