"""Durations of one arm: what the context lets expect, and when that stops being true."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from ... import ieee
from ...errors import InputInvalid, shown
from .detectors import Detector, page_hinkley
from .window import KEPT, MOST

__all__ = ["DurationMonitor", "DurationShift"]

_UNIT = 1.0 / 65536.0
_LEVEL_RIDGE, _COLUMN_RIDGE = 0.001, 1.0
_PRIOR_VARIANCE, _PRIOR_ROWS = 0.25, 4.0  # of log-durations
_FIRST = 10  # rows that teach before residuals count
_CLIP = 4.0
_SHORTEST_S = 0.001


class DurationShift(NamedTuple):
    """Durations are no longer what they were: ``expected_s`` for the newest row, and its ``duration_s``."""

    rows: int
    expected_s: float
    duration_s: float


class DurationMonitor:
    """Clipped, standardised residuals of log-durations under a linear model of φ, into a Page–Hinkley test.

    A pure function of the rows since its last alarm: at ``MOST`` it is rebuilt from the newest ``KEPT``.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._rows: list[tuple[int, tuple[int, ...], float]] = []
        self._ridge = np.full(dimension, _COLUMN_RIDGE)
        self._ridge[0] = _LEVEL_RIDGE
        self._lower, self._theta = np.zeros((dimension, dimension)), np.zeros(dimension)
        self._clear()

    @property
    def start(self) -> int | None:
        """Number of the oldest row that is remembered; None without any."""
        return self._rows[0][0] if self._rows else None

    def add(
        self, seq: int, phi: Sequence[int], duration_s: float, *, judge: bool = True
    ) -> DurationShift | None:
        """Take the next row in; with ``judge``, an alarm is returned, and the monitor starts anew.

        Durations below a millisecond count as one.

        Raises
        ------
        InputInvalid : a duration that is negative or no finite number, or φ of another length; nothing has
            changed.
        """
        fits = isinstance(duration_s, (int, float)) and not isinstance(duration_s, bool)
        if not fits or len(phi) != self._dimension or not 0.0 <= duration_s < 1e12:
            raise InputInvalid(
                "a duration cannot be watched",
                expected=f"seconds >= 0 as a finite number, and φ of {self._dimension} columns",
                found=f"{shown(duration_s)}, {len(phi)} columns",
                fix="leave the duration out where it is missing",
            )
        if len(self._rows) == MOST:
            kept = self._rows[MOST - KEPT :]
            self._clear()
            for number, old_phi, y in kept:
                self._learn(number, old_phi, y)
        y = round(ieee.log(max(float(duration_s), _SHORTEST_S)) * 65536.0) * _UNIT
        rows = len(self._rows)
        expected, alarm = self._learn(seq, tuple(phi), y)
        if not (alarm and judge):
            return None
        self._clear()
        return DurationShift(rows + 1, ieee.exp(expected), float(duration_s))

    def _clear(self) -> None:
        self._rows = []
        self._a = np.zeros((self._dimension, self._dimension))
        self._b = np.zeros(self._dimension)
        self._squares, self._residuals = 0.0, 0
        self._test: Detector | None = None

    def _learn(self, seq: int, phi: tuple[int, ...], y: float) -> tuple[float, bool]:
        """Expected log-duration of a row, and whether it completes an alarm; then the row is known."""
        from . import scan  # noqa: PLC0415 (the compiler is loaded when something is watched)

        x = np.array(phi, np.float64)
        x *= _UNIT
        expected, alarm = y, False
        if self._rows:
            expected = float(scan.expectation(self._a, self._b, self._ridge, x, self._lower, self._theta))
        if len(self._rows) >= _FIRST:
            residual = y - expected
            variance = (self._squares + _PRIOR_ROWS * _PRIOR_VARIANCE) / (self._residuals + _PRIOR_ROWS)
            z = residual / sqrt(variance)
            clipped = min(max(z, -_CLIP), _CLIP)
            if self._test is None:
                self._test = page_hinkley()
            alarm = self._test.update(clipped)
            self._squares += clipped * clipped * variance
            self._residuals += 1
        scan.add_row(self._a, self._b, x, y, 1.0)
        self._rows.append((seq, phi, y))
        return expected, alarm
