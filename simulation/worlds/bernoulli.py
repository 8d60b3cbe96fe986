"""Successes and failures with fixed probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import lockstep
from ..keys import key_of
from . import checks
from .base import Segments
from .segmented import SegmentedWorld

__all__ = ["Bernoulli", "RandomBernoulli"]

_FROM_THE_START = np.zeros(1, np.int64)
_SUCCESSES = -1.0


class Bernoulli(SegmentedWorld):
    """Arm a pays 1 with probability ``means[a]``, else 0; rounds are independent.

    >>> Bernoulli([0.9, 0.8]).rounds(7, 0, 0, 2).expected.tolist()
    [[0.9, 0.8], [0.9, 0.8]]
    """

    kind: ClassVar[str] = "bernoulli"

    def __init__(self, means: Sequence[float]) -> None:
        self.means = checks.numbers(self.kind, "means", means)
        self.arms = len(self.means)

    def segments(self, seed: int, replication: int) -> Segments:  # noqa: ARG002, D102
        means = np.array([self.means])
        return Segments(means, means, _FROM_THE_START, _SUCCESSES)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"kind": self.kind, "means": list(self.means)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Bernoulli:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, ["means"]))


class RandomBernoulli(SegmentedWorld):
    """``Bernoulli`` with means that each replication draws, uniform in [0, 1): for Bayesian regret."""

    kind: ClassVar[str] = "random_bernoulli"

    def __init__(self, arms: int) -> None:
        self.arms = checks.whole(self.kind, "arms", arms, 1, 1024)

    def segments(self, seed: int, replication: int) -> Segments:  # noqa: D102
        means = np.empty((1, self.arms))
        lockstep.counter.uniforms_into(*key_of(seed, replication, "means"), 0, means[0])
        return Segments(means, means, _FROM_THE_START, _SUCCESSES)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"kind": self.kind, "arms": self.arms}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RandomBernoulli:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, ["arms"]))
