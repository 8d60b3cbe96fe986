"""``read_log``: the lines of a log, whatever its format, checked one by one.

A file is JSONL, CSV (both plain or gzip-compressed) or Parquet. Nothing is kept of lines that were read: a
log may be larger than memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from ...errors import LogInvalid, LogUnreadable, NyxError
from ...features import ContextSchema
from .cells import document_from, parse_json, split_columns
from .choice import FIELDS, LoggedChoice, choice_from
from .columns import ChoiceColumns, parquet_columns, parquet_length
from .parquet import parquet_rows

__all__ = ["FORMATS", "Reject", "format_of", "named_format", "opened", "read_columns", "read_log"]

FORMATS = ("jsonl", "csv", "parquet")
"""Formats of a log's file."""
MAX_LINE = 1 << 20
"""Bytes of the longest line that is read."""

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"

_Document: TypeAlias = tuple[int, dict[str, Any] | LogInvalid]
"""Line number, and what stands there."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that cannot be used, and why. ``decision_id`` : None where it could not be read."""

    line: int
    decision_id: str | None
    error: NyxError

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        error = self.error
        return {
            "line": self.line,
            "decision_id": self.decision_id,
            "code": error.code,
            "what": error.what,
            "expected": error.expected,
            "found": error.found,
            "fix": error.fix,
        }


def read_log(
    path: str | Path,
    *,
    form: str | None = None,
    schema: ContextSchema | None = None,
    rejected: Callable[[Reject], None] | None = None,
    ignored: set[str] | None = None,
) -> Generator[LoggedChoice, None, None]:
    r"""Read logged choices from a file, one a line, in the order of the file.

    Parameters
    ----------
    form : ``jsonl``, ``csv`` or ``parquet``; by default what the file's name, or else its beginning, says.
    schema : says what the cells of a CSV mean: with it, ``12`` under a categorical feature is a text. Without
        one, what looks like a number is one. (JSON and Parquet have types of their own.)
    rejected : is called for each line that cannot be used, and the next one is read. Without it the first
        such line raises.
    ignored : collects the names of columns and keys that the format does not have.

    A missing propensity is None, never a number: see ``LoggedChoice``. Ids that come twice are not noticed:
    nothing is kept.

    >>> import pathlib, tempfile
    >>> lines = ["decision_id,context.task,arm_id,propensity,reward", "a,code,direct,unknown,0.5"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "log.csv"
    ...     _ = path.write_text("\n".join(lines))
    ...     (choice,) = read_log(path)
    >>> choice.context, choice.arm_id, choice.propensity, choice.reward
    ({'task': 'code'}, 'direct', None, 0.5)

    Raises
    ------
    LogInvalid : a line cannot be used, and ``rejected`` is not given.
    LogUnreadable : the file cannot be opened, is truncated or damaged, or of no known format.
    """
    form = form or format_of(path)
    others: set[str] = set() if ignored is None else ignored
    if form == "parquet":
        found = _parquet(str(path), others)
    elif form in FORMATS:
        found = _text(str(path), form, schema, others)
    else:
        raise LogUnreadable(
            "there is no such format of logs",
            expected=f"one of {', '.join(FORMATS)}",
            found=repr(form)[:80],
            fix="name the format that the file has",
        )
    for line, document in found:
        try:
            if isinstance(document, LogInvalid):
                raise document
            choice = choice_from(document, line)
        except LogInvalid as error:
            if rejected is None:
                raise
            named = document.get("decision_id") if isinstance(document, dict) else None
            rejected(Reject(line, named[:512] if isinstance(named, str) else None, error))
        else:
            yield choice


def read_columns(path: str | Path, rows: int) -> Iterator[ChoiceColumns | list[LoggedChoice]] | None:
    """A Parquet file of more than so many rows, in batches of fewer; None for any other log.

    Raises
    ------
    LogInvalid, LogUnreadable : see ``read_log``.
    """
    if format_of(path) != "parquet":
        return None
    with _readable(str(path)):
        if parquet_length(str(path)) <= rows:
            return None
    return _in_columns(str(path), min(rows, _COLUMN_ROWS))


def _in_columns(path: str, rows: int) -> Iterator[ChoiceColumns | list[LoggedChoice]]:
    with _readable(path):
        yield from parquet_columns(path, rows)


def named_format(path: str | Path) -> str | None:
    """The format that a file's name says; None where it says none."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def format_of(path: str | Path) -> str:
    """The format of a log, by its name, or else by how it begins.

    Raises
    ------
    LogUnreadable : the file cannot be opened.
    """
    known = named_format(path)
    if known is not None:
        return known
    with _readable(str(path)), _binary(str(path)) as file:
        head = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(_PARQUET):
        return "parquet"
    return "jsonl" if head.startswith((b"{", b"[")) or not head else "csv"


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file of bytes, compressed or not; what goes wrong inside the block is ``LogUnreadable``."""
    with _readable(str(path)), _binary(str(path)) as file:
        yield file


