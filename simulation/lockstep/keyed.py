"""The keyed uniform of ``bandit.choice`` inside compiled loops: the same BLAKE2b, the same bits.

So a loop draws from a pmf exactly as the online learner does for the decision id ``<replication>/<round>``.

References
----------
RFC 7693, The BLAKE2 cryptographic hash, §3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["keyed_base", "keyed_uniform", "message_head"]

_Words = npt.NDArray[np.uint64]

_INITIAL = np.array(
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
    np.int64,
)
_STAGE = np.frombuffer(b"\x00\x00\x00\x03arm", np.uint8).copy()
_DIGITS_MAX = 20


@kernel
def _turn(x: np.uint64, right: int) -> np.uint64:
    return (x >> np.uint64(right)) | (x << np.uint64(64 - right))


@kernel
def _mix(v: _Words, a: int, b: int, c: int, d: int, x: np.uint64, y: np.uint64) -> None:
    v[a] = v[a] + v[b] + x
    v[d] = _turn(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = _turn(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = _turn(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = _turn(v[b] ^ v[c], 63)


@kernel
def _compress(h: _Words, m: _Words, count: int, last: bool, v: _Words) -> None:
    """One block: h (8,) is updated by the message words m (16,); v (16,) is work space."""
    for i in range(8):
        v[i] = h[i]
        v[8 + i] = _INITIAL[i]
    v[12] ^= np.uint64(count)
    if last:
        v[14] = ~v[14]
    for r in range(12):
        s = _SIGMA[r]
        _mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        _mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        _mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        _mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        _mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        _mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        _mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        _mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for i in range(8):
        h[i] ^= v[i] ^ v[8 + i]


@kernel
def _absorb_key(key: npt.NDArray[np.uint8], h: _Words) -> None:
    m = np.zeros(16, np.uint64)
    v = np.empty(16, np.uint64)
    for i in range(8):
        h[i] = _INITIAL[i]
    h[0] ^= np.uint64(0x01010000 + (key.shape[0] << 8) + 4)
    for i in range(key.shape[0]):
        m[i >> 3] |= np.uint64(key[i]) << np.uint64(8 * (i & 7))
    _compress(h, m, 128, False, v)


def keyed_base(seed: int) -> _Words:
    """State (8,) after the block that holds the key."""
    h = np.zeros(8, np.uint64)
    _absorb_key(np.frombuffer(seed.to_bytes(16, "big"), np.uint8), h)
    return h


def message_head(bandit: str) -> npt.NDArray[np.uint8]:
    """The message up to the decision id, of at most 64 bytes."""
    name = bandit.encode()
    return np.frombuffer(len(name).to_bytes(4, "big") + name, np.uint8)


@kernel
def _put(m: _Words, place: int, byte: int) -> None:
    m[place >> 3] |= np.uint64(byte) << np.uint64(8 * (place & 7))


@kernel
def keyed_uniform(
    base: _Words, head: npt.NDArray[np.uint8], replication: int, round_number: int, work: _Words
) -> int:
    """``Keyed(seed, bandit).uniform(f"{replication}/{round_number}", "arm")``.

    base (8,), head: of ``keyed_base`` and ``message_head``; work (40,): work space.
    """
    h, m, v = work[:8], work[8:24], work[24:40]
    for i in range(8):
        h[i] = base[i]
    for i in range(16):
        m[i] = np.uint64(0)
    place = head.shape[0]
    for i in range(place):
        _put(m, i, head[i])
    length_at = place + 3  # a length of four bytes, of which only the last can differ from 0
    place += 4
    begin = place
    for part in range(2):
        number = replication if part == 0 else round_number
        scale = 1
        for _ in range(_DIGITS_MAX):
            if number // scale < 10:
                break
            scale *= 10
        while scale > 0:
            _put(m, place, 48 + number // scale % 10)
            place += 1
            scale //= 10
        if part == 0:
            _put(m, place, 47)
            place += 1
    _put(m, length_at, place - begin)
    for i in range(_STAGE.shape[0]):
        _put(m, place, _STAGE[i])
        place += 1
    _compress(h, m, 128 + place, True, v)
    # The digest is the first four bytes, read with the first byte as the highest.
    word = int(h[0] & np.uint64(0xFFFFFFFF))
    return ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | ((word >> 24) & 0xFF)
