"""What a parameter may be: a list of values, or a range; and how a value is encoded for a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from .. import ieee
from ..errors import SpecInvalid
from ..features import ONE

__all__ = ["CELLS", "DEPTH", "ParameterValue", "Range", "encode_level", "encode_position", "position"]

ParameterValue: TypeAlias = str | int | float | bool

CELLS = 9
"""Cells that one stage of a range chooses among."""
DEPTH = 2
"""Stages of a range: 9 cells, then 9 cells inside the chosen one: 81 values."""

_DEGREE = 3


@dataclass(frozen=True, slots=True)
class Range:
    """A continuous parameter between two bounds; ``log=True`` spaces it logarithmically, ``integer=True``
    rounds.

    The bandit chooses one of 9 equal cells, then one of 9 cells inside that, and serves the middle: 81
    values, each
    with an exact probability. The reward is modelled as a smooth function of the position (a cubic).

    >>> Range(1, 1000, log=True).value((4, 4))
    31.6228

    Raises
    ------
    SpecInvalid : bounds that are not finite, not ascending, or not positive where log=True.
    """

    kind: ClassVar[str] = "range"
    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        numbers = [self.low, self.high]
        usable = all(
            isinstance(x, (int, float)) and not isinstance(x, bool) and x - x == 0.0 for x in numbers
        )
        if not usable or not self.low < self.high or (self.log and self.low <= 0):
            raise SpecInvalid(
                "the bounds of a parameter's range are unusable",
                expected="finite numbers, low < high" + (", low > 0 for log=True" if self.log else ""),
                found=f"low={self.low!r}, high={self.high!r}",
                fix="for example Range(1, 120, log=True)",
            )
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))

    def value(self, cells: Sequence[int]) -> float | int:
        """The parameter's value in the middle of the cell that ``cells`` (coarse to fine) lead to."""
        share = (position(cells) + 1.0) / 2.0
        if self.log:
            start = ieee.log(self.low)
            value = ieee.exp(start + share * (ieee.log(self.high) - start))
        else:
            value = self.low + share * (self.high - self.low)
        value = max(self.low, min(self.high, float(f"{value:.6g}")))  # six digits: it will stand in an arm id
        return round(value) if self.integer else value

    def place(self, value: float) -> float:
        """Position in [−1, 1] of a value; the inverse of ``value`` but for its rounding."""
        bounded = max(self.low, min(self.high, float(value)))
        if self.log:
            start = ieee.log(self.low)
            return 2.0 * (ieee.log(bounded) - start) / (ieee.log(self.high) - start) - 1.0
        return 2.0 * (bounded - self.low) / (self.high - self.low) - 1.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "integer": self.integer,
        }


def position(cells: Sequence[int]) -> float:
    """Middle of the cell that ``cells`` lead to, in [−1, 1].

    >>> position([4]), position([0]), position([0, 8])
    (0.0, -0.8888888888888888, -0.7901234567901234)
    """
    index, count = 0, 1
    for cell in cells:
        index, count = index * CELLS + cell, count * CELLS
    return (2 * index + 1 - count) / count  # rounded once


def encode_position(x: float) -> list[int]:
    """Chebyshev polynomials T₁ … T₃ of a position, in units of 2⁻¹⁶."""
    values, before, now = [], 1.0, x
    for _ in range(_DEGREE):
        values.append(round(now * ONE))
        before, now = now, 2.0 * x * now - before
    return values


def encode_level(level: int, size: int) -> list[int]:
    """One-hot code of a listed value, in units of 2⁻¹⁶."""
    return [ONE if i == level else 0 for i in range(size)]
