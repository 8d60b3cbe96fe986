"""The keyed uniform: the only source of chance in a decision.

u = BLAKE2b(key = seed; bandit, decision id, stage), 32 bits. Keyed by the decision's id and not by a
generator's state: the draw can be repeated from the log row alone, in any order and in any process, and a
restart never repeats past exploration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["TOTAL", "Keyed"]

TOTAL = 1 << 32
"""A pmf is made of integers that sum to this."""


class Keyed:
    """Uniform integers in [0, 2³²) for one bandit and seed.

    >>> Keyed(7, "orchestration").uniform("wf-1", "arm")
    920550840
    """

    def __init__(self, seed: int, bandit: str) -> None:
        self._base = hashlib.blake2b(key=seed.to_bytes(16, "big"), digest_size=4)
        self._base.update(_field(bandit))

    def uniform(self, decision_id: str, stage: str) -> int:
        """Draw for one stage of one decision: the same arguments always give the same integer."""
        state = self._base.copy()
        state.update(_field(decision_id) + _field(stage))
        return int.from_bytes(state.digest(), "big")

    def uniforms(self, decision_ids: Iterable[bytes], stage: str) -> list[int]:
        """``uniform`` of many ids, in UTF-8."""
        base, tail, drawn = self._base, _field(stage), []
        for data in decision_ids:
            state = base.copy()
            state.update(len(data).to_bytes(4, "big") + data + tail)
            drawn.append(int.from_bytes(state.digest(), "big"))
        return drawn


def _field(text: str) -> bytes:
    # The length in front keeps ("ab", "c") apart from ("a", "bc").
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
