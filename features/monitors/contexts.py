"""Contexts that are not what they were: new categories, and features whose mean has moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, NamedTuple

from ...errors import DocumentInvalid, InputInvalid, shown

__all__ = ["ContextMonitor", "ContextShift"]

_UNIT = 1.0 / 65536.0
_BLOCK = 200
_REFERENCE = 1000
_LARGE_Z = 5.0
_UNKNOWN = "=?"


class ContextShift(NamedTuple):
    """A column of φ that has changed: its mean before and now, each over so many rows.

    ``new`` : a value that was never declared (or is missing) has come up for the first time.
    """

    column: str
    new: bool
    before: float
    now: float
    rows_before: int
    rows_now: int


class ContextMonitor:
    """Compares blocks of 200 rows with a reference: the first 1,000 rows since the last alarm.

    A column has moved where its means differ by more than 5 standard errors; behind such an alarm the block
    is the new reference. A column of undeclared values is reported on its first row, once. The state are
    integer sums: any restart continues with the same bits.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._unknown = [j for j, name in enumerate(columns) if name.endswith(_UNKNOWN)]
        self._reported: set[int] = set()
        self._reference = _Sums.empty(len(self._columns))
        self._block = _Sums.empty(len(self._columns))

    def add(self, phi: Sequence[int]) -> list[ContextShift]:
        """Take the φ of the next row in; returns what has changed.

        Raises
        ------
        InputInvalid : φ of another length; nothing has changed.
        """
        if len(phi) != len(self._columns):
            raise InputInvalid(
                "a row does not fit the monitor of contexts",
                expected=f"φ of {len(self._columns)} columns",
                found=f"{len(phi)} columns",
                fix="feed the monitor rows of its own encoding",
            )
        found = []
        known = self._reference.n + self._block.n
        for j in self._unknown:
            if phi[j] and j not in self._reported:
                before = (self._reference.sums[j] + self._block.sums[j]) * _UNIT
                self._reported.add(j)
                if known >= _BLOCK and before == 0.0:
                    found.append(ContextShift(self._columns[j], True, 0.0, 1.0, known, 1))
        self._block.add(phi)
        if self._block.n == _BLOCK:
            found += self._compared()
        return found

    def _compared(self) -> list[ContextShift]:
        reference, block = self._reference, self._block
        moved = []
        if reference.n:
            for j in range(1, len(self._columns)):
                before, now = reference.mean(j), block.mean(j)
                variance = (reference.scatter(j) + block.scatter(j)) / (reference.n + block.n - 2)
                error = sqrt(variance * (1.0 / reference.n + 1.0 / block.n))
                if abs(now - before) > _LARGE_Z * error:
                    shift = ContextShift(self._columns[j], False, before, now, reference.n, block.n)
                    moved.append(shift)
        if moved:
            self._reference = block
        elif reference.n < _REFERENCE:
            reference.join(block)
        self._block = _Sums.empty(len(self._columns))
        return moved

    def to_dict(self) -> dict[str, Any]:
        """The state, as plain JSON: integers only."""
        return {
            "reported": sorted(self._reported),
            "reference": self._reference.to_list(),
            "block": self._block.to_list(),
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """Continue from what ``to_dict`` wrote.

        Raises
        ------
        DocumentInvalid : it is damaged, or of another encoding; nothing has changed.
        """
        try:
            sums = [_Sums.from_list(document[key], len(self._columns)) for key in ("reference", "block")]
            reported = {self._unknown[self._unknown.index(j)] for j in document["reported"]}
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentInvalid(
                "the state of a monitor cannot be read",
                expected=f"sums of {len(self._columns)} columns, as the monitor wrote them",
                found=shown(document),
                fix="remove it: it is computed again from the log",
            ) from error
        self._reference, self._block = sums
        self._reported = reported


class _Sums:
    """n, Σφ and Σφ² of each column, in units of 2⁻¹⁶ and 2⁻³²."""

    __slots__ = ("n", "squares", "sums")

    def __init__(self, n: int, sums: list[int], squares: list[int]) -> None:
        self.n, self.sums, self.squares = n, sums, squares

    @classmethod
    def empty(cls, columns: int) -> _Sums:
        return cls(0, [0] * columns, [0] * columns)

    def add(self, phi: Sequence[int]) -> None:
        self.n += 1
        for j, value in enumerate(phi):
            if value:
                self.sums[j] += value
                self.squares[j] += value * value

    def join(self, other: _Sums) -> None:
        self.n += other.n
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, other.squares, strict=True)]

    def mean(self, j: int) -> float:
        return self.sums[j] * _UNIT / self.n

    def scatter(self, j: int) -> float:
        """Σ (φ − mean)²: of integers until the end, so that nothing cancels."""
        return (self.n * self.squares[j] - self.sums[j] ** 2) / self.n * (_UNIT * _UNIT)

    def to_list(self) -> list[Any]:
        return [self.n, list(self.sums), list(self.squares)]

    @classmethod
    def from_list(cls, document: Any, columns: int) -> _Sums:
        n, sums, squares = document
        whole = [n, *sums, *squares]
        if len(sums) != columns or len(squares) != columns or not all(type(v) is int for v in whole):
            raise ValueError(document)
        if n < 0 or min(squares, default=0) < 0:
            raise ValueError(document)
        return cls(n, list(sums), list(squares))
