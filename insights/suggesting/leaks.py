"""Columns that must not be context: known only after the run, decided by it, or saying nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...features import Value

__all__ = ["SAME", "TIED", "absence", "association", "belongs_to", "determines", "useless", "varies_within"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SAME = 0.95
"""Association from which on two columns say the same."""
TIED = 0.6
"""Association with the strategy that is told."""

_DETERMINES = 0.75
_DATE = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$")
_IDS = 0.5
_MANY = 50


def determines(explained: float) -> str | None:
    """A column that explains nearly all of the rewards has seen them."""
    if explained < _DETERMINES:
        return None
    return (
        f"explains {explained:.0%} of the rewards within strategies, which hardly anything known before does"
    )


def absence(values: Sequence[Value], rewards: Floats, arms: Integers) -> str | None:
    """A column that is there only where runs went well, or only where they went badly."""
    present = np.array([v is not None for v in values])
    share = float(present.mean())
    if not 0.02 <= share <= 0.98:
        return None
    rest = rewards - (np.bincount(arms, rewards) / np.maximum(np.bincount(arms), 1))[arms]
    spread = float(rest.std())
    if spread == 0.0:
        return None
    between = float(rest[present].mean() - rest[~present].mean())
    explained = between * between * share * (1.0 - share) / (spread * spread)
    error = spread * float(np.sqrt(1.0 / present.sum() + 1.0 / (~present).sum()))
    if explained < 0.25 or abs(between) < 4.0 * error:
        return None
    where = "well" if between > 0 else "badly"
    return f"is there for {share:.0%} of the executions, mostly for those that went {where}"


def useless(values: Sequence[Value], *, is_time: bool, is_task: bool) -> str | None:
    """Why a column cannot be a feature; None where it can."""
    known = [v for v in values if v is not None]
    distinct = len(set(known))
    if not known:
        return "empty"
    if distinct == 1 and len(known) == len(values):
        return "the same in all executions"
    if is_time or (isinstance(known[0], str) and all(_DATE.match(str(v)) for v in known)):
        return (
            "a date: strategies do not depend on the calendar; derive an hour or a weekday where they might"
        )
    if is_task:
        return f"names the task ({distinct:,} different ones): describe tasks by features instead"
    if not isinstance(known[0], str):
        whole = all(float(v) == int(v) for v in known)
        counting = (
            whole and distinct == len(known) > _MANY and float(np.ptp(np.array(known, float))) < 4 * distinct
        )
        return "numbers the executions: an identifier" if counting else None
    if distinct > _MANY and distinct > _IDS * len(known):
        return f"an identifier: {distinct:,} different texts in {len(known):,} executions"
    if distinct > 2 * _MANY:
        return f"{distinct:,} different texts are too many to learn one by one: group them"
    return None


def belongs_to(values: Sequence[Value], arms: Integers) -> bool:
    """The value is the same in all executions of a strategy, in each of them."""
    seen: dict[int, Value] = {}
    pairs = zip(values, arms.tolist(), strict=True)
    return all(seen.setdefault(arm, value) == value for value, arm in pairs)


def varies_within(values: Sequence[Value], tasks: Integers) -> float:
    """Share of the recurring tasks in which a column has more than one value."""
    seen: defaultdict[int, set[Value]] = defaultdict(set)
    counts = np.bincount(tasks)
    for value, task in zip(values, tasks.tolist(), strict=True):
        seen[task].add(value)
    recurring = [task for task in seen if counts[task] > 1]
    return sum(len(seen[task]) > 1 for task in recurring) / len(recurring) if recurring else 0.0


def association(one: Integers, other: Integers) -> float:
    """Cramér's V of two columns of bins, corrected for chance: 0 unrelated, 1 where one tells the other.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T, J. Korean Statistical Society 42.
    """
    n = len(one)
    rows, columns = int(one.max()) + 1, int(other.max()) + 1
    table = np.bincount(one * columns + other, minlength=rows * columns).reshape(rows, columns).astype(float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2 or n < 2:
        return 0.0
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / n
    phi2 = float(((table - expected) ** 2 / expected).sum()) / n
    r, k = table.shape
    phi2 = max(0.0, phi2 - (r - 1) * (k - 1) / (n - 1))
    r_, k_ = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi2 / max(min(r_ - 1, k_ - 1), 1e-9)))
