"""Rewards that come late, or never: around another world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ...bandit import Strategy
from ...features import ContextSchema
from .. import lockstep
from ..keys import key_of
from . import checks
from .base import NEVER, Integers, Rounds, Segments, World

__all__ = ["Delayed"]


class Delayed(World):
    """Another world whose rewards are learned some rounds later.

    Parameters
    ----------
    fixed : rounds that pass before a reward is learned; 0: before the next round, as without delay. Or
    mean : of a geometric law on 0, 1, 2, … from which each round draws its delay, the same for all arms.
    missing : share of rounds whose reward is never learned.

    A delay of the world itself is added. Regret counts when arms are chosen, not when rewards are learned.
    """

    kind: ClassVar[str] = "delayed"

    def __init__(
        self, world: World, *, fixed: int | None = None, mean: float | None = None, missing: float = 0.0
    ) -> None:
        if fixed is not None and mean is not None:
            raise checks.unusable(self.kind, "mean", "either 'fixed' or 'mean'", "both")
        self.world = world
        self.fixed = None if fixed is None else checks.whole(self.kind, "fixed", fixed, 0, 10**9)
        self.mean = None if mean is None else checks.number(self.kind, "mean", mean, 0.0, 1e6)
        self.missing = checks.number(self.kind, "missing", missing, 0.0, 1.0)
        self.horizon = world.horizon
        self.baseline_arm = world.baseline_arm

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return self.world.strategies

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return self.world.schema

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        inner = self.world.rounds(seed, replication, start, stop)
        late = self._late(seed, replication, start, stop)
        base = np.zeros_like(inner.rewards) if inner.delays is None else inner.delays
        delays = np.where((base == NEVER) | (late[:, None] == NEVER), NEVER, base + late[:, None])
        return replace(inner, delays=delays)

    def segments(self, seed: int, replication: int) -> Segments | None:  # noqa: D102
        inner = self.world.segments(seed, replication)
        if inner is None or self.mean is not None or self.missing > 0.0:
            return None
        return replace(inner, delay=inner.delay + (self.fixed or 0))

    def _late(self, seed: int, replication: int, start: int, stop: int) -> Integers:
        late = np.full(stop - start, self.fixed or 0, np.int64)
        if self.mean:
            lockstep.rewards.geometrics_into(*key_of(seed, replication, "delays"), start, self.mean, late)
        if self.missing > 0.0:
            u = np.empty(stop - start)
            lockstep.counter.uniforms_into(*key_of(seed, replication, "missing"), start, u)
            late[u < self.missing] = NEVER
        return late

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            "kind": self.kind,
            "world": self.world.to_dict(),
            "fixed": self.fixed,
            "mean": self.mean,
            "missing": self.missing,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Delayed:  # noqa: D102
        from . import world_from_dict  # noqa: PLC0415 - the registry holds this class

        given = checks.fields(cls.kind, document, ["world"], ["fixed", "mean", "missing"])
        return cls(world_from_dict(given.pop("world")), **given)
