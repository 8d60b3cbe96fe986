"""What one transaction writes to a bandit's log, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ..bandit import Decision
from ..bandit.decision import DecisionText
from ..bandit.log import RewardRow, RowText
from ..errors import DecisionConflict, NyxError
from .rows import day_of

__all__ = ["Batch", "days_of", "decision_conflict"]


@dataclass(slots=True)
class Batch:
    """What one transaction writes, and what became of it.

    ``decisions`` are those that may not be stored yet; ``rewards`` drafts of rows, one for a decision at
    most, and ``targets`` their decisions; ``abandoned`` the times of cancelled executions.
    ``decision_texts``, ``texts`` : how decisions and drafts are spelled, where that is known already.
    ``stored`` has the canonical decision for each id (an earlier one wins); ``appended`` the rows that got
    numbers here, in order; ``known`` the rows that stood in the log before and say the same; ``refused`` an
    error by decision id.
    """

    decisions: dict[str, Decision]
    rewards: dict[str, RewardRow]
    targets: dict[str, Decision] = field(default_factory=dict)
    abandoned: dict[str, float] = field(default_factory=dict)
    decision_texts: dict[str, DecisionText] = field(default_factory=dict)
    texts: dict[str, RowText] = field(default_factory=dict)
    stored: dict[str, Decision] = field(default_factory=dict)
    appended: list[RewardRow] = field(default_factory=list)
    known: dict[str, RewardRow] = field(default_factory=dict)
    refused: dict[str, NyxError] = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        """The highest number among the rows of this batch; 0 without any."""
        return max((row.seq for row in (*self.appended, *self.known.values())), default=0)

    def span(self, keys: Iterable[str]) -> tuple[date, date]:
        """The first and the last day on which these of its targets were decided."""
        days = {day_of(self.targets[key].time) for key in keys}
        return min(days), max(days)


def days_of(rows: Sequence[RewardRow], decisions: Mapping[str, Decision]) -> list[date]:
    """The day on which each row's decision was made."""
    return [day_of(decisions[row.decision_id].time) for row in rows]


def decision_conflict(stored: Decision, given: Decision) -> DecisionConflict:
    """The error for a decision that is not the stored one of its id."""
    # No digest of the given one: it may hold anything.
    differing = [name for name in Decision._fields if getattr(stored, name) != getattr(given, name)]
    return DecisionConflict(
        f"decision '{stored.decision_id}' is stored with other content",
        expected=f"the stored decision: arm '{stored.arm_id}', digest {stored.digest}",
        found=f"another {', '.join(differing)}",
        fix="report on the decision that select_arm returned",
    )
