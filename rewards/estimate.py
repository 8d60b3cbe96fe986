"""Estimate reference times, tokens and costs from a stated stretch of the log.

    reference = median over the cell's executions

The median withstands outliers up to half of the executions, hangs and instant crashes alike. A time that
was cut off by a timeout enters as "at least this long": the median is then Kaplan and Meier's, the first
time by which half of the executions have finished; where timeouts are so many that no such time was seen,
the cell has no reference time. The same rows in any order give the same bits.

A cell is estimated from the executions of the baseline arm where there are at least ``min_n`` of them (what
learning does to the other arms' share then moves nothing), else from those of all arms, else not at all:
``ReferenceTimes.lookup`` falls back to the cell with the last feature free, and so on.

Source: Kaplan & Meier (1958), JASA 53(282).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from ..errors import SupportMissing
from .outcome import Outcome
from .reference import ANY, ReferenceCell, ReferenceTimes, context_key
from .speed import REFERENCE_MIN

__all__ = ["Execution", "estimate_references", "median", "median_time"]

_HALF = 0.5
# Survival shares are products of fractions; one that equals ½ must be seen as ½ in spite of rounding.
_ROUNDING = 1e-9


class Execution(NamedTuple):
    """One row of the log: its number, the decision's context and arm, and what was reported."""

    seq: int
    context: Mapping[str, Any]
    arm_id: str
    outcome: Outcome


def median(values: Sequence[float]) -> float | None:
    """Return the middle value, or the middle of the two middle ones; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    n = len(ordered)
    low, high = ordered[(n - 1) // 2], ordered[n // 2]
    return low if low == high else 0.5 * low + 0.5 * high


def median_time(times: Sequence[tuple[float, bool]]) -> float | None:
    """Return Kaplan and Meier's median of (seconds, timed_out) pairs.

    None where half of the executions were never seen to finish. Where the share still running is exactly ½
    between two finishing times, the median is their middle, as it is without timeouts.

    >>> median_time([(1.0, False), (2.0, False), (3.0, True), (9.0, False)])
    5.5
    >>> median_time([(1.0, False), (2.0, True), (2.0, True)]) is None
    True
    """
    # At equal times, those that finished come before those that were cut off.
    ordered = sorted(times)
    running = 1.0
    half_at: float | None = None
    i, n = 0, len(ordered)
    while i < n:
        t, at_risk, finished = ordered[i][0], n - i, 0
        while i < n and ordered[i][0] == t:
            finished += not ordered[i][1]
            i += 1
        if not finished:
            continue
        if half_at is not None:
            return 0.5 * half_at + 0.5 * t
        running *= (at_risk - finished) / at_risk
        if running < _HALF - _ROUNDING:
            return t
        if running <= _HALF + _ROUNDING:
            half_at = t
    return half_at


def _cell(key: tuple[str, ...], rows: list[Execution], source: str) -> ReferenceCell:
    outcomes = [row.outcome for row in rows]
    times = [(o.duration_s, o.timed_out) for o in outcomes if o.duration_s is not None]
    tokens = [float(o.total_tokens) for o in outcomes if o.total_tokens is not None]
    costs = [o.cost for o in outcomes if o.cost is not None]

    def usable(value: float | None) -> float | None:
        # A median of 0 (free models, untimed runs) is no yardstick.
        return value if value is not None and value >= REFERENCE_MIN else None

    return ReferenceCell(
        key, usable(median_time(times)), usable(median(tokens)), usable(median(costs)), len(rows), source
    )


def estimate_references(
    executions: Iterable[Execution],
    *,
    by: tuple[str, ...] = ("task_type", "complexity"),
    baseline_arm: str | None = None,
    min_n: int = 10,
    succeeded_only: bool = False,
) -> ReferenceTimes:
    """Estimate a version of the references.

    Parameters
    ----------
    executions : rows of the log, in any order; the version records their first and last number.
    by : 1 to 3 context features whose equal values make tasks comparable.
    baseline_arm : the arm whose executions are preferred. min_n : executions that a cell needs.
    succeeded_only : leave out failures other than timeouts, for orchestrators that crash early and often.

    Raises
    ------
    SupportMissing : not even all executions together are ``min_n``, or none reported a time, tokens or cost.
    """
    rows = list(executions)
    usable = [r for r in rows if not succeeded_only or r.outcome.success or r.outcome.timed_out]
    groups: dict[tuple[str, ...], list[Execution]] = {}
    for row in usable:
        exact = context_key(row.context, by)
        # A set: where a feature is absent, its pattern and the freed one are the same cell.
        patterns = {
            tuple(ANY if i in free else part for i, part in enumerate(exact))
            for size in range(len(by) + 1)
            for free in combinations(range(len(by)), size)
        }
        for key in patterns:
            groups.setdefault(key, []).append(row)
    cells = []
    for key, members in sorted(groups.items()):
        of_baseline = [row for row in members if row.arm_id == baseline_arm]
        if len(of_baseline) >= min_n:
            cell = _cell(key, of_baseline, "baseline_arm")
        elif len(members) >= min_n:
            cell = _cell(key, members, "all_arms")
        else:
            continue
        if cell.time_s is not None or cell.tokens is not None or cell.cost is not None:
            cells.append(cell)
    if not cells:
        raise SupportMissing(
            "no reference can be estimated",
            expected=f"at least {min_n} executions in some cell, with times, tokens or costs",
            found=f"{len(usable)} usable executions out of {len(rows)}",
            fix="wait for more executions, lower min_n, or state reference_time_s in the RewardSpec",
        )
    numbers = [row.seq for row in rows]
    return ReferenceTimes(by, tuple(cells), min(numbers), max(numbers))
