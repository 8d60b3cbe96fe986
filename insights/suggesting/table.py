"""A table of executions from a file: CSV, JSONL or Parquet; one list of values for each column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import LogUnreadable, TableInvalid
from ...features import Value
from ...simulation.columns import feature_column
from ...simulation.interchange.cells import parse_json
from ...simulation.interchange.parquet import all_rows
from ...simulation.interchange.reading import format_of, opened

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "Table", "read_table"]

MOST_ROWS = 200_000
"""Rows that are read; a suggestion needs no more."""
MOST_COLUMNS = 2_000


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, each a value a row: text, number, bool or None for missing. All are as long.

    >>> Table({"a": ["x", None], "b": [1.0, 2.0]}).rows
    2

    Raises
    ------
    TableInvalid : no columns, columns that are not as long as each other, or values that are no plain ones.
    """

    columns: Mapping[str, Sequence[Value]]

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1 or len(self.columns) > MOST_COLUMNS:
            raise TableInvalid(
                "the table is unusable",
                expected=f"1 to {MOST_COLUMNS:,} columns with a value for each row",
                found=f"{len(self.columns):,} columns of lengths {sorted(lengths)[:5]}",
                fix="complete the rows, or leave columns out",
            )
        for name, values in self.columns.items():
            odd = next((v for v in values if not _plain(v)), None)
            if odd is not None:
                raise TableInvalid(
                    f"column '{name[:80]}' has a value that is no plain one",
                    expected="texts, finite numbers, true, false, or None for missing",
                    found=repr(odd)[:80],
                    fix="leave the value out where it is missing",
                )

    @property
    def rows(self) -> int:
        """How many executions there are."""
        return len(next(iter(self.columns.values())))


def read_table(path: str | Path, *, form: str | None = None, most: int = MOST_ROWS) -> Table:
    """Read the first ``most`` rows of a table.

    In CSV a column of numbers becomes numbers, one of true and false bools, and what is empty, ``nan`` or
    ``na`` is missing. Objects inside JSONL and Parquet become columns ``outer.inner``.

    Raises
    ------
    LogUnreadable : the file cannot be read, or is of no known format. TableInvalid : it is no table.
    PackageMissing : Parquet without pyarrow.
    """
    form = form or format_of(path)
    name = Path(path).name
    if form == "parquet":
        return _from_documents(all_rows(str(path), most), name)
    with opened(path) as file:
        if form == "jsonl":
            return _from_documents(_documents(file, most), name)
        if form != "csv":
            raise LogUnreadable(
                "there is no such format of tables",
                expected="csv, jsonl or parquet",
                found=repr(form)[:80],
                fix="name the format that the file has",
            )
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            return _from_csv(text, name, most)


def _from_csv(text: io.TextIOWrapper, name: str, most: int) -> Table:
    try:
        reader = csv.reader(text, strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, name)
        cells: list[list[str]] = [[] for _ in header]
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise _no_table(name, f"{len(header)} values in line {reader.line_num}", f"{len(row)} values")
            for column, cell in zip(cells, row, strict=True):
                column.append(cell.strip())
            if len(cells[0]) == most:
                break
    except (csv.Error, UnicodeDecodeError) as error:
        raise _no_table(name, "comma-separated values in UTF-8", str(error)[:160]) from None
    if not cells[0]:
        raise _no_table(name, "rows below the header", "none")
    return Table({h: feature_column(h, column).values for h, column in zip(header, cells, strict=True)})


def _documents(file: Any, most: int) -> Iterable[Mapping[str, Any]]:
    for number, line in enumerate(file, start=1):
        if number > most:
            return
        if not line.strip():
            continue
        try:
            document = parse_json(line.decode("utf-8-sig"))
        except ValueError as error:
            raise _no_table(f"line {number}", "one JSON object", str(error)[:160]) from None
        if not isinstance(document, dict):
            raise _no_table(f"line {number}", "one JSON object", repr(document)[:80])
        yield document


def _from_documents(documents: Iterable[Mapping[str, Any]], name: str) -> Table:
    columns: dict[str, list[Value]] = {}
    rows = 0
    for document in documents:
        for key, value in _flat(document, ""):
            column = columns.get(key)
            if column is None:
                if len(columns) == MOST_COLUMNS:
                    raise _no_table(name, f"at most {MOST_COLUMNS:,} columns", "more")
                column = columns[key] = [None] * rows
            column.append(value)
        rows += 1
        for column in columns.values():
            if len(column) < rows:
                column.append(None)
    if not rows or not columns:
        raise _no_table(name, "rows", "none")
    return Table({key: _one_kind(column) for key, column in columns.items()})


def _flat(document: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Value]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{key}", repr(value)[:200]
        elif value is None or isinstance(value, (str, bool)):
            yield f"{prefix}{key}", value or (None if value == "" else value)
        elif isinstance(value, (int, float)):
            finite = abs(value) < 1e300 if isinstance(value, int) else value - value == 0.0
            yield f"{prefix}{key}", float(value) if finite else None
        else:  # dates of Parquet, and the like
            yield f"{prefix}{key}", str(value)


def _one_kind(column: list[Value]) -> list[Value]:
    """A column whose values are of several kinds is one of texts."""
    kinds = {type(value) for value in column if value is not None}
    return column if len(kinds) < 2 else [None if v is None else str(v) for v in column]


def _plain(value: Value) -> bool:
    if value is None or isinstance(value, (str, bool)):
        return True
    return isinstance(value, (int, float)) and abs(value) < 1e300


def _check_header(header: Sequence[str], name: str) -> None:
    repeated = sorted({column for column in header if header.count(column) > 1})
    if not header or repeated or "" in header or len(header) > MOST_COLUMNS:
        found = f"repeated: {repeated}" if repeated else f"{header[:8]}"
        raise _no_table(name, f"a first line with 1 to {MOST_COLUMNS:,} different names", found[:160])


def _no_table(name: str, expected: str, found: str) -> TableInvalid:
    return TableInvalid(
        f"{name} cannot be read as a table of executions",
        expected=expected,
        found=found,
        fix="give one row for each execution, with a header (CSV) or keys (JSONL) that name the columns",
    )
