"""BLAKE2b of many byte strings at once, by a compiled loop that needs no object for each of them.

References
----------
Saarinen & Aumasson (2015), The BLAKE2 Cryptographic Hash and Message Authentication Code, RFC 7693.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..bandit.choice import KEY_BYTES, field_of
from ..jit import kernel
from ..persistence.wire import Bytes, Integers

__all__ = ["differing_hashes", "uniforms"]

Words = npt.NDArray[np.uint64]

_BLOCK = 128
_IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.uint8,
)


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
def _mix(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, x: np.uint64, y: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a = a + b + x
    d ^= a
    d = (d >> np.uint64(32)) | (d << np.uint64(32))
    c = c + d
    b ^= c
    b = (b >> np.uint64(24)) | (b << np.uint64(40))
    a = a + b + y
    d ^= a
    d = (d >> np.uint64(16)) | (d << np.uint64(48))
    c = c + d
    b ^= c
    b = (b >> np.uint64(63)) | (b << np.uint64(1))
    return a, b, c, d


@kernel
def _compress(h: Words, m: Words, count: np.uint64, last: np.uint64) -> None:
    v0, v1, v2, v3, v4, v5, v6, v7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    v8, v9, va, vb = _IV[0], _IV[1], _IV[2], _IV[3]
    vc, vd, ve, vf = _IV[4] ^ count, _IV[5], _IV[6] ^ last, _IV[7]
    for r in range(12):
        s = _SIGMA[r]
        v0, v4, v8, vc = _mix(v0, v4, v8, vc, m[s[0]], m[s[1]])
        v1, v5, v9, vd = _mix(v1, v5, v9, vd, m[s[2]], m[s[3]])
        v2, v6, va, ve = _mix(v2, v6, va, ve, m[s[4]], m[s[5]])
        v3, v7, vb, vf = _mix(v3, v7, vb, vf, m[s[6]], m[s[7]])
        v0, v5, va, vf = _mix(v0, v5, va, vf, m[s[8]], m[s[9]])
        v1, v6, vb, vc = _mix(v1, v6, vb, vc, m[s[10]], m[s[11]])
        v2, v7, v8, vd = _mix(v2, v7, v8, vd, m[s[12]], m[s[13]])
        v3, v4, v9, ve = _mix(v3, v4, v9, ve, m[s[14]], m[s[15]])
    h[0] ^= v0 ^ v8
    h[1] ^= v1 ^ v9
    h[2] ^= v2 ^ va
    h[3] ^= v3 ^ vb
    h[4] ^= v4 ^ vc
    h[5] ^= v5 ^ vd
    h[6] ^= v6 ^ ve
    h[7] ^= v7 ^ vf


@kernel
def _word(data: Bytes, at: int) -> np.uint64:
    value = np.uint64(data[at + 7])
    for j in range(6, -1, -1):
        value = (value << np.uint64(8)) | np.uint64(data[at + j])
    return value


@kernel
def _begin(parameter: np.uint64, h: Words) -> None:
    for i in range(8):
        h[i] = _IV[i]
    h[0] ^= np.uint64(0x01010000) ^ parameter


@kernel
def _finish(data: Bytes, begin: int, end: int, before: int, h: Words, m: Words) -> None:
    """Hash the bytes from ``begin`` to before ``end`` into ``h``, which has taken in ``before``."""
    at = begin
    while end - at > 128:
        for i in range(16):
            m[i] = _word(data, at + 8 * i)
        at += 128
        _compress(h, m, np.uint64(before + at - begin), np.uint64(0))
    for i in range(16):
        m[i] = np.uint64(0)
    for j in range(end - at):
        m[j >> 3] |= np.uint64(data[at + j]) << np.uint64(8 * (j & 7))
    _compress(h, m, np.uint64(before + end - begin), ~np.uint64(0))


@kernel
def _differing(
    text: Bytes, ends: Integers, data: Bytes, place: Integers, length: Integers, out: npt.NDArray[np.bool_]
) -> None:
    h, m = np.zeros(8, np.uint64), np.zeros(16, np.uint64)
    for i in range(out.shape[0]):
        if length[i] != 32:
            continue
        _begin(np.uint64(16), h)
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
    _begin(np.uint64(0x1004), base)
    _compress(base, m, np.uint64(128), np.uint64(0))
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
