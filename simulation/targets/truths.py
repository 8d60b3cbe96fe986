"""What every arm of a drawn world does on average, and what an oracle could reach by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..worlds.base import Floats, Integers
from ..worlds.executing import SIZE_SD
from ..worlds.truth import expected_execution
from .prior import DrawnWorld

__all__ = ["SUCCESS_TOLERANCE", "Truths", "truths_of"]

SUCCESS_TOLERANCE = 0.01
"""By so much success may be below the incumbent's where less time or fewer tokens are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """Expected success, seconds and tokens (C, K) of each arm in each context; context shares (C,); the
    incumbent; and which arms (K,) are of its strategy.
    """

    success: Floats
    seconds: Floats
    tokens: Floats
    shares: Floats
    incumbent: int
    own: Integers

    @property
    def most_successful(self) -> Integers:
        """The oracle's arm in each context (C,), where success is all."""
        return np.asarray(np.argmax(self.success, axis=1), np.int64)

    def ceilings(self) -> dict[str, float]:
        """Gain of the oracle over the incumbent: success, time by parameters, resources."""
        at = self.incumbent
        best = float(self.shares @ self.success.max(axis=1)) / float(self.shares @ self.success[:, at])
        return {
            "success": best - 1.0,
            "time": self._spared(self.seconds, self.own),
            "resources": self._spared(self.tokens, np.arange(self.success.shape[1])),
        }

    def _spared(self, used: Floats, arms: Integers) -> float:
        """Share of what the incumbent uses that the thriftiest arms, no less successful, spare."""
        fine = self.success[:, arms] >= self.success[:, [self.incumbent]] - SUCCESS_TOLERANCE
        least = np.where(fine, used[:, arms], np.inf).min(axis=1)
        return 1.0 - float(self.shares @ least) / float(self.shares @ used[:, self.incumbent])


def truths_of(world: DrawnWorld) -> Truths:
    """Compute, not simulate, a world's truths."""
    found = np.array([[expected_execution(p, size_sd=SIZE_SD) for p in row] for row in world.profiles])
    own = world.arms.spans[world.arms[world.incumbent].strategy]
    return Truths(
        found[..., 0],
        found[..., 1],
        found[..., 2] * world.tokens,
        world.shares,
        world.incumbent,
        np.arange(own.start, own.stop),
    )
