"""Logs on disk: the same verdicts as in memory, whatever order the rows come in; what is refused."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning import PolicySpec
from nyx_learning.errors import InputInvalid, LogInvalid, SupportMissing
from nyx_learning.simulation.interchange import LoggedChoice
from nyx_learning.simulation.verdict import gathered, gathering, judge, judge_holdout, judged_log
from nyx_learning.simulation.verdict.disk import DiskLog
from nyx_learning.simulation.verdict.holdout import gathered_cohorts, judge_cohorts
from nyx_learning.simulation.verdict.targets import arm_table, spec_of_log

ARMS = ("a", "b(w=2)", "c")
N = 3300


def rows(*, drifts: bool = False, shuffled: bool = False, whole: bool = True) -> list[LoggedChoice]:
    """Contexts x, y, x by turns; b is best; with a drift, the logging policy's share of it grows."""
    chance = random.Random(1)  # noqa: S311 (a seeded simulation)
    found = []
    for i in range(N):
        share = 0.2 + 0.5 * i / N
        pmf = (0.9 - share, share, 0.1) if drifts else (0.5, 0.3, 0.2)
        arm = chance.choices(range(3), pmf)[0]
        success = chance.random() < (0.5, 0.8, 0.4)[arm]
        found.append(
            LoggedChoice(
                i + 1,
                f"d{i}",
                float(i),
                {"kind": "xyx"[i % 3]},
                ARMS[arm],
                pmf[arm],
                None if i % 11 == 0 else 0.7 * success + 0.1 * chance.random(),
                success=None if i % 13 == 0 else success,
                pmf=dict(zip(ARMS, pmf, strict=True)) if whole else None,
                state_seq=i // 2,
            )
        )
    if shuffled:
        random.Random(2).shuffle(found)  # noqa: S311 (a seeded simulation)
        found = [row._replace(line=i + 1) for i, row in enumerate(found)]
    return found


def assert_close(one: Any, other: Any, place: str = "") -> None:
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_close(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, Sequence) and not isinstance(one, str):
        assert len(one) == len(other), place
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_close(left, right, f"{place}/{i}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9), place
    else:
        assert one == other, place


@pytest.mark.parametrize("metric", ["success", "reward"])
@pytest.mark.parametrize(
    ("drifts", "shuffled", "whole"), [(False, False, True), (False, True, False), (True, True, True)]
)
def test_a_verdict_from_disk_is_the_one_from_memory(
    tmp_path: Path, metric: Any, drifts: bool, shuffled: bool, whole: bool
) -> None:
    log = rows(drifts=drifts, shuffled=shuffled, whole=whole)
    memory, disk = judged_log(log, metric), gathered(iter(log), tmp_path, metric, rows=1000)
    assert isinstance(disk, DiskLog)
    assert len(list(disk.batches())) > 2
    methods = set()
    for baseline in ("logged", "a"):
        one, other = (
            judge(each, arm_table(each, "b(w=2)", 0.05), baseline=baseline) for each in (memory, disk)
        )
        assert_close(one.to_dict(), other.to_dict())
        methods.add(one.method)
    assert methods == (
        {"empirical_bernstein_sequence"} if drifts else {"mover_wilson" if metric == "success" else "betting"}
    )


def test_a_policy_learns_from_disk_what_it_learns_from_memory(tmp_path: Path) -> None:
    log = rows(shuffled=True)
    memory, disk = judged_log(log), gathered(iter(log), tmp_path, rows=1000)
    for policy in (PolicySpec("hier_ts"), PolicySpec("uniform")):
        one, other = (spec_of_log(each).table(each, policy, taught=1500) for each in (memory, disk))
        names = [[each.cells.index(f"kind={kind}") for kind in "xy"] for each in (memory, disk)]
        assert (one[names[0]] == other[names[1]]).all()
    part = disk.part(1500, len(disk))
    assert len(part) == sum(len(batch) for batch in part.batches()) == len(disk) - 1500
    assert np.concatenate([batch.data.reward for batch in part.batches()]) == pytest.approx(
        memory.part(1500, len(memory)).data.reward
    )


def test_plots_are_made_of_evenly_spaced_rows(tmp_path: Path) -> None:
    log = rows(drifts=True)
    memory, disk = judged_log(log), gathered(iter(log), tmp_path, rows=1000)
    for count in (500, N):
        one, other = memory.thinned(count), disk.thinned(count)
        assert len(one) <= count
        assert (one.data.reward == other.data.reward).all()
        assert one.data.logging == pytest.approx(other.data.logging)


def test_cohorts_from_disk(tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311 (a seeded simulation)
    log = []
    for i in range(2500):
        held = chance.random() < 0.2
        success = chance.random() < (0.4 if held else 0.8)
        arm, pmf = ("a", None) if held else ("b(w=2)", {"b(w=2)": 1.0})
        log.append(
            LoggedChoice(
                i + 1,
                f"d{i}",
                float(i),
                {},
                arm,
                0.2 if held else 0.8,
                None,
                success=success,
                pmf=pmf,
                reason="holdout" if held else None,
            )
        )
    one = judge_holdout(log)
    other = judge_cohorts(gathered_cohorts(iter(log), tmp_path, rows=1000))
    assert one.status == "met"
    found, expected = other.to_dict(), one.to_dict()
    for part in (found, expected):
        part["by_arm"] = sorted(part["by_arm"], key=lambda arm: str(arm["arm_id"]))
    assert_close(expected, found)
    alone = [row for row in log if row.reason is None]
    (tmp_path / "alone").mkdir()
    with pytest.raises(SupportMissing, match="no two cohorts"):
        gathered_cohorts(iter(alone), tmp_path / "alone", rows=1000)


def test_a_decision_that_comes_twice_is_refused(tmp_path: Path) -> None:
    log = rows()
    log[3000] = log[3000]._replace(decision_id="d41")
    with pytest.raises(LogInvalid, match="twice") as caught:
        gathered(iter(log), tmp_path, rows=1000)
    assert "lines 42 and 3,001" in caught.value.found


def test_too_many_contexts_are_not_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "CONTEXTS_MAX", 100)
    log = [row._replace(context={"size": float(i)}) for i, row in enumerate(rows())]
    disk = gathered(iter(log), tmp_path, rows=1000)
    assert len(disk.contexts) == 1
    verdict = judge(disk, arm_table(disk, "b(w=2)", 0.0), baseline="a")
    assert verdict.status == "met"
    assert any("not told apart" in text for text in verdict.warnings)
    assert verdict.target.value == pytest.approx(0.8, abs=0.03)
    with pytest.raises(SupportMissing, match="too many different contexts"):
        spec_of_log(disk).table(disk, PolicySpec("hier_ts"), taught=1000)


def test_what_is_missing_is_refused_as_in_memory(tmp_path: Path) -> None:
    log = [row._replace(propensity=None, pmf=None) if i % 2 else row for i, row in enumerate(rows())]
    disk = gathered(iter(log), tmp_path, rows=1000)
    with pytest.raises(SupportMissing, match="no logged propensity"):
        judge(disk, arm_table(disk, "a", 0.0))
    silent = [row._replace(success=None) for row in log]
    (tmp_path / "silent").mkdir()
    with pytest.raises(SupportMissing, match="no decision with a success"):
        gathered(iter(silent), tmp_path / "silent", rows=1000)
    with pytest.raises(InputInvalid, match="too few rows"):
        gathered(iter(log), tmp_path, rows=10)
