"""A linear model of the context for each arm, pooled over the arms: what one lacks, the others lend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Pooled", "Ridges"]

Floats = npt.NDArray[np.float64]


class Ridges(NamedTuple):
    """Precisions of the prior, in units of the noise's: of what all arms share, of a tag, of an arm's own."""

    level: float
    slope: float
    tag: float
    own_level: float
    own_slope: float


class _Arm:
    """m, W and V of one arm (see ``recursion``), and its tags' places."""

    __slots__ = ("own", "pull", "spread", "tags")

    def __init__(self, variances: Floats, tags: Sequence[int]) -> None:
        dimension = len(variances)
        self.own, self.pull, self.spread = np.zeros(dimension), np.eye(dimension), np.diag(variances)
        self.tags = np.array(sorted(tags), np.int64)


class Pooled:
    """Bayesian linear regression, hierarchical over arms; a function of the calls in their order.

    Parameters
    ----------
    dimension : columns of x, the first of which is 1.
    tags : for each arm, the groups that it belongs to, each of which has a level of its own; numbers from 0.
    """

    def __init__(self, dimension: int, tags: Sequence[Sequence[int]], ridges: Ridges) -> None:
        from . import recursion  # noqa: PLC0415 (the compiler is loaded when something is expected)

        self._recursion = recursion
        self._dimension, self._tags = dimension, tags
        p = dimension + 1 + max((tag for own in tags for tag in own), default=-1)
        self._variances = np.full(dimension, 1.0 / ridges.own_slope)
        self._variances[0] = 1.0 / ridges.own_level
        shared = np.full(p, 1.0 / ridges.slope)
        shared[0] = 1.0 / ridges.level
        shared[dimension:] = 1.0 / ridges.tag
        self._theta, self._shared = np.zeros(p), np.diag(shared)
        self._arms: dict[int, _Arm] = {}
        self._work, self._out = np.zeros((3, p)), np.zeros(3)

    def expect(self, arm: int, x: Floats) -> tuple[float, float]:
        """Mean of a row of an arm, and its variance in units of the noise (that of the row itself is 1)."""
        known = self._arms.get(arm) or self._fresh(arm)
        self._recursion.expected(
            x,
            known.own,
            known.pull,
            known.spread,
            self._theta,
            self._shared,
            known.tags,
            self._work,
            self._out,
        )
        mean, own, shared = self._out.tolist()
        return mean, own + shared

    def learn(self, arm: int, x: Floats, y: float, noise: float = 1.0) -> None:
        """Take a row in; ``noise`` : its variance in units of the noise's."""
        known = self._arms.get(arm)
        if known is None:
            known = self._arms[arm] = self._fresh(arm)
        self._recursion.learn(
            x,
            y,
            noise,
            known.own,
            known.pull,
            known.spread,
            self._theta,
            self._shared,
            known.tags,
            self._work,
            self._out,
        )

    def free(self, arm: int | None, shift: float, variance: float) -> None:
        """Let an arm's level (of all arms, for None) have moved by about ``shift`` ± √variance.

        variance : in units of the noise. What is known of the slopes stays.
        """
        for number in sorted(self._arms) if arm is None else [arm]:
            known = self._arms.setdefault(number, self._fresh(number))
            known.own[0] += shift
            known.spread[0, 0] += variance
            if arm is None:  # what is shared moves too, and W brings a part of that along
                known.own -= shift * known.pull[:, 0]
        if arm is None:
            self._theta[0] += shift
            self._shared[0, 0] += variance

    def _fresh(self, arm: int) -> _Arm:
        return _Arm(self._variances, [self._dimension + tag for tag in self._tags[arm]])
