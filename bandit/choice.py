"""The keyed uniform: the only source of chance in a decision.

u = BLAKE2b(key = seed; bandit, decision id, stage), 32 bits. Keyed by the decision's id and not by a
generator's state: the draw can be repeated from the log row alone, in any order and in any process, and a
restart never repeats past exploration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["KEY_BYTES", "TOTAL", "Keyed", "field_of"]

TOTAL = 1 << 32
"""A pmf is made of integers that sum to this."""
KEY_BYTES = 16


class Keyed:
    """Uniform integers in [0, 2³²) for one bandit and seed.

    >>> Keyed(7, "orchestration").uniform("wf-1", "arm")
    920550840
    """

    def __init__(self, seed: int, bandit: str) -> None:
        self._base = hashlib.blake2b(key=seed.to_bytes(KEY_BYTES, "big"), digest_size=4)
        self._base.update(field_of(bandit))

    def uniform(self, decision_id: str, stage: str) -> int:
        """Draw for one stage of one decision: the same arguments always give the same integer."""
        state = self._base.copy()
        state.update(field_of(decision_id) + field_of(stage))
        return int.from_bytes(state.digest(), "big")

    def uniforms(self, decision_ids: Iterable[bytes], stage: str) -> list[int]:
        """``uniform`` of many ids, in UTF-8."""
        base, tail, drawn = self._base, field_of(stage), []
        for data in decision_ids:
            state = base.copy()
            state.update(len(data).to_bytes(4, "big") + data + tail)
            drawn.append(int.from_bytes(state.digest(), "big"))
        return drawn


def field_of(text: str) -> bytes:
    """A text as a part of what is hashed."""
    # The length in front keeps ("ab", "c") apart from ("a", "bc").
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
