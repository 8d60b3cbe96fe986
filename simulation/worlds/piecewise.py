"""Means that change at known rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from . import checks
from .base import Segments
from .gaussian import clipped_mean
from .segmented import SegmentedWorld

__all__ = ["PROBLEM_1", "PROBLEM_2", "Piecewise"]


class Piecewise(SegmentedWorld):
    """Segments of ``length`` rounds each; in segment s, arm a has mean ``means[s][a]``. The last one stays.

    Rewards are successes and failures, or with ``sd`` clipped normal numbers as in ``Gaussian``. Regret is
    against the best arm of each round.
    """

    kind: ClassVar[str] = "piecewise"

    def __init__(self, means: Sequence[Sequence[float]], length: int, sd: float | None = None) -> None:
        self.means = checks.table(self.kind, "means", means)
        self.length = checks.whole(self.kind, "length", length, 1)
        self.sd = None if sd is None else checks.number(self.kind, "sd", sd, 1e-3, 10.0)
        self.arms = len(self.means[0])
        self.horizon = self.length * len(self.means)
        centers = np.array(self.means)
        expected = centers
        if self.sd is not None:
            width = self.sd
            expected = np.array([[clipped_mean(mean, width) for mean in row] for row in self.means])
        starts = np.arange(len(self.means), dtype=np.int64) * self.length
        self._segments = Segments(centers, expected, starts, -1.0 if self.sd is None else self.sd)

    def segments(self, seed: int, replication: int) -> Segments:  # noqa: ARG002, D102
        return self._segments

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        means = [list(row) for row in self.means]
        return {"kind": self.kind, "means": means, "length": self.length, "sd": self.sd}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Piecewise:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, ["means", "length"], ["sd"]))


PROBLEM_1 = Piecewise(
    [[0.9, 0.5, 0.3], [0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.7, 0.3], [0.1, 0.7, 0.5]], 1000
)
"""Besson & Kaufmann (2019), arXiv 1902.01575, Problem 1: changes of one arm at a time; T = 5,000."""

PROBLEM_2 = Piecewise(
    [[0.9, 0.5, 0.4], [0.7, 0.4, 0.5], [0.5, 0.3, 0.6], [0.3, 0.2, 0.7], [0.1, 0.1, 0.8]], 1000
)
"""The same, Problem 2: all arms change at once."""
