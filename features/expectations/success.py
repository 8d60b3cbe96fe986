"""The probability of success by arm and context."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ... import ieee
from .cusum import Cusum
from .pooled import Pooled, Ridges

__all__ = ["Chance", "SuccessModel"]

Floats = npt.NDArray[np.float64]
_RIDGES = Ridges(level=0.2, slope=2.0, tag=2.0, own_level=3.0, own_slope=15.0)
_LEAST_WEIGHT = 0.02
_ALARM, _ARM_ALARM = 12.0, 11.0
_FREED = 1.0
_Z = 1.9  # normal quantile at .95, and a sixth more for what the prior draws to itself
_MODERATION = 0.39269908169872414  # π / 8


class Chance(NamedTuple):
    """Probability of success, an interval for it, and how many executions of the arm are known."""

    probability: float
    low: float
    high: float
    rows: int


class SuccessModel:
    """Logistic regression, pooled over arms, one Newton step a row; a function of the rows in their order.

    The probability is that of the whole posterior and not of its middle,
    σ(η / √(1 + π v / 8)), so that what is not known stays near ½. Source: MacKay (1992), The
    evidence framework applied to classification networks, Neural Computation 4.
    """

    def __init__(self, dimension: int, tags: Sequence[Sequence[int]]) -> None:
        self._model = Pooled(dimension, tags, _RIDGES)
        self._all, self._cusums = Cusum(_ALARM), dict[int, Cusum]()
        self._rows: dict[int, int] = {}
        self.rows = 0
        self.shifts = 0
        """How many shifts were noticed."""

    def expect(self, arm: int, x: Floats) -> Chance:
        """What is expected of an arm in a context."""
        middle, variance = self._model.expect(arm, x)
        sd = sqrt(variance)
        return Chance(
            _sigmoid(middle / sqrt(1.0 + _MODERATION * variance)),
            _sigmoid(middle - _Z * sd),
            _sigmoid(middle + _Z * sd),
            self._rows.get(arm, 0),
        )

    def add(self, arm: int, x: Floats, success: bool) -> float:
        """Take in the next execution; returns the probability that was expected of its success."""
        middle, variance = self._model.expect(arm, x)
        expected = _sigmoid(middle / sqrt(1.0 + _MODERATION * variance))
        p = _sigmoid(middle)
        weight = max(p * (1.0 - p), _LEAST_WEIGHT)
        self._model.learn(arm, x, middle + (success - p) / weight, 1.0 / weight)
        self._rows[arm] = self._rows.get(arm, 0) + 1
        self.rows += 1
        spread = sqrt(max(expected * (1.0 - expected), _LEAST_WEIGHT))
        score = (success - expected) / spread
        cusum = self._cusums.setdefault(arm, Cusum(_ARM_ALARM))
        own, every = cusum.add(score, 0.0), self._all.add(score, 0.0)
        if own or every:
            self._free(arm if own else None)
            self.shifts += 1
        return expected

    def restart(self, arm: int) -> None:
        """Somebody else has found that an arm's level moved: learn it anew."""
        if arm in self._rows:
            self._free(arm)

    def _free(self, arm: int | None) -> None:
        self._model.free(arm, 0.0, _FREED)
        for number, cusum in self._cusums.items():
            if arm in {None, number}:
                cusum.restart()
        self._all.restart()


def _sigmoid(eta: float) -> float:
    if eta >= 0.0:
        return 1.0 / (1.0 + ieee.exp(-min(eta, 700.0)))
    e = ieee.exp(max(eta, -700.0))
    return e / (1.0 + e)