def _binary(path: str) -> IO[bytes]:
    file = open(path, "rb")  # noqa: PTH123, SIM115 - the caller closes; a name that is no path raises OSError
    compressed = file.read(2) == _GZIP
    file.seek(0)
    if not compressed:
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path, "rb"))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn what reading raises into ``LogUnreadable``."""
    name = Path(path).name or "the log"
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LogUnreadable(
            f"{name} cannot be decompressed",
            expected="a complete gzip file",
            found=f"{type(error).__name__}: {error}"[:200],
            fix="the file is truncated or damaged: copy it again",
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, NyxError):
            raise
        raise LogUnreadable(
            f"{name} cannot be read",
            expected="the path of a readable file",
            found=f"{path!r:.120}: {getattr(error, 'strerror', None) or error}"[:240],
            fix="correct the path, or the rights",
        ) from None


def _text(path: str, form: str, schema: ContextSchema | None, others: set[str]) -> Iterator[_Document]:
    with _readable(path), _binary(path) as file:
        if form == "jsonl":
            yield from _jsonl(file, others)
            return
        # What is no UTF-8 comes as half surrogate pairs, so that one bad row does not hide the others.
        with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from _csv(text, Path(path).name, schema, others)


def _jsonl(file: IO[bytes], others: set[str]) -> Iterator[_Document]:
    number = 0
    while data := file.readline(MAX_LINE + 1):
        number += 1
        if len(data) > MAX_LINE and not data.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield (
                number,
                _bad(number, "the line is too long", f"at most {MAX_LINE:,} bytes", "more", "shorten it"),
            )
            continue
        if number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        if not data.strip():
            continue
        try:
            document = parse_json(data.decode())
        except ValueError as error:  # of the text's encoding, and of JSON
            yield number, _bad(number, "the line is no JSON", "one JSON object", f"{error}: {data[:80]!r}")
            continue
        if not isinstance(document, dict):
            yield number, _bad(number, "the line is no object", "one JSON object", repr(document)[:120])
            continue
        if len(others) < _MANY:
            others.update(document.keys() - _FIELDS)
        yield number, document


def _csv(text: IO[str], name: str, schema: ContextSchema | None, others: set[str]) -> Iterator[_Document]:
    reader = csv.reader(text, strict=True)
    header: list[str] | None = None
    columns: list[tuple[str, str | None] | None] = []
    begin = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            line, begin = begin, reader.line_num + 1
            if header is None or "unexpected end" in str(error):
                # An open quote has swallowed all that follows: nobody can say how many rows.
                raise LogUnreadable(
                    f"{name}, line {line}: the text is not CSV",
                    expected='comma-separated values; a quoted value ends with a quote (")',
                    found=str(error),
                    fix="close the quote; one that is open at the end is a sign of a truncated file",
                ) from None
            yield (
                line,
                _bad(line, "the row is no CSV", "comma-separated values", f"{error}, up to {begin - 1}"),
            )
            continue
        if cells is None:
            break
        line, begin = begin, reader.line_num + 1
        if not cells:
            continue
        if header is None:
            header = _header(cells, name)
            columns = split_columns(header)
            others.update(column for column, place in zip(header, columns, strict=True) if place is None)
            continue
        yield line, _row(line, columns, cells, schema)
    if header is None:
        raise _no_header(name, "an empty file")


def _row(
    line: int, columns: list[tuple[str, str | None] | None], cells: list[str], schema: ContextSchema | None
) -> dict[str, Any] | LogInvalid:
    if len(cells) != len(columns):
        fix = "complete the row, or quote values that contain a comma"
        return _bad(
            line,
            "the row is not as long as the header",
            f"{len(columns)} values",
            f"{len(cells)} values",
            fix,
        )
    if not all(cell.isascii() or _encodable(cell) for cell in cells):
        return _bad(
            line, "the row is not UTF-8", "text in UTF-8", repr(",".join(cells))[:120], "convert the file"
        )
    try:
        return document_from(columns, cells, schema)
    except ValueError as error:
        return _bad(
            line, "a cell is no JSON", "JSON under context, outcome, pmf and eligible", str(error)[:160]
        )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _header(cells: list[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated or not {"decision_id", "arm_id"} <= set(header):
        raise _no_header(name, f"repeated columns {repeated}" if repeated else f"columns {header}"[:200])
    return header


def _no_header(name: str, found: str) -> LogUnreadable:
    return LogUnreadable(
        f"{name} has no header of a log",
        expected="a first line with different names, decision_id and arm_id among them",
        found=found,
        fix=f"name the columns out of {', '.join(FIELDS)}, and context.<feature>",
    )


def _parquet(path: str, others: set[str]) -> Iterator[_Document]:
    with _readable(path):
        yield from parquet_rows(path, others)


_FIELDS = frozenset(FIELDS)
_MANY = 1000
_COLUMN_ROWS = 100_000


def _bad(line: int, what: str, expected: str, found: str, fix: str = "correct the line") -> LogInvalid:
    return LogInvalid(f"line {line}: {what}", expected=expected, found=found, fix=fix)
