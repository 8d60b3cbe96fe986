"""Ids for decisions that come without one: 128 random bits, fetched from the system for many at once."""

from __future__ import annotations

import os

__all__ = ["random_id"]

_BYTES, _AT_ONCE = 16, 256
_STOCK: list[str] = []
os.register_at_fork(after_in_child=_STOCK.clear)  # or parent and child would give the same ids


def random_id() -> str:
    """32 hexadecimal digits that nobody has had before."""
    while True:
        try:
            return _STOCK.pop()
        except IndexError:
            drawn = os.urandom(_BYTES * _AT_ONCE).hex()
            _STOCK.extend(drawn[i : i + 2 * _BYTES] for i in range(0, len(drawn), 2 * _BYTES))
