"""Canonical JSON of many stored rows at once: what their hashes are of, put together from their columns.

A *recipe* says what stands one behind the other: fixed text, a text quoted, JSON as it is stored, numbers. A
compiled loop follows it for each row. Where a column is not of the usual form (a text that JSON would
escape, an array with gaps), the row is not spelled, and left to whoever reads rows one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..jit import kernel
from ..persistence.wire import Bytes, Integers, WireRows
from .blake2b import differing_hashes
from .float_text import LONGEST_FLOAT, spell_floats, write_number

__all__ = ["Recipe", "Spelled", "Texts", "differs_from", "float_texts", "spell"]

Flags: TypeAlias = npt.NDArray[np.bool_]

_FIXED, _QUOTED, _JSON, _WHOLE, _LIST, _LIST_OR_NULL, _JSON_OR_NULL, _INSIDE, _NUMBER, _TEXT = range(10)
_KINDS = {
    "quoted": _QUOTED,
    "json": _JSON,
    "int": _WHOLE,
    "list": _LIST,
    "list or null": _LIST_OR_NULL,
    "json or null": _JSON_OR_NULL,
    "inside": _INSIDE,
    "number": _NUMBER,
    "text": _TEXT,
}
_LONGEST_NUMBER = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps (kind, argument, length): of fixed text, where it stands in ``fixed``; else a column's field.

    A column may be ``quoted``, ``json`` (as stored), ``json or null``, ``int``, ``list`` (of integers),
    ``list or null``, or ``inside`` (a JSON list without its brackets, and a comma behind what is in it). A
    ``number`` is of a column of integers that is passed in, a ``text`` of one of texts.
    """

    fixed: Bytes
    steps: Integers

    @classmethod
    def of(cls, columns: Sequence[str], *steps: str | tuple[str, str] | tuple[str, int]) -> Recipe:
        """The recipe whose steps are fixed texts, (kind, column), or (``number`` or ``text``, which)."""
        fixed, made = b"", []
        for step in steps:
            if isinstance(step, str):
                made.append((_FIXED, len(fixed), len(step.encode())))
                fixed += step.encode()
            else:
                kind, column = step
                at = column if isinstance(column, int) else columns.index(column)
                made.append((_KINDS[kind], at, 0))
        return cls(np.frombuffer(fixed, np.uint8), np.array(made, np.int64))


@dataclass(frozen=True, slots=True)
class Spelled:
    """Text i stands from ``ends[i]`` to before ``ends[i + 1]``; ``done`` says which rows were spelled."""

    text: Bytes
    ends: Integers
    done: Flags

    def hashes_differ(self, rows: WireRows, field: int) -> Flags:
        """Which rows' field is not ``canonical.hashed`` of their text."""
        place, length = rows.place[:, field], rows.length[:, field]
        return differing_hashes(self.text, self.ends, rows.data, place, length)


@dataclass(frozen=True, slots=True)
class Texts:
    """Text i is the first ``sizes[i]`` bytes of row i of ``slots``; ``usable`` says where there is one."""

    slots: npt.NDArray[np.uint8]
    sizes: Integers
    usable: Flags

    def part(self, rows: Any) -> Texts:
        """Some of them."""
        return Texts(self.slots[rows], self.sizes[rows], self.usable[rows])

    def joined(self, other: Texts) -> Texts:
        """These, and others behind them."""
        return Texts(
            np.concatenate([self.slots, other.slots]),
            np.concatenate([self.sizes, other.sizes]),
            np.concatenate([self.usable, other.usable]),
        )


def float_texts(values: npt.NDArray[np.float64], known: Flags) -> Texts:
    """Floats as canonical JSON spells them, ``null`` for those that are not ``known``."""
    return Texts(*spell_floats(values, known), np.isfinite(values) | ~known)


def spell(
    recipe: Recipe,
    rows: WireRows,
    numbers: Sequence[Integers] = (),
    texts: Sequence[Texts] = (),
) -> Spelled:
    """Spell every row; ``numbers``, ``texts`` : what the recipe calls so, by row."""
    count = len(rows)
    table = np.zeros((max(1, len(numbers)), count), np.int64)
    for i, column in enumerate(numbers):
        table[i] = column
    sizes = np.zeros((max(1, len(texts)), count), np.int64)
    slots = np.zeros((max(1, len(texts)), count, LONGEST_FLOAT), np.uint8)
    for i, given in enumerate(texts):
        slots[i], sizes[i] = given.slots, given.sizes
    # No column grows by more: four bytes of a number are preceded by four that tell its length.
    room = 2 * int(np.maximum(rows.length, 0).sum()) + int(sizes.sum())
    room += count * (len(recipe.fixed) + (_LONGEST_NUMBER + 4) * len(recipe.steps))
    out, places, done = np.empty(room, np.uint8), np.zeros(count + 1, np.int64), np.ones(count, np.bool_)
    _spell(
        recipe.fixed, recipe.steps, rows.data, rows.place, rows.length, table, slots, sizes, out, places, done
    )
    for given in texts:
        done &= given.usable
    return Spelled(out[: places[-1]], places, done)


