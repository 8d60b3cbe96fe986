"""A fitted reward model as a world: the contexts of a log, and what the model says of every arm in each.

The rows of the log are the sampling unit: a round draws one of them, and so its context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...bandit import ArmTable, Strategy
from ...errors import ContextInvalid, SpecInvalid
from ...features import ContextSchema, Encoder, Value
from .. import lockstep
from ..keys import key_of
from . import checks
from .base import Rounds, World
from .cells import center_of

__all__ = ["Fitted"]

_EDGE = 1e-3
_CONTEXTS_MAX = 20_000


class Fitted(World):
    """C contexts, each as frequent as it was logged; in each every arm has its modelled expected reward.

    The model is the truth of this world: what policies lose and learn here holds as far as the model does.

    Parameters
    ----------
    strategies : what can be chosen; their grids span the K arms.
    schema : of the contexts. contexts : C of them. rows : how often each was logged.
    means (C, K) : expected rewards; None where an arm is not eligible.
    sd : of the rewards, drawn normal and clipped to [0, 1], their centres moved so that ``means`` remain
        true; None: successes and failures.
    """

    kind: ClassVar[str] = "fitted"

    def __init__(
        self,
        strategies: Sequence[Strategy],
        schema: ContextSchema,
        contexts: Sequence[Mapping[str, Value]],
        rows: Sequence[int],
        means: Sequence[Sequence[float | None]],
        *,
        sd: float | None = None,
    ) -> None:
        edge = 0.0 if sd is None else _EDGE
        arms = len(ArmTable(strategies))
        self._strategies, self._schema = tuple(strategies), schema
        self._contexts = self._checked_contexts(contexts)
        count = len(self._contexts)
        for field, value in (("rows", rows), ("means", means)):
            if not isinstance(value, (list, tuple)) or len(value) != count:
                raise checks.unusable(self.kind, field, f"{count} entries, one a context", value)
        self._rows = tuple(checks.whole(self.kind, "rows", value, 1) for value in rows)
        self.sd = None if sd is None else checks.number(self.kind, "sd", sd, _EDGE, 10.0)
        self._means = np.full((count, arms), np.nan)
        for c, line in enumerate(means):
            if not isinstance(line, (list, tuple)) or len(line) != arms or all(v is None for v in line):
                raise checks.unusable(self.kind, "means", f"{arms} numbers or null, not all null", line)
            for a, value in enumerate(line):
                if value is not None:
                    self._means[c, a] = checks.number(self.kind, "means", value, edge, 1.0 - edge)
        known = np.isfinite(self._means)
        self._eligible = tuple(None if row.all() else tuple(np.flatnonzero(row).tolist()) for row in known)
        self._centers = np.where(known, self._means, 0.5)
        if self.sd is not None:
            distinct, places = np.unique(self._centers, return_inverse=True)
            moved = np.array([center_of(mean, self.sd) for mean in distinct.tolist()])
            self._centers = moved[places].reshape(count, arms)
        self._bounds = np.cumsum(self._rows)

    def _checked_contexts(self, contexts: Sequence[Mapping[str, Value]]) -> tuple[dict[str, Value], ...]:
        usable = isinstance(contexts, (list, tuple)) and 1 <= len(contexts) <= _CONTEXTS_MAX
        if not usable:
            raise checks.unusable(self.kind, "contexts", f"1 to {_CONTEXTS_MAX:,} contexts", contexts)
        encoder = Encoder(self._schema)
        try:
            for context in contexts:
                encoder.encode(context)
        except ContextInvalid as error:
            raise checks.unusable(self.kind, "contexts", "contexts of the schema", str(error)[:200]) from None
        return tuple(dict(context) for context in contexts)

    @property
    def strategies(self) -> tuple[Strategy, ...]:  # noqa: D102
        return self._strategies

    @property
    def schema(self) -> ContextSchema:  # noqa: D102
        return self._schema

    def rounds(self, seed: int, replication: int, start: int, stop: int) -> Rounds:  # noqa: D102
        u = np.empty(stop - start)
        lockstep.counter.uniforms_into(*key_of(seed, replication, "contexts"), start, u)
        which = np.searchsorted(self._bounds, np.floor(u * self._bounds[-1]), side="right")
        rewards = np.empty((stop - start, self._means.shape[1]), np.int64)
        key = key_of(seed, replication, "rewards")
        sd = -1.0 if self.sd is None else self.sd
        lockstep.rewards.potentials_into(*key, start, self._centers[which], sd, rewards)
        return Rounds(self._contexts, which, rewards, self._means[which], eligible=self._eligible)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            "kind": self.kind,
            "strategies": [strategy.to_dict() for strategy in self._strategies],
            "schema": self._schema.to_dict(),
            "contexts": [dict(context) for context in self._contexts],
            "rows": list(self._rows),
            "means": [[None if v != v else v for v in row] for row in self._means.tolist()],
            "sd": self.sd,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Fitted:  # noqa: D102
        names = ["strategies", "schema", "contexts", "rows", "means"]
        given = checks.fields(cls.kind, document, names, ["sd"])
        try:
            given["schema"] = ContextSchema.from_dict(given["schema"])
        except SpecInvalid as error:
            raise checks.unusable(
                cls.kind, "schema", "as ContextSchema.to_dict() writes it", error.what
            ) from None
        return cls(checks.strategies(cls.kind, given.pop("strategies")), **given)
