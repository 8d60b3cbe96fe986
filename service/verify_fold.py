"""Fold a page of the log into one learner's sums by a compiled loop, up to any row of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..bandit.kernels.statistics import accumulate, read
from ..bandit.many import Readings
from ..bandit.sums import BlockKey, SumRows
from ..jit import kernel
from ..persistence.wire import Integers
from .decision_check import Walk
from .verify_columns import LogColumns

__all__ = ["PageFold", "plain"]

_MOST_ROWS = 1 << 30  # far below what the sums of an arm can hold
_MOST_NUMBERS = 1 << 20
"""Numbers of the sums that are read ahead: 8 MB."""


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

    def ahead(self, states: Integers) -> Readings | None:
        """What the sums will read behind the rows ``states``, ascending, or behind the first few of them;
        None where the first one is not behind this row on this page. Nothing is folded.
        """
        sums, at = self._sums, self._at
        ends = states - self._first + 1
        furthest = min(self._size, at + max(1, _MOST_NUMBERS // sums.width))
        count = max(1, int(np.searchsorted(ends, furthest, "right")))
        if not at <= ends[0] <= ends[count - 1] <= self._size:
            return None
        most = min(int(ends[count - 1]) - at, count * sums.arms)
        begins, arms = np.zeros(count + 1, np.int64), np.zeros(most, np.int64)
        out = np.zeros((most, sums.width))
        rows = self._rows
        _ahead(
            at,
            ends[:count],
            self._moves & self._current,
            rows.arms,
            rows.phi,
            rows.taken,
            rows.units,
            sums.totals.copy(),
            np.zeros(sums.width, np.int64),
            begins,
            arms,
            out,
        )
        return Readings(begins, arms, out)

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


@kernel
def _ahead(
    begin: int,
    ends: Integers,
    moves: npt.NDArray[np.bool_],
    arms: Integers,
    phi: Integers,
    taken: Integers,
    units: Integers,
    totals: Integers,
    nowhere: Integers,
    begins: Integers,
    changed: Integers,
    out: npt.NDArray[np.float64],
) -> None:
    """Fold into ``totals``, and write down which arms' changed up to each end, and what they read there."""
    touched = np.zeros(totals.shape[0], np.bool_)
    count = 0
    for g in range(ends.shape[0]):
        for i in range(begin, ends[g]):
            if not moves[i]:
                continue
            arm = arms[i]
            touched[arm] = True
            if taken[i] >= 0:
                accumulate(nowhere, totals[arm], phi[i], taken[i], -1)
            if units[i] >= 0:
                accumulate(nowhere, totals[arm], phi[i], units[i], 1)
        begin = ends[g]
        for arm in range(totals.shape[0]):
            if touched[arm]:
                touched[arm] = False
                changed[count] = arm
                read(totals[arm], out[count])
                count += 1
        begins[g + 1] = count
