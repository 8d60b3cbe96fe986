"""Failure patterns: planted ones are found, chance is not, and what they go with is counted."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import detect_failure_patterns, mine

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT.parent / "shared" / "data" / "terminalbench_runs" / "runs.csv.gz"


def _benchmark() -> Any:
    """What the benchmark measures is what is tested; its folder is no installed package."""
    spec = importlib.util.spec_from_file_location("insights_benchmark", ROOT / "benchmarks" / "insights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = _benchmark()
PLANTED, found_of, judged = BENCHMARK.PLANTED, BENCHMARK.found_of, BENCHMARK.judged
planted, recorded, shuffled = BENCHMARK.planted, BENCHMARK.recorded, BENCHMARK.shuffled


def test_planted_sequences_are_found_among_decoys() -> None:
    precision, recall = judged(30, 8)  # 30 of 1,000 executions each
    assert precision >= 0.95
    assert recall >= 0.9


def test_shuffled_data_give_no_discoveries() -> None:
    sets = 40
    alarms = sum(bool(found_of(shuffled(planted(1000, 40, s), s))) for s in range(100, 100 + sets))
    assert alarms <= 5  # at 5 % more than 5 of 40 come with a probability of .014


def test_order_is_asked_for() -> None:
    either = [["a", "b"] if i % 2 else ["b", "a"] for i in range(60)] + [[f"x{i % 9}"] for i in range(400)]
    assert not mine(either, 3, 3, 0.05)
    ordered = [["a", "x1", "b"] if i < 60 else codes for i, codes in enumerate(either)]
    (found,) = mine(ordered, 3, 3, 0.05)
    assert found.executions == tuple(range(60))


def test_support_lift_and_expectation_by_hand() -> None:
    listed = [["a", "b"]] * 30 + [["c", "d"][i % 2 : i % 2 + 1] for i in range(60)]
    (found,) = mine(listed, 3, 2, 0.05)
    # 120 codes, a quarter each a and b; 30 executions have two: 30 · (1/4 · 1/4).
    assert found.sequence == ("a", "b")
    assert found.expected == pytest.approx(30 / 16)
    assert found.lift == pytest.approx(16.0)
    assert len(found.executions) == 30


def test_the_answer_does_not_depend_on_the_order_of_executions_or_on_names() -> None:
    listed = planted(1000, 40, 3)
    first = mine(listed, 5, 3, 0.05)
    turned = mine(listed[::-1], 5, 3, 0.05)
    assert [f.sequence for f in first] == [f.sequence for f in turned]
    assert [f.p for f in first] == pytest.approx([f.p for f in turned])
    renamed = mine([[f"{c}-x" for c in codes] for codes in listed], 5, 3, 0.05)
    assert {tuple(c[:-2] for c in f.sequence) for f in renamed} == set(PLANTED)
    for found in first:
        assert all(
            found.sequence in set(combinations(listed[i], len(found.sequence))) for i in found.executions
        )


def test_what_a_code_goes_with_is_counted() -> None:
    rows = [
        Executed(
            f"e{i}",
            "parallel" if i % 2 else "direct",
            context={"task": ("code", "text")[i // 2 % 2], "size": float(i)},
            success=i % 10 != 1,
            error_codes=("timeout",) if i % 10 == 1 else (),
            time=3600.0 * i,
        )
        for i in range(400)
    ]
    (found,) = detect_failure_patterns(rows).codes
    assert (found.occurrences, found.failed, found.known, found.failed_without) == (40, 40, 40, 0)
    assert (found.p, found.lift) == (None, None)
    (link,) = found.goes_with
    assert (link.kind, link.value, link.together, link.of) == ("strategy", "parallel", 40, 200)
    assert (link.elsewhere, link.lift) == (0.0, 2.0)
    assert found.examples[0] == "e391"
    assert (found.first, found.last) == (3600.0, 3600.0 * 391)


def test_load_and_agents_are_asked_about_too() -> None:
    rows = [
        Executed(
            f"e{hour}-{i}",
            "s",
            time=3600.0 * hour + i,
            error_codes=("throttled",) if hour % 2 and i % 3 else (),
            agent_type="calm" if i % 3 == 0 else "eager",
        )
        for hour in range(60)  # three executions in an hour, or nine, of which six are throttled
        for i in range(9 if hour % 2 else 3)
    ]
    (found,) = detect_failure_patterns(rows).codes
    told = {(link.kind, link.value): (link.together, link.of) for link in found.goes_with}
    assert told == {("load", "> 6"): (180, 270), ("agent", "eager"): (180, 240)}


def test_links_of_chance_are_rare() -> None:
    claims = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 5])
        rows = [
            Executed(
                f"e{i}",
                f"s{rng.integers(4)}",
                context={"task": f"t{rng.integers(5)}"},
                error_codes=("boom",) if rng.random() < 0.2 else (),
            )
            for i in range(300)
        ]
        claims += bool(detect_failure_patterns(rows).codes[0].goes_with)
    assert claims <= 5  # of 40


def test_nothing_is_said_without_support() -> None:
    found = detect_failure_patterns([Executed("e", "direct", error_codes=("a", "b"))] * 2)
    assert (found.codes, found.sequences) == ((), ())
    assert found.reason is not None
    assert "not enough evidence" in found.to_text()
    assert detect_failure_patterns([]).executions == 0
    rare = [Executed(f"e{i}", "direct", error_codes=("a", "b") if i < 4 else ()) for i in range(50)]
    assert detect_failure_patterns(rare).sequences == ()


def test_bad_questions() -> None:
    for wrong in ({"min_occurrences": 1}, {"max_length": 9}, {"false_discovery_rate": 0.0}):
        with pytest.raises(InputInvalid) as caught:
            detect_failure_patterns([], **wrong)
        assert caught.value.fix


def test_recorded_runs_are_counted_as_by_hand() -> None:
    if not RUNS.is_file():
        pytest.skip("shared/data/terminalbench_runs is not there")
    with gzip.open(RUNS, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    modes = Counter(row["failure_mode"] for row in rows)
    found = detect_failure_patterns(recorded(RUNS))
    assert {p.sequence[0]: p.occurrences for p in found.codes} == {
        mode: n for mode, n in modes.items() if mode != "unset" and n >= 3
    }
    for pattern in found.codes:
        inside = [row for row in rows if row["failure_mode"] == pattern.sequence[0]]
        assert pattern.failed == sum(row["resolved"] == "0" for row in inside)
        for link in pattern.goes_with:
            if link.kind == "strategy":
                assert link.of == sum(row["submission"] == link.value for row in rows)
                assert link.together == sum(row["submission"] == link.value for row in inside)
    assert found.sequences == ()  # a run tells one failure mode at most
