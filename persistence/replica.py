"""A process's memory of the log: always an exact prefix of it, and ``sums.seq`` names which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..bandit import Learner
from ..bandit.log import RewardRow
from ..bandit.sums import BlockKey, width
from ..errors import ContextInvalid
from .store import Store, StoredBlock

__all__ = ["Replica", "fold_row"]

_PAGE = 2000


def fold_row(learner: Learner, row: RewardRow, context: dict[str, Any] | None) -> BlockKey | None:
    """Fold the next row; returns the block that changed.

    A row whose φ was made by another encoding is encoded anew from its ``context``. A row that this spec cannot
    read (an arm that it does not have, a context that does not fit its schema) takes its number, and teaches
    nothing.
    """
    arms = learner.arms
    sums = learner.sums
    sums.expect(row.seq)
    key = None
    if row.arm_id in arms.ids:
        arm = arms.index(row.arm_id)
        phi: Sequence[int] | None = row.phi
        if row.encoding != learner.spec.context.version:
            try:
                phi = learner.encoder.encode(context or {})[1]
            except ContextInvalid:
                phi = None
        if phi is not None:
            sums.absorb(arm, row.epoch, row.seq, phi, row.units)
            key = (arm, row.epoch, row.seq // sums.bucket_rows)
    sums.seq = row.seq
    return key


class Replica:
    """Keeps a learner at a prefix of the stored log."""

    def __init__(self, learner: Learner, store: Store) -> None:
        self.learner, self._store = learner, store
        self._changed: dict[BlockKey, int] = {}
        self.stored_seq = 0
        """Row that the stored sums go up to, as far as this process knows."""

    @property
    def seq(self) -> int:
        """Last row that was folded."""
        return self.learner.sums.seq

    async def restore(self) -> None:
        """Load the stored sums, then fold the rows behind them."""
        seq, blocks = await self._store.load_sums()
        sums, ids = self.learner.sums, self.learner.arms.ids
        for arm_id, epoch, bucket, numbers in blocks:
            if arm_id in ids and len(numbers) == width(sums.dimension):
                sums.restore((self.learner.arms.index(arm_id), epoch, bucket), np.array(numbers, np.int64))
        sums.seq = self.stored_seq = seq
        await self.catch_up()

    def fold(self, rows: Sequence[RewardRow]) -> bool:
        """Fold rows of this process's own commit if they are the next ones; otherwise False, and nothing."""
        if not rows or rows[0].seq != self.seq + 1:
            return not rows
        for row in rows:
            self._fold(row, None)
        return True

    async def catch_up(self) -> int:
        """Fold what stands in the log behind our prefix, page by page; returns how many rows."""
        folded = 0
        while True:
            page = await self._store.log_after(self.seq, _PAGE)
            for row, context in page:
                if row.seq == self.seq + 1:  # another task may have folded it while we were reading
                    self._fold(row, context)
                    folded += 1
            if len(page) < _PAGE:
                return folded

    async def checkpoint(self) -> None:
        """Store the sums."""
        self.stored_seq = await self._store.save_sums(self._take)
        self._changed = {key: seq for key, seq in self._changed.items() if seq > self.stored_seq}

    def _take(self, stored: int) -> tuple[int, Iterator[StoredBlock]]:
        sums, ids = self.learner.sums, self.learner.arms.ids
        blocks = (
            (ids[arm], epoch, bucket, sums.blocks[arm, epoch, bucket].tolist())
            for (arm, epoch, bucket), seq in sorted(self._changed.items())
            if seq > stored
        )
        return self.seq, blocks

    def _fold(self, row: RewardRow, context: dict[str, Any] | None) -> None:
        key = fold_row(self.learner, row, context)
        if key is not None:
            self._changed[key] = row.seq
