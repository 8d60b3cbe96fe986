"""One number after the other without a context: latencies of an API, costs an hour, requests a minute.

    z = (ln x − median) / sd,    over the last 500 values

The sd is the plain one, on purpose: a spike widens it, so that what has happened lately is not odd again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import sqrt

from ... import ieee
from ...errors import InputInvalid, shown
from .performance import Expected

__all__ = ["SeriesMonitor"]

_ROWS = 500
_FIRST = 100
_ALERT = 8.0
_QUIET_ROWS = 100
_UNIT = 1.0 / 65536.0
_LEAST_SD = 0.01


class SeriesMonitor:
    """Tells which values of a series of numbers >= 0 are odd: 8 standard deviations of their logarithms.

    A function of the last 500 values and of how long ago the last alarm was: whoever feeds these again goes
    on alike. Incidents are told once: they end where 100 values in a row are not odd.

    >>> monitor = SeriesMonitor(floor=0.001)
    >>> found = [monitor.add(10.0 + i % 5) for i in range(200)]
    >>> any(found), monitor.add(400.0) is not None
    (False, True)

    Parameters
    ----------
    floor : smaller values count as this one; > 0. alert : how many standard deviations are odd.
    """

    def __init__(self, floor: float = 0.001, alert: float = _ALERT) -> None:
        for name, value in (("floor", floor), ("alert", alert)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < 1e300:
                raise InputInvalid(
                    f"'{name}' of a series' monitor is unusable",
                    expected="a finite number > 0",
                    found=shown(value),
                    fix="leave it out",
                )
        self._floor, self._alert = float(floor), float(alert)
        self._values: deque[int] = deque()
        self._sorted: list[int] = []
        self._sum = self._squares = 0  # whole numbers: no order, no rounding
        self._since = _QUIET_ROWS

    def score(self, value: float) -> float:
        """How many standard deviations the value is from the median; 0 while fewer than 100 are known.

        Raises
        ------
        InputInvalid : it is negative or no finite number; nothing has changed.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1e300:
            raise InputInvalid(
                "a value of a series cannot be judged",
                expected="a finite number >= 0",
                found=shown(value),
                fix="leave it out where it was not measured",
            )
        if len(self._values) < _FIRST:
            return 0.0
        middle, sd = self._spread()
        return (self._scaled(value) * _UNIT - middle) / sd

    def add(self, value: float) -> Expected | None:
        """Take the next value in; what was expected instead, where an incident begins with it.

        Raises
        ------
        InputInvalid : it is negative or no finite number; nothing has changed.
        """
        odd = abs(self.score(value)) >= self._alert
        told = None
        if odd and self._since >= _QUIET_ROWS:
            middle, sd = self._spread()
            low, high = (ieee.exp(middle + side * 1.96 * sd) for side in (-1.0, 1.0))
            told = Expected(ieee.exp(middle), low, high)
        self._since = 0 if odd else min(_QUIET_ROWS, self._since + 1)
        y = self._scaled(value)
        self._values.append(y)
        insort(self._sorted, y)
        self._sum, self._squares = self._sum + y, self._squares + y * y
        if len(self._values) > _ROWS:
            old = self._values.popleft()
            del self._sorted[bisect_left(self._sorted, old)]
            self._sum, self._squares = self._sum - old, self._squares - old * old
        return told

    def _scaled(self, value: float) -> int:
        return round(ieee.log(max(value, self._floor)) * 65536.0)

    def _spread(self) -> tuple[float, float]:
        n = len(self._sorted)
        middle = 0.5 * (self._sorted[(n - 1) // 2] + self._sorted[n // 2]) * _UNIT
        variance = (n * self._squares - self._sum * self._sum) / (n * n) * (_UNIT * _UNIT)
        return middle, max(sqrt(variance), _LEAST_SD)
