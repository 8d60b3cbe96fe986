"""Forgetting as a reading: buckets of the sequence are weighted, the sums stay what they are.

    reading_a = Σ_e Σ_b w_e · w_b · block(a, e, b),   epochs e and buckets b from the oldest to the newest

At row number s the newest bucket is c = s // bucket_rows, and bucket b has the age c − b:

* ``discount`` γ: w_b = γ^(bucket_rows·age). Within a bucket all rows weigh the same. Weights below 2⁻⁶⁰ count
  as 0.
* ``window`` W: w_b = 1 for the newest ⌊W/bucket_rows⌋ buckets, else 0: no row older than W is read.
* ``idle_discount`` γ: w_b = γ^(rows of the buckets b … c − 1 that are none of this arm's present epoch). What
  is known of an arm that is not played fades, so that it is tried again now and then; an arm that is played
  all the time is remembered.
* ``past_epochs`` v: w_e = v^(present epoch − e). Without it only the present epoch is read.

Those that are given multiply. So a reading is a pure function of the integer sums and the row number: what
was learned is not lost, another γ may be read from the same sums, and a reward is taken back exactly. n and t
of the policies' formulas become weighted counts, as in discounted and sliding-window UCB.

References
----------
Garivier & Moulines (2011), On upper-confidence bound policies for switching bandit problems, ALT.
"""

from __future__ import annotations

import numpy as np

from . import kernels
from .policies.base import Floats
from .policies.common import CommonSettings
from .sums import Sums

__all__ = ["Forgetting"]

_NEGLIGIBLE = 2.0**-60


class Forgetting:
    """A weighted ``reading`` (arms, width) of sums, kept up to date as ``Sums.refresh`` keeps its own."""

    def __init__(
        self,
        sums: Sums,
        discount: float | None,
        window: int | None,
        idle_discount: float | None = None,
        past_epochs: float | None = None,
    ) -> None:
        self._sums = sums
        self._step = 1.0 if discount is None else _power(discount, sums.bucket_rows)
        self._most = 0 if window is None else window // sums.bucket_rows
        self._limited = window is not None
        self._idle, self._past = idle_discount, past_epochs
        self._bucket = -1
        self._weights: list[tuple[int, float]] = []
        self.reading: Floats = np.zeros_like(sums.reading)

    @classmethod
    def of(cls, settings: CommonSettings, sums: Sums) -> Forgetting | None:
        """The reading that a policy's settings ask for; None where it is that of the sums themselves."""
        if not settings.forgets:
            return None
        return cls(sums, settings.discount, settings.window, settings.idle_discount, settings.past_epochs)

    @property
    def due(self) -> bool:
        """True where ``refresh`` would change something: new sums, or a new bucket."""
        return bool(self._sums.stale) or self._sums.seq // self._sums.bucket_rows != self._bucket

    def refresh(self) -> list[int]:
        """Bring ``reading`` up to date; returns the arms that changed, ascending: all in a new bucket."""
        sums = self._sums
        newest = sums.seq // sums.bucket_rows
        if newest == self._bucket:
            changed = sorted(sums.stale)
        else:
            self._bucket, self._weights = newest, self._weights_at(newest)
            changed = list(range(sums.arms))
        for arm in changed:
            row = self.reading[arm]
            row[:] = 0.0
            weights = self._weights if self._idle is None else self._idle_weights(arm, self._idle)
            for epoch, share in self._epochs(sums.epochs[arm]):
                for bucket, weight in weights:
                    block = sums.blocks.get((arm, epoch, bucket))
                    if block is not None:
                        kernels.statistics.add_weighted(block, share * weight, row)
        sums.stale.clear()
        return changed

    def _weights_at(self, newest: int) -> list[tuple[int, float]]:
        weights: list[tuple[int, float]] = []
        weight = 1.0
        for age in range(newest + 1):
            if weight < _NEGLIGIBLE or (self._limited and age >= self._most):
                break
            weights.append((newest - age, weight))
            weight *= self._step
        return weights[::-1]

    def _idle_weights(self, arm: int, idle: float) -> list[tuple[int, float]]:
        """The weights of one arm's buckets, from the oldest that counts to the newest."""
        sums, found, left = self._sums, [], 1.0
        epoch = sums.epochs[arm]
        for bucket, weight in reversed(self._weights):
            if bucket < self._bucket:
                block = sums.blocks.get((arm, epoch, bucket))
                own = 0 if block is None else int(block[0])
                left *= _power(idle, max(0, sums.bucket_rows - own))
            if left < _NEGLIGIBLE:
                break
            found.append((bucket, left * weight))
        return found[::-1]

    def _epochs(self, present: int) -> list[tuple[int, float]]:
        """The epochs that are read, the oldest first, and their weights."""
        found, share, epoch = [], 1.0, present
        while epoch >= 0 and share >= _NEGLIGIBLE:
            found.append((epoch, share))
            if self._past is None:
                break
            share *= self._past
            epoch -= 1
        return found[::-1]


def _power(base: float, exponent: int) -> float:
    """base^exponent by repeated squaring: products only, so that the bits are the same everywhere."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
