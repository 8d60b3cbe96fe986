"""Rows as Postgres copies them out in binary, read as columns: without an object for each row.

A stream begins with a header; each row is its number of fields and, for each field, a length (−1 for NULL)
and that many bytes; integers stand with their highest byte first. What a compiled loop reads here was checked
to lie inside the bytes.

References
----------
PostgreSQL documentation, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..jit import kernel
from .queries import Connection, query
from .wire_values import date_of, value_of

__all__ = ["Bytes", "Integers", "WireRows", "copied", "copy_out", "rows_from"]

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = len(_SIGNATURE) + 8  # flags, and the length of an extension that no server sends
_END = b"\xff\xff"
_PIECE = 16 << 20
_LEAST = 2  # bytes of a row: its number of fields


@dataclass(frozen=True, slots=True)
class WireRows:
    """Rows of one statement: ``sent`` (and ``data``) are their bytes; field f of row i is ``length[i, f]``
    (−1 for NULL) bytes from ``place[i, f]`` on.

    ``columns`` : name and type of each field: ``text``, ``int``, ``float``, ``date`` or ``ints``.
    """

    columns: Mapping[str, str]
    sent: bytes
    data: Bytes
    place: Integers
    length: Integers

    def __len__(self) -> int:
        return len(self.place)

    def at(self, name: str) -> int:
        """Number of a field."""
        return list(self.columns).index(name)

    def field(self, name: str) -> tuple[Bytes, Integers, Integers]:
        """Where a column stands: the bytes, and place and length of each row's field."""
        f = self.at(name)
        return self.data, self.place[:, f], self.length[:, f]

    def integers(self, name: str, missing: int) -> Integers:
        """A column of integers or dates (days since 2000-01-01)."""
        f = self.at(name)
        out = np.empty(len(self), np.int64)
        _integers(self.data, self.place[:, f], self.length[:, f], missing, out)
        return out

    def floats(self, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """A column of floats, and where it is not NULL."""
        return self.integers(name, 0).view(np.float64), self.length[:, self.at(name)] >= 0

    def arrays(self, name: str, rows: Integers, width: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """A column of integer arrays as (rows, width), and which of them are so: of one dimension and this
        length, without NULL.
        """
        f = self.at(name)
        out = np.zeros((len(rows), width), np.int64)
        fits = np.zeros(len(rows), np.bool_)
        _integer_arrays(self.data, self.place[rows, f], self.length[rows, f], out, fits)
        return out, fits

    def raw(self, name: str) -> list[bytes | None]:
        """A column as bytes."""
        f = self.at(name)
        data = self.sent
        ends = (self.place[:, f] + self.length[:, f]).tolist()
        begins = self.place[:, f].tolist()
        return [data[a:b] if a <= b else None for a, b in zip(begins, ends, strict=True)]

    def part(self, rows: Any) -> WireRows:
        """Some of the rows."""
        return WireRows(self.columns, self.sent, self.data, self.place[rows], self.length[rows])

    def value(self, i: int, name: str) -> Any:
        """One field, as a fetch would give it."""
        f = self.at(name)
        place, length = int(self.place[i, f]), int(self.length[i, f])
        if length < 0:
            return None
        return value_of(self.columns[name], self.sent[place : place + length])

    def row(self, i: int) -> dict[str, Any]:
        """One row, with the values that a fetch would give."""
        return {name: self.value(i, name) for name in self.columns}

    def fetched(self) -> list[dict[str, Any]]:
        """All rows as ``row`` gives them, in a fraction of the time."""
        columns = [self._column(name, kind) for name, kind in self.columns.items()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def _column(self, name: str, kind: str) -> list[Any]:
        values: list[Any]
        known = self.length[:, self.at(name)] >= 0
        match kind:
            case "text":
                return [None if text is None else text.decode() for text in self.raw(name)]
            case "int":
                values = self.integers(name, 0).tolist()
            case "float":
                values = self.floats(name)[0].tolist()
            case "date":
                days = self.integers(name, 0).tolist()
                told = {day: date_of(day) for day in set(days)}
                values = [told[day] for day in days]
            case _:
                values = self._lists(name)
        for i in np.flatnonzero(~known).tolist():
            values[i] = None
        return values

    def _lists(self, name: str) -> list[Any]:
        """A column of arrays, most of which are as long as the first one."""
        first = self.value(0, name) if len(self) else None
        found, fits = self.arrays(name, np.arange(len(self)), len(first or ()))
        values: list[Any] = found.tolist()
        for i in np.flatnonzero(~fits).tolist():
            values[i] = self.value(i, name)
        return values


async def copy_out(
    connection: Connection,
    name: str,
    columns: Mapping[str, str],
    args: Sequence[object],
    take: Callable[[WireRows], Awaitable[None]],
) -> None:
    """Hand the rows of the named query to ``take`` in pieces, in their order; ``columns`` are the query's.

    While ``take`` works, the server waits: memory is bounded, however many rows there are.

    Raises
    ------
    ValueError : what came is not what was asked for.
    """
    parts: list[bytes] = []
    gathered, begun = 0, False

    async def forward(*, last: bool) -> None:
        nonlocal begun, gathered
        sent = b"".join(parts)
        if not begun and not sent.startswith(_SIGNATURE):
            raise ValueError("not a binary copy")
        rows, used = rows_from(sent, columns, 0 if begun else _HEADER)
        begun = True
        parts[:] = [] if last else [sent[used:]]
        gathered = sum(map(len, parts))
        if last and sent[used:] != _END:
            raise ValueError("a binary copy is cut short")
        if len(rows):
            await take(rows)

    async def keep(part: bytes) -> None:
        nonlocal gathered
        parts.append(part)
        gathered += len(part)
        if gathered > _PIECE:
            await forward(last=False)

    await connection.copy_from_query(query(name), *args, output=keep, format="binary")
    await forward(last=True)


async def copied(
    connection: Connection, name: str, columns: Mapping[str, str], *args: object
) -> list[WireRows]:
    """The rows of the named query, in pieces."""
    found: list[WireRows] = []

    async def keep(rows: WireRows) -> None:
        found.append(rows)

    await copy_out(connection, name, columns, args, keep)
    return found


def rows_from(sent: bytes, columns: Mapping[str, str], begin: int = 0) -> tuple[WireRows, int]:
    """The whole rows among some bytes of a stream, and where they end.

    Raises
    ------
    ValueError : these bytes are no rows of such columns.
    """
    data = np.frombuffer(sent, np.uint8)
    most = len(data) // (_LEAST + 4 * len(columns)) + 1
    place, length = np.empty((2, most, len(columns)), np.int64)
    count, end = _split(data, begin, place, length)
    if count < 0:
        raise ValueError("a binary copy has other columns")
    return WireRows(columns, sent, data, place[:count].copy(), length[:count].copy()), end


@kernel
def _number(data: Bytes, place: int, size: int) -> int:
    value = np.int64(data[place])
    if value >= 128:
        value -= 256
    for i in range(1, size):
        value = (value << 8) | np.int64(data[place + i])
    return int(value)


@kernel
def _split(data: Bytes, begin: int, place: Integers, length: Integers) -> tuple[int, int]:
    """Find the fields of all rows that are whole; returns how many, and where they end; −1 where the bytes
    are no rows.
    """
    fields = place.shape[1]
    end = data.shape[0]
    behind, count = begin, 0
    while behind + 2 <= end:
        told = _number(data, behind, 2)
        if told == -1:
            break
        if told != fields:
            return -1, behind
        at = behind + 2
        whole = True
        for f in range(fields):
            if at + 4 > end:
                whole = False
                break
            size = _number(data, at, 4)
            at += 4
            if size < -1:
                return -1, behind
            if size > end - at:
                whole = False
                break
            place[count, f] = at
            length[count, f] = size
            at += max(size, 0)
        if not whole:
            break
        count += 1
        behind = at
    return count, behind


@kernel
def _integers(data: Bytes, place: Integers, length: Integers, missing: int, out: Integers) -> None:
    """Read integers of up to eight bytes."""
    for i in range(out.shape[0]):
        out[i] = missing if length[i] <= 0 or length[i] > 8 else _number(data, place[i], length[i])


@kernel
def _integer_arrays(
    data: Bytes, place: Integers, length: Integers, out: Integers, fits: npt.NDArray[np.bool_]
) -> None:
    """Read arrays of one dimension and ``out.shape[1]`` integers, without NULL; the others do not fit."""
    width = out.shape[1]
    for i in range(out.shape[0]):
        at, size = place[i], length[i]
        if size < 20 or _number(data, at, 4) != 1 or _number(data, at + 4, 4) != 0:
            continue
        if _number(data, at + 12, 4) != width:
            continue
        each = (size - 20) // width if width else 0
        if each not in (8, 12) or size != 20 + width * each:
            continue
        at += 20
        good = True
        for j in range(width):
            good = good and _number(data, at, 4) == each - 4
            out[i, j] = _number(data, at + 4, each - 4)
            at += each
        fits[i] = good
