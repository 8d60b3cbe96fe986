"""Cumulative sums of scores: has the level moved?

    S⁺ ← max(0, S⁺ + z − ½),   S⁻ ← max(0, S⁻ − z − ½),   alarm where one of them exceeds h

with z clipped at ±3. A shift of one standard deviation takes about 2h rows, one of two about h/1.5; without
any, h = 8 gives an alarm in some 10⁴ rows. Source: Page (1954), Continuous inspection schemes, Biometrika 41.
"""

from __future__ import annotations

__all__ = ["Cusum"]

_SLACK, _CLIP = 0.5, 3.0


class Cusum:
    """Two-sided; knows the rows since a sum was last 0, and their residuals' sum."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._up = self._down = self._up_residuals = self._down_residuals = 0.0
        self._up_rows = self._down_rows = 0

    def add(self, score: float, residual: float) -> bool:
        """Take the next row in; True where a sum exceeds the threshold."""
        z = min(max(score, -_CLIP), _CLIP)
        self._up = max(0.0, self._up + z - _SLACK)
        if self._up > 0.0:
            self._up_rows += 1
            self._up_residuals += residual
        else:
            self._up_rows, self._up_residuals = 0, 0.0
        self._down = max(0.0, self._down - z - _SLACK)
        if self._down > 0.0:
            self._down_rows += 1
            self._down_residuals += residual
        else:
            self._down_rows, self._down_residuals = 0, 0.0
        return self._up > self._threshold or self._down > self._threshold

    def shift(self) -> tuple[float, int]:
        """Mean residual since the larger sum was 0, and of how many rows; of none, 0."""
        if self._up > self._down:
            return self._up_residuals / max(self._up_rows, 1), self._up_rows
        return self._down_residuals / max(self._down_rows, 1), self._down_rows

    def restart(self) -> None:
        """Begin anew."""
        self._up = self._down = self._up_residuals = self._down_residuals = 0.0
        self._up_rows = self._down_rows = 0
