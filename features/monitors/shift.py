"""Shifts of the rewards of one strategy and its arms, given the context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...errors import InputInvalid, shown
from .window import KEPT, MOST

__all__ = ["LEVEL_RIDGE", "Shift", "ShiftMonitor"]

_UNIT = 1.0 / 65536.0
_MOST_OWN_COLUMNS = (
    48  # arms that get a column of their own; with more, a row is dear, and each column is thin
)
_DEAR = 24  # columns up to which every row is judged
LEVEL_RIDGE, _COLUMN_RIDGE = 0.001, 1.0
"""Diagonal of Λ: of the leading 1, and of every other column."""
_BOTH_LEVELS = 0.6931471805599453  # ln 2: two levels share the false alarms of one


class Shift(NamedTuple):
    """A shift of rewards that was found behind a row.

    ``arm`` : index of the arm, None for all arms of the strategy. ``since`` : the first row behind the split.
    ``rows`` : how many rows stand behind it. ``change`` : estimated change of the mean reward. ``evidence``
    in nats.
    """

    arm: int | None
    since: int
    rows: int
    change: float
    evidence: float


class ShiftMonitor:
    """Watches the rewards of one strategy; a pure function of the rows since its last reset.

    Parameters
    ----------
    dimension : columns of φ, the leading 1 included. arms : how many arms the strategy has.
    evidence : nats that an alarm needs.

    The state is the rows that are remembered: at ``MOST`` only the newest ``KEPT`` stay, and what is computed
    from them is computed anew. With many columns only every so many-th row is judged, so that the cost of a
    row is bounded.
    """

    def __init__(self, dimension: int, arms: int, evidence: float) -> None:
        self._own_columns = arms if 1 < arms <= _MOST_OWN_COLUMNS else 0
        self._dimension, self._arms = dimension, arms
        self._needed = evidence + (_BOTH_LEVELS if arms > 1 else 0.0)
        p = dimension + self._own_columns
        self._every = -(-p * p // (_DEAR * _DEAR))
        self._room = 64
        self._rows = np.zeros((self._room, p))
        self._owners = np.zeros(self._room, np.int64)
        self._rewards = np.zeros(self._room)
        self._numbers: list[int] = []
        self._a, self._b = np.zeros((p, p)), np.zeros(p)
        self._ridge = np.full(p, _COLUMN_RIDGE)
        self._ridge[0] = LEVEL_RIDGE
        self._lower, self._work = np.zeros((p, p)), np.zeros((4, p))
        self._residuals = np.zeros(MOST)
        self._out = np.zeros((2, 3))

    @property
    def start(self) -> int | None:
        """Number of the oldest row that is remembered; None without any."""
        return self._numbers[0] if self._numbers else None

    def add(self, seq: int, arm: int, phi: Sequence[int], reward: int) -> None:
        """Remember a row without judging it: ``arm`` counts from 0, φ and reward are in units of 2⁻¹⁶.

        Raises
        ------
        InputInvalid : another number of columns, an unknown arm, or a row that is not newer than the last;
            nothing has changed.
        """
        from . import scan  # noqa: PLC0415 (the compiler is loaded when something is watched)

        if len(phi) != self._dimension or not 0 <= arm < self._arms or not 0 <= reward <= 65536:
            raise InputInvalid(
                "a row does not fit the monitor",
                expected=f"φ of {self._dimension} columns, an arm below {self._arms}, a reward in [0, 1]",
                found=f"{len(phi)} columns, arm {shown(arm)}, {shown(reward)} units",
                fix="feed the monitor rows of its own strategy and encoding",
            )
        if self._numbers and seq <= self._numbers[-1]:
            raise InputInvalid(
                "a row reaches the monitor out of turn",
                expected=f"a row above {self._numbers[-1]}",
                found=f"row {seq}",
                fix="feed the rows in the order of the bandit's sequence",
            )
        n = len(self._numbers)
        if n == MOST:
            self._keep(slice(MOST - KEPT, MOST))
            n = KEPT
        if n == self._room:
            self._grow()
        row = self._rows[n]
        row[:] = 0.0
        row[: self._dimension] = phi
        row *= _UNIT
        if self._own_columns:
            row[self._dimension + arm] = 1.0
        self._owners[n], self._rewards[n] = arm, reward * _UNIT
        self._numbers.append(seq)
        scan.add_row(self._a, self._b, row, self._rewards[n], 1.0)

    def judge(self) -> Shift | None:
        """Tell whether the newest row completes the evidence for a shift; changes nothing."""
        from . import scan  # noqa: PLC0415

        n = len(self._numbers)
        if n < scan.FEWEST_BEFORE + scan.FEWEST_BEHIND or n % self._every:
            return None
        scan.scan(
            self._rows,
            self._owners,
            self._rewards,
            n,
            self._a,
            self._b,
            self._ridge,
            self._lower,
            self._work,
            self._residuals,
            self._out,
        )
        out = self._out
        whole, own = float(out[0, scan.EVIDENCE]), float(out[1, scan.EVIDENCE])
        if max(whole, own) < self._needed:
            return None
        # A strategy's rows contain its arm's: the arm is named where it explains as much.
        if self._arms == 1 or own >= whole:
            split, shift = int(out[1, scan.SPLIT]), float(out[1, scan.SHIFT])
            arm = int(self._owners[n - 1])
            mine = [self._numbers[i] for i in range(n) if self._owners[i] == arm]
            return Shift(arm, mine[-split], split, shift, own)
        split = int(out[0, scan.SPLIT])
        return Shift(None, self._numbers[-split], split, float(out[0, scan.SHIFT]), whole)

    def forget(self, arm: int | None) -> None:
        """Drop the rows of an arm, or of all arms."""
        if arm is None:
            self._keep(slice(0, 0))
        else:
            self._keep(np.flatnonzero(self._owners[: len(self._numbers)] != arm))

    def _keep(self, which: slice | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
        from . import scan  # noqa: PLC0415

        n = len(self._numbers)
        numbers = np.array(self._numbers, np.int64)[which].tolist()
        rows, owners = self._rows[:n][which].copy(), self._owners[:n][which].copy()
        rewards = self._rewards[:n][which].copy()
        n = len(numbers)
        self._rows[:n], self._owners[:n], self._rewards[:n] = rows, owners, rewards
        self._numbers = numbers
        self._a[:], self._b[:] = 0.0, 0.0
        for i in range(n):
            scan.add_row(self._a, self._b, self._rows[i], self._rewards[i], 1.0)

    def _grow(self) -> None:
        room = min(MOST, 2 * self._room)
        for name in ("_rows", "_owners", "_rewards"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self._room] = old
            setattr(self, name, new)
        self._room = room
