"""Resources: knees of planted curves, censoring against the truth, no knee where nothing differs."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.resources import ResourcePattern, analyze_resource_patterns


def runs(seed: int, n: int = 2000, *, effect: bool = True) -> list[Executed]:
    """Success takes 25 s on average and 4 of 5 never fail; a timeout cuts; workers change nothing."""
    rng = np.random.default_rng([seed, 0x7E])
    found = []
    for i in range(n):
        timeout = (20, 60, 180, 600)[rng.integers(4)]
        works = rng.random() < 0.8
        takes = rng.exponential(25.0)
        stopped = takes > timeout
        good = works and not stopped if effect else bool(rng.random() < 0.5)
        found.append(
            Executed(
                f"e{i}",
                "parallel",
                {"timeout_s": timeout, "workers": (2, 4, 8)[rng.integers(3)], "mode": "x"},
                success=bool(good),
                timed_out=bool(stopped),
                duration_s=float(min(takes, timeout)),
                cost=float(min(takes, timeout)) * 0.01,
                reward=0.9 * good + 0.05,
            )
        )
    return found


def curve(rows: list[Executed], kind: str, name: str, metric: str = "success") -> ResourcePattern:
    found = analyze_resource_patterns(rows)
    return next(p for p in found.patterns if (p.kind, p.name, p.metric) == (kind, name, metric))


def test_the_knee_of_a_parameter_and_what_lies_beyond() -> None:
    found = curve(runs(1), "chosen", "timeout_s")
    # .8 · (1 − e^(−t/25)): .441, .727, .799, .8
    assert [round(level.mean, 1) for level in found.levels] == pytest.approx([0.4, 0.7, 0.8, 0.8], abs=0.11)
    assert found.knee == 180.0
    assert found.knee_low is not None
    assert found.knee_low >= 60.0
    assert found.q is not None
    assert found.q < 1e-6
    told = {b.metric: b for b in found.beyond}
    assert told["success"].low < 0.0007 < told["success"].high
    cents = curve([replace(e, cost=(e.cost or 0.0) / 1e4) for e in runs(1)], "chosen", "timeout_s")
    reach, small = (b.high - b.low for p in (found, cents) for b in p.beyond if b.metric == "cost")
    assert small == pytest.approx(reach / 1e4)  # in whatever unit costs are told
    assert found.censored == sum(e.timed_out for e in runs(1))
    flat = curve(runs(1), "chosen", "workers")
    assert flat.knee is None
    assert flat.reason is not None
    assert "smallest" in flat.reason


def test_success_within_seconds_knows_what_timeouts_have_cut() -> None:
    found = curve(runs(2), "reached", "duration_s")
    for level in found.levels:
        truth = 0.8 * (1.0 - math.exp(-level.value / 25.0))
        assert level.mean == pytest.approx(truth, abs=0.04)
    # 2 points below .8: 25 · ln 40 = 92 s
    assert found.knee_low is not None
    assert found.knee_high is not None
    assert found.knee_low <= 92.0 <= found.knee_high
    raw = np.mean([e.success and (e.duration_s or 0) <= 100 for e in runs(2)])
    assert raw < 0.70  # what the estimate would be without censoring: .8 · … of those that were not cut


def test_incidence_by_hand() -> None:
    # Success at 1 and 3, a failure at 2, one stopped at 2.5: 1/4; then 3/4 · 2/3 are left behind the failure,
    # of whom one is stopped and the other succeeds: 1/4 + 1/2.
    rows = [
        Executed("a", "s", success=True, duration_s=1.0),
        Executed("b", "s", success=False, duration_s=2.0),
        Executed("c", "s", success=False, duration_s=2.5, timed_out=True),
        Executed("d", "s", success=True, duration_s=3.0),
    ]
    many = [
        Executed(
            f"{e.execution_id}{k}", "s", success=e.success, duration_s=e.duration_s, timed_out=e.timed_out
        )
        for k in range(20)
        for e in rows
    ]
    levels = curve(many, "reached", "duration_s").levels
    assert [level.value for level in levels] == [1.0, 2.0, 3.0]
    assert [level.mean for level in levels] == pytest.approx([0.25, 0.25, 0.75])


def test_retries_are_a_limit_too() -> None:
    rng = np.random.default_rng(4)
    rows = []
    for i in range(1500):
        needed, limit = int(rng.geometric(0.6)) - 1, int(rng.integers(0, 5))
        rows.append(Executed(f"e{i}", "s", success=needed <= limit, retries=float(min(needed, limit))))
    found = curve(rows, "reached", "retries")
    for level in found.levels:
        assert level.mean == pytest.approx(1.0 - 0.4 ** (level.value + 1.0), abs=0.04)


def test_nothing_matters_by_chance() -> None:
    wrong = 0
    for seed in range(40):
        found = analyze_resource_patterns(runs(seed, 300, effect=False))
        wrong += any(p.kind == "chosen" and p.knee is not None for p in found.patterns)
    assert wrong <= 6  # 5 % of 40 is 2; above 6 comes with probability .01


def test_known_propensities_undo_what_was_chosen_for_the_easy_ones() -> None:
    fooled = 0
    for seed in range(5):
        rng = np.random.default_rng([seed, 8])
        rows = []
        for i in range(1000):
            easy = rng.random() < 0.5
            high = rng.random() < (0.9 if easy else 0.1)
            agents, p = 8 if high else 2, 0.9 if easy == high else 0.1
            success = bool(rng.random() < (0.9 if easy else 0.3))
            rows.append(Executed(f"e{i}", "s", {"agents": agents}, success=success, propensity=p))
        fair = curve(rows, "chosen", "agents")
        assert fair.adjusted
        fooled += fair.knee is not None  # more agents bring nothing
        raw = [Executed(e.execution_id, e.strategy, e.parameters, success=e.success) for e in rows]
        assert curve(raw, "chosen", "agents").knee == 8.0
    assert fooled <= 1


def test_too_little_evidence_and_bad_questions() -> None:
    for few in ([], runs(1)[:12]):
        found = analyze_resource_patterns(few)
        assert found.patterns == ()
        assert found.reason is not None
        assert found.reason.startswith("not enough evidence")
        assert found.to_text()
    whole = analyze_resource_patterns(runs(1))
    assert json.loads(json.dumps(whole.to_dict(), allow_nan=False))["margin"] == 0.02
    assert "knee at" in whole.to_text()
    for wrong in (0.0, 0.5, True, float("nan")):
        with pytest.raises(InputInvalid):
            analyze_resource_patterns([], margin=wrong)
