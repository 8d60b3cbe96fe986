"""Numbers for texts that stand in many rows: a hash table that compiled loops read and fill."""

from __future__ import annotations

import numpy as np

from ..jit import kernel
from ..persistence.wire import Bytes, Integers

__all__ = ["TextTable", "mixed_hash"]

_FIRST_ROOM = 64
_BYTES_A_TEXT = 32


class TextTable:
    """Texts, and a number for each: 0, 1, … in the order in which they came."""

    def __init__(self, *texts: str) -> None:
        self._bytes = np.zeros(_FIRST_ROOM * _BYTES_A_TEXT, np.uint8)
        self._ends = np.zeros(_FIRST_ROOM + 1, np.int64)
        self._slots = np.full(2 * _FIRST_ROOM, -1, np.int64)
        self._count = 0
        for text in texts:
            sent = np.frombuffer(text.encode(), np.uint8)
            self.append(sent, np.zeros(1, np.int64), np.array([len(sent)], np.int64))

    def __len__(self) -> int:
        return self._count

    def find(self, data: Bytes, place: Integers, length: Integers) -> Integers:
        """Number of each text, ``length[i]`` bytes of ``data`` from ``place[i]`` on; −1 for one that is not
        there, and for NULL.
        """
        out = np.empty(len(place), np.int64)
        _find(data, place, length, self._bytes, self._ends, self._slots, out)
        return out

    def number(self, data: Bytes, place: Integers, length: Integers) -> Integers:
        """As ``find``; a text that is not there gets the next number."""
        self._make_room(len(place), int(np.maximum(length, 0).sum()))
        out = np.empty(len(place), np.int64)
        self._count = _number(data, place, length, self._bytes, self._ends, self._slots, self._count, out)
        return out

    def append(self, data: Bytes, place: Integers, length: Integers) -> None:
        """Give each text the next number, also one that has a number: from then on it is found by the new
        one. NULL counts as the empty text.
        """
        self._make_room(len(place), int(np.maximum(length, 0).sum()))
        _append(data, place, length, self._bytes, self._ends, self._slots, self._count)
        self._count += len(place)

    def drop(self, count: int) -> None:
        """Forget the first ``count`` texts; the numbers of the others become less by that."""
        begin, end = int(self._ends[count]), int(self._ends[self._count])
        place = self._ends[count : self._count] - begin
        length = np.diff(self._ends[count : self._count + 1])
        kept = self._bytes[begin:end].copy()
        self._count = 0
        self._slots[:] = -1
        self.append(kept, place, length)

    def _make_room(self, texts: int, size: int) -> None:
        wanted = self._count + texts
        used = int(self._ends[self._count])
        if used + size > len(self._bytes):
            self._bytes = np.concatenate([self._bytes, np.zeros(used + size, np.uint8)])
        if wanted + 1 > len(self._ends):
            self._ends = np.concatenate([self._ends, np.zeros(wanted, np.int64)])
        if 2 * wanted > len(self._slots):
            self._slots = np.full(1 << (4 * wanted).bit_length(), -1, np.int64)
            _enter(self._bytes, self._ends, self._count, self._slots)


@kernel
def mixed_hash(data: Bytes, begin: int, end: int) -> np.uint64:
    """64 bits of some bytes: FNV-1a, its bits mixed."""
    h = np.uint64(0xCBF29CE484222325)
    for j in range(begin, end):
        h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    return h ^ (h >> np.uint64(33))


@kernel
def _slot(data: Bytes, at: int, size: int, known: Bytes, ends: Integers, slots: Integers) -> int:
    """The slot of a text, or the free one that it would take."""
    mask = np.uint64(slots.shape[0] - 1)
    h = mixed_hash(data, at, at + size) & mask
    while True:
        number = slots[h]
        if number < 0:
            return int(h)
        begin = ends[number]
        if ends[number + 1] - begin == size:
            same = True
            for j in range(size):
                if known[begin + j] != data[at + j]:
                    same = False
                    break
            if same:
                return int(h)
        h = (h + np.uint64(1)) & mask


@kernel
def _find(
    data: Bytes,
    place: Integers,
    length: Integers,
    known: Bytes,
    ends: Integers,
    slots: Integers,
    out: Integers,
) -> None:
    for i in range(out.shape[0]):
        out[i] = -1 if length[i] < 0 else slots[_slot(data, place[i], length[i], known, ends, slots)]


@kernel
def _keep(data: Bytes, at: int, size: int, known: Bytes, ends: Integers, number: int) -> None:
    begin = ends[number]
    for j in range(size):
        known[begin + j] = data[at + j]
    ends[number + 1] = begin + size


@kernel
def _number(
    data: Bytes,
    place: Integers,
    length: Integers,
    known: Bytes,
    ends: Integers,
    slots: Integers,
    count: int,
    out: Integers,
) -> int:
    for i in range(out.shape[0]):
        if length[i] < 0:
            out[i] = -1
            continue
        slot = _slot(data, place[i], length[i], known, ends, slots)
        if slots[slot] < 0:
            _keep(data, place[i], length[i], known, ends, count)
            slots[slot] = count
            count += 1
        out[i] = slots[slot]
    return count


@kernel
def _append(
    data: Bytes,
    place: Integers,
    length: Integers,
    known: Bytes,
    ends: Integers,
    slots: Integers,
    count: int,
) -> None:
    for i in range(place.shape[0]):
        size = max(length[i], 0)
        _keep(data, place[i], size, known, ends, count + i)
        slots[_slot(data, place[i], size, known, ends, slots)] = count + i


@kernel
def _enter(known: Bytes, ends: Integers, count: int, slots: Integers) -> None:
    for i in range(count):
        slots[_slot(known, ends[i], ends[i + 1] - ends[i], known, ends, slots)] = i
