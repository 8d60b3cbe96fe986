"""Rewards that are linear in the context, each arm by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...bandit import Strategy
from ...features import ONE, ContextSchema, Numeric
from .. import lockstep
from ..keys import key_of
from . import checks
from .base import Rounds, World
from .segmented import arm_names

__all__ = ["Linear"]

_SUCCESSES = -1.0


class Linear(World):
    """Contexts x0, x1, … uniform in [−1, 1); arm a is worth c_a0 + Σ_j c_aj x_(j−1).

    ``coefficients`` (K, D): rows c_a, within [0, 1] for every context: |c_a0 − ½| + Σ_j |c_aj| ≤ ½. Rewards
    are successes and failures, or with ``spread`` uniform in mean ± min(spread, mean, 1 − mean): so that the
    expected reward is exactly linear.
    """

    kind: ClassVar[str] = "linear"
    horizon: int = 10_000

    def __init__(self, coefficients: Sequence[Sequence[float]], spread: float | None = None) -> None:
        self.coefficients = checks.table(self.kind, "coefficients", coefficients, -1.0, 1.0)
        self.spread = None if spread is None else checks.number(self.kind, "spread", spread, 1e-3, 0.5)
        for row in self.coefficients:
            reach = abs(row[0] - 0.5) + sum(abs(c) for c in row[1:])
            if reach > 0.5 + 1e-9:
                raise checks.unusable(
                    self.kind, "coefficients", "|c0 − 1/2| + Σ|c| of at most 1/2 in each row", list(row)
                )
        self._matrix = np.array(self.coefficients)

    @classmethod
    def drawn(
        cls, arms: int, features: int, *, seed: int = 0, level: float = 0.5, spread: float | None = None
    ) -> Linear:
        """Coefficients from ``seed``: intercepts ``level`` ± .05, the rest as large as can be.

        Weights are cubes of uniform numbers, so that few features matter much.
        """
        checks.whole(cls.kind, "arms", arms, 2, 1024)
        checks.whole(cls.kind, "features", features, 1, 255)
        checks.number(cls.kind, "level", level, 0.1, 0.9)
        raw = np.empty(arms * (features + 1))
        lockstep.counter.uniforms_into(*key_of(seed, 0, "coefficients"), 0, raw)
        table = 2.0 * raw.reshape(arms, features + 1) - 1.0
        weights = table[:, 1:] ** 3
        intercepts = level + 0.05 * table[:, 0]
        room = 0.499999 - np.abs(intercepts - 0.5)  # the rest is for rounding
        scale = room / np.abs(weights).sum(axis=1)
        rows = np.column_stack([intercepts, weights * scale[:, None]])
        return cls([[round(value, 9) for value in row] for row in rows.tolist()], spread)

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return arm_names(len(self.coefficients))

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return ContextSchema({name: Numeric(-1.0, 1.0) for name in self._names})

    @property
    def matrix(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The coefficients (K, D), for compiled loops."""
        return self._matrix

    @property
    def width(self) -> float:
        """``spread`` for compiled loops: −1 for successes and failures."""
        return _SUCCESSES if self.spread is None else self.spread

    @property
    def _names(self) -> list[str]:
        return [f"x{j}" for j in range(len(self.coefficients[0]) - 1)]

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        n, (k, d) = stop - start, self._matrix.shape
        phi, rewards = np.empty((n, d), np.int64), np.empty((n, k), np.int64)
        expected = np.empty((n, k))
        lockstep.linear.contexts_into(*key_of(seed, replication, "contexts"), start, phi)
        for i in range(n):
            lockstep.linear.means_into(phi[i], self._matrix, expected[i])
        lockstep.linear.rewards_into(
            *key_of(seed, replication, "rewards"), start, expected, self.width, rewards
        )
        names = self._names
        contexts = tuple(dict(zip(names, row, strict=True)) for row in (phi[:, 1:] / ONE).tolist())
        return Rounds(contexts, np.arange(n), rewards, expected)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        rows = [list(row) for row in self.coefficients]
        return {"kind": self.kind, "coefficients": rows, "spread": self.spread}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Linear:  # noqa: D102
        return cls(**checks.fields(cls.kind, document, ["coefficients"], ["spread"]))
