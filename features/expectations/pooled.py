"""A linear model of the context for each arm, pooled over the arms: what one lacks, the others lend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Pooled", "Ridges"]

Floats = npt.NDArray[np.float64]
_COLUMNS_EVERY_ROW = 48  # up to which the root is solved behind every row


class Ridges(NamedTuple):
    """Precisions of the prior, in units of the noise's: of what all arms share, of a tag, of an arm's own."""

    level: float
    slope: float
    tag: float
    own_level: float
    own_slope: float


class _Arm:
    """Sums of one arm, its factor, and its message to the root."""

    __slots__ = ("a", "b", "lower", "message", "own", "pull", "tags")

    def __init__(self, dimension: int, tags: Sequence[int], ridge: Floats) -> None:
        self.a, self.message = np.zeros((dimension, dimension)), np.zeros((dimension, dimension))
        self.b, self.own, self.pull = np.zeros(dimension), np.zeros(dimension), np.zeros(dimension)
        self.lower = np.diag(np.sqrt(ridge))
        self.tags = np.array(sorted(tags), np.int64)


class Pooled:
    """Recursive least squares, hierarchical over arms; the state is a function of the calls in their order.

    Parameters
    ----------
    dimension : columns of x, the first of which is 1.
    tags : for each arm, the groups that it belongs to, each of which has a level of its own; numbers from 0.
    ridges : the prior. keep : share of an arm's sums that stays behind each of its rows.
    """

    def __init__(
        self, dimension: int, tags: Sequence[Sequence[int]], ridges: Ridges, keep: float = 1.0
    ) -> None:
        from . import tree  # noqa: PLC0415 (the compiler is loaded when something is expected)

        self._tree = tree
        self._dimension, self._tags, self._keep = dimension, tags, keep
        count = 1 + max((tag for own in tags for tag in own), default=-1)
        p = dimension + count
        self._ridge = np.full(dimension, ridges.own_slope, np.float64)
        self._ridge[0] = ridges.own_level
        self._root_ridge = np.full(p, ridges.slope, np.float64)
        self._root_ridge[0] = ridges.level
        self._root_ridge[dimension:] = ridges.tag
        self._arms: dict[int, _Arm] = {}
        self._root, self._root_b = np.zeros((p, p)), np.zeros(p)
        self._root_lower, self._theta = np.diag(np.sqrt(self._root_ridge)), np.zeros(p)
        self._work, self._out = np.zeros((2, p)), np.zeros(2)
        self._every = max(1, p * p // _COLUMNS_EVERY_ROW**2)
        self._due: dict[int, None] = {}  # arms with rows that the root does not know
        self._waiting = 0

    def expect(self, arm: int, x: Floats) -> tuple[float, float]:
        """Mean of a row of an arm, and its variance in units of the noise (that of the row itself is 1)."""
        if self._waiting >= self._every:
            self._settle()
        known = self._arm(arm)
        self._tree.expected(
            x,
            known.lower,
            known.own,
            self._ridge,
            self._root_lower,
            self._theta,
            known.tags,
            self._out,
            self._work,
        )
        return float(self._out[0]), float(self._out[1])

    def learn(self, arm: int, x: Floats, y: float, weight: float = 1.0) -> None:
        """Take a row in; ``weight`` : its precision in units of the noise's."""
        known = self._arm(arm)
        self._tree.add_weighted(known.a, known.b, x, weight, y, self._keep)
        self._due[arm] = None
        self._waiting += 1

    def free(self, arm: int | None, shift: float, variance: float, fresh: dict[int, Floats]) -> None:
        """Let an arm's level (of all arms, for None) have moved by about ``shift`` ± √variance.

        variance : in units of the noise. fresh : Σ x of an arm's rows that have the new level already.
        """
        nothing = np.zeros(self._dimension)
        for number in sorted(self._arms) if arm is None else [arm]:
            known = self._arm(number)
            self._tree.free_level(known.a, known.b, shift, fresh.get(number, nothing), variance)
            self._due[number] = None
        self._settle()

    def _arm(self, arm: int) -> _Arm:
        if arm not in self._arms:
            tags = [self._dimension + tag for tag in self._tags[arm]]
            self._arms[arm] = _Arm(self._dimension, tags, self._ridge)
        return self._arms[arm]

    def _settle(self) -> None:
        for number in sorted(self._due):
            arm = self._arms[number]
            self._tree.refresh(
                arm.a,
                arm.b,
                self._ridge,
                arm.lower,
                arm.own,
                arm.message,
                arm.pull,
                self._root,
                self._root_b,
                arm.tags,
                self._work,
            )
        self._tree.settle_root(self._root, self._root_b, self._root_ridge, self._root_lower, self._theta)
        self._due.clear()
        self._waiting = 0
