"""Keyed streams of random integers for simulations: one for each (seed, replication, purpose).

A replication's numbers depend on its own key alone, so it does not matter which process runs it, in which
order, or how many others there are; and what one purpose uses up does not shift another's numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Stream"]

_Integers = npt.NDArray[np.int64]


class Stream:
    """Uniform integers of one key, from PCG64's raw output: its bits are fixed, unlike numpy's samplers.

    >>> Stream(7, 0, "contexts").below(10, 5).tolist() == Stream(7, 0, "contexts").below(10, 5).tolist()
    True
    """

    def __init__(self, seed: int, replication: int, purpose: str) -> None:
        key = hashlib.blake2b(purpose.encode(), digest_size=16, key=seed.to_bytes(8, "big"))
        key.update(replication.to_bytes(8, "big"))
        self._bits = np.random.PCG64(int.from_bytes(key.digest(), "big"))

    def fractions(self, *shape: int) -> npt.NDArray[np.uint64]:
        """32-bit integers: u/2³² is uniform in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return (raw >> np.uint64(32)).reshape(shape)

    def below(self, limit: int, size: int) -> _Integers:
        """``size`` integers in [0, limit), limit < 2³²; each has its probability up to limit/2³²."""
        return scaled(self.fractions(size), limit)

    def sample(self, population: int, size: int) -> list[int]:
        """``size`` different integers in [0, population), ascending; every subset is equally probable."""
        pool = list(range(population))
        for i, u in enumerate(self.fractions(size).tolist()):
            j = i + (u * (population - i) >> 32)
            pool[i], pool[j] = pool[j], pool[i]
        return sorted(pool[:size])


def scaled(fractions: npt.NDArray[np.uint64], limit: int | Sequence[int] | _Integers) -> _Integers:
    """⌊u·limit/2³²⌋ for 32-bit ``fractions`` u."""
    return (fractions * np.asarray(limit, np.uint64) >> np.uint64(32)).astype(np.int64)
