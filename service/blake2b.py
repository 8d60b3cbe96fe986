"""Hashes and keyed draws of many byte strings at once, by a compiled loop that needs no object for each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..bandit.choice import KEY_BYTES, field_of
from ..bandit.kernels.blake2b import Words, begin, compress
from ..jit import kernel
from ..persistence.wire import Bytes, Integers

__all__ = ["differing_hashes", "uniforms"]

_BLOCK = 128


def differing_hashes(
    text: Bytes, ends: Integers, data: Bytes, place: Integers, length: Integers
) -> npt.NDArray[np.bool_]:
    """Which fields (``length[i]`` bytes of ``data`` from ``place[i]`` on) are not ``canonical.hashed`` of the
    text from ``ends[i]`` to before ``ends[i + 1]``.
    """
    out = np.ones(len(place), np.bool_)
    _differing(text, ends, data, place, length, out)
    return out


def uniforms(seed: int, bandit: str, stage: str, data: Bytes, place: Integers, length: Integers) -> Integers:
    """``Keyed(seed, bandit).uniform`` of each decision id, for one stage; nonsense where there is no id."""
    key = seed.to_bytes(KEY_BYTES, "big").ljust(_BLOCK, b"\0")
    before, behind = np.frombuffer(field_of(bandit), np.uint8), np.frombuffer(field_of(stage), np.uint8)
    room = np.zeros(len(before) + 4 + int(length.max(initial=0)) + len(behind), np.uint8)
    out = np.zeros(len(place), np.int64)
    _uniforms(np.frombuffer(key, np.uint8), before, behind, data, place, length, room, out)
    return out


@kernel
def _word(data: Bytes, at: int) -> np.uint64:
    value = np.uint64(data[at + 7])
    for j in range(6, -1, -1):
        value = (value << np.uint64(8)) | np.uint64(data[at + j])
    return value


@kernel
def _finish(data: Bytes, first: int, end: int, before: int, h: Words, m: Words) -> None:
    """Hash the bytes from ``first`` to before ``end`` into ``h``, which has taken in ``before``."""
    at = first
    while end - at > 128:
        for i in range(16):
            m[i] = _word(data, at + 8 * i)
        at += 128
        compress(h, m, before + at - first, False)
    for i in range(16):
        m[i] = np.uint64(0)
    for j in range(end - at):
        m[j >> 3] |= np.uint64(data[at + j]) << np.uint64(8 * (j & 7))
    compress(h, m, before + end - first, True)


@kernel
def _differing(
    text: Bytes, ends: Integers, data: Bytes, place: Integers, length: Integers, out: npt.NDArray[np.bool_]
) -> None:
    h, m = np.zeros(8, np.uint64), np.zeros(16, np.uint64)
    for i in range(out.shape[0]):
        if length[i] != 32:
            continue
        begin(16, 0, h)
        _finish(text, ends[i], ends[i + 1], 0, h, m)
        same = True
        for j in range(16):
            byte = (h[j >> 3] >> np.uint64(8 * (j & 7))) & np.uint64(255)
            high, low = byte >> np.uint64(4), byte & np.uint64(15)
            # Hexadecimal digits: 0 to 9, then a to f.
            high += np.uint64(48) if high < np.uint64(10) else np.uint64(87)
            low += np.uint64(48) if low < np.uint64(10) else np.uint64(87)
            at = place[i] + 2 * j
            if np.uint64(data[at]) != high or np.uint64(data[at + 1]) != low:
                same = False
                break
        out[i] = not same


@kernel
def _uniforms(
    key: Bytes,
    before: Bytes,
    behind: Bytes,
    data: Bytes,
    place: Integers,
    length: Integers,
    room: Bytes,
    out: Integers,
) -> None:
    base, h, m = np.zeros(8, np.uint64), np.zeros(8, np.uint64), np.zeros(16, np.uint64)
    for i in range(16):
        m[i] = _word(key, 8 * i)
    begin(4, 16, base)
    compress(base, m, 128, False)
    first = before.shape[0]
    for j in range(first):
        room[j] = before[j]
    for i in range(out.shape[0]):
        size = max(length[i], 0)
        for j in range(4):
            room[first + j] = (size >> (24 - 8 * j)) & 255
        at = first + 4
        for j in range(size):
            room[at + j] = data[place[i] + j]
        at += size
        for j in range(behind.shape[0]):
            room[at + j] = behind[j]
        at += behind.shape[0]
        for j in range(8):
            h[j] = base[j]
        _finish(room, 0, at, 128, h, m)
        value = np.int64(0)
        for j in range(4):
            value = (value << 8) | np.int64((h[0] >> np.uint64(8 * j)) & np.uint64(255))
        out[i] = value
