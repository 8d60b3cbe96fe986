"""Single executions that are odd, given the context: the monitor of one strategy, and its alert rules.

    duration, tokens, cost   log, high side       residual over robust scale, tails like the good side's
    quality                  −logit, high side    the same
    retries                  negative binomial    tail of the count, given its expected value
    errors                   binomial             failures among the last 9, given their expected rate

The z of each is that of a normal that is as rare. An incident of a metric begins where z >= 3.9, and lasts as
long as every 20 rows bring another z >= 3: so each is told once. What one row in fifty
does is not odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from ...errors import InputInvalid
from . import tails
from .performance import (
    ALERT_Z,
    COUNT_DISPERSION,
    METRICS,
    TAIL_PRIOR,
    TAIL_ROWS,
    WARN_Z,
    Anomaly,
    Expected,
    PerformanceMetrics,
    count_anomaly,
    expected_range,
    scaled,
    severity_of,
)
from .window import KEPT, MOST

__all__ = ["AlertBudget", "AnomalyMonitor"]

_UNIT = 1.0 / 65536.0
_MOST_OWN_COLUMNS = 48
_LEVEL_RIDGE, _COLUMN_RIDGE = 0.001, 0.1
_QUIET_ROWS = 20
_COMMON, _FEW = 0.02, 3.0
_FIRST = 20
_LAST = 9
_PRIOR_FAILURES, _PRIOR_TRIALS = 1.5, 10.0
_LEAST = {"duration_s": 0.05, "tokens": 0.05, "cost": 0.05, "quality": 0.1}
_DAY_S = 86400.0

Row = tuple[int, int, tuple[int, ...], PerformanceMetrics]


class AnomalyMonitor:
    """Watches the executions of one strategy; a pure function of the rows that it remembers.

    Parameters
    ----------
    dimension : columns of φ, the leading 1 included. arms : how many arms the strategy has.

    At ``MOST`` rows it is rebuilt from the newest ``KEPT``.
    """

    def __init__(self, dimension: int, arms: int) -> None:
        self._own_columns = arms if 1 < arms <= _MOST_OWN_COLUMNS else 0
        self._dimension, self._arms = dimension, arms
        self._clear()

    @property
    def start(self) -> int | None:
        """Number of the oldest row that is remembered; None without any."""
        return self._rows[0][0] if self._rows else None

    def add(self, seq: int, arm: int, phi: Sequence[int], metrics: PerformanceMetrics) -> Anomaly | None:
        """Take the next row in; the anomaly that begins with it, if one does.

        Raises
        ------
        InputInvalid : φ of another length, an unknown arm, or a row that is not newer than the last; nothing
            has changed.
        """
        late = bool(self._rows) and seq <= self._rows[-1][0]
        if late or len(phi) != self._dimension or not 0 <= arm < self._arms:
            raise InputInvalid(
                "a row does not fit the monitor of anomalies",
                expected=f"φ of {self._dimension} columns, an arm below {self._arms}, a newer row",
                found=f"{len(phi)} columns, arm {arm}, row {seq}",
                fix="feed the monitor rows of its own strategy and encoding, in order",
            )
        if len(self._rows) == MOST:
            kept = self._rows[MOST - KEPT :]
            self._clear()
            for row in kept:
                self._learn(row)
        return self._learn((seq, arm, tuple(phi), metrics))

    def _clear(self) -> None:
        self._rows: list[Row] = []
        self._tracks: dict[str, _Numeric | _Retries | _Errors] = {}
        self._tails: dict[str, tuple[float, int]] = {}  # of each metric: how far its good tail reaches, rows
        self._told: dict[str, int] = {}
        self._count = 0

    def _learn(self, row: Row) -> Anomaly | None:
        _, arm, phi, metrics = row
        p = self._dimension + self._own_columns
        x = np.zeros(p)
        x[: self._dimension] = phi
        x *= _UNIT
        if self._own_columns:
            x[self._dimension + arm] = 1.0
        self._rows.append(row)
        self._count += 1
        odd, fresh = [], False
        for name in METRICS:
            value = getattr(metrics, name)
            if value is None:
                continue
            track = self._tracks.get(name)
            if track is None:
                track = self._tracks[name] = _track(name, p)
            z = track.add(x, float(value), self._tails)
            if z < WARN_Z:
                continue
            quiet = self._count - self._told.get(name, -_QUIET_ROWS) > _QUIET_ROWS
            if z >= ALERT_Z or not quiet:
                self._told[name] = self._count
            fresh = fresh or (z >= ALERT_Z and quiet)
            if z >= ALERT_Z:
                odd.append((z, name, track))
        if not fresh:
            return None
        odd.sort(key=lambda item: -item[0])
        z, name, track = odd[0]
        seen, expected = track.told()
        return Anomaly(name, seen, expected, z, severity_of(z), {other: at for at, other, _ in odd[1:]})


class _Level:
    """Recursive least squares on the context."""

    def __init__(self, p: int) -> None:
        self.precision = np.eye(p) / _COLUMN_RIDGE
        self.precision[0, 0] = 1.0 / _LEVEL_RIDGE
        self.theta, self.gain = np.zeros(p), np.zeros(p)
        self.rows = 0


class _Numeric:
    """A metric on a continuous scale."""

    def __init__(self, name: str, p: int) -> None:
        from . import residuals  # noqa: PLC0415 (the compiler is loaded when something is watched)

        self._step, self._name = residuals.step, name
        level = _Level(p)
        self._state = (
            level.precision,
            level.theta,
            level.gain,
            np.zeros(MOST),
            np.zeros(64),
            np.zeros(7),
            np.zeros(2),
            np.zeros(6, np.int64),
        )
        self._out = np.zeros(residuals.OUT)
        self._value, self._inverse = 0.0, TAIL_PRIOR

    def add(self, x: Any, value: float, reaches: dict[str, tuple[float, int]]) -> float:
        out = self._out
        self._step(*self._state, x, scaled(self._name, value), _LEAST[self._name], out)
        judged, _, _, _, scale, reach, beyond, rank = out.tolist()
        self._value = value
        if not judged:
            return 0.0
        rows = int(self._state[7][1])
        reaches[self._name] = reach, rows
        if beyond < WARN_Z * scale or rank > max(_FEW, _COMMON * rows):
            return 0.0
        # The metrics of one kind of work have tails alike: together they tell sooner how heavy these are.
        total = sum(n for _, n in reaches.values())
        pooled = sum(n * one for one, n in reaches.values()) / total
        self._inverse = tails.degrees(pooled, total, TAIL_PRIOR, TAIL_ROWS)
        return tails.student_z(beyond, scale, self._inverse)

    def told(self) -> tuple[float, Expected]:
        _, level, sd, centre, scale, *_ = self._out.tolist()
        return self._value, expected_range(self._name, level + centre * sd, scale * sd, self._inverse)


class _Retries:
    """Counts around an expected count."""

    def __init__(self, p: int) -> None:
        from . import residuals  # noqa: PLC0415

        self._kernels, self._level = residuals, _Level(p)
        self._squares = 20.0 * COUNT_DISPERSION
        self._count, self._mean, self._spread = 0, 0.0, COUNT_DISPERSION

    def add(self, x: Any, value: float, _: dict[str, tuple[float, int]]) -> float:
        level = self._level
        expected, leverage = self._kernels.expect(level.precision, level.theta, x, level.gain)
        mean = max(0.05, expected if level.rows else value)
        self._spread = max(1.05, self._squares / (level.rows + 20.0))
        self._count, self._mean = round(value), mean
        z, residual = 0.0, value - expected
        if level.rows >= _FIRST:
            if value > mean:
                z = tails.count_z(self._count, mean, self._spread)
            limit = 3.0 * sqrt(mean * 1.5)
            residual = max(-limit, min(limit, residual))
        self._squares += min(16.0, (value - mean) * (value - mean) / mean)
        self._kernels.learn(level.precision, level.theta, level.gain, leverage, residual)
        level.rows += 1
        return z

    def told(self) -> tuple[float, Expected]:
        return float(self._count), count_anomaly(self._count, self._mean, self._spread)[1]


class _Errors:
    """Failures among the last nine executions."""

    def __init__(self, p: int) -> None:
        from . import residuals  # noqa: PLC0415

        self._kernels, self._level = residuals, _Level(p)
        self._failed: list[float] = []
        self._chances: list[float] = []

    def add(self, x: Any, value: float, _: dict[str, tuple[float, int]]) -> float:
        failed = 1.0 if value > 0.0 else 0.0
        level = self._level
        expected, leverage = self._kernels.expect(level.precision, level.theta, x, level.gain)
        rows = level.rows
        chance = (expected * rows + _PRIOR_FAILURES) / (rows + _PRIOR_TRIALS)
        self._failed = [*self._failed[1 - _LAST :], failed]
        self._chances = [*self._chances[1 - _LAST :], min(0.97, max(0.02, chance))]
        z = 0.0
        if rows >= _FIRST and failed:
            n = len(self._failed)
            z = tails.binomial_z(round(sum(self._failed)), n, sum(self._chances) / n)
        self._kernels.learn(level.precision, level.theta, level.gain, leverage, failed - expected)
        level.rows += 1
        return z

    def told(self) -> tuple[float, Expected]:
        n, chance = len(self._failed), sum(self._chances) / len(self._chances)
        high = 0
        while high < n and tails.binomial_z(high + 1, n, chance) < 1.96:
            high += 1
        return sum(self._failed), Expected(n * chance, 0.0, float(high))


class AlertBudget:
    """At most so many alerts in 24 hours of the rows' own time.

    An alert is held back where as many were sent within a day of its row's time, before or behind it: so rows
    out of order, or one with a time of another century, use up no other day's budget. A row without a
    time is never held back. ``sent`` : times of the latest alerts.
    """

    def __init__(self, a_day: int, sent: Sequence[float] = ()) -> None:
        self._a_day = a_day
        self.sent = list(sent)[-a_day:] if a_day else []

    def take(self, time: float | None) -> bool:
        """Whether an alert of a row of this time may be sent; then it counts."""
        if time is None or time - time != 0.0:
            return True
        if sum(abs(time - sent) < _DAY_S for sent in self.sent) >= self._a_day:
            return False
        self.sent = [*self.sent, float(time)][-self._a_day :]
        return True


def _track(name: str, p: int) -> _Numeric | _Retries | _Errors:
    if name == "retries":
        return _Retries(p)
    return _Errors(p) if name == "errors" else _Numeric(name, p)
