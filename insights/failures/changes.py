"""Whether a failure repeats after a change: an arm that began anew, an override, a guardrail, another spec.

Executions since the change before are compared with those until the next one. A failure *repeats* where it
comes again and its share has not fallen (Fisher, one-sided, false discovery rate over all failures and
changes); it is *gone* or *less* where the share has fallen. What else changed at that time is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..evidence import adjusted, hypergeometric_tail
from ..executed import Executed

__all__ = ["AfterChange", "Change", "after_changes"]

_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed: with the row ``seq`` of the log, or at ``time``, in seconds since 1970."""

    kind: Literal["epoch", "guardrail", "override", "spec"]
    text: str
    seq: int | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True)
class AfterChange:
    """A failure around one change.

    before, of_before : executions with it, of those since the change before; after, of_after : of those
    until the next one. repeats : None where there are fewer than 20 on either side. p : of a share that
    has not fallen; q : among all failures and changes.
    """

    change: Change
    before: int
    of_before: int
    after: int
    of_after: int
    repeats: bool | None
    p: float | None
    q: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    def to_text(self) -> str:
        """For people."""
        told = {None: "not enough evidence", True: "repeats", False: "less, or gone"}[self.repeats]
        return (
            f"  after {self.change.text}: {told} ({self.before:,} of {self.of_before:,} before,"
            f" {self.after:,} of {self.of_after:,} after)"
        )


def after_changes(
    executions: Sequence[Executed],
    patterns: Sequence[Sequence[int]],
    changes: Sequence[Change],
    rate: float,
) -> list[tuple[AfterChange, ...]]:
    """For each pattern, given by its executions, what became of it after each change that it came before.

    Changes without executions before or after them are left out.
    """
    placed = _placed(executions, changes)
    marks = [0, *(place for place, _ in placed), len(executions)]
    has = np.zeros((len(patterns), len(executions)), np.int64)
    for i, rows in enumerate(patterns):
        has[i, list(rows)] = 1
    sums: npt.NDArray[np.int64] = np.concatenate(
        [np.zeros((len(patterns), 1), np.int64), np.cumsum(has, axis=1)], axis=1
    )
    found: list[list[AfterChange]] = [[] for _ in patterns]
    asked: list[tuple[int, int]] = []
    p_values: list[float] = []
    spans = list(pairwise(marks))
    for (left, right), (_, change) in zip(pairwise(spans), placed, strict=True):
        of_before, of_after = left[1] - left[0], right[1] - right[0]
        for i in range(len(patterns)):
            before = int(sums[i, left[1]] - sums[i, left[0]])
            after = int(sums[i, right[1]] - sums[i, right[0]])
            if not before:
                continue
            p = None
            if min(of_before, of_after) >= _FEWEST:
                p = hypergeometric_tail(before, before + after, of_before, of_before + of_after)
                asked.append((i, len(found[i])))
                p_values.append(p)
            found[i].append(AfterChange(change, before, of_before, after, of_after, None, p, None))
    for (i, place), q in zip(asked, adjusted(p_values), strict=True):
        one = found[i][place]
        # Never again, but not so often before that this says anything: unknown.
        repeats = False if q <= rate else True if one.after else None
        found[i][place] = replace(one, repeats=repeats, q=q)
    return [tuple(listed) for listed in found]


def _placed(executions: Sequence[Executed], changes: Sequence[Change]) -> list[tuple[int, Change]]:
    """Each change with the number of the first execution behind it; of several at one place the last."""
    placed: dict[int, Change] = {}
    for change in changes:
        place = next((i for i, e in enumerate(executions) if _behind(e, change)), len(executions))
        if 0 < place < len(executions):
            placed[place] = change
    return sorted(placed.items())


def _behind(execution: Executed, change: Change) -> bool:
    if change.seq is not None and execution.seq is not None:
        return execution.seq > change.seq
    return change.time is not None and execution.time is not None and execution.time >= change.time
