"""Fold the rows of the log into sums, for whatever spec reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..bandit import Arm, Learner, kernels
from ..bandit.events import EventRow
from ..bandit.log import LogRow, RewardRow
from ..bandit.sums import BlockKey, SumRows
from ..errors import ArmUnknown, ContextInvalid
from .pages import LogPage

__all__ = ["BlockName", "Fold"]

BlockName: TypeAlias = tuple[str, int, int]
"""(unit, epoch, bucket): the key of a block for every spec; a unit is an arm id, or a strategy of a space."""


class Fold:
    """A learner that walks along the log.

    Rows of arms that the learner's spec does not have teach it nothing. They are summed beside it all the
    same, because the stored sums are shared by all specs of one encoding: what one spec stores must not lack
    another's arms.

    Rows of a renamed arm join the learner's sums of the arm, and are summed beside it under the id that they
    were written with: stored sums know no renaming, and serve specs with the old name and with the new one.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self._own = {unit: i for i, unit in enumerate(learner.arms.units)}
        self._former = learner.arms.former
        self._renamed = frozenset(self._former.values())
        self._beside: dict[BlockName, npt.NDArray[np.int64]] = {}
        self._under_own: set[BlockName] = set()  # blocks of renamed arms that have rows under the new id
        self._units: dict[str, int] = {}  # arms that were met, and the rows of the sums that they belong to

    @property
    def seq(self) -> int:
        """Last row that was folded."""
        return self.learner.sums.seq

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None) -> BlockName | None:
        """Fold the next row; returns the block that changed.

        What the row takes leaves the block that it was added to, and what it adds joins the same one. A row
        whose φ was made by another encoding is encoded anew from its decision's ``context``; one whose
        context does not fit the schema takes its number, and changes nothing.
        """
        self.learner.sums.expect(row.seq)
        name = None
        if isinstance(row, EventRow):
            self.learner.begin(row)
            for block in self.begun(row):
                if block[0] not in self._own:
                    self._beside.setdefault(block, np.zeros(self.learner.sums.width, np.int64))
                elif self._own[block[0]] in self._renamed:
                    self._under_own.add(block)
        if isinstance(row, RewardRow) and row.taken != row.units and self._learns(row.stands_at):
            unit, arm = self._located(row.arm_id)
            phi = self._phi(row, unit, arm, context)
            if phi is not None:
                known = unit >= 0 and row.arm_id not in self._former
                owner = self.learner.arms.units[unit] if known else row.arm_id
                name = (owner, row.epoch, row.stands_at // self.learner.sums.bucket_rows)
                if row.taken is not None:
                    self._add(name, unit, row, phi, row.taken, -1)
                if row.units is not None:
                    self._add(name, unit, row, phi, row.units, 1)
        self.learner.sums.seq = row.seq
        return name

    def begun(self, event: EventRow) -> list[BlockName]:
        """The first blocks of the epochs that an event begins."""
        bucket = event.seq // self.learner.sums.bucket_rows
        return [(unit, epoch, bucket) for unit, epoch in event.epochs.items()]

    @property
    def by_pages(self) -> bool:
        """True where pages can be folded: the policy has no statistics of its own, which go row by row."""
        return self.learner.sums.further == 0

    def absorb_page(self, page: LogPage) -> list[BlockName]:
        """Fold the next rows, without gaps and of the learner's encoding, at once; returns the blocks that
        changed.

        To the same bits as row by row.
        """
        sums = self.learner.sums
        sums.expect(int(page.seqs[0]))
        arms = np.array([self._unit(arm_id) for arm_id in page.arms], np.int64)
        moves = page.taken != page.units
        if not self.learner.guards.learns_all:
            moves &= ~self.learner.guards.withheld(page.places)
        own, beside = moves & (arms >= 0), moves & (arms < 0)
        columns = (arms, page.epochs, page.places, page.phi, page.taken, page.units)
        if self._former:
            former = own & np.array([arm_id in self._former for arm_id in page.arms], np.bool_)
            own, beside = own & ~former, beside | former
            if former.any():
                sums.absorb_rows(SumRows(*(column[former] for column in columns)))
        names: list[BlockName] = []
        if own.any():
            rows = SumRows(*columns) if own.all() else SumRows(*(column[own] for column in columns))
            names = self.took_in(sums.absorb_rows(rows))
        for i in np.flatnonzero(beside).tolist():
            name = (page.arms[i], int(page.epochs[i]), int(page.places[i]) // sums.bucket_rows)
            block = self._beside.setdefault(name, np.zeros(sums.width, np.int64))
            kernels.statistics.accumulate_rows(
                block[None],
                np.zeros(1, np.int64),
                page.phi[i : i + 1],
                page.taken[i : i + 1],
                page.units[i : i + 1],
            )
            names.append(name)
        sums.seq = int(page.seqs[-1])
        return names

    def took_in(self, keys: Iterable[BlockKey]) -> list[BlockName]:
        """Names of blocks of the learner's sums that rows under the arms' present ids have joined."""
        units = self.learner.arms.units
        names = [(units[unit], epoch, bucket) for unit, epoch, bucket in keys]
        if self._renamed:
            self._under_own.update(name for name in names if self._own[name[0]] in self._renamed)
        return names

    def _learns(self, place: int) -> bool:
        guards = self.learner.guards
        return guards.learns_all or not guards.withholds(place)

    def _unit(self, arm_id: str) -> int:
        unit = self._units.get(arm_id)
        if unit is None:
            unit = self._units[arm_id] = self._located(arm_id)[0]
        return unit

    def _add(
        self, name: BlockName, unit: int, row: RewardRow, phi: Sequence[int], reward: int, sign: int
    ) -> None:
        sums = self.learner.sums
        # At the number where the reward stands: what is taken back is what was added, to the last bit.
        further = self.learner.increments(row.propensity, reward, row.stands_at)
        if unit >= 0:
            sums.absorb(unit, row.epoch, row.stands_at, phi, reward, sign, further)
            if not self._renamed:
                return
            if name[0] in self._own:
                self.took_in([(unit, name[1], name[2])])
                return
        block = self._beside.setdefault(name, np.zeros(sums.width, np.int64))
        kernels.statistics.accumulate(block, np.zeros_like(block), np.array(phi, np.int64), reward, sign)
        if further:
            block[-len(further) :] += sign * np.array(further, np.int64)

    def restore(
        self,
        seq: int,
        blocks: Iterable[tuple[str, int, int, Sequence[int]]],
        guardrails: Iterable[EventRow] = (),
    ) -> None:
        """Start from the stored sums of the rows up to ``seq``, in place of whatever was folded.

        ``guardrails`` : all rows of guardrails; those up to ``seq`` are taken in.
        """
        learner = self.learner
        learner.guards.restore(event for event in guardrails if event.seq <= seq)
        learner.sums.blocks.clear()
        learner.sums.totals[:] = 0
        learner.sums.epochs[:] = [0] * learner.sums.arms
        learner.sums.stale.update(range(learner.sums.arms))
        self._beside.clear()
        self._under_own.clear()
        for unit, epoch, bucket, statistics in blocks:
            block = np.array(statistics, np.int64)
            if unit in self._own:
                key = (self._own[unit], epoch, bucket)
                learner.sums.restore(key, block)
                self.took_in([key])
                continue
            self._beside[unit, epoch, bucket] = block
            if unit in self._former:
                learner.sums.restore((self._former[unit], epoch, bucket), block.copy())
        learner.sums.seq = seq

    def names(self) -> list[BlockName]:
        """All blocks that there are, sorted."""
        units = self.learner.arms.units
        keys = self.learner.sums.blocks
        own = [(units[unit], epoch, bucket) for unit, epoch, bucket in keys if unit not in self._renamed]
        return sorted([*own, *self._under_own, *self._beside])

    def statistics(self, name: BlockName) -> list[int]:
        """The numbers of one block."""
        block = self._beside.get(name)
        if block is None:
            unit = self._own[name[0]]
            block = self.learner.sums.blocks[unit, name[1], name[2]]
            for former, heir in self._former.items() if unit in self._renamed else ():
                if heir == unit and (former, *name[1:]) in self._beside:
                    block = block - self._beside[former, name[1], name[2]]
        return [int(number) for number in block.tolist()]

    def _located(self, arm_id: str) -> tuple[int, Arm | None]:
        """The row of the sums that an arm belongs to, and the arm; −1 for an arm that the spec does not
        have.
        """
        try:
            return self.learner.arms.follow(arm_id)
        except ArmUnknown:
            return -1, None

    def _phi(
        self, row: RewardRow, unit: int, arm: Arm | None, context: Mapping[str, Any] | None
    ) -> Sequence[int] | None:
        learner = self.learner
        if row.encoding == learner.spec.encoding:
            # A damaged row must not reach a compiled kernel, which does not look at lengths.
            return row.phi if len(row.phi) == learner.sums.dimension else None
        try:
            phi = learner.encoder.encode(context or {})[1]
        except ContextInvalid:
            return None
        if arm is None:
            return phi if not learner.arms.extra else None
        return [*phi, *learner.arms.encode(unit, arm.parameters)]