def differs_from(spelled: Spelled, rows: WireRows, field: int) -> Flags:
    """Which rows' field is not, byte by byte, what was spelled; NULL differs from everything."""
    out = np.ones(len(rows), np.bool_)
    _differ(spelled.text, spelled.ends, rows.data, rows.place[:, field], rows.length[:, field], out)
    return out | ~spelled.done


@kernel
def _read(data: Bytes, place: int, size: int) -> int:
    value = np.int64(data[place])
    if value >= 128:
        value -= 256
    for i in range(1, size):
        value = (value << 8) | np.int64(data[place + i])
    return int(value)


@kernel
def _write_list(data: Bytes, at: int, size: int, out: Bytes, to: int) -> int:
    """Returns where the text ends; −1 for what is no plain array of integers."""
    out[to] = 91
    to += 1
    if size == 12 and _read(data, at, 4) == 0:  # an empty array
        out[to] = 93
        return to + 1
    if size < 20 or _read(data, at, 4) != 1 or _read(data, at + 4, 4) != 0:
        return -1
    end = at + size
    at += 20
    first = True
    while at + 4 <= end:
        each = _read(data, at, 4)
        at += 4
        if each not in (4, 8) or each > end - at:
            return -1
        value = _read(data, at, each)
        if value < -(1 << 62):
            return -1
        if not first:
            out[to] = 44
            to += 1
        first = False
        to = write_number(value, out, to)
        at += each
    if at != end:
        return -1
    out[to] = 93
    return to + 1


@kernel
def _spell(
    fixed: Bytes,
    steps: Integers,
    data: Bytes,
    place: Integers,
    length: Integers,
    numbers: Integers,
    slots: npt.NDArray[np.uint8],
    sizes: Integers,
    out: Bytes,
    places: Integers,
    done: Flags,
) -> None:
    to = 0
    for i in range(done.shape[0]):
        begin = to
        good = True
        for s in range(steps.shape[0]):
            kind, f = steps[s, 0], steps[s, 1]
            if kind == 0:
                for j in range(f, f + steps[s, 2]):
                    out[to] = fixed[j]
                    to += 1
                continue
            if kind == 8:
                to = write_number(numbers[f, i], out, to)
                continue
            if kind == 9:
                for j in range(sizes[f, i]):
                    out[to] = slots[f, i, j]
                    to += 1
                continue
            at, size = place[i, f], length[i, f]
            if size < 0:
                if kind not in (5, 6):
                    good = False
                    break
                out[to], out[to + 1], out[to + 2], out[to + 3] = 110, 117, 108, 108
                to += 4
            elif kind == 1:
                out[to] = 34
                to += 1
                for j in range(at, at + size):
                    byte = data[j]
                    if byte < 32 or byte > 126 or byte in (34, 92):
                        good = False
                    out[to] = byte
                    to += 1
                out[to] = 34
                to += 1
            elif kind in (2, 6):
                for j in range(at, at + size):
                    out[to] = data[j]
                    to += 1
            elif kind == 3:
                if size not in (4, 8):
                    good = False
                    break
                value = _read(data, at, size)
                if value < -(1 << 62):
                    good = False
                    break
                to = write_number(value, out, to)
            elif kind in (4, 5):
                to = _write_list(data, at, size, out, to)
                if to < 0:
                    good = False
                    break
            else:  # inside
                if size < 2 or data[at] != 91 or data[at + size - 1] != 93:
                    good = False
                    break
                for j in range(at + 1, at + size - 1):
                    out[to] = data[j]
                    to += 1
                if size > 2:
                    out[to] = 44
                    to += 1
        if not good:
            to = begin
            done[i] = False
        places[i + 1] = to


@kernel
def _differ(text: Bytes, ends: Integers, data: Bytes, place: Integers, length: Integers, out: Flags) -> None:
    for i in range(out.shape[0]):
        size = ends[i + 1] - ends[i]
        if length[i] != size:
            continue
        same = True
        for j in range(size):
            if text[ends[i] + j] != data[place[i] + j]:
                same = False
                break
        out[i] = not same
