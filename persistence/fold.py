"""Fold the rows of the log into sums, for whatever spec reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..bandit import Learner, kernels
from ..bandit.log import RewardRow
from ..bandit.sums import width
from ..errors import ContextInvalid

__all__ = ["BlockName", "Fold"]

BlockName: TypeAlias = tuple[str, int, int]
"""(arm id, epoch, bucket): the key of a block for every spec, whatever its arms are."""


class Fold:
    """A learner that walks along the log.

    Rows of arms that the learner's spec does not have teach it nothing. They are summed beside it all the
    same, because the stored sums are shared by all specs of one encoding: what one spec stores must not lack
    another's arms.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self._own = frozenset(learner.arms.ids)
        self._beside: dict[BlockName, npt.NDArray[np.int64]] = {}

    @property
    def seq(self) -> int:
        """Last row that was folded."""
        return self.learner.sums.seq

    def absorb(self, row: RewardRow, context: Mapping[str, Any] | None) -> BlockName | None:
        """Fold the next row; returns the block that changed.

        A row whose φ was made by another encoding is encoded anew from its decision's ``context``; one whose
        context does not fit the schema takes its number, and changes nothing.
        """
        learner, sums = self.learner, self.learner.sums
        sums.expect(row.seq)
        name = None
        phi = self._phi(row, context)
        if phi is not None:
            name = (row.arm_id, row.epoch, row.seq // sums.bucket_rows)
            if row.arm_id in self._own:
                sums.absorb(learner.arms.index(row.arm_id), row.epoch, row.seq, phi, row.units)
            else:
                block = self._beside.setdefault(name, np.zeros(width(sums.dimension), np.int64))
                kernels.statistics.accumulate(
                    block, np.zeros_like(block), np.array(phi, np.int64), row.units, 1
                )
        sums.seq = row.seq
        return name

    def restore(self, seq: int, blocks: Iterable[tuple[str, int, int, Sequence[int]]]) -> None:
        """Start from the stored sums of the rows up to ``seq``."""
        learner = self.learner
        for arm_id, epoch, bucket, statistics in blocks:
            block = np.array(statistics, np.int64)
            if arm_id in self._own:
                learner.sums.restore((learner.arms.index(arm_id), epoch, bucket), block)
            else:
                self._beside[arm_id, epoch, bucket] = block
        learner.sums.seq = seq

    def names(self) -> list[BlockName]:
        """All blocks that there are, sorted."""
        ids = self.learner.arms.ids
        own = [(ids[arm], epoch, bucket) for arm, epoch, bucket in self.learner.sums.blocks]
        return sorted([*own, *self._beside])

    def statistics(self, name: BlockName) -> list[int]:
        """The numbers of one block."""
        block = self._beside.get(name)
        if block is None:
            block = self.learner.sums.blocks[self.learner.arms.index(name[0]), name[1], name[2]]
        return [int(number) for number in block.tolist()]

    def _phi(self, row: RewardRow, context: Mapping[str, Any] | None) -> Sequence[int] | None:
        if row.encoding == self.learner.spec.context.version:
            # A damaged row must not reach a compiled kernel, which does not look at lengths.
            return row.phi if len(row.phi) == self.learner.sums.dimension else None
        try:
            return self.learner.encoder.encode(context or {})[1]
        except ContextInvalid:
            return None
