"""Adaptive conformal intervals: quantiles of recent scores, at levels that follow what was missed.

A score is a residual over the scale that was expected of it. Each tail has a level of its own, which falls by
γ(1 − α) where a score lies outside and rises by γα where it does not, so that in the long run the share α of
the scores lies outside, whatever their law and however it moves:

    α_{t+1} = α_t + γ (α − [score outside])

Beside the recent scores stands a committed heavy-tailed sample (Student's t with 4 degrees of freedom), which
is what a cold start knows; 200 scores outweigh it.

Source: Gibbs & Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS, eq. 2.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

__all__ = ["COVERAGE", "AdaptiveScores"]

COVERAGE = 0.9
"""What share of the executions an interval is to hold."""

_KEPT = 200
_RATE = 0.02
_TAIL = 0.5 * (1.0 - COVERAGE)
_LOWEST_LEVEL = -0.05
# Quantiles of t₄ at 1/24, 3/24 … 23/24.
_PRIOR = (-2.326, -1.344, -0.912, -0.596, -0.327, -0.104, 0.104, 0.327, 0.596, 0.912, 1.344, 2.326)


class AdaptiveScores:
    """The recent scores of all arms, and the level of each tail."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque()
        self._sorted = sorted(_PRIOR)
        self._low = self._high = _TAIL

    @property
    def scores(self) -> int:
        """How many recent scores are known."""
        return len(self._recent)

    @property
    def bounds(self) -> tuple[float, float]:
        """Scores between which the next one is expected."""
        return -self._quantile(self._low, -1), self._quantile(self._high, 1)

    @property
    def levels(self) -> tuple[float, float]:
        """Shares of the scores that are expected below and above the bounds; at most 0: none of them."""
        return self._low, self._high

    def sample(self) -> list[float]:
        """What scores are like: the recent ones and the prior's, ascending."""
        return list(self._sorted)

    def add(self, arm: int, score: float) -> None:
        """Take in the score of the next execution."""
        low, high = self.bounds
        self._low = max(_LOWEST_LEVEL, self._low + _RATE * (_TAIL - (score < low)))
        self._high = max(_LOWEST_LEVEL, self._high + _RATE * (_TAIL - (score > high)))
        if len(self._recent) == _KEPT:
            self._remove(self._recent.popleft()[1])
        self._recent.append((arm, score))
        insort(self._sorted, score)

    def restart(self, arm: int | None, newest: int) -> None:
        """Behind a shift: forget the newest scores of an arm (None: of all), and begin the levels anew."""
        kept: deque[tuple[int, float]] = deque()
        while self._recent:
            owner, score = self._recent.pop()
            if newest > 0 and arm in {None, owner}:
                newest -= 1
                self._remove(score)
            else:
                kept.appendleft((owner, score))
        self._recent = kept
        self._low = self._high = _TAIL

    def _remove(self, score: float) -> None:
        del self._sorted[bisect_left(self._sorted, score)]

    def _quantile(self, level: float, sign: int) -> float:
        """The score that the share ``level`` exceeds; beyond all of them for levels below 1/(n+1)."""
        ordered = self._sorted
        n = len(ordered)
        place = level * (n + 1)  # scores that may lie beyond
        if place <= 1.0:
            largest = ordered[-1] if sign > 0 else -ordered[0]
            return max(largest, 1.0) * (1.0 + 2.0 * (1.0 / (n + 1) - level))
        i = int(place)
        part = place - i
        i = min(i, n - 1)
        if sign > 0:
            return (1.0 - part) * ordered[n - i] + part * ordered[n - 1 - i]
        return -((1.0 - part) * ordered[i - 1] + part * ordered[i])
