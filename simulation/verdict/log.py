"""A log made ready to be judged: one value a decision, contexts told apart, and how the rows were logged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import LogInvalid, SupportMissing
from ..interchange import LoggedChoice
from ..offpolicy.logged import LoggedData
from .judged import Judged, Metric, missing_propensities

__all__ = ["JudgedLog", "context_key", "in_order", "judged_log", "named_context"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JudgedLog(Judged):
    """A log in memory; see ``Judged``.

    Attributes
    ----------
    data : the rows; ``data.reward`` is the metric, ``data.cell`` the context's number.
    beside (n,) : the other metric's value, NaN where there is none.
    """

    data: LoggedData
    contexts: tuple[Mapping[str, Any], ...]
    metric: Metric
    eligible: tuple[tuple[str, ...] | None, ...] = (None,)
    without_metric: int = 0
    held_out: int = 0
    beside: Floats | None = None
    told_apart: bool = True

    def __len__(self) -> int:
        return len(self.data)

    @property
    def arms(self) -> tuple[str, ...]:
        """See ``Judged``."""
        return self.data.arms

    @property
    def cells(self) -> tuple[str, ...]:
        """See ``Judged``."""
        return self.data.cells

    @property
    def pmfs(self) -> bool:
        """See ``Judged``."""
        return self.data.logging is not None

    @cached_property
    def cell(self) -> npt.NDArray[np.int64]:
        """Number of each row's context, (n,)."""
        if self.data.cell is None:
            return np.zeros(len(self), np.int64)
        return np.array(self.data.cell, np.int64)

    @cached_property
    def propensity(self) -> Floats:
        """Probability of each chosen arm, (n,).

        Raises
        ------
        SupportMissing : unknown ones.
        """
        data = self.data
        if data.propensity is not None and data.source == "logged":
            return np.array(data.propensity)
        missing = len(data) if data.propensity is None else int(np.isnan(data.propensity).sum())
        raise missing_propensities(missing, len(data), data.source)

    def batches(self) -> Iterator[JudgedLog]:
        """All rows at once."""
        yield self

    def column(self) -> Floats:
        """See ``Judged``."""
        return np.empty(len(self))

    def thinned(self, rows: int) -> JudgedLog:
        """See ``Judged``."""
        if len(self) <= rows:
            return self
        chosen = np.arange(0, len(self), -(-len(self) // rows))
        beside = None if self.beside is None else self.beside[chosen]
        return replace(self, data=self.data.take(chosen), beside=beside)

    def part(self, first: int, last: int) -> JudgedLog:
        """The rows first … last − 1, with the same contexts and arms; what was left out stays counted."""
        beside = None if self.beside is None else self.beside[first:last]
        return replace(self, data=self.data.take(np.arange(first, last)), beside=beside)

    def other(self) -> JudgedLog | None:
        """The rows that have the other metric, judged by it; None without any."""
        if self.beside is None:
            return None
        known = ~np.isnan(self.beside)
        if not known.any():
            return None
        other: Metric = "reward" if self.metric == "success" else "success"
        data = self.data.take(known).with_reward(self.beside[known])
        return replace(self, data=data, metric=other, beside=None)


def judged_log(
    choices: Iterable[LoggedChoice], metric: Metric = "success", *, arms: Sequence[str] | None = None
) -> JudgedLog:
    """Make arrays of logged choices, in the order in which they were decided.

    arms : the arms there are, in their order; by default those that the rows name, sorted.

    Raises
    ------
    LogInvalid : a decision comes twice, or an arm is not one of ``arms``.
    SupportMissing : no row has the metric.
    """
    rows: list[LoggedChoice] = []
    values: list[float] = []
    others: list[float | None] = []
    numbers: dict[tuple[object, ...], int] = {}
    allowed: list[tuple[str, ...] | None] = []
    contexts: list[Mapping[str, Any]] = []
    cell: list[int] = []
    seen = without = held_out = 0
    share = _Share()
    for choice in in_order(choices):
        seen += 1
        value = choice.reward if metric == "reward" else choice.success
        if choice.reason == "holdout":
            held_out += 1
            share.held_out(choice)
            continue
        if value is None:
            without += 1
            continue
        rows.append(choice)
        values.append(float(value))
        others.append(choice.success if metric == "reward" else choice.reward)
        key = context_key(choice)
        if key not in numbers:
            numbers[key] = len(contexts)
            contexts.append(dict(choice.context))
            allowed.append(choice.eligible)
        cell.append(numbers[key])
    if not rows:
        raise SupportMissing(
            f"the log has no decision with a {metric}" if seen else "the log is empty",
            expected=f"rows with a {metric}" + (", outside of the holdout cohort" if held_out else ""),
            found=f"{seen:,} rows, none of them" if seen else "no rows",
            fix="report outcomes" + (", or judge by --metric reward" if metric == "success" else ""),
        )
    ids = tuple(sorted({row.arm_id for row in rows} | {arm for row in rows for arm in row.pmf or ()}))
    ids = ids if arms is None else tuple(arms)
    place = {arm: i for i, arm in enumerate(ids)}
    strange = sorted({name for row in rows for name in (row.arm_id, *(row.pmf or ()))} - place.keys())
    if strange:
        raise LogInvalid(
            "the log names arms that are not among the given ones",
            expected=f"arms out of {list(ids)}"[:200],
            found=f"{strange}"[:120],
            fix="give all arms, or none: those of the log are taken then",
        )
    whole = all(row.pmf is not None and row.arm_id in row.pmf for row in rows)
    propensity = np.array([share.policy(row, whole=whole) for row in rows], np.float64)
    pmf = None
    if whole:
        pmf = np.zeros((len(rows), len(ids)))
        for i, row in enumerate(rows):
            for arm, mass in (row.pmf or {}).items():
                pmf[i, place[arm]] = mass
    data = LoggedData(
        ids,
        np.array([place[row.arm_id] for row in rows], np.int64),
        np.array(values, np.float64),
        propensity,
        pmf,
        cell=np.array(cell, np.int64),
        cells=tuple(named_context(context, only) for context, only in zip(contexts, allowed, strict=True)),
        decision_ids=tuple(row.decision_id for row in rows),
        partly_known=True,
    )
    beside = np.array([np.nan if value is None else float(value) for value in others])
    return JudgedLog(data, tuple(contexts), metric, tuple(allowed), without, held_out, beside)


def in_order(choices: Iterable[LoggedChoice]) -> list[LoggedChoice]:
    """Choices as they were decided: by what was known (``state_seq``), else by time, else as they stand.

    Not as rewards came in: where failures come sooner than successes, that order alone would be a drift.
    """
    rows = list(choices)
    if rows and all(row.state_seq is not None for row in rows):
        return sorted(rows, key=lambda row: (row.state_seq or 0, row.time or 0.0))
    if rows and all(row.time is not None for row in rows):
        return sorted(rows, key=lambda row: row.time or 0.0)
    return rows


class _Share:
    """The holdout's share, which is a factor of every logged propensity, and no part of the policy's."""

    def __init__(self) -> None:
        self._found: float | None = None

    def held_out(self, choice: LoggedChoice) -> None:
        if choice.propensity is not None:
            self._found = choice.propensity

    def policy(self, choice: LoggedChoice, *, whole: bool) -> float:
        """Probability with which the policy chose the arm; NaN for unknown."""
        if whole and choice.pmf is not None:
            return choice.pmf[choice.arm_id]
        if choice.propensity is None:
            return float("nan")
        return choice.propensity if self._found is None else min(choice.propensity / (1.0 - self._found), 1.0)


def context_key(choice: LoggedChoice) -> tuple[object, ...]:
    """What tells contexts apart: the values, and who was eligible."""
    return choice.eligible, *sorted((name, repr(item)) for name, item in choice.context.items())


def named_context(context: Mapping[str, Any], only: tuple[str, ...] | None) -> str:
    """A context in words."""
    text = ", ".join(f"{name}={value}" for name, value in sorted(context.items())) or "all"
    return text if only is None else f"{text} (only {', '.join(only)})"
