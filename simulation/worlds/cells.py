"""A table of truths: the expected reward of every arm in every one of a few contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...bandit import ArmTable, Strategy
from ...features import Categorical, ContextSchema, Value
from .. import lockstep
from ..keys import key_of
from . import checks
from .base import Rounds, World
from .gaussian import clipped_mean

__all__ = ["Cells", "center_of"]

_FEATURE = "task_type"
_BISECTIONS = 200


def center_of(mean: float, sd: float) -> float:
    """The centre of a normal law that has this mean once it is clipped to [0, 1]; 0 < mean < 1.

    >>> round(clipped_mean(center_of(0.9, 0.15), 0.15), 12)
    0.9
    """
    low, high = -10.0 - 40.0 * sd, 11.0 + 40.0 * sd
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if clipped_mean(middle, sd) < mean:
            low = middle
        else:
            high = middle
    return high


class Cells(World):
    """Task types that come in turn at random, and arms whose expected reward in each is ``means[c][a]``.

    Parameters
    ----------
    strategies : what can be chosen; their grids span the K arms.
    means (C, K) : expected rewards. task_types : names of the contexts.
    weights : how often each comes, in proportion; by default equally often.
    sd : of the rewards, drawn normal and clipped to [0, 1], their centres moved so that ``means`` remain
        true; None: successes and failures.
    baseline_arm : the incumbent.
    """

    kind: ClassVar[str] = "cells"
    horizon: int = 100

    def __init__(
        self,
        strategies: Sequence[Strategy],
        means: Sequence[Sequence[float]],
        task_types: Sequence[str],
        *,
        weights: Sequence[float] | None = None,
        sd: float | None = None,
        baseline_arm: str | None = None,
    ) -> None:
        edge = 0.0 if sd is None else 1e-3
        self._strategies, self.task_types = tuple(strategies), tuple(task_types)
        self.means = checks.table(self.kind, "means", means, edge, 1.0 - edge)
        self.sd = None if sd is None else checks.number(self.kind, "sd", sd, 1e-3, 10.0)
        self._schema = ContextSchema({_FEATURE: Categorical(self.task_types)})
        if len(self.means) != len(self.task_types):
            raise checks.unusable(
                self.kind, "means", f"{len(self.task_types)} rows, one a task type", f"{len(self.means)} rows"
            )
        arms = len(ArmTable(self._strategies))
        if len(self.means[0]) != arms:
            raise checks.unusable(
                self.kind, "means", f"{arms} columns, one an arm", f"{len(self.means[0])} columns"
            )
        given = [1.0] * len(self.means) if weights is None else weights
        self.weights = checks.numbers(self.kind, "weights", given, 0.0, 1e9)
        if len(self.weights) != len(self.means) or not sum(self.weights) > 0.0:
            raise checks.unusable(self.kind, "weights", "a number for each task type, not all 0", given)
        self.baseline_arm = baseline_arm
        self._means = np.array(self.means)
        self._centers = self._means
        if self.sd is not None:
            width = self.sd
            self._centers = np.array([[center_of(mean, width) for mean in row] for row in self.means])
        self._shares = np.array(self.weights) / sum(self.weights)
        self._bounds = np.cumsum(self._shares)[:-1]
        self._contexts = tuple(dict[str, Value]({_FEATURE: name}) for name in self.task_types)

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return self._strategies

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return self._schema

    def value(self, arm: int) -> float:
        """Expected reward of always choosing one arm."""
        return float(self._shares @ self._means[:, arm])

    @property
    def ceiling(self) -> float:
        """Expected reward of the best arm in each context."""
        return float(self._shares @ self._means.max(axis=1))

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        u = np.empty(stop - start)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "contexts"), start, u)
        which = np.searchsorted(self._bounds, u, side="right")
        rewards = np.empty((stop - start, self._means.shape[1]), np.int64)
        key = key_of(seed, replication, "rewards")
        sd = -1.0 if self.sd is None else self.sd
        lockstep.rewards.potentials_into(*key, start, self._centers[which], sd, rewards)
        return Rounds(self._contexts, which, rewards, self._means[which])

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            "kind": self.kind,
            "strategies": [strategy.to_dict() for strategy in self._strategies],
            "means": [list(row) for row in self.means],
            "task_types": list(self.task_types),
            "weights": list(self.weights),
            "sd": self.sd,
            "baseline_arm": self.baseline_arm,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Cells:  # noqa: D102
        optional = ["weights", "sd", "baseline_arm"]
        given = checks.fields(cls.kind, document, ["strategies", "means", "task_types"], optional)
        return cls(checks.strategies(cls.kind, given.pop("strategies")), **given)
