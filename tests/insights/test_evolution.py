"""Patterns that come and go, and failures behind changes: by hand."""

from __future__ import annotations

import json
from typing import Any

from nyx_learning.insights.evolution import pattern_evolution
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import Change, detect_failure_patterns
from nyx_learning.insights.patterns import analyze_strategy_patterns


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
