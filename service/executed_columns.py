"""Executions as columns, read a stretch of the log at a time: as many as fit a million rows, without objects.

A row that is all there is about its decision (nearly all are) is read as numbers; of the others, the
corrected, retracted and partial ones, the whole history is read and put together as ``executed_log`` does.
"""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bandit import BanditSpec
from ..features import Flag
from ..insights.columns import METRICS, Cell, Codes, ExecutionTable, Metric
from ..persistence.database import reaching
from ..persistence.queries import query
from ..persistence.store import Store
from .executed_log import executions_of, strategy_of

__all__ = ["MOST_FEATURES", "MOST_TABLE_ROWS", "read_table"]

MOST_TABLE_ROWS = 1_000_000
"""Rows of the log that are looked at: the newest ones, and all others about decisions that were corrected."""

MOST_FEATURES = 4
"""Features that may make cells."""

_STRETCH = 50_000
_ROWS, _PARTS, _NOTHING = "\x1f", "\x1e", "\x1d"

Floats = npt.NDArray[np.float64]


async def read_table(store: Store, window_s: float | None, by: Sequence[str]) -> ExecutionTable:
    """What the newest rows tell of each decision that counts; by : at most four features that make cells."""
    since = None if window_s is None else clock.time() - window_s
    features: list[str | None] = [*by, *([None] * (MOST_FEATURES - len(by)))]
    stretches: list[Any] = []
    with reaching():
        last = await store.log.last_seq()
        begin = max(0, last - MOST_TABLE_ROWS)
        async with store.pool.acquire() as connection, connection.transaction(readonly=True):
            odd = await connection.fetch(query("corrected_executions"), store.bandit, begin, last)
            for first in range(begin, last, _STRETCH):
                found = await connection.fetchrow(
                    query("execution_columns"),
                    store.bandit,
                    first,
                    min(first + _STRETCH, last),
                    *features,
                )
                stretches.append(found)
    return await asyncio.to_thread(_table, stretches, odd, store.own_spec, tuple(by), since)


def _table(
    stretches: Sequence[Any], odd: Sequence[Any], spec: BanditSpec, by: tuple[str, ...], since: float | None
) -> ExecutionTable:
    stretches = [row for row in stretches if row is not None and row["rows"]]
    seqs = np.concatenate([np.empty(0, np.int64), *(np.frombuffer(r["seqs"], ">i8") for r in stretches)])
    columns = {
        name: np.concatenate(
            [np.empty(0), *(np.frombuffer(r[name], ">f8").astype(np.float64) for r in stretches)]
        )
        for name in (*METRICS, "timed_out", "time")
    }
    arms: dict[str, int] = {}
    cells: dict[str, int] = {}
    arm = _numbered([r["arms"] for r in stretches], arms)
    cell = _numbered([r["cells"] for r in stretches], cells)
    kept = ~np.isin(seqs, np.array(sorted({row["seq"] for row in odd}), np.int64))
    if since is not None:
        kept &= columns["time"] >= since
    corrected = ExecutionTable.of(
        [e for e in executions_of(odd, spec) if since is None or (e.time is not None and e.time >= since)],
        by,
    )
    strategies = [strategy_of(spec, name) for name in arms]
    flags = [isinstance(spec.context.get(name), Flag) for name in by]
    made = [_cell(text, by, flags) for text in cells]
    plain = ExecutionTable(
        _merged(strategies, arm[kept]),
        _merged(made, cell[kept]),
        {metric: columns[metric][kept] for metric in METRICS},
        columns["timed_out"][kept] > 0.0,
        columns["time"][kept],
    )
    return _together(plain, corrected)


def _numbered(texts: Sequence[str], known: dict[str, int]) -> npt.NDArray[np.int64]:
    """Numbers of the texts of all stretches; new ones are added to ``known``."""
    found: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    for text in texts:
        words = text.split(_ROWS)
        for word in set(words) - known.keys():
            known[word] = len(known)
        found.append(np.fromiter(map(known.__getitem__, words), np.int64, len(words)))
    return np.concatenate(found)


def _cell(text: str, by: Sequence[str], flags: Sequence[bool]) -> Cell | None:
    """The cell that a row's features make; None where one is missing."""
    values = text.split(_PARTS)[: len(by)]
    if _NOTHING in values:
        return None
    return tuple(
        (name, value.capitalize() if flag else value)
        for name, value, flag in zip(by, values, flags, strict=True)
    )


def _merged(labels: Sequence[Any], code: npt.NDArray[np.int64]) -> Codes:
    """Codes whose labels are sorted and different; None is none."""
    sorted_labels = tuple(sorted({label for label in labels if label is not None}))
    number = {label: i for i, label in enumerate(sorted_labels)}
    place = np.array([-1 if label is None else number[label] for label in labels], np.int64)
    return Codes(sorted_labels, place[code] if len(place) else np.empty(0, np.int64))


def _together(one: ExecutionTable, other: ExecutionTable) -> ExecutionTable:
    if not len(other):
        return one
    metrics: dict[Metric, Floats] = {
        name: np.concatenate([one.metrics[name], other.metrics[name]]) for name in METRICS
    }
    return ExecutionTable(
        _joined(one.strategy, other.strategy),
        _joined(one.cell, other.cell),
        metrics,
        np.concatenate([one.timed_out, other.timed_out]),
        np.concatenate([one.time, other.time]),
    )


def _joined(one: Codes, other: Codes) -> Codes:
    second = np.where(other.code < 0, -1, other.code + len(one.labels))
    code = np.concatenate([one.code, second])
    labels = [*one.labels, *other.labels, None]
    return _merged(labels, np.where(code < 0, len(labels) - 1, code))
