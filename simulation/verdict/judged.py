"""``Judged``: what a verdict needs of a log, in memory or on disk: rows in batches.

Whoever sums over ``batches`` needs no more memory for a long log than for a short one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ...errors import SupportMissing

if TYPE_CHECKING:
    from .log import JudgedLog

__all__ = ["Judged", "Logging", "Metric"]

Floats = npt.NDArray[np.float64]
Metric: TypeAlias = Literal["success", "reward"]
Logging: TypeAlias = Literal["fixed", "adaptive"]

_FINITE_ROWS = 20
"""Rows per distinct context, on average, from which contexts count as finitely many."""
_SAME = 1e-9
_SUM = 1e-6


class Judged(ABC):
    """Decisions that have the metric, in the order of the log.

    Attributes
    ----------
    arms : K arm ids. cells : names of the C distinct contexts, ``contexts``. eligible : the arms that could
        be chosen in each; None for all. Rows with other arms to choose from count as another context.
    metric : what is judged. pmfs : every row has the whole pmf of the logging policy.
    told_apart : False where there were too many contexts, and all with the same eligible arms count as one.
    without_metric : rows that have none, left out. held_out : rows of a holdout cohort, left out: they are no
        evidence about the policy that logs.
    """

    contexts: tuple[Mapping[str, Any], ...]
    metric: Metric
    eligible: tuple[tuple[str, ...] | None, ...]
    without_metric: int
    held_out: int
    told_apart: bool

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """See the class."""

    @property
    @abstractmethod
    def cells(self) -> tuple[str, ...]:
        """See the class."""

    @property
    @abstractmethod
    def pmfs(self) -> bool:
        """See the class."""

    @abstractmethod
    def batches(self) -> Iterator[JudgedLog]:
        """The rows in their order, some at a time; contexts and arms have the same numbers in all."""

    @abstractmethod
    def column(self) -> Floats:
        """Room for a number a row, (n,), where this log keeps its own; not set to anything."""

    @abstractmethod
    def part(self, first: int, last: int) -> Judged:
        """The rows first … last − 1, with the same contexts and arms; what was left out stays counted."""

    @abstractmethod
    def other(self) -> Judged | None:
        """The rows that have the other metric, judged by it; None without any."""

    @abstractmethod
    def thinned(self, rows: int) -> JudgedLog:
        """At most so many rows in memory, evenly spaced; all of them where there are no more."""

    @cached_property
    def _survey(self) -> _Survey:
        return _survey(self)

    @property
    def binary(self) -> bool:
        """True where every value is 0 or 1."""
        return self._survey.binary

    @property
    def finite(self) -> bool:
        """True where contexts recur so often that each is a cell of its own."""
        return len(self.contexts) == 1 or len(self.contexts) * _FINITE_ROWS <= len(self)

    @cached_property
    def logging(self) -> Logging:
        """``fixed`` where the rows show it: every pmf (or propensity) depends on context and arm alone.

        Where contexts hardly recur, and propensities differ, nothing shows it: ``adaptive`` is the safe
        answer.

        Raises
        ------
        SupportMissing : propensities are not known.
        """
        found = self._survey
        if found.missing:
            raise missing_propensities(found.missing, len(self), found.source)
        if self.pmfs:
            if found.same_everywhere or not self.finite:
                return "fixed" if found.same_everywhere else "adaptive"
            return "fixed" if found.same_inside else "adaptive"
        if found.largest - found.smallest <= _SAME:
            return "fixed"
        known = found.high > 0.0
        same = bool((found.high[known] - found.low[known] <= _SAME).all())
        same = same and bool((found.high.sum(axis=1) <= 1.0 + _SUM).all())
        return "fixed" if same and 2 * int(known.sum()) <= len(self) else "adaptive"

    @cached_property
    def pmf_by_context(self) -> Floats:
        """The logging pmf of each context (C, K), for a fixed logging policy (its mean over rows).

        Without logged pmfs it is put together from the propensities of chosen arms; 0 where none was chosen.
        """
        return self._survey.pmf

    @cached_property
    def whole(self) -> bool:
        """Whether the logging policy is known for all arms, not for chosen ones alone."""
        if self.pmfs:
            return True
        sums = self.pmf_by_context.sum(axis=1)
        return self.logging == "fixed" and bool((np.abs(sums - 1.0) <= _SUM).all())


@dataclass(frozen=True, eq=False, slots=True)
class _Survey:
    """What one walk over the rows finds.

    missing : rows without a propensity; source : what those are. same_everywhere, same_inside : pmfs are the
    same in all rows, in all rows of each context. smallest, largest : propensity; low, high (C, K) : of each
    context and arm, where it was chosen. pmf (C, K) : see ``pmf_by_context``.
    """

    binary: bool
    missing: int
    source: str
    same_everywhere: bool
    same_inside: bool
    smallest: float
    largest: float
    low: Floats
    high: Floats
    pmf: Floats


def _survey(log: Judged) -> _Survey:
    shape = (len(log.contexts), len(log.arms))
    size = shape[0] * shape[1]
    low, high, last = np.full(size, np.inf), np.zeros(size), np.zeros(size)
    table, firsts = np.zeros(shape), np.zeros(shape)
    rows = np.zeros(shape[0])
    seen = np.zeros(shape[0], np.bool_)
    start: Floats | None = None
    binary, missing, source, everywhere, inside = True, 0, "unknown", 0.0, 0.0
    for batch in log.batches():
        data = batch.data
        binary = binary and bool(((data.reward == 0.0) | (data.reward == 1.0)).all())
        source = data.source
        if data.propensity is None or source != "logged":
            unknown = 0 if data.propensity is None else int(np.isnan(data.propensity).sum())
            missing += unknown or len(data)
            continue
        place = batch.cell * shape[1] + data.arm
        np.minimum.at(low, place, data.propensity)
        np.maximum.at(high, place, data.propensity)
        last[place] = data.propensity
        if data.logging is None:
            continue
        start = data.logging[0].copy() if start is None else start
        everywhere = max(everywhere, float(np.abs(data.logging - start).max()))
        new, at = np.unique(batch.cell, return_index=True)
        fresh = ~seen[new]
        firsts[new[fresh]] = data.logging[at[fresh]]
        seen[new] = True
        inside = max(inside, float(np.abs(data.logging - firsts[batch.cell]).max()))
        np.add.at(table, batch.cell, data.logging)
        rows += np.bincount(batch.cell, minlength=shape[0])
    known = high > 0.0
    pmf = table / np.maximum(rows, 1.0)[:, None] if log.pmfs else last.reshape(shape)
    return _Survey(
        binary,
        missing,
        source,
        everywhere <= _SAME,
        inside <= _SAME,
        float(low[known].min(initial=np.inf)),
        float(high[known].max(initial=0.0)),
        low.reshape(shape),
        high.reshape(shape),
        pmf,
    )


def missing_propensities(missing: int, rows: int, source: str) -> SupportMissing:
    """The error of a log that some propensities are not known of."""
    return SupportMissing(
        f"{missing:,} of {rows:,} decisions have no logged propensity",
        expected="a propensity in every row: what a policy would have earned is weighed by it",
        found=f"propensities that are {source}",
        fix="log propensities, or leave such rows out; estimated ones support no verdict, but estimates "
        "(nyx_learning.simulation.offpolicy.estimate_propensities)",
    )
