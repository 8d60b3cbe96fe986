"""The keyed uniform of ``bandit.choice`` inside compiled loops: the same BLAKE2b, the same bits.

So a loop draws from a pmf exactly as the online learner does for the decision id ``<replication>/<round>``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bandit.kernels.blake2b import Words, begin, compress
from ...jit import kernel

__all__ = ["keyed_base", "keyed_uniform", "message_head"]

_STAGE = np.frombuffer(b"\x00\x00\x00\x03arm", np.uint8).copy()
_DIGITS_MAX = 20


@kernel
def _absorb_key(key: npt.NDArray[np.uint8], h: Words) -> None:
    m = np.zeros(16, np.uint64)
    begin(4, key.shape[0], h)
    for i in range(key.shape[0]):
        m[i >> 3] |= np.uint64(key[i]) << np.uint64(8 * (i & 7))
    compress(h, m, 128, False)


def keyed_base(seed: int) -> Words:
    """State (8,) after the block that holds the key."""
    h = np.zeros(8, np.uint64)
    _absorb_key(np.frombuffer(seed.to_bytes(16, "big"), np.uint8), h)
    return h


def message_head(bandit: str) -> npt.NDArray[np.uint8]:
    """The message up to the decision id, of at most 64 bytes."""
    name = bandit.encode()
    return np.frombuffer(len(name).to_bytes(4, "big") + name, np.uint8)


@kernel
def _put(m: Words, place: int, byte: int) -> None:
    m[place >> 3] |= np.uint64(byte) << np.uint64(8 * (place & 7))


@kernel
def keyed_uniform(
    base: Words, head: npt.NDArray[np.uint8], replication: int, round_number: int, work: Words
) -> int:
    """``Keyed(seed, bandit).uniform(f"{replication}/{round_number}", "arm")``.

    base (8,), head: of ``keyed_base`` and ``message_head``; work (24,): work space.
    """
    h, m = work[:8], work[8:24]
    for i in range(8):
        h[i] = base[i]
    for i in range(16):
        m[i] = np.uint64(0)
    place = head.shape[0]
    for i in range(place):
        _put(m, i, head[i])
    length_at = place + 3  # a length of four bytes, of which only the last can differ from 0
    place += 4
    text = place
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
    _put(m, length_at, place - text)
    for i in range(_STAGE.shape[0]):
        _put(m, place, _STAGE[i])
        place += 1
    compress(h, m, 128 + place, True)
    # The digest is the first four bytes, read with the first byte as the highest.
    word = int(h[0] & np.uint64(0xFFFFFFFF))
    return ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | ((word >> 24) & 0xFF)
