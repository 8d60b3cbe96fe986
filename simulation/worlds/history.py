"""A full-information table as a world: what was recorded is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ...bandit import Strategy
from ...bandit.fixed_point import reward_to_fixed
from ...errors import OutcomeInvalid
from ...features import ContextSchema
from .. import lockstep
from ..columns import FeatureColumn
from ..keys import key_of
from ..table import ExecutionTable
from . import checks
from .base import Rounds, World

__all__ = ["History"]


class History(World):
    """An ``ExecutionTable``: each round draws one of its contexts, as often as it has executions of it; an
    arm pays one of its recorded executions there. An arm without executions in a context is not eligible.

    The expected reward of an arm in a context is the mean of its recorded rewards.
    """

    kind: ClassVar[str] = "history"

    def __init__(self, table: ExecutionTable) -> None:
        self.table = table
        count = table.context_count
        self._schema = table.schema(range(count))
        self._contexts = tuple(table.context(c, self._schema) for c in range(count))
        self._eligible = tuple(table.eligible(c) for c in range(count))
        self._starts = table.offsets[:-1].reshape(table.counts.shape)
        self._bounds = np.cumsum(table.counts.sum(axis=1))
        self._units = np.array([reward_to_fixed(reward) for reward in table.rewards.tolist()], np.int64)

    def __reduce__(self) -> tuple[type[History], tuple[ExecutionTable]]:
        # To another process, without what the table has cached and with no read-only view of a dict.
        return History, (replace(self.table, missing=dict(self.table.missing)),)

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return self.table.strategies

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return self._schema

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        n, k = stop - start, len(self.table.arms)
        u, v = np.empty(n), np.empty(n * k)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "contexts"), start, u)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "rewards"), start * k, v)
        which = np.searchsorted(self._bounds, np.floor(u * self._bounds[-1]), side="right")
        trial = np.floor(v.reshape(n, k) * self.table.counts[which]).astype(np.int64)
        # Cells without trials may point past the end; they are not eligible.
        rows = np.minimum(self._starts[which] + trial, len(self._units) - 1)
        return Rounds(
            self._contexts, which, self._units[rows], self.table.means[which], eligible=self._eligible
        )

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        table = self.table
        return {
            "kind": self.kind,
            "strategies": [strategy.to_dict() for strategy in table.strategies],
            "columns": [{"name": column.name, "values": list(column.values)} for column in table.columns],
            "rewards": table.rewards.tolist(),
            "offsets": table.offsets.tolist(),
            "missing": dict(table.missing),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> History:  # noqa: D102
        names = ["strategies", "columns", "rewards", "offsets"]
        given = checks.fields(cls.kind, document, names, ["missing"])
        strategies = checks.strategies(cls.kind, given["strategies"])
        try:
            columns = tuple(
                FeatureColumn(str(column["name"]), tuple(column["values"])) for column in given["columns"]
            )
            rewards = np.array(given["rewards"], np.float64)
            offsets = np.array(given["offsets"], np.int64)
            table = ExecutionTable(strategies, columns, rewards, offsets, dict(given.get("missing", {})))
            steps = np.diff(offsets)
            sound = (
                rewards.ndim == offsets.ndim == 1
                and (len(offsets) - 1) % len(table.arms) == 0
                and offsets[0] == 0
                and offsets[-1] == len(rewards) > 0
                and bool((steps >= 0).all())
                and bool((table.counts.sum(axis=1) > 0).all())
                and all(len(column.values) == table.context_count for column in columns)
            )
            if sound:
                return cls(table)
            found = f"{len(rewards)} rewards, {len(offsets)} offsets, {len(columns)} columns"
        except (KeyError, TypeError, ValueError, IndexError, OutcomeInvalid) as error:
            found = f"{type(error).__name__}: {error}"[:120]
        raise checks.unusable(cls.kind, "offsets", "a table as to_dict() writes it", found)
