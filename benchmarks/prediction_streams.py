"""Streams of executions for ``benchmarks.predictions``: a world with a truth, and recorded runs of agents."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nyx_learning import Categorical, ContextSchema, Flag, Numeric, Ordinal
from nyx_learning.features import ONE, Encoder

__all__ = ["RECORDED", "SCHEMA", "Execution", "Scenario", "recorded", "stream"]

Floats = npt.NDArray[np.float64]

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "terminalbench_runs" / "runs.csv.gz"

SCHEMA = ContextSchema(
    task_type=Categorical(["research", "coding", "analysis"]),
    complexity=Ordinal(["simple", "moderate", "complex"]),
    input_tokens=Numeric(1, 200_000, log=True),
    urgent=Flag(),
)
_ENCODER = Encoder(SCHEMA)
_ARMS = 4
_NOISE = 0.38  # of the logarithm of a duration


class Execution(NamedTuple):
    """One execution, and what was true of it: None where nobody knows. ``group`` : interacts with the arm."""

    arm: int
    group: str
    x: Floats
    log_duration: float
    log_expected: float | None
    success: bool
    probability: float | None


class Scenario(NamedTuple):
    """What happens to a world at row ``at``: durations times ``factor`` and logits plus ``logit``, by arm."""

    name: str
    factor: float = 1.0
    logit: float = 0.0
    arms: tuple[int, ...] = (0, 1, 2, 3)
    shares: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    heavy: bool = False
    at: int = 500


def stream(seed: int, rows: int, scenario: Scenario | None = None) -> list[Execution]:
    """Executions of four arms in a world drawn from the seed.

    log duration = 3 + arm + task type + arm × task type + complexity + tokens + noise; the logit of success
    likewise. ``heavy`` : noise of Student's t with 4 degrees of freedom, of another size for each arm.
    """
    rng = np.random.default_rng(seed)
    scenario = scenario or Scenario("nothing changes")
    level, arm_s, type_s = 3 + rng.normal(0, 0.3), rng.normal(0, 0.4, _ARMS), rng.normal(0, 0.4, 3)
    complex_s, tokens_s, both_s = rng.normal(0.5, 0.1), rng.normal(0.3, 0.1), rng.normal(0, 0.25, (_ARMS, 3))
    base, arm_p, type_p = 0.6 + rng.normal(0, 0.3), rng.normal(0, 0.6, _ARMS), rng.normal(0, 0.5, 3)
    both_p = rng.normal(0, 0.5, (_ARMS, 3))
    noise = _NOISE * (np.exp(rng.normal(0, 0.3, _ARMS)) if scenario.heavy else np.ones(_ARMS))
    found = []
    for row in range(rows):
        kind, grade, tokens = int(rng.integers(3)), int(rng.integers(3)), rng.uniform(0, 12.2)
        arm = int(rng.choice(_ARMS, p=scenario.shares))
        context: dict[str, Any] = {
            "task_type": ("research", "coding", "analysis")[kind],
            "complexity": ("simple", "moderate", "complex")[grade],
            "input_tokens": float(np.exp(tokens)),
            "urgent": bool(rng.random() < 0.3),
        }
        expected = level + arm_s[arm] + type_s[kind] + both_s[arm, kind]
        expected += complex_s * (grade - 1) + tokens_s * (tokens / 6.1 - 1)
        logit = base + arm_p[arm] + type_p[kind] + both_p[arm, kind] - 0.6 * (grade - 1)
        if row >= scenario.at and arm in scenario.arms:
            expected += math.log(scenario.factor)
            logit += scenario.logit
        z = rng.standard_t(4) / math.sqrt(2) if scenario.heavy else rng.normal()
        probability = 1 / (1 + math.exp(-logit))
        x = np.array(_ENCODER.encode(context)[1]) / ONE
        y = float(expected + noise[arm] * z)
        success = bool(rng.random() < probability)
        found.append(Execution(arm, context["task_type"], x, y, float(expected), success, probability))
    return found


def recorded(path: Path, order: str) -> tuple[list[Execution], int]:
    """Recorded runs on 80 tasks, and of how many agents: the task is the context, the agent the arm.

    order : ``mixed`` (shuffled, seed 1), or ``batches``: one submission after the other, as they ran, which
    makes each arm cold once.
    """
    with gzip.open(path, "rt", newline="") as file:
        table = [row for row in csv.DictReader(file) if float(row["agent_s"] or 0) > 0]
    tasks = sorted({row["task"] for row in table})
    arms = sorted({row["submission"] for row in table})
    encoder = Encoder(ContextSchema(task=Categorical(tasks)))
    table.sort(key=lambda row: (row["submission"], row["trial_no"], row["task"]))
    if order == "mixed":
        np.random.default_rng(1).shuffle(table)
    found = []
    for row in table:
        x = np.array(encoder.encode({"task": row["task"]})[1]) / ONE
        y, success = math.log(float(row["agent_s"])), row["resolved"] == "1"
        found.append(Execution(arms.index(row["submission"]), "", x, y, None, success, None))
    return found, len(arms)
