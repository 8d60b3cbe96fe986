"""What worlds without context have in common: K arms whose means hold for a segment of rounds."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ...bandit import Strategy
from ...features import Value
from .. import lockstep
from ..keys import key_of
from .base import Integers, Rounds, Segments, World

__all__ = ["SegmentedWorld", "arm_names", "segment_rounds"]

_NO_CONTEXT: tuple[dict[str, Value], ...] = ({},)


def arm_names(count: int) -> tuple[Strategy, ...]:
    """Strategies arm0, arm1, …, with as many digits as the last one has."""
    digits = len(str(count - 1))
    return tuple(Strategy(f"arm{i:0{digits}d}") for i in range(count))


class SegmentedWorld(World):
    """A world without context that is played from its ``segments``."""

    arms: int

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """arm0, arm1, …"""
        return arm_names(self.arms)

    @abstractmethod
    def segments(self, seed: int, replication: int) -> Segments:
        """Means of each segment of a replication."""

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:
        """Potential rewards of these rounds."""
        return segment_rounds(self.segments(seed, replication), seed, replication, start, stop)


def segment_rounds(segments: Segments, seed: int, replication: int, start: int, stop: int) -> Rounds:
    """Rounds [start, stop) of a replication that is given as segments; its delay is left to the caller."""
    segment: Integers = np.searchsorted(segments.starts, np.arange(start, stop), side="right") - 1
    key = key_of(seed, replication, "rewards")
    rewards = np.empty((stop - start, segments.centers.shape[1]), np.int64)
    lockstep.rewards.potentials_into(*key, start, segments.centers[segment], segments.sd, rewards)
    return Rounds(_NO_CONTEXT, np.zeros(stop - start, np.int64), rewards, segments.expected[segment])
