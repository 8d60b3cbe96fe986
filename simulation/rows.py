"""A CSV table as text: header, rows, and the line on which each row begins, so that errors can point."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import TableInvalid

__all__ = ["Rows", "read_rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """What ``read_rows`` read.

    name : of the file, for errors.
    header : names of the columns, all different. rows : as long as the header.
    lines : line number of each row, counted from 1.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, column: str) -> int:
        """Position of a column; ``TableInvalid`` if there is none of that name."""
        if column in self.header:
            return self.header.index(column)
        raise TableInvalid(
            f"{self.name} has no column '{column}'",
            expected=f"one of the columns {list(self.header)}"[:300],
            found=repr(column)[:120],
            fix="correct the name; the first line of the file must be its header",
        )

    def column(self, name: str) -> list[str]:
        """All values of a column, without blanks around them."""
        place = self.place(name)
        return [row[place].strip() for row in self.rows]

    def at(self, row: int) -> str:
        """Where a row stands, for an error."""
        return f"{self.name}, line {self.lines[row]}"


def read_rows(lines: Iterable[str], name: str) -> Rows:
    """Read the lines of a CSV file with a header: comma-separated, quoted by ``"``. Blank lines are skipped.

    Raises
    ------
    TableInvalid : no header, a repeated column, no rows, a row that is longer or shorter than the header, or
        text that ends inside a quoted value.
    """
    reader = csv.reader(lines, strict=True)
    header: tuple[str, ...] | None = None
    rows: list[tuple[str, ...]] = []
    numbers: list[int] = []
    begin = 1
    try:
        for fields in reader:
            line, begin = begin, reader.line_num + 1
            if not fields:
                continue
            if header is None:
                header = _checked_header(fields, name)
                continue
            if len(fields) != len(header):
                raise TableInvalid(
                    f"{name}, line {line}: the row has another number of values than the header",
                    expected=f"{len(header)} values",
                    found=f"{len(fields)} values: {','.join(fields)!r:.120}",
                    fix="complete the row, or quote values that contain a comma; a last line that is too "
                    "short is a sign of a truncated file",
                )
            rows.append(tuple(fields))
            numbers.append(line)
    except csv.Error as error:
        raise TableInvalid(
            f"{name}, line {begin}: the text is not CSV",
            expected='comma-separated values; a quoted value ends with a quote (")',
            found=str(error),
            fix="correct the quotes; an open quote at the end is a sign of a truncated file",
        ) from None
    if header is None or not rows:
        raise TableInvalid(
            f"{name} has no rows",
            expected="a header and at least one row",
            found="an empty file" if header is None else f"the header {list(header)} alone"[:200],
            fix="export the history again, with its rows",
        )
    return Rows(name, header, tuple(rows), tuple(numbers))


def _checked_header(fields: Sequence[str], name: str) -> tuple[str, ...]:
    header = tuple(field.strip() for field in fields)
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise TableInvalid(
            f"{name} names a column twice",
            expected="columns of different names",
            found=f"repeated: {repeated}"[:200],
            fix="rename or remove one of them",
        )
    return header
