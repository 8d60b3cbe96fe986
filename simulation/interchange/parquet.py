"""Logs in Parquet, read and written by pyarrow: an extra that is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import LogInvalid, LogUnreadable, PackageMissing
from .cells import NESTED, cell_of, parse_json, split_columns

__all__ = ["ParquetSink", "all_rows", "parquet_rows"]

_BATCH = 2000
_TEXTS = (
    "decision_id",
    "context",
    "arm_id",
    "mode",
    "reason",
    "outcome",
    "pmf",
    "state",
    "bandit",
    "spec_hash",
)
_NUMBERS = ("time", "propensity", "reward")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional, and takes longer to import than most commands to run
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise PackageMissing(
            "a package for Parquet is missing",
            expected="the package pyarrow",
            found=f"{type(error).__name__}: {error}"[:160],
            fix="pip install 'nyx-learning[parquet]', or use JSONL or CSV",
        ) from None
    return pa, parquet


def parquet_rows(path: str, others: set[str]) -> Iterator[tuple[int, dict[str, Any] | LogInvalid]]:
    """The documents of a Parquet file, with their numbers from 1, a batch in memory at a time.

    Raises
    ------
    PackageMissing : pyarrow is not there. LogUnreadable : no complete Parquet file. OSError : no file.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            columns = split_columns(names)
            others.update(name for name, place in zip(names, columns, strict=True) if place is None)
            wanted = [name for name, place in zip(names, columns, strict=True) if place is not None]
            places = [place for place in columns if place is not None]
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield number, _document(number, [row[name] for name in wanted], places)
    except arrow.ArrowException as error:
        raise LogUnreadable(
            f"{Path(path).name} is no Parquet file",
            expected="a complete Parquet file",
            found=str(error).splitlines()[0][:200],
            fix="the file is truncated or damaged, or of another format: copy it again",
        ) from None


def all_rows(path: str, most: int) -> Iterator[dict[str, Any]]:
    """The first ``most`` rows of any Parquet file, with all of their columns.

    Raises
    ------
    PackageMissing : pyarrow is not there. LogUnreadable : no complete Parquet file, or it cannot be opened.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            left = most
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()[:left]
                left -= len(batch)
                if left <= 0:
                    return
    except (arrow.ArrowException, OSError) as error:
        raise LogUnreadable(
            f"{Path(path).name} is no Parquet file",
            expected="a complete Parquet file",
            found=(str(error).splitlines() or [""])[0][:200],
            fix="the file is missing, truncated or damaged, or of another format",
        ) from None


def _document(
    number: int, values: Sequence[Any], places: Sequence[tuple[str, str | None]]
) -> dict[str, Any] | LogInvalid:
    document: dict[str, Any] = {}
    for (field, key), value in zip(places, values, strict=True):
        if key is not None:
            if value is not None:
                inside = document.get(field)
                if inside is None:
                    inside = document[field] = {}
                inside[key] = value
        elif isinstance(value, str) and (field in NESTED or field == "eligible"):
            try:
                document[field] = parse_json(value)
            except ValueError as error:
                return LogInvalid(
                    f"line {number}: '{field}' is no JSON",
                    expected="JSON, or a column of structs",
                    found=f"{error}: {value!r:.80}",
                    fix="correct the row",
                )
        elif value is not None or field not in document:
            document[field] = _nested(value) if field in NESTED else value
    return document


def _nested(value: Any) -> Any:
    """A struct without what it leaves out; a column of maps comes as a list of pairs."""
    if isinstance(value, list) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        value = dict(value)
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return value


def _flat(field: str, value: Any) -> Any:
    return cell_of(field, value) if field in NESTED and value is not None else value


class ParquetSink:
    """Writes documents whose nested fields are JSON texts, a row group for each call."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = _pyarrow()
        arrow = self._arrow
        kinds = {
            **dict.fromkeys(_TEXTS, arrow.string()),
            **dict.fromkeys(_NUMBERS, arrow.float64()),
            "success": arrow.bool_(),
            "state_seq": arrow.int64(),
            "eligible": arrow.list_(arrow.string()),
        }
        self._kinds = kinds
        self._schema: Any = None
        self._path, self._parquet = path, parquet
        self._writer: Any = None

    def write(self, rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
        """Append rows; ``header`` is the same in every call."""
        arrow = self._arrow
        if self._writer is None:
            self._schema = arrow.schema([(name, self._kinds.get(name, arrow.string())) for name in header])
            self._writer = self._parquet.ParquetWriter(self._path, self._schema)
        columns = {name: [_flat(name, row.get(name)) for row in rows] for name in header}
        self._writer.write_table(arrow.table(columns, schema=self._schema))

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()
