"""The verdict's parts: by context and by arm, for whoever asks where a difference comes from."""

from __future__ import annotations

import numpy as np

from .bounds import Bounds, CellBounds, Policy, weights
from .cells import Cells
from .log import JudgedLog
from .result import ArmPart, Bound, ContextPart

__all__ = ["by_arm", "by_context"]

_CONTEXTS_MAX = 40


def by_context(
    log: JudgedLog, bounds: Bounds, policy: Policy, second: Policy, factor: float, level: float
) -> tuple[ContextPart, ...]:
    """The contexts, most rows first; nothing where there are more than can be told apart."""
    count = len(log.contexts)
    if not log.finite or count > _CONTEXTS_MAX:
        return ()
    rows = np.bincount(log.cell, minlength=count)
    found = []
    for x in np.argsort(-rows, kind="stable").tolist():
        if rows[x] == 0:
            continue
        inside = log.cell == x
        values = [_self_normalised(log, one, inside) for one in (policy, second)]
        contrast = Bound(None, None, None)
        if isinstance(bounds, CellBounds):
            cells = bounds.cells
            only = CellBounds(log, Cells(_only(cells.trials, x), _only(cells.successes, x)))
            estimate, low = only.low(1.0, policy, factor, second, level)
            contrast = Bound(estimate, low, -only.low(factor, second, 1.0, policy, level)[1])
        found.append(ContextPart(log.data.cells[x], int(rows[x]), values[0], values[1], contrast))
    return tuple(found)


def by_arm(log: JudgedLog, policy: Policy) -> tuple[ArmPart, ...]:
    """The arms in their order."""
    data = log.data
    arms = len(data.arms)
    rows = np.bincount(data.arm, minlength=arms)
    total = np.bincount(data.arm, weights=data.reward, minlength=arms)
    weight = weights(log, policy)
    weighed = np.bincount(data.arm, weights=weight, minlength=arms)
    logged = rows / len(log) if data.logging is None else data.logging.mean(axis=0)
    wanted = logged if isinstance(policy, str) else policy[log.cell].mean(axis=0)
    return tuple(
        ArmPart(
            arm,
            int(rows[a]),
            float(total[a] / rows[a]) if rows[a] else None,
            float(logged[a]),
            float(wanted[a]),
            float(weighed[a] / len(log)),
        )
        for a, arm in enumerate(data.arms)
    )


def _self_normalised(log: JudgedLog, policy: Policy, inside: np.typing.NDArray[np.bool_]) -> float | None:
    weight = weights(log, policy)[inside]
    total = float(weight.sum())
    return float(weight @ log.data.reward[inside]) / total if total > 0.0 else None


def _only(table: np.typing.NDArray[np.int64], row: int) -> np.typing.NDArray[np.int64]:
    kept = np.zeros_like(table)
    kept[row] = table[row]
    return kept
