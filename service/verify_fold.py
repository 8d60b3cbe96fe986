"""Fold a page of the log into one learner's sums by a compiled loop, up to any row of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..bandit.kernels.statistics import accumulate
from ..bandit.sums import BlockKey, SumRows
from ..jit import kernel
from ..persistence.wire import Integers
from .decision_check import Walk
from .verify_columns import LogColumns

__all__ = ["PageFold", "plain"]

_MOST_ROWS = 1 << 30  # far below what the sums of an arm can hold


def plain(walk: Walk) -> bool:
    """Tell whether no guardrail touches what is decided or learned, up to the next event."""
    guards = walk.learner.guards
    return guards.idle and guards.learns_all


class PageFold:
    """A walk at some row of a page; ``fits`` says whether all rows of the page can be folded so."""

    def __init__(self, walk: Walk, page: LogColumns) -> None:
        sums = walk.learner.sums
        self._walk, self._sums = walk, sums
        self._first, self._at, self._size = page.first, 0, len(page)
        units = page.units_of(walk)
        phi, whole = page.phi(sums.dimension)
        own = page.of_encoding(walk.spec.encoding) & page.about_decisions & whole
        own &= (units >= 0) & (page.epochs >= 0) & (page.epochs < _MOST_ROWS)
        self.fits = bool(
            plain(walk)
            and sums.further == 0
            and walk.seq == page.first - 1
            and (own | page.without_effect).all()
            and sums.totals[:, 0].max(initial=0) < _MOST_ROWS
        )
        self._moves = own & (page.taken != page.units)
        self._rows = SumRows(units, page.epochs, page.places, phi, page.taken, page.units)
        self._owner = np.zeros(len(page), np.int64)
        self._keys: list[BlockKey] = []
        self._blocks = np.zeros((0, sums.width), np.int64)
        self._current = np.array(sums.epochs, np.int64)[np.maximum(units, 0)] == page.epochs
        self._units = units.tolist()

    def open(self) -> None:
        """Begin to fold; ``fits`` is true."""
        sums, chosen = self._sums, np.flatnonzero(self._moves)
        if len(chosen):
            moving = SumRows(*(column[chosen] for column in self._rows))
            self._keys, self._owner[chosen] = moving.blocks(sums.bucket_rows)
        self._blocks = np.zeros((len(self._keys), sums.width), np.int64)
        for i, key in enumerate(self._keys):
            if key in sums.blocks:
                self._blocks[i] = sums.blocks[key]
            sums.blocks[key] = self._blocks[i]  # seen by policies that forget, while the page is walked
        self._walk.fold.took_in(self._keys)

    def to(self, seq: int) -> None:
        """Fold the rows up to number ``seq``, or to the page's end."""
        end = min(seq - self._first + 1, self._size)
        begin = self._at
        if end <= begin:
            return
        rows, sums = self._rows, self._sums
        _fold(
            begin,
            end,
            self._moves,
            rows.arms,
            self._owner,
            self._current,
            rows.phi,
            rows.taken,
            rows.units,
            self._blocks,
            sums.totals,
            np.zeros(sums.width, np.int64),
        )
        sums.stale.update(self._units[begin:end])
        sums.stale.discard(-1)
        self._at = end
        sums.seq = self._first + end - 1

    def close(self) -> None:
        """Fold what is left, and let go of the page."""
        self.to(self._first + self._size - 1)
        for i, key in enumerate(self._keys):
            self._sums.blocks[key] = self._blocks[i].copy()


@kernel
def _fold(
    begin: int,
    end: int,
    moves: npt.NDArray[np.bool_],
    arms: Integers,
    owner: Integers,
    current: npt.NDArray[np.bool_],
    phi: Integers,
    taken: Integers,
    units: Integers,
    blocks: Integers,
    totals: Integers,
    nowhere: Integers,
) -> None:
    for i in range(begin, end):
        if not moves[i]:
            continue
        total = totals[arms[i]] if current[i] else nowhere
        if taken[i] >= 0:
            accumulate(blocks[owner[i]], total, phi[i], taken[i], -1)
        if units[i] >= 0:
            accumulate(blocks[owner[i]], total, phi[i], units[i], 1)
