"""Parquet read by columns: what single rows would give, and their errors."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid, LogInvalid, LogUnreadable
from nyx_learning.simulation.interchange import LoggedChoice, open_writer, read_columns, read_log
from nyx_learning.simulation.interchange.columns import ChoiceColumns
from nyx_learning.simulation.verdict import gathered, gathered_file
from nyx_learning.simulation.verdict.disk import DiskLog

pytest.importorskip("pyarrow", reason="the extra 'parquet' is missing")
ARMS = ("a", "b(w=2)", "c")


def documents(n: int = 2400) -> list[dict[str, Any]]:
    chance = random.Random(7)  # noqa: S311 (a seeded simulation)
    found = []
    for i in range(n):
        pmf = (0.5, 0.3, 0.2) if i % 2 else (0.2, 0.2, 0.6)
        arm = chance.choices(range(3), pmf)[0]
        found.append(
            {
                "decision_id": f"wf-{i}ä",
                "time": None if i == 17 else float(i),
                "context": {"kind": "xy"[i % 2], "deep": None if i % 3 else True},
                "arm_id": ARMS[arm],
                "propensity": None if i % 5 == 0 else pmf[arm],
                "pmf": dict(zip(ARMS, pmf, strict=True)),
                "eligible": list(ARMS),
                "reward": None if i % 7 == 0 else chance.random(),
                "success": None if i % 11 == 0 else chance.random() < 0.5,
                "state_seq": i // 3,
                "reason": None,
            }
        )
    return found


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    with open_writer(path) as writer:
        writer.write(rows)
    return path


def rows_of(log: Any) -> list[np.ndarray]:
    batches = list(log.batches())
    return [
        np.concatenate(column)
        for column in zip(
            *((b.data.arm, b.data.reward, b.propensity, b.beside, b.data.logging.ravel()) for b in batches),
            strict=True,
        )
    ]


@pytest.mark.parametrize("metric", ["success", "reward"])
def test_columns_say_what_rows_say(tmp_path: Path, metric: Any) -> None:
    rows = documents()
    for row in rows:
        row["eligible"] = None
    path = written(tmp_path / "log.parquet", rows)
    pieces = read_columns(path, 1000)
    assert pieces is not None
    assert all(isinstance(piece, ChoiceColumns) for piece in pieces)
    logs = []
    for name, make in (("one", gathered_file), ("two", lambda p, *a, **k: gathered(read_log(p), *a, **k))):
        folder = tmp_path / name
        folder.mkdir()
        logs.append(make(path, folder, metric, rows=1000))
    one, two = logs
    assert isinstance(one, DiskLog)
    assert (one.without_metric, one.arms, one.contexts) == (two.without_metric, two.arms, two.contexts)
    for left, right in zip(rows_of(one), rows_of(two), strict=True):
        np.testing.assert_array_equal(left, right)


def test_rows_of_a_holdout_are_left_out(tmp_path: Path) -> None:
    rows = documents()
    for i, row in enumerate(rows):
        row |= {"eligible": None, "pmf": None, "propensity": 0.4}
        if i % 10 == 0:
            row |= {"reason": "holdout", "arm_id": "a", "propensity": 0.2}
    log = gathered_file(written(tmp_path / "log.parquet", rows), tmp_path, rows=1000)
    assert log.held_out == 240
    assert rows_of_propensity(log) == {0.5}


def rows_of_propensity(log: Any) -> set[float]:
    return {float(p) for batch in log.batches() for p in batch.propensity}


@pytest.mark.parametrize(
    "row",
    [
        {"propensity": 0.0},
        {"propensity": 1.5},
        {"propensity": float("nan")},
        {"propensity": 0.9},
        {"reward": float("nan")},
        {"reward": -0.1},
        {"time": float("inf")},
        {"state_seq": -1},
        {"arm_id": None},
        {"decision_id": None},
        {"decision_id": ""},
        {"decision_id": "wf-3ä"},
        {"pmf": {"a": 2.0}},
    ],
)
def test_a_damaged_row_is_refused(tmp_path: Path, row: dict[str, Any]) -> None:
    rows = documents()
    for one in rows:
        one["eligible"] = None
    rows[2000] |= row
    path = written(tmp_path / "log.parquet", rows)
    with pytest.raises((LogInvalid, InputInvalid)) as caught:
        gathered_file(path, tmp_path, rows=1000)
    assert caught.value.expected
    assert caught.value.fix


def test_what_is_no_column_of_kinds_is_read_by_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", documents())  # eligible is a list
    pieces = read_columns(path, 1000)
    assert pieces is not None
    for piece in pieces:
        assert isinstance(piece, list)
        assert isinstance(piece[0], LoggedChoice)
    assert read_columns(path, 5000) is None
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(LogUnreadable):
        read_columns(damaged, 1000)
