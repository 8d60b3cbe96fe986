"""Executions as columns: what patterns of many of them are computed from, without an object for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .executed import Executed, Plain

__all__ = ["METRICS", "Cell", "Codes", "ExecutionTable", "Metric", "agent_of", "cells_of", "codes_of"]

Metric = Literal["success", "reward", "duration_s", "cost"]
METRICS: tuple[Metric, ...] = ("success", "reward", "duration_s", "cost")
Cell = tuple[tuple[str, str], ...]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A column of labels: the different ones, sorted, and for each row the number of its own, −1 for none."""

    labels: tuple[Any, ...]
    code: Integers

    def __len__(self) -> int:
        return len(self.code)

    def place(self, label: object) -> int:
        """Number of a label; −2, which no row has, for one that is none."""
        return self.labels.index(label) if label in self.labels else -2


@dataclass(frozen=True, slots=True, eq=False)
class ExecutionTable:
    """n executions. strategy, cell : labels; those of cells are ``Cell``. metrics : (n,) each, NaN where not
    told. timed_out (n,). time (n,) : seconds since 1970, NaN where unknown.
    """

    strategy: Codes
    cell: Codes
    metrics: Mapping[Metric, Floats]
    timed_out: npt.NDArray[np.bool_]
    time: Floats

    def __len__(self) -> int:
        return len(self.strategy)

    @classmethod
    def of(
        cls,
        executions: Sequence[Executed],
        by: Sequence[str] = (),
        *,
        label: Callable[[Executed], str | None] = lambda e: e.strategy,
    ) -> ExecutionTable:
        """Columns of a list; cells are made of the features ``by``, and have no number where one is missing.

        label : what stands in the place of the strategy, and is compared.
        """
        return cls(
            codes_of([label(e) for e in executions]),
            cells_of(executions, by),
            {
                "success": numbers(e.success for e in executions),
                "reward": numbers(e.reward for e in executions),
                "duration_s": numbers(e.duration_s for e in executions),
                "cost": numbers(e.cost for e in executions),
            },
            np.array([e.timed_out for e in executions], bool),
            numbers(e.time for e in executions),
        )


def codes_of(values: Sequence[Any]) -> Codes:
    """Labels of a sequence, in their order; None is none."""
    labels = tuple(sorted({v for v in values if v is not None}))
    number: dict[Any, int] = {label: i for i, label in enumerate(labels)}
    number[None] = -1
    return Codes(labels, np.array([number[v] for v in values], np.int64))


def cells_of(executions: Sequence[Executed], by: Sequence[str]) -> Codes:
    """The cell of each execution: values of the features ``by``; none where one is missing."""
    made: dict[tuple[Plain, ...], Cell] = {}
    cells: list[Cell | None] = []
    for e in executions:
        try:
            key = tuple([e.context[name] for name in by])
        except KeyError:
            cells.append(None)
            continue
        cell = made.get(key)
        if cell is None:
            # 1, 1.0 and True are equal as keys and differ as texts: the text decides what is one cell.
            cell = tuple((name, str(value)) for name, value in zip(by, key, strict=True))
            if not any(isinstance(value, (bool, int, float)) for value in key):
                made[key] = cell
        cells.append(cell)
    return codes_of(cells)


def numbers(values: Iterable[float | None]) -> Floats:
    """A column of numbers; NaN for None, and for what is not finite."""
    column = np.array([math.nan if v is None else v for v in values], np.float64)
    column[~np.isfinite(column)] = math.nan
    return column


def agent_of(execution: Executed) -> str | None:
    """Type of the agent: as reported, or a parameter or a feature ``agent_type``; None where unknown."""
    if execution.agent_type is not None:
        return execution.agent_type
    for told in (execution.parameters, execution.context):
        value = told.get("agent_type")
        if value is not None:
            return str(value)
    return None
