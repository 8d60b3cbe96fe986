"""Uniform choice."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Floats, Mask, Policy, Setting, sample_beliefs

__all__ = ["Uniform"]


class Uniform(Policy):
    """Every eligible arm with probability 1/E.

    Choose it to collect a log from which any other policy can be evaluated, and as the yardstick that every
    learner must beat.
    """

    def __init__(self, setting: Setting) -> None:  # noqa: ARG002 (one constructor for all policies)
        self._reading: Floats

    def refresh(self, reading: Floats, changed: Sequence[int]) -> None:  # noqa: ARG002, D102
        self._reading = reading

    def pmf(self, phi: Floats, eligible: Mask, out: Floats) -> None:  # noqa: ARG002, D102
        out[:] = eligible / eligible.sum()

    def beliefs(self, phi: Floats) -> tuple[Floats, Floats]:  # noqa: ARG002, D102
        return sample_beliefs(self._reading)
