"""One field of a row that Postgres copied out in binary, as a value."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import date
from typing import Any

__all__ = ["date_of", "value_of"]

_DAY_ZERO = date(2000, 1, 1).toordinal()


def value_of(kind: str, sent: bytes) -> Any:
    """What a fetch would give for a field of this type (see ``WireRows``) that is not NULL."""
    match kind:
        case "text":
            return sent.decode()
        case "int":
            return int.from_bytes(sent, "big", signed=True)
        case "float":
            return struct.unpack(">d", sent)[0]
        case "date":
            return date_of(int.from_bytes(sent, "big", signed=True))
        case _:
            return _array(sent)


def date_of(days: int) -> date:
    """The day so many days behind 2000-01-01."""
    if days == (1 << 31) - 1:
        return date.max
    return date.min if days == -(1 << 31) else date.fromordinal(_DAY_ZERO + days)


def _array(sent: bytes) -> list[Any]:
    (depth,) = struct.unpack_from(">i", sent)
    shape = [struct.unpack_from(">i", sent, 12 + 8 * i)[0] for i in range(depth)]
    at = 12 + 8 * depth
    flat: list[int | None] = []
    while at < len(sent):
        (size,) = struct.unpack_from(">i", sent, at)
        at += 4
        flat.append(None if size < 0 else int.from_bytes(sent[at : at + size], "big", signed=True))
        at += max(size, 0)
    return _shaped(flat, shape) if depth else []


def _shaped(flat: Sequence[int | None], shape: Sequence[int]) -> list[Any]:
    if len(shape) == 1:
        return list(flat)
    step = len(flat) // shape[0]
    return [_shaped(flat[i : i + step], shape[1:]) for i in range(0, len(flat), step)]
