"""Expectations on recorded runs of agents: coverage and errors, mixed and one agent after the other."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from nyx_learning.features.expectations import AmountModel, SuccessModel

RUNS = Path(__file__).resolve().parents[3] / "shared" / "data" / "terminalbench_runs" / "runs.csv.gz"


@pytest.mark.skipif(not RUNS.exists(), reason="shared/data does not stand beside the repository")
@pytest.mark.parametrize(("mixed", "loss"), [(True, 0.42), (False, 0.44)])
def test_recorded_runs_are_predicted(mixed: bool, loss: float) -> None:
    with gzip.open(RUNS, "rt", newline="") as file:
        table = [row for row in csv.DictReader(file) if float(row["agent_s"] or 0) > 0]
    table.sort(key=lambda row: (row["submission"], row["trial_no"], row["task"]))
    if mixed:
        table = [table[i] for i in np.random.default_rng(1).permutation(len(table))]
    tasks, arms = sorted({row["task"] for row in table}), sorted({row["submission"] for row in table})
    columns = 1 + len(tasks)
    durations = AmountModel(columns, [()] * len(arms), 1e-3)
    successes = SuccessModel(columns, [()] * len(arms))
    held, errors, losses = [], [], []
    for row in table:
        arm, x, success = arms.index(row["submission"]), np.zeros(columns), row["resolved"] == "1"
        x[0] = x[1 + tasks.index(row["task"])] = 1.0
        low, high = durations.scores.bounds
        score = durations.add(arm, x, float(row["agent_s"]))
        if score is not None:
            held.append(low <= score <= high)
            errors.append(abs(score))
        probability = successes.add(arm, x, success)
        losses.append(-math.log(probability if success else 1.0 - probability))
    for first, last in ((30, 300), (300, 1000), (1000, 2000), (2000, len(table))):
        assert 0.87 <= float(np.mean(held[first:last])) <= 0.93
    assert 0.6 < float(np.mean(errors[2000:])) < 0.9  # in units of the expected scale: .8 for a normal law
    assert float(np.mean(losses[2000:])) < loss
