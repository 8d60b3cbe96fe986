"""Monitors by hand, by law, and cut at every row; the statistics of their alarms stand in tests/bandit."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import DocumentInvalid, InputInvalid, SpecInvalid
from nyx_learning.features.monitors import ContextMonitor, DurationMonitor, Monitors, ShiftMonitor, scan
from nyx_learning.features.monitors.detectors import adwin, page_hinkley
from nyx_learning.features.monitors.window import KEPT, MOST

ONE = 1 << 16


def fed(monitor: ShiftMonitor, rewards: list[float], arm: int = 0, first: int = 1) -> None:
    for seq, reward in enumerate(rewards, start=first):
        monitor.add(seq, arm, [ONE], round(reward * ONE))


def test_evidence_by_hand() -> None:
    # 20 rewards of 1, then 5 of 0: mean .8. Behind the split at 5: U = 5·(0 − .8) = −4, m = 20·5/25 = 4,
    # shift −1. Squares: 20·.04 + 5·.64 = 4; variance (4 + 4·.21)/(25 − 1 + 4); largest residual .8.
    monitor = ShiftMonitor(1, 1, evidence=1.0)
    fed(monitor, [1.0] * 20 + [0.0] * 5)
    shift = monitor.judge()
    assert shift is not None
    assert (shift.arm, shift.since, shift.rows) == (0, 21, 5)
    assert shift.change == pytest.approx(-1.0, abs=1e-3)
    variance = 4.84 / 28
    assert shift.evidence == pytest.approx(4.0 / (2 * (variance + 0.8 / 3)), rel=1e-2)


def test_a_changed_mix_of_contexts_is_no_shift() -> None:
    # Two kinds of tasks, worth .9 and .2 for ever; first mostly the one, then mostly the other.
    rng = np.random.default_rng(5)

    def evidence(*, told: bool) -> float:
        monitor, strongest = ShiftMonitor(3, 1, evidence=1.0), 0.0
        for seq in range(1, 401):
            kind = int(rng.random() < (0.1 if seq < 200 else 0.9))
            phi = [ONE, ONE * (1 - kind), ONE * kind] if told else [ONE, 0, 0]
            monitor.add(seq, 0, phi, ONE * int(rng.random() < (0.9, 0.2)[kind]))
            shift = monitor.judge()
            strongest = max(strongest, 0.0 if shift is None else shift.evidence)
        return strongest

    assert evidence(told=True) < 6.0
    assert evidence(told=False) > 20.0


def test_a_shift_of_the_whole_strategy_and_of_one_arm() -> None:
    rng = np.random.default_rng(7)
    for changed, expected in (([0, 1, 2], None), ([1], 1)):
        monitor = ShiftMonitor(1, 3, evidence=6.0)
        found = None
        for seq in range(1, 1000):
            arm = seq % 3
            mean = 0.2 if seq > 500 and arm in changed else 0.8
            monitor.add(seq, arm, [ONE], ONE * int(rng.random() < mean))
            found = found or monitor.judge()
        assert found is not None
        assert found.arm == expected
        assert found.change < -0.3
        assert 480 < found.since < 530


def test_windows_are_rebuilt_from_their_newest_half() -> None:
    rng = np.random.default_rng(11)
    rewards = [int(rng.random() < 0.7) * 1.0 for _ in range(MOST + 300)]
    walking = ShiftMonitor(1, 1, evidence=1.0)
    fed(walking, rewards)
    assert walking.start == MOST - KEPT + 1
    fresh = ShiftMonitor(1, 1, evidence=1.0)
    fed(fresh, rewards[MOST - KEPT :], first=MOST - KEPT + 1)
    assert walking.judge() == fresh.judge()


def test_bad_rows_are_refused_and_change_nothing() -> None:
    monitor = ShiftMonitor(2, 1, evidence=1.0)
    for seq in range(1, 30):
        monitor.add(seq, 0, [ONE, seq], ONE * (seq > 20))
    before = monitor.judge()
    for arguments in [
        (30, 1, [ONE, 0], 0),
        (30, 0, [ONE], 0),
        (30, 0, [ONE, 0], ONE + 1),
        (29, 0, [ONE, 0], 0),
    ]:
        with pytest.raises(InputInvalid) as refused:
            monitor.add(*arguments)
        assert "expected:" in str(refused.value)
    assert monitor.judge() == before


def durations(rng: np.random.Generator, rows: int, factor: float = 1.0) -> list[tuple[list[int], float]]:
    found = []
    for i in range(rows):
        kind = i % 2
        seconds = factor * (10.0, 40.0)[kind] * math.exp(0.4 * rng.standard_normal())
        found.append(([ONE, ONE * (1 - kind), ONE * kind], seconds))
    return found


def test_slower_executions_are_noticed_and_the_expectation_starts_anew() -> None:
    rng = np.random.default_rng(13)
    monitor = DurationMonitor(3)
    quiet = durations(rng, 300)
    assert [monitor.add(i, *row) for i, row in enumerate(quiet, start=1)] == [None] * 300
    delay = None
    for i, row in enumerate(durations(rng, 100, factor=2.0)):
        shift = monitor.add(301 + i, *row)
        if shift is not None:
            delay = i
            assert shift.rows == 301 + i
            break
    assert delay is not None
    assert delay < 30
    assert monitor.start is None


def test_duration_windows_are_rebuilt() -> None:
    rng = np.random.default_rng(17)
    rows = durations(rng, MOST + 50)
    walking, fresh = DurationMonitor(3), DurationMonitor(3)
    for i, row in enumerate(rows, start=1):
        walking.add(i, *row, judge=False)
    for i, row in enumerate(rows[MOST - KEPT :], start=MOST - KEPT + 1):
        fresh.add(i, *row, judge=False)
    assert walking.start == fresh.start
    slow = durations(rng, 100, factor=2.5)
    assert [walking.add(2000 + i, *row) for i, row in enumerate(slow)] == [
        fresh.add(2000 + i, *row) for i, row in enumerate(slow)
    ]


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, True, "1"])
def test_bad_durations_are_refused_and_the_monitor_is_unharmed(seconds: Any) -> None:
    rng = np.random.default_rng(19)
    rows = durations(rng, 200) + durations(rng, 60, factor=3.0)
    harmed, whole = DurationMonitor(3), DurationMonitor(3)
    found = []
    for i, row in enumerate(rows, start=1):
        with pytest.raises(InputInvalid):
            harmed.add(i, row[0], seconds)
        found.append((harmed.add(i, *row), whole.add(i, *row)))
    assert all(a == b for a, b in found)
    assert any(a is not None for a, _ in found)


def test_moved_features_and_new_categories() -> None:
    rng = np.random.default_rng(23)
    monitor = ContextMonitor(["1", "task=code", "task=?", "size"])
    found: dict[int, list[Any]] = {}
    for i in range(1, 2001):
        new = i == 700
        size = rng.uniform(-1.0, 0.0) if i <= 1200 else rng.uniform(0.0, 1.0)
        shifts = monitor.add([ONE, ONE * (not new), ONE * new, round(size * ONE)])
        if shifts:
            found[i] = [(s.column, s.new) for s in shifts]
    assert found == {700: [("task=?", True)], 1400: [("size", False)]}


def test_contexts_continue_from_their_document() -> None:
    rng = np.random.default_rng(29)
    rows = [[ONE, round(rng.uniform(-1, 0.2 if i < 500 else 1.0) * ONE)] for i in range(1000)]
    whole = ContextMonitor(["1", "x"])
    alarms = [whole.add(row) for row in rows]
    assert any(alarms)
    for cut in range(0, 1000, 37):
        first, second = ContextMonitor(["1", "x"]), ContextMonitor(["1", "x"])
        for row in rows[:cut]:
            first.add(row)
        second.restore(first.to_dict())
        assert [second.add(row) for row in rows[cut:]] == alarms[cut:]
    for damaged in (
        {},
        {"reported": [], "reference": [0, [0], [0]], "block": [0, [0], [0]]},
        {"reported": [5]},
    ):
        with pytest.raises(DocumentInvalid):
            whole.restore(damaged)


@pytest.mark.parametrize("make", [adwin, page_hinkley])
def test_nan_never_reaches_river(make: Any) -> None:
    rng = np.random.default_rng(31)
    values = [*rng.uniform(0.0, 0.2, 200), *rng.uniform(0.8, 1.0, 100)]
    harmed, whole = make(), make()
    alarms = []
    for value in values:
        for bad in (math.nan, math.inf, -math.inf, None, True):
            with pytest.raises(InputInvalid):
                harmed.update(bad)
        alarms.append((harmed.update(float(value)), whole.update(float(value))))
    assert all(a == b for a, b in alarms)


def test_river_and_the_compiler_are_loaded_when_they_are_needed() -> None:
    code = (
        "import sys, nyx_learning.features.monitors as m\n"
        "m.ShiftMonitor(1, 1, 4.0), m.DurationMonitor(1), m.Monitors()\n"
        "assert not any(name.split('.')[0] in ('river', 'numba') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_settings() -> None:
    assert Monitors.from_dict(Monitors(evidence=6).to_dict()) == Monitors(evidence=6.0)
    for bad in (
        {"evidence": 0.5},
        {"evidence": math.nan},
        {"evidence": True},
        {"reward": 1},
        {"reward": False, "duration": False, "context": False, "anomaly": False},
        {"alerts_a_day": -1},
        {"alerts_a_day": 1.0},
    ):
        with pytest.raises(SpecInvalid):
            Monitors(**bad)
    assert scan.FEWEST_BEHIND >= 3
