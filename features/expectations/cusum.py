"""Cumulative sums of scores: has the level moved?

    S⁺ ← max(0, S⁺ + z − ½),   S⁻ ← max(0, S⁻ − z − ½),   alarm where one of them exceeds h

with z clipped at ±3. A shift of one standard deviation takes about 2h rows, one of two about h/1.5; without
any, h = 8 gives an alarm in some 10⁴ rows. Source: Page (1954), Continuous inspection schemes, Biometrika 41.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["Cusum"]

Floats = npt.NDArray[np.float64]
_SLACK, _CLIP = 0.5, 3.0
_REMEMBERED = 64


class Cusum:
    """Two-sided; remembers the newest rows since a sum was last 0, at most 64."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._up = self._down = 0.0
        self._above: deque[tuple[int, Floats, float]] = deque(maxlen=_REMEMBERED)
        self._below: deque[tuple[int, Floats, float]] = deque(maxlen=_REMEMBERED)

    def add(self, arm: int, x: Floats, score: float, residual: float) -> bool:
        """Take the next row in; True where a sum exceeds the threshold. ``x`` must not change any more."""
        z = min(max(score, -_CLIP), _CLIP)
        self._up += z - _SLACK
        if self._up > 0.0:
            self._above.append((arm, x, residual))
        elif self._up < 0.0:
            self._up = 0.0
            self._above.clear()
        self._down -= z + _SLACK
        if self._down > 0.0:
            self._below.append((arm, x, residual))
        elif self._down < 0.0:
            self._down = 0.0
            self._below.clear()
        return self._up > self._threshold or self._down > self._threshold

    def shift(self) -> tuple[float, int, dict[int, Floats]]:
        """Mean residual since the larger sum was 0, over how many rows, and their Σ x by arm."""
        rows = self._above if self._up > self._down else self._below
        fresh: dict[int, Floats] = {}
        total = 0.0
        for arm, x, residual in rows:
            fresh[arm] = fresh[arm] + x if arm in fresh else x.copy()
            total += residual
        return total / max(len(rows), 1), len(rows), fresh

    def restart(self) -> None:
        """Begin anew."""
        self._up = self._down = 0.0
        self._above.clear()
        self._below.clear()
