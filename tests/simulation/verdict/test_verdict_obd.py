"""Verdicts on real logs: the Open Bandit Dataset's small sample, where almost nothing can be claimed."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from nyx_learning.simulation.interchange import LoggedChoice
from nyx_learning.simulation.verdict import JudgedLog, Verdict, judge, judged_log

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "obd"


def read(name: str) -> JudgedLog:
    path = DATA / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip("the histories to test against are not on this machine")
    rows = []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for i, row in enumerate(csv.DictReader(lines)):
            clicked = row["click"] in {"1", "1.0", "True"}
            rows.append(
                LoggedChoice(
                    i + 1,
                    f"row-{i}",
                    None,
                    {"position": row["position"]},
                    row["item_id"],
                    float(row["propensity"]),
                    float(clicked),
                    success=clicked,
                )
            )
    return judged_log(rows)


def uniform(log: JudgedLog) -> Verdict:
    shape = (len(log.contexts), len(log.data.arms))
    return judge(log, np.full(shape, 1.0 / shape[1]), name="uniform")


def test_the_uniform_log_says_that_uniform_is_no_better_than_itself() -> None:
    found = uniform(read("men_random"))
    assert found.logging == "fixed"
    assert found.support.ess == pytest.approx(10_000)
    assert found.reference.value == pytest.approx(0.0046, abs=2e-4)
    assert found.status in {"not met", "not enough evidence"}


def test_a_thompson_log_hardly_speaks_for_uniform() -> None:
    men = uniform(read("men_bts"))
    assert men.status == "not enough evidence"
    assert men.support.ess == pytest.approx(656, rel=0.05)
    women = uniform(read("women_bts"))
    assert women.status in {"not enough evidence", "not supported"}
    assert women.support.ess == pytest.approx(2.0, abs=0.7)
    assert women.support.mean_weight == pytest.approx(3.1, abs=0.1)
    assert any("too few for a" in text for text in women.warnings)
    assert any("on average instead of 1" in text for text in women.warnings)
