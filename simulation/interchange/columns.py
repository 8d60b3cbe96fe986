"""Parquet by columns: what many rows have in common is checked once.

A logged choice has few kinds of arms, contexts and pmfs, and a row adds an id, a time and some numbers. So
of each batch of a file the *kinds* are checked as single choices are, and the numbers as arrays. A batch with
anything unusual in it is read row by row, which says what is wrong, and where.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import LogUnreadable
from .cells import split_columns
from .choice import LATEST, SEQ_MAX, SUM_TOLERANCE, LoggedChoice, choice_from
from .parquet import _document, _pyarrow

__all__ = ["ChoiceColumns", "parquet_columns", "parquet_length"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_KINDS_SHARE = 8
"""Rows per kind, on average, from which kinds are worth looking for."""
_NUMBERS = ("time", "propensity", "reward", "state_seq")
_EACH = ("decision_id", "success", *_NUMBERS)


@dataclass(frozen=True, eq=False, slots=True)
class ChoiceColumns:
    """Rows of a log as arrays (n,): NaN, or −1 for ``state_seq``, is what is not known.

    line : of the first row. kinds : a choice of each kind, whose arm, context, eligible arms, pmf and reason
    count for all rows of the kind. kind : of each row. success : 0, 1 or NaN. ids : of the decisions, not
    checked.
    """

    line: int
    kinds: tuple[LoggedChoice, ...]
    kind: Integers
    ids: list[str]
    time: Floats
    propensity: Floats
    reward: Floats
    success: Floats
    state_seq: Integers


def parquet_columns(path: str, rows: int) -> Iterator[ChoiceColumns | list[LoggedChoice]]:
    """A Parquet file in batches of at most so many rows: as columns where that is possible, else as choices.

    Raises
    ------
    LogInvalid : a row cannot be used. PackageMissing, LogUnreadable, OSError : see ``parquet_rows``.
    """
    line = 1
    with _opened(path) as file:
        names = list(file.schema_arrow.names)
        wanted = [name for name, place in zip(names, split_columns(names), strict=True) if place is not None]
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            found = _columns(batch, line)
            yield _choices(batch, line) if found is None else found
            line += batch.num_rows


def parquet_length(path: str) -> int:
    """How many rows a Parquet file has, without reading them.

    Raises
    ------
    PackageMissing, LogUnreadable, OSError : see ``parquet_rows``.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except arrow.ArrowException as error:
        raise LogUnreadable(
            f"{Path(path).name} is no Parquet file",
            expected="a complete Parquet file",
            found=str(error).splitlines()[0][:200],
            fix="the file is truncated or damaged, or of another format: copy it again",
        ) from None


def _choices(batch: Any, line: int) -> list[LoggedChoice]:
    names = list(batch.schema.names)
    places = [place for place in split_columns(names) if place is not None]
    found = []
    for number, row in enumerate(batch.to_pylist(), start=line):
        document = _document(number, [row[name] for name in names], places)
        if not isinstance(document, dict):
            raise document
        found.append(choice_from(document, number))
    return found


def _columns(batch: Any, line: int) -> ChoiceColumns | None:
    n = batch.num_rows
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if n == 0 or "decision_id" not in columns or columns["decision_id"].null_count:
        return None
    if any(name.partition(".")[0] == "outcome" and column.null_count < n for name, column in columns.items()):
        return None  # what executions reported is of as many kinds as there are rows
    numbers = {name: _numbers(columns.get(name), n) for name in _NUMBERS}
    success = _truth(columns.get("success"), n)
    propensity, reward = numbers["propensity"], numbers["reward"]
    time, seq = numbers["time"], numbers["state_seq"]
    if success is None or propensity is None or reward is None or time is None or seq is None:
        return None
    sound = (
        _inside(propensity, (propensity > 0.0) & (propensity <= 1.0))
        and _inside(reward, (reward >= 0.0) & (reward <= 1.0))
        and _inside(time, np.abs(time) < LATEST)
        # Beyond 2⁵³ a float does not hold a number exactly.
        and _inside(seq, (seq >= 0.0) & (seq < min(SEQ_MAX, 1 << 53)) & (seq == np.floor(seq)))
    )
    rest = {name: column for name, column in columns.items() if name not in _EACH}
    kind = _kinds(rest, n) if sound else None
    if kind is None:
        return None
    _, first = np.unique(kind, return_index=True)
    # The first row of each kind, without what differs inside it.
    bare = batch.take(_pyarrow()[0].array(first)).select(["decision_id", *rest])
    choices = tuple(_choices(bare, line))
    missing = np.isnan(propensity)
    for number, choice in enumerate(choices):
        if choice.pmf is not None:
            mass, own = choice.pmf.get(choice.arm_id, 0.0), kind == number
            if (propensity[own & ~missing] > mass * (1.0 + SUM_TOLERANCE)).any():
                return None
            propensity[own & missing] = mass
    unknown_seq = np.where(np.isnan(seq), -1.0, seq).astype(np.int64)
    ids = columns["decision_id"].to_pylist()
    return ChoiceColumns(line, choices, kind, ids, time, propensity, reward, success, unknown_seq)


def _numbers(column: Any, n: int) -> Floats | None:
    """A column of floats or integers with NaN for null; None for another, or one that has NaN itself."""
    if column is None:
        return np.full(n, np.nan)
    types = _pyarrow()[0].types
    if types.is_null(column.type):
        return np.full(n, np.nan)
    if not (types.is_floating(column.type) or types.is_integer(column.type)):
        return None
    found = np.array(column.cast(_pyarrow()[0].float64(), safe=False).to_numpy(zero_copy_only=False))
    return found if int(np.isnan(found).sum()) == column.null_count else None


def _truth(column: Any, n: int) -> Floats | None:
    arrow, _ = _pyarrow()
    if column is None or arrow.types.is_null(column.type):
        return np.full(n, np.nan)
    if not arrow.types.is_boolean(column.type):
        return None
    return np.array(column.cast(arrow.int8()).cast(arrow.float64()).to_numpy(zero_copy_only=False))


def _inside(values: Floats, usable: npt.NDArray[np.bool_]) -> bool:
    return bool((usable | np.isnan(values)).all())


def _kinds(columns: dict[str, Any], n: int) -> Integers | None:
    """Numbers (n,) from 0, equal where all columns are; None for types that have none, or too many kinds."""
    types = _pyarrow()[0].types
    found: Integers = np.zeros(n, np.int64)
    for column in columns.values():
        if column.null_count == n:
            continue
        if not (
            types.is_string(column.type)
            or types.is_large_string(column.type)
            or types.is_boolean(column.type)
            or types.is_integer(column.type)
            or types.is_floating(column.type)
        ):
            return None
        coded = column.dictionary_encode()
        codes = np.array(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64) + 1
        _, found = np.unique(found * (len(coded.dictionary) + 1) + codes, return_inverse=True)
        if int(found.max()) * _KINDS_SHARE > n:
            return None
    return np.asarray(found, np.int64)
