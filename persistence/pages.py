"""Stretches of the log as columns: what is folded of many rows, without an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..bandit.log import RewardRow
from .rows import Row

__all__ = ["LogPage", "page_from", "page_of"]

Column = npt.NDArray[np.int64]

_HEADER = 5  # of an array as Postgres sends it: dimensions, nulls, type, length, lower bound


class LogPage(NamedTuple):
    """Rows of the log in the order of their numbers, all with a φ of one encoding and length.

    ``seqs``, ``epochs``, ``places``, ``taken``, ``units`` (rows,), ``phi`` (rows, D): int64.

    ``places`` : the row in whose bucket the contribution stands. ``taken``, ``units`` : −1 for nothing.
    ``others`` : numbers of the rows in between that cannot be told in this way. ``size`` : of all rows.
    """

    size: int
    seqs: Column
    arms: list[str]
    epochs: Column
    phi: Column
    taken: Column
    units: Column
    places: Column
    others: list[int]

    @property
    def last(self) -> int:
        """The highest number; 0 without rows."""
        return max([*self.seqs[-1:].tolist(), *self.others[-1:]], default=0)

    def part(self, begin: int, end: int) -> LogPage:
        """The rows from position ``begin`` to before ``end``, without the others."""
        cut = slice(begin, end)
        return LogPage(
            end - begin,
            self.seqs[cut],
            self.arms[cut],
            self.epochs[cut],
            self.phi[cut],
            self.taken[cut],
            self.units[cut],
            self.places[cut],
            [],
        )


def page_from(row: Row, dimension: int) -> LogPage:
    """The page that ``log_page`` tells."""
    seqs = _numbers(row["seqs"], 8)
    places = _numbers(row["places"], 8)
    told = np.frombuffer(row["phi"] or b"", ">i4").reshape(len(seqs), _HEADER + 2 * dimension)
    return LogPage(
        row["rows"],
        seqs,
        row["arms"] or [],
        _numbers(row["epochs"], 4),
        # Each number stands behind its length.
        told[:, _HEADER + 1 :: 2].astype(np.int64),
        _numbers(row["taken"], 4),
        _numbers(row["units"], 4),
        np.where(places == 0, seqs, places),
        row["others"] or [],
    )


def page_of(rows: Sequence[RewardRow]) -> LogPage:
    """Rows of one encoding as a page."""
    given = dict(zip(RewardRow._fields, zip(*rows, strict=True), strict=True))
    seqs = np.array(given["seq"], np.int64)
    places = np.array(given["place"], np.int64)
    return LogPage(
        len(rows),
        seqs,
        list(given["arm_id"]),
        np.array(given["epoch"], np.int64),
        np.array(given["phi"], np.int64),
        np.array([-1 if units is None else units for units in given["taken"]], np.int64),
        np.array([-1 if units is None else units for units in given["units"]], np.int64),
        np.where(places == 0, seqs, places),
        [],
    )


def _numbers(sent: bytes | None, size: int) -> Column:
    return np.frombuffer(sent or b"", f">i{size}").astype(np.int64)
