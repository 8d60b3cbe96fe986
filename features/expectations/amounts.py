"""Positive amounts (seconds, money) by arm and context: their logarithm, and how far off it may be."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ... import ieee
from ...errors import InputInvalid, shown
from .conformal import AdaptiveScores
from .cusum import Cusum
from .pooled import Pooled, Ridges

__all__ = ["AmountModel", "Outlook"]

Floats = npt.NDArray[np.float64]
_RIDGES = Ridges(level=0.01, slope=0.7, tag=1.0, own_level=1.0, own_slope=8.0)
_PRIOR_VARIANCE, _PRIOR_ROWS = 0.25, 4.0  # of logarithms
_ARM_ROWS = 15.0  # that the common scale is worth beside an arm's own
_FADE = 0.99
_CLIP = 4.0
_FIRST = 10  # rows before large residuals are cut
_ARM_ALARM, _ALARM = 8.0, 9.0
_LARGEST = 1e12


class Outlook(NamedTuple):
    """What is expected of an amount's logarithm: its middle, the scale of its scores, and how it was found.

    ``rows`` : executions of the arm that are known; ``scores`` : recent ones that the interval rests on.
    """

    middle: float
    scale: float
    rows: int
    scores: int


class AmountModel:
    """A pooled model of log-amounts with adaptive intervals; a function of the rows in their order.

    A shift of an arm, or of all arms, is noticed by cumulative sums of its own: then the level is learned
    anew, while what is known of the context stays.

    Parameters
    ----------
    dimension, tags : as ``Pooled`` takes them. smallest : amounts below count as this.
    """

    def __init__(self, dimension: int, tags: Sequence[Sequence[int]], smallest: float) -> None:
        self._model = Pooled(dimension, tags, _RIDGES)
        self._smallest = smallest
        self.scores = AdaptiveScores()
        self._centre = 0.0
        self._squares, self._weight = 0.0, 0.0
        self._arms: dict[int, _Scale] = {}
        self._all, self._alarm = Cusum(_ALARM), False
        self.rows = 0
        self.shifts = 0
        """How many shifts were noticed."""

    def expect(self, arm: int, x: Floats) -> Outlook | None:
        """What is expected of an arm in a context; None before the first row."""
        if not self.rows:
            return None
        mean, variance = self._model.expect(arm, x)
        noise = self._noise()
        known = self._arms.get(arm)
        factor, rows = (1.0, 0) if known is None else (known.factor, known.rows)
        return Outlook(mean + self._centre, sqrt(noise * (factor + variance)), rows, self.scores.scores)

    def add(self, arm: int, x: Floats, amount: float) -> float | None:
        """Take in the next execution; returns its score, None for the first.

        Raises
        ------
        InputInvalid : the amount is negative or no finite number; nothing has changed.
        """
        if type(amount) not in {int, float} or not 0.0 <= amount < _LARGEST:
            raise InputInvalid(
                "an amount cannot be learned from",
                expected=f"a finite number from 0 to {_LARGEST:g}",
                found=shown(amount),
                fix="leave it out where it is missing",
            )
        y = ieee.log(max(float(amount), self._smallest))
        outlook = self.expect(arm, x)
        if outlook is None:
            self._centre = y
            outlook = Outlook(y, 1.0, 0, 0)
        residual = y - outlook.middle
        score = residual / outlook.scale
        known = self._arms.setdefault(arm, _Scale())
        first = self.rows == 0
        self.rows += 1
        if not first:
            self._measure(arm, known, residual, score)
        if self.rows > _FIRST:
            limit = _CLIP * outlook.scale
            y = outlook.middle + min(max(residual, -limit), limit)
        self._model.learn(arm, x, y - self._centre)
        known.rows += 1
        if not first:
            self._look(arm, known)
        return None if first else score

    def restart(self, arm: int) -> None:
        """Somebody else has found that an arm's level moved: learn it anew."""
        if arm in self._arms:
            self._model.free(arm, 0.0, 4.0)
            self._arms[arm].cusum.restart()
            self.scores.restart(arm, 0)

    def _noise(self) -> float:
        return (self._squares + _PRIOR_ROWS * _PRIOR_VARIANCE) / (self._weight + _PRIOR_ROWS)

    def _measure(self, arm: int, known: _Scale, residual: float, score: float) -> None:
        self.scores.add(arm, score)
        known.alarm = known.cusum.add(score, residual)
        self._alarm = self._all.add(score, residual)
        clipped = min(max(score, -_CLIP), _CLIP)
        noise = self._noise()
        known.add(clipped * clipped * known.factor)
        self._squares = 0.995 * self._squares + clipped * clipped * noise
        self._weight = 0.995 * self._weight + 1.0

    def _look(self, arm: int, known: _Scale) -> None:
        if known.alarm:
            self._move(arm, *known.cusum.shift())
        elif self._alarm:
            self._move(None, *self._all.shift())

    def _move(self, arm: int | None, shift: float, rows: int) -> None:
        variance = max(0.25 * shift * shift / self._noise(), 1.0 / rows)
        self._model.free(arm, shift, variance)
        self.scores.restart(arm, rows)
        for number, scale in self._arms.items():
            if arm in {None, number}:
                scale.cusum.restart()
        self._all.restart()
        self.shifts += 1


class _Scale:
    """How much noisier an arm is than all are, and whether its level moves."""

    __slots__ = ("alarm", "cusum", "rows", "squares", "weight")

    def __init__(self) -> None:
        self.squares, self.weight, self.rows = _ARM_ROWS, _ARM_ROWS, 0
        self.cusum, self.alarm = Cusum(_ARM_ALARM), False

    @property
    def factor(self) -> float:
        return self.squares / self.weight

    def add(self, square: float) -> None:
        # The prior rows stay, what was measured fades.
        self.squares = _FADE * (self.squares - _ARM_ROWS) + square + _ARM_ROWS
        self.weight = _FADE * (self.weight - _ARM_ROWS) + 1.0 + _ARM_ROWS
