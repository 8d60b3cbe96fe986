"""What a simulation found: curves of every replication at the checkpoints, and a tidy table of them."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputInvalid
from .contender import Contender
from .worlds.base import Floats, World

__all__ = ["COLUMNS", "Curves", "Results", "log_spaced"]

COLUMNS = (
    "policy",
    "world",
    "round",
    "mean_regret",
    "standard_error",
    "regret_q05",
    "regret_q50",
    "regret_q95",
    "best_arm_share",
    "mean_reward",
    "replications",
    "method",
)
"""Columns of the tidy table. ``best_arm_share``: of the rounds since the checkpoint before;
``mean_reward``: per round, up to the checkpoint; ``method``: learner, compiled, or sampled."""

_QUANTILES = (0.05, 0.5, 0.95)


def log_spaced(horizon: int, points: int = 60) -> tuple[int, ...]:
    """About ``points`` rounds from 1 to ``horizon``, evenly spaced on a logarithmic scale; a quarter of the
    horizon and the horizon itself are among them.
    """
    rate = log(horizon) / max(1, points - 1)
    found = {min(horizon, round(exp(rate * i))) for i in range(points)}
    return tuple(sorted(found | {max(1, horizon // 4), horizon}))


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Of one policy, R replications × C checkpoints; sums over the rounds up to each checkpoint.

    regret : Σ best expected − expected reward. expected : Σ expected reward of the arms chosen.
    reward : Σ reward paid. best : number of rounds in which (one of) the best arms was chosen.
    method : "learner", "compiled" (the same choices, many times faster), or "sampled" (equal in law).
    """

    regret: Floats
    expected: Floats
    reward: Floats
    best: Floats
    method: str


@dataclass(frozen=True, eq=False)
class Results:
    """Curves of every policy, in the order in which they were named; ``rounds`` (C,) are the checkpoints."""

    world: World
    world_label: str
    contenders: tuple[Contender, ...]
    horizon: int
    replications: int
    seed: int
    rounds: tuple[int, ...]
    curves: Mapping[str, Curves]

    def final(self, policy: str) -> tuple[float, float]:
        """Mean regret at the horizon, and its standard error (NaN from one replication)."""
        return mean_and_error(self.curves[policy].regret[:, -1])

    def table(self) -> list[dict[str, Any]]:
        """The tidy table: one row a policy and checkpoint, with ``COLUMNS``."""
        steps = np.diff(np.array([0, *self.rounds]))
        rows = []
        for label, curves in self.curves.items():
            hits = np.diff(curves.best, axis=1, prepend=0.0)
            low, middle, high = np.quantile(curves.regret, _QUANTILES, axis=0)
            for c, number in enumerate(self.rounds):
                mean, error = mean_and_error(curves.regret[:, c])
                share = fsum(hits[:, c].tolist()) / (steps[c] * self.replications)
                reward = fsum(curves.reward[:, c].tolist()) / (number * self.replications)
                values = (
                    label,
                    self.world_label,
                    number,
                    mean,
                    error,
                    float(low[c]),
                    float(middle[c]),
                    float(high[c]),
                    float(share),
                    reward,
                    self.replications,
                    curves.method,
                )
                rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows

    def to_csv(self) -> str:
        """The tidy table as CSV; floats by their shortest repr, an unknown standard error is empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.table():
            writer.writerow({key: "" if value != value else value for key, value in row.items()})
        return text.getvalue()

    def write_parquet(self, path: Path | str) -> None:
        """Write the tidy table as Parquet.

        Raises
        ------
        InputInvalid : pyarrow is not installed.
        """
        require_parquet()
        from pyarrow import Table, parquet  # noqa: PLC0415 - an extra

        parquet.write_table(Table.from_pylist(self.table()), str(path))


def require_parquet() -> None:
    """Raise ``InputInvalid`` where pyarrow is missing."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputInvalid(
            "a Parquet file cannot be written",
            expected="the package pyarrow",
            found="no module of that name in this environment",
            fix="pip install 'nyx-learning[parquet]', or use the CSV file",
        )


def mean_and_error(values: Floats) -> tuple[float, float]:
    """Mean and standard error of the mean; the latter NaN for one value. Independent of their order."""
    listed: Sequence[float] = values.tolist()
    n = len(listed)
    mean = fsum(listed) / n
    if n == 1:
        return mean, nan
    return mean, sqrt(fsum((value - mean) ** 2 for value in listed) / (n - 1) / n)
