"""Writing logs: documents of the format to a file that appears under its name only when it is complete."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from ...errors import LogUnwritable
from .cells import cell_of, context_cell
from .choice import FIELDS
from .parquet import ParquetSink
from .reading import FORMATS, named_format

__all__ = ["LineWriter", "LogWriter", "open_lines", "open_writer"]


class _Sink(Protocol):
    def write(self, rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None: ...

    def close(self) -> None: ...


class _Writer:
    """A file that is written inside a ``with`` block: an error leaves no file, or the old one."""

    def __init__(self, temporary: Path | None, path: Path) -> None:
        self._temporary, self._path = temporary, path

    def _finish(self) -> None:
        """Write what is left, where all went well."""

    def _close(self) -> None:
        """Close the file below."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                if kind is None:
                    self._finish()
            finally:
                self._close()
            if kind is None and self._temporary is not None:
                self._temporary.replace(self._path)
        except OSError as problem:
            raise _unwritable(self._path, problem) from problem
        finally:
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)


class LogWriter(_Writer):
    """Writes documents in pages, inside a ``with`` block: an error leaves no file, or the old one."""

    def __init__(self, sink: _Sink, header: Sequence[str], temporary: Path | None, path: Path) -> None:
        super().__init__(temporary, path)
        self._sink, self._header = sink, header

    def write(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Append documents.

        Raises
        ------
        LogUnwritable : no space is left, or no right to write.
        """
        try:
            self._sink.write(documents, self._header)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def _finish(self) -> None:
        self.write([])  # a log without decisions has its header all the same

    def _close(self) -> None:
        self._sink.close()


class LineWriter(_Writer):
    """Writes lines of text in pages, inside a ``with`` block: an error leaves no file, or the old one."""

    def __init__(self, stream: IO[str], temporary: Path | None, path: Path) -> None:
        super().__init__(temporary, path)
        self._stream = stream

    def write(self, lines: Sequence[str]) -> None:
        """Append lines, without their ends.

        Raises
        ------
        LogUnwritable : no space is left, or no right to write.
        """
        try:
            self._stream.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def _close(self) -> None:
        self._stream.close()


def open_lines(path: str | Path) -> LineWriter:
    """Begin a text; a name that ends in ``.gz`` makes it compressed.

    Raises
    ------
    LogUnwritable : a place that cannot be written.
    """
    target = Path(path)
    temporary = _temporary(target)
    try:
        return LineWriter(_stream(temporary or target, _packed(target)), temporary, target)
    except OSError as error:
        raise _unwritable(target, error) from error


def open_writer(
    path: str | Path, *, form: str | None = None, dotted: Sequence[str] | None = None
) -> LogWriter:
    """Begin a log; a name that ends in ``.gz`` makes JSONL and CSV compressed.

    Parameters
    ----------
    form : ``jsonl``, ``csv`` or ``parquet``; by default what the name says, and JSONL where it says nothing.
    dotted : for CSV: features that get a column ``context.<name>`` each; None for one column of JSON.

    Raises
    ------
    LogUnwritable : an unknown format, or a place that cannot be written. PackageMissing : no pyarrow.
    """
    target = Path(path)
    form = form or named_format(target) or "jsonl"
    if form not in FORMATS:
        raise LogUnwritable(
            "there is no such format of logs",
            expected=f"one of {', '.join(FORMATS)}",
            found=repr(form)[:80],
            fix="name one of them, or give the file its suffix",
        )
    temporary = _temporary(target)
    place = temporary or target
    try:
        if form == "parquet":
            return LogWriter(ParquetSink(place), FIELDS, temporary, target)
        stream = _stream(place, _packed(target))
    except OSError as error:
        raise _unwritable(target, error) from error
    if form == "jsonl":
        return LogWriter(_Jsonl(stream), FIELDS, temporary, target)
    header = list(FIELDS)
    if dotted is not None:
        at = header.index("context")
        header[at : at + 1] = [f"context.{name}" for name in dotted]
    return LogWriter(_Csv(stream), header, temporary, target)


def _temporary(target: Path) -> Path | None:
    """Where a file is written until it is complete; a pipe or a terminal is written as it comes."""
    special = target.exists() and not target.is_file()
    return None if special else target.with_name(f".{target.name}.{os.getpid()}.part")


def _packed(target: Path) -> bool:
    return target.suffix.lower() == ".gz"


def _stream(path: Path, compressed: bool) -> IO[str]:
    if compressed:
        # Without the time of day and the name: equal logs give equal files.
        packed = gzip.GzipFile("", "wb", 6, path.open("wb"), 0)
        return _Compressed(packed, encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


class _Compressed(io.TextIOWrapper):
    """Closes the file below too, which ``gzip`` leaves open where it did not open it."""

    def close(self) -> None:
        if self.closed:
            return
        file = self.buffer.fileobj  # type: ignore[attr-defined]
        try:
            super().close()
        finally:
            file.close()


class _Jsonl:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:  # noqa: ARG002
        self._stream.writelines(
            json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n" for row in rows
        )

    def close(self) -> None:
        self._stream.close()


class _Csv:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._begun = False

    def write(self, rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
        if not self._begun:
            self._rows.writerow(header)
            self._begun = True
        self._rows.writerows([_cell(row, name) for name in header] for row in rows)

    def close(self) -> None:
        self._stream.close()


def _cell(row: Mapping[str, Any], column: str) -> str:
    if column.startswith("context."):
        return context_cell(row["context"].get(column.removeprefix("context.")))
    return cell_of(column, row.get(column))


def _unwritable(path: Path, error: OSError) -> LogUnwritable:
    return LogUnwritable(
        f"{path.name or 'the log'} cannot be written",
        expected="a place where a file can be made, with space for it",
        found=f"{str(path)!r:.120}: {error.strerror or error}",
        fix="choose another place, or free some space",
    )
