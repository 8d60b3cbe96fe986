"""The verdict's parts: by context and by arm, for whoever asks where a difference comes from."""

from __future__ import annotations

import numpy as np

from .bounds import Bounds, CellBounds, Policy, weights
from .cells import Cells
from .judged import Judged
from .result import ArmPart, Bound, ContextPart

__all__ = ["by_arm", "by_context"]

_CONTEXTS_MAX = 40


def by_context(
    log: Judged, bounds: Bounds, policy: Policy, second: Policy, factor: float, level: float
) -> tuple[ContextPart, ...]:
    """The contexts, most rows first; nothing where there are more than can be told apart."""
    count = len(log.contexts)
    if not log.finite or count > _CONTEXTS_MAX:
        return ()
    rows = np.zeros(count, np.int64)
    sums = np.zeros((2, 2, count))  # of policy and baseline: weights, weighted values
    for batch in log.batches():
        rows += np.bincount(batch.cell, minlength=count)
        for place, one in enumerate((policy, second)):
            weight = weights(batch, one)
            sums[place, 0] += np.bincount(batch.cell, weights=weight, minlength=count)
            sums[place, 1] += np.bincount(batch.cell, weights=weight * batch.data.reward, minlength=count)
    found = []
    for x in np.argsort(-rows, kind="stable").tolist():
        if rows[x] == 0:
            continue
        values = [float(won[x] / total[x]) if total[x] > 0.0 else None for total, won in sums]
        contrast = Bound(None, None, None)
        if isinstance(bounds, CellBounds):
            cells = bounds.cells
            only = CellBounds(log, Cells(_only(cells.trials, x), _only(cells.successes, x)))
            estimate, low = only.low(1.0, policy, factor, second, level)
            contrast = Bound(estimate, low, -only.low(factor, second, 1.0, policy, level)[1])
        found.append(ContextPart(log.cells[x], int(rows[x]), values[0], values[1], contrast))
    return tuple(found)


def by_arm(log: Judged, policy: Policy) -> tuple[ArmPart, ...]:
    """The arms in their order."""
    arms = len(log.arms)
    rows = np.zeros(arms, np.int64)
    total, weighed, logged, wanted = (np.zeros(arms) for _ in range(4))
    for batch in log.batches():
        data = batch.data
        rows += np.bincount(data.arm, minlength=arms)
        total += np.bincount(data.arm, weights=data.reward, minlength=arms)
        weighed += np.bincount(data.arm, weights=weights(batch, policy), minlength=arms)
        if data.logging is not None:
            logged += data.logging.sum(axis=0)
        if not isinstance(policy, str):
            wanted += policy[batch.cell].sum(axis=0)
    n = len(log)
    logged = logged / n if log.pmfs else rows / n
    wanted = logged if isinstance(policy, str) else wanted / n
    return tuple(
        ArmPart(
            arm,
            int(rows[a]),
            float(total[a] / rows[a]) if rows[a] else None,
            float(logged[a]),
            float(wanted[a]),
            float(weighed[a] / n),
        )
        for a, arm in enumerate(log.arms)
    )


def _only(table: np.typing.NDArray[np.int64], row: int) -> np.typing.NDArray[np.int64]:
    kept = np.zeros_like(table)
    kept[row] = table[row]
    return kept
