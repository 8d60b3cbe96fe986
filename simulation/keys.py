"""Keys of the random numbers that worlds and compiled loops draw: one for each (seed, replication, purpose).

The n-th number of a key is a pure function of key and n (see ``lockstep.counter``), so that any round of any
replication can be drawn by itself, in any order and in any process.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

__all__ = ["Key", "key_of"]

_EVEN_BITS = 0xAAAAAAAAAAAAAAAA
_TRANSITIONS_MIN = 24


class Key(NamedTuple):
    """Start and odd step of a SplitMix sequence."""

    start: np.uint64
    step: np.uint64


def key_of(seed: int, replication: int, purpose: str) -> Key:
    """Derive the key of one purpose in one replication; 0 ≤ seed, replication < 2⁶⁴.

    Every key has a step of its own, so that no two sequences are pieces of each other. Steps whose bits
    hardly alternate mix badly, and are changed as their inventors say.

    References
    ----------
    Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA, §5.
    """
    hashed = hashlib.blake2b(purpose.encode(), digest_size=16, key=seed.to_bytes(8, "big"))
    hashed.update(replication.to_bytes(8, "big"))
    raw = hashed.digest()
    step = int.from_bytes(raw[8:], "big") | 1
    if (step ^ (step >> 1)).bit_count() < _TRANSITIONS_MIN:
        step ^= _EVEN_BITS
    return Key(np.uint64(int.from_bytes(raw[:8], "big")), np.uint64(step))
