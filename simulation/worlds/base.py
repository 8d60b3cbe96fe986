"""The contract that every world keeps.

A world knows the truth: what each arm is worth in each context, and what it would pay in each round. All its
numbers are pure functions of (seed, replication, round), so that

* all policies of a replication meet the same contexts, and in a round the same arm would pay each of them the
  same (common random numbers);
* any part of a replication can be made by itself, in any process.

Rewards are integers in units of 2⁻¹⁶, as learners store them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...bandit import Strategy
from ...features import ContextSchema, Value

__all__ = ["NEVER", "Floats", "Integers", "Rounds", "Segments", "World"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NEVER = -1
"""Delay of a reward that is never reported."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """n consecutive rounds of one replication, with K arms.

    Attributes
    ----------
    contexts : the distinct contexts that may come. which (n,) : index of each round's context.
    rewards (n, K) : what each arm would pay, in units of 2⁻¹⁶.
    expected (n, K) : each arm's expected reward in the round's context; NaN where it is not eligible.
    delays (n, K) : rounds that pass before the reward is learned (0: before the next round), or ``NEVER``;
        None: all 0.
    eligible : arms to choose from in each of ``contexts``, None for all; None: all in all of them.
    """

    contexts: tuple[dict[str, Value], ...]
    which: Integers
    rewards: Integers
    expected: Floats
    delays: Integers | None = None
    eligible: tuple[tuple[int, ...] | None, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """A replication without contexts, as compiled loops take it.

    means (S, K) : expected rewards, the true ones (``expected``) and those that draws are made with
    (``centers``; others than the true ones where clipping moves them). starts (S,) : first round of each
    segment; sd : of the draws, negative for successes and failures; delay : of all rewards, in rounds.
    """

    centers: Floats
    expected: Floats
    starts: Integers
    sd: float
    delay: int = 0


class World(ABC):
    """A world that policies can be tried in. Immutable; equal documents, equal worlds."""

    kind: ClassVar[str]
    """Name in documents."""
    horizon: int = 1000
    """Rounds that are played where nobody says how many."""
    baseline_arm: str | None = None
    """The incumbent, where there is one."""

    @property
    @abstractmethod
    def strategies(self) -> tuple[Strategy, ...]:
        """What can be chosen."""

    @property
    def schema(self) -> ContextSchema:
        """What is known before choosing; by default nothing."""
        return ContextSchema()

    @abstractmethod
    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:
        """Rounds ``start`` to ``stop`` (exclusive) of a replication; a pure function of its arguments."""

    def segments(self, seed: int, replication: int) -> Segments | None:  # noqa: ARG002
        """The replication for compiled loops without context; None where they cannot play it."""
        return None

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, ``kind`` first; ``world_from_dict`` reads it."""

    @classmethod
    @abstractmethod
    def from_dict(cls, document: Mapping[str, Any]) -> World:
        """The world of a document; unknown or missing fields raise ``SpecInvalid``."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, World) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.kind)
