"""Lifetimes by arm and cell of contexts, as the log of a bandit tells them.

A cell is a combination of the context's categories, grades and flags; numbers do not part cells. An outcome
that was ``timed_out`` without success was stopped, and is censored. Only first contributions teach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..features import Encoder, Numeric, Value
from ..features.kinds import columns
from .contribution import first_contribution
from .lifetimes import EDGES, Lifetimes
from .log import LogRow, RewardRow, check_turn
from .spec import BanditSpec

__all__ = ["LoggedLifetimes"]


class LoggedLifetimes:
    """The lifetimes of a spec's arms, by the rows behind ``first``; memory is bounded by the rows."""

    def __init__(self, spec: BanditSpec, first: int = 0) -> None:
        self._spec, self._encoder = spec, Encoder(spec.context)
        self.first = self.seq = first
        """Number of the row behind which the window begins, and of the last row that was taken in."""
        self.lifetimes = Lifetimes()
        self._columns: list[int] = []
        column = 1
        for feature in spec.context.values():
            width = columns(feature)
            if not isinstance(feature, Numeric):
                self._columns += range(column, column + width)
            column += width

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Take the next row of the log in.

        ``context`` : the decision's, needed where φ was made by another encoding.

        Raises
        ------
        InputInvalid : the row is not the next one; nothing has changed.
        """
        check_turn(row.seq, self.seq, "lifetimes")
        self.seq = row.seq
        seen = first_contribution(row, context, self._spec, self._encoder)
        if seen is None or not isinstance(row, RewardRow) or row.outcome is None:
            return
        seconds, success = row.outcome.get("duration_s"), row.outcome.get("success")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            return
        if not isinstance(success, bool) or not 0.0 <= seconds < EDGES[-1]:
            return
        stopped = bool(row.outcome.get("timed_out")) and not success
        arm_id = self._spec.arms.present_id(row.arm_id)
        self.lifetimes.learn(arm_id, float(seconds), None if stopped else success, self._cell(seen[1]))

    def cell(self, context: Mapping[str, Value]) -> tuple[int, ...]:
        """The cell of a context.

        Raises
        ------
        ContextInvalid : not of this spec.
        """
        return self._cell(self._encoder.encode(context)[1])

    def _cell(self, phi: Sequence[int]) -> tuple[int, ...]:
        return tuple(phi[column] for column in self._columns)
