"""What a bandit knows of its arms: exact integer sums, kept per (arm, epoch, bucket of the sequence).

Integer sums commute, so any order and batching of rewards, by any number of writers, ends in the same bits; a
reward is taken back exactly, by subtraction. A reward joins the epoch of its *decision*. An arm's *current*
totals are the sum of its blocks of the present epoch; older epochs stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..canonical import digest
from ..errors import DocumentInvalid, InputInvalid
from . import kernels

__all__ = ["BlockKey", "SumRows", "Sums", "width"]

BlockKey = tuple[int, int, int]
"""(arm index, epoch, bucket)."""

_FEW = 256  # so few rows are told apart sooner than they are sorted
_MAX_ROWS = (1 << 31) - 1  # each adds at most 2³² to Σr² and Σφ²: 2³¹ of them would not fit 64 bits


def width(dimension: int, further: int = 0) -> int:
    """Length of a statistics vector for φ of ``dimension`` columns: n, Σr, Σr², Σφr, Σφφᵀ (one triangle), and
    ``further`` statistics of the policy's own.
    """
    return 3 + dimension + dimension * (dimension + 1) // 2 + further


class SumRows(NamedTuple):
    """Rows of the log as columns of int64, for all of one dimension: ``phi`` (rows, D), the others (rows,).

    ``places`` : the row in whose bucket each contribution stands. ``taken``, ``units`` : what leaves and what
    joins, −1 for nothing.
    """

    arms: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    phi: npt.NDArray[np.int64]
    taken: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]

    def blocks(self, bucket_rows: int) -> tuple[list[BlockKey], npt.NDArray[np.int64]]:
        """The blocks that the rows belong to, and which of them each row does."""
        buckets = self.places // bucket_rows
        if len(buckets) <= _FEW:
            places: dict[BlockKey, int] = {}
            keys = zip(self.arms.tolist(), self.epochs.tolist(), buckets.tolist(), strict=True)
            owners = [places.setdefault(key, len(places)) for key in keys]
            return list(places), np.array(owners, np.int64)
        # Three small ranges, packed into one number: sorting that is quicker than sorting triples.
        low, span = buckets.min(), int(np.ptp(buckets)) + 1
        depth = int(self.epochs.max()) + 1
        packed = (self.arms * depth + self.epochs) * span + (buckets - low)
        found, owner = np.unique(packed, return_inverse=True)
        triples = zip(found // span // depth, found // span % depth, found % span + low, strict=True)
        return [(int(arm), int(epoch), int(bucket)) for arm, epoch, bucket in triples], owner


class Sums:
    """The integer statistics of ``arms`` arms over φ of ``dimension`` columns, and ``further`` ones of the
    policy.

    ``totals`` (arms, width) int64 and ``reading`` (arms, width) float64 are caches over the blocks of each
    arm's present epoch; ``stale`` names the arms whose reading must be refreshed before use.
    """

    def __init__(self, arms: int, dimension: int, bucket_rows: int, further: int = 0) -> None:
        self.arms, self.dimension, self.bucket_rows, self.further = arms, dimension, bucket_rows, further
        self.width = width(dimension, further)
        self.blocks: dict[BlockKey, npt.NDArray[np.int64]] = {}
        self.epochs = [0] * arms
        self.seq = 0
        self.totals = np.zeros((arms, self.width), np.int64)
        self.reading = np.zeros((arms, self.width), np.float64)
        self.stale: set[int] = set(range(arms))

    def absorb(
        self,
        arm: int,
        epoch: int,
        seq: int,
        phi: Sequence[int],
        reward: int,
        sign: int = 1,
        further: Sequence[int] = (),
    ) -> None:
        """Add (or with ``sign=-1`` take back) the row of one rewarded decision.

        ``phi`` and ``reward`` are in units of 2⁻¹⁶; ``seq`` is the row's number, and decides the bucket that
        the row was added to, also when it is taken back. ``further``: what the policy's ``increments`` says
        of it.
        """
        key = (arm, epoch, seq // self.bucket_rows)
        block = self.blocks.get(key)
        if block is None:
            block = self.blocks[key] = np.zeros(self.width, np.int64)
        count = self.totals[arm, 0] if epoch == self.epochs[arm] else block[0]
        if sign > 0 and count >= _MAX_ROWS:
            raise _full(int(count))
        total = self.totals[arm] if epoch == self.epochs[arm] else np.zeros_like(block)
        self.stale.add(arm)  # older epochs may be read too
        kernels.statistics.accumulate(block, total, np.array(phi, np.int64), reward, sign)
        for column, value in enumerate(further, self.width - self.further):
            block[column] += sign * value
            total[column] += sign * value

    def absorb_rows(self, rows: SumRows) -> list[BlockKey]:
        """Add many rows at once, to the same bits; returns the blocks that changed.

        Raises
        ------
        InputInvalid : φ of another dimension, or a block would be too full; nothing has changed.
        """
        if rows.phi.shape[1:] != (self.dimension,):
            raise InputInvalid(
                "the rows do not fit the sums",
                expected=f"φ of {self.dimension} columns",
                found=f"φ of shape {rows.phi.shape}",
                fix="encode them with the schema that the sums are for",
            )
        keys, owner = rows.blocks(self.bucket_rows)
        counts = np.bincount(owner, minlength=len(keys)).tolist()
        for (arm, epoch, bucket), count in zip(keys, counts, strict=True):
            block = self.blocks.get((arm, epoch, bucket))
            known = self.totals[arm, 0] if epoch == self.epochs[arm] else 0 if block is None else block[0]
            if known + count >= _MAX_ROWS:
                raise _full(int(known) + count)
        added = np.zeros((len(keys), self.width), np.int64)
        kernels.statistics.accumulate_rows(added, owner, rows.phi, rows.taken, rows.units)
        for key, statistics in zip(keys, added, strict=True):
            block = self.blocks.get(key)
            if block is None:
                self.blocks[key] = statistics.copy()
            else:
                block += statistics
            if key[1] == self.epochs[key[0]]:
                self.totals[key[0]] += statistics
            self.stale.add(key[0])
        return keys

    def expect(self, seq: int) -> None:
        """Raise ``InputInvalid`` unless ``seq`` is the number of the next row."""
        if seq != self.seq + 1:
            raise InputInvalid(
                "a row of the sequence is out of turn",
                expected=f"row {self.seq + 1}",
                found=f"row {seq}",
                fix="fold the log in the order of its sequence, without gaps",
            )

    def restore(self, key: BlockKey, block: npt.NDArray[np.int64]) -> None:
        """Add a stored block, which may be one of several of its key; an arm's present epoch is the last
        that has one.
        """
        arm, epoch, _ = key
        known = self.blocks.get(key)
        self.blocks[key] = block if known is None else known + block
        if epoch > self.epochs[arm]:
            self.epochs[arm] = epoch
            self.totals[arm] = 0
        if epoch == self.epochs[arm]:
            self.totals[arm] += block
        self.stale.add(arm)

    def begin(self, arm: int, epoch: int, seq: int) -> BlockKey:
        """Begin an epoch of an arm by the row ``seq``; returns its first block, which is empty.

        The block tells whoever restores the sums that the epoch has begun.
        """
        key = (arm, epoch, seq // self.bucket_rows)
        if key not in self.blocks:
            self.restore(key, np.zeros(self.width, np.int64))
        return key

    def start_epoch(self, arm: int) -> int:
        """Begin a new epoch of an arm: its totals restart from nothing; returns the epoch's number."""
        self.epochs[arm] += 1
        self.totals[arm] = 0
        self.stale.add(arm)
        return self.epochs[arm]

    def refresh(self) -> list[int]:
        """Bring ``reading`` up to date; returns the arms that changed, ascending."""
        changed = sorted(self.stale)
        for arm in changed:
            kernels.statistics.read(self.totals[arm], self.reading[arm])
        self.stale.clear()
        return changed

    def digest(self) -> str:
        """Hash of everything that a choice may depend on; equal sums, equal digest."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: integers only, empty blocks left out, in the order of their keys."""
        blocks = [[*key, *block.tolist()] for key, block in sorted(self.blocks.items()) if block.any()]
        return {
            "dimension": self.dimension,
            "bucket_rows": self.bucket_rows,
            "seq": self.seq,
            "epochs": list(self.epochs),
            "blocks": blocks,
        }

    @classmethod
    def from_dict(
        cls, document: Mapping[str, Any], arms: int, dimension: int, bucket_rows: int, further: int = 0
    ) -> Sums:
        """The sums that ``to_dict`` wrote, for a spec of the same shape.

        Raises
        ------
        DocumentInvalid : another shape, or not integers.
        """
        sums = cls(arms, dimension, bucket_rows, further)
        if not isinstance(document, Mapping):
            document = {}
        epochs: Any = document.get("epochs")
        blocks: Any = document.get("blocks")
        shape = (document.get("dimension"), document.get("bucket_rows"))
        fits = shape == (dimension, bucket_rows) and _integers(epochs, arms) and isinstance(blocks, list)
        if not fits or min(epochs) < 0:
            raise DocumentInvalid(
                "the sums are of another shape than the spec",
                expected=f"{arms} arms, φ of {dimension} columns, buckets of {bucket_rows} rows",
                found=f"{len(epochs) if isinstance(epochs, list) else 'no'} arms, "
                f"{shape[0]} columns, buckets of {shape[1]} rows",
                fix="load the sums with the spec that wrote them, or refold them from the log",
            )
        sums.seq, sums.epochs = _natural(document.get("seq")), list(epochs)
        size = 3 + sums.width
        for row in blocks:
            known = _integers(row, size) and 0 <= row[0] < arms and 0 <= row[1] <= sums.epochs[row[0]]
            if not known or row[2] < 0 or row[3] < 0 or tuple(row[:3]) in sums.blocks:
                raise DocumentInvalid(
                    "a block of the sums is damaged",
                    expected=f"{size} integers that begin with a known arm's index",
                    found=f"{row!r:.80}",
                    fix="restore the document, or refold the sums from the log",
                )
            sums.restore((row[0], row[1], row[2]), np.array(row[3:], np.int64))
        return sums


def _full(count: int) -> InputInvalid:
    return InputInvalid(
        "a block of sums is full",
        expected=f"at most {_MAX_ROWS} rewards an arm and epoch",
        found=f"{count} rewards",
        fix="start a new epoch",
    )


def _integers(value: object, length: int) -> bool:
    limit = 1 << 63
    return (
        isinstance(value, list)
        and len(value) == length
        and all(type(item) is int and -limit <= item < limit for item in value)
    )


def _natural(value: object) -> int:
    if type(value) is int and value >= 0:
        return value
    raise DocumentInvalid(
        "the sums do not say up to which row they go",
        expected="a sequence number >= 0",
        found=repr(value)[:60],
        fix="restore the document, or refold the sums from the log",
    )
