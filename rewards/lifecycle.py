"""The life of one decision's reward: which state it is in, and what it contributes to the sums.

Theory of operation
-------------------
A decision contributes at most one number to its arm's sums. Every row that concerns the decision maps its
``Ledger`` to a new one and to a ``Change``: what leaves the sums and what joins them. Sums are integers, so
after a correction or a retraction they are those of a log that never had the row.

    state       contributes          reached by
    pending     nothing              the decision; parts without ``success`` are kept until one has it
    final       the reward           a report while pending (only ``Expired`` closes the window, no clock)
    defaulted   ``spec.default``     ``Expired`` while pending
    abandoned   nothing              ``Abandoned`` while pending
    late        the reward           a report after defaulted or abandoned, where ``spec.late`` is ``learn``
    corrected   the new reward       a correction of a report that counts
    retracted   nothing, for good    ``Retracted`` from any other state

Nothing expires by itself: the owner of the log asks ``expired_by(ledger, now, spec)`` and appends the rows.
Illegal rows raise and change nothing; a report that is already known, field by field, changes nothing either.

Several reports of one decision ------------------------------- A report has a source and an identifier of
its own; its fields may be a part of an outcome (``Outcome`` without ``success``: a user's feedback that
comes a day later). The outcome that is priced takes each metric from the reports that have it
(``merge.py``). A bare number in place of an outcome is aggregated as it is; bare numbers and outcomes do
not mix in one decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from ..errors import OutcomeInvalid, RewardConflict, RewardTooLate
from .merge import merge_outcomes, merge_values
from .numbers import unit
from .outcome import Outcome
from .spec import RewardSpec

__all__ = [
    "Abandoned",
    "Change",
    "Expired",
    "Ledger",
    "Report",
    "Retracted",
    "RewardState",
    "Row",
    "advance",
    "expired_by",
    "fold",
]


class RewardState(StrEnum):
    """Where a decision's reward stands."""

    PENDING = "pending"
    FINAL = "final"
    DEFAULTED = "defaulted"
    LATE = "late"
    CORRECTED = "corrected"
    RETRACTED = "retracted"
    ABANDONED = "abandoned"


_COUNTING = frozenset({RewardState.FINAL, RewardState.LATE, RewardState.CORRECTED})


@dataclass(frozen=True, slots=True)
class Report:
    """A row: what one source reported, under an identifier of its own.

    source, identifier : who reported, and which of its reports this is.
    outcome : fields of an ``Outcome`` as ``Outcome.to_dict`` writes them, ``success`` optional; or None.
    value : a bare reward in [0, 1]; exactly one of ``outcome`` and ``value`` is given.
    revision : 0 for a first report; a correction has the number after that of the revision it replaces.

    Raises
    ------
    OutcomeInvalid : both or neither given, a field or the value out of its domain, a negative revision.
    """

    source: str = "engine"
    identifier: str = ""
    outcome: Mapping[str, Any] | None = None
    value: float | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        if (self.outcome is None) == (self.value is None) or self.revision < 0:
            raise OutcomeInvalid(
                "a report of a reward is not usable",
                expected="either an outcome or a value, and a revision >= 0",
                found=f"outcome={self.outcome!r}, value={self.value!r}, revision={self.revision!r}",
                fix="report what the execution gave, or the reward itself, not both",
            )
        if self.value is not None:
            object.__setattr__(self, "value", unit("the reward", self.value))
        if self.outcome is not None:
            document = dict(self.outcome)
            checked = Outcome.from_dict({"success": False, **document}).to_dict()
            if "success" not in document:
                del checked["success"]
            object.__setattr__(self, "outcome", checked)


@dataclass(frozen=True, slots=True)
class Expired:
    """A row: the window of a decision without a reward has passed."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A row: the execution was given up before it had a result (cancelled, superseded)."""


@dataclass(frozen=True, slots=True)
class Retracted:
    """A row: forget this decision; its contribution leaves the sums."""


Row: TypeAlias = Report | Expired | Abandoned | Retracted


class Change(NamedTuple):
    """What a row does to the arm's sums: a reward that leaves, a reward that joins; None for neither."""

    remove: float | None = None
    add: float | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """State of one decision's reward, as a value.

    decided_at : time of the decision, seconds, as it was stored. contribution : what the sums hold now.
    reports : latest revision of each (source, identifier), in the order of their first rows.
    """

    decided_at: float
    state: RewardState = RewardState.PENDING
    contribution: float | None = None
    reports: tuple[Report, ...] = ()


def expired_by(ledger: Ledger, now: float, spec: RewardSpec) -> bool:
    """Tell whether an ``Expired`` row is due: pending, and at least ``window_s`` since the decision."""
    return (
        ledger.state is RewardState.PENDING
        and spec.window_s is not None
        and now - ledger.decided_at >= spec.window_s
    )


def advance(
    ledger: Ledger, row: Row, spec: RewardSpec, *, price: Callable[[Outcome], float]
) -> tuple[Ledger, Change]:
    """Apply a row.

    ``price`` maps an outcome to the reward's value: ``price(outcome, spec, context=…, reference=…).value``
    with the decision's own context and references. Returns the new ledger and the change of the sums; a
    report that is known already returns the same ledger and no change.

    Raises
    ------
    RewardConflict : the row is not legal in this state, or contradicts a report that is known.
    RewardTooLate : a report after ``Expired`` or ``Abandoned`` where ``spec.late`` is ``reject``.
    OutcomeInvalid : bare rewards and outcomes in one decision, or an outcome that cannot be priced.
    """
    if ledger.state is RewardState.RETRACTED:
        if isinstance(row, Retracted):
            return ledger, Change()
        raise _illegal(ledger, row, "a decision that was forgotten takes no more rows")
    match row:
        case Retracted():
            return _move(ledger, RewardState.RETRACTED, None, ())
        case Expired():
            _only_pending(ledger, row)
            return _move(ledger, RewardState.DEFAULTED, spec.default, ledger.reports)
        case Abandoned():
            _only_pending(ledger, row)
            return _move(ledger, RewardState.ABANDONED, None, ledger.reports)
        case Report():
            return _report(ledger, row, spec, price)


def _report(
    ledger: Ledger, row: Report, spec: RewardSpec, price: Callable[[Outcome], float]
) -> tuple[Ledger, Change]:
    known = next(
        (r for r in ledger.reports if (r.source, r.identifier) == (row.source, row.identifier)), None
    )
    if known == row:
        return ledger, Change()
    _check_revision(ledger, known, row)
    if known is None:
        reports = (*ledger.reports, row)
    else:
        reports = tuple(row if r is known else r for r in ledger.reports)
    closed = ledger.state in {RewardState.DEFAULTED, RewardState.ABANDONED}
    if closed and spec.late == "reject":
        raise RewardTooLate(
            "the decision takes no outcome any more",
            expected="an outcome before the decision is closed",
            found=f"a report from {row.source!r} for a decision that is {ledger.state.value}",
            fix="report within window_s, lengthen it, or let late outcomes be learned or logged",
        )
    value = _value(reports, spec, price)
    if value is None or (closed and spec.late == "log"):
        return replace(ledger, reports=reports), Change()
    state = RewardState.FINAL
    if closed:
        state = RewardState.LATE
    elif known is not None and ledger.state in _COUNTING:
        state = RewardState.CORRECTED
    elif ledger.state in _COUNTING:
        state = ledger.state
    return _move(ledger, state, value, reports)


def _check_revision(ledger: Ledger, known: Report | None, row: Report) -> None:
    expected = 0 if known is None else known.revision + 1
    if row.revision != expected:
        what = (
            "there is nothing to correct"
            if known is None
            else "another outcome is known under the same source, identifier and revision"
            if row.revision == known.revision
            else "the correction does not replace the latest revision"
        )
        raise RewardConflict(
            f"the report contradicts the decision's earlier reports: {what}",
            expected=f"revision {expected}, or the known report unchanged",
            found=f"revision {row.revision} from {row.source!r}, decision {ledger.state.value}",
            fix="send a correction that names the latest revision, or use an identifier of its own",
        )


def _value(reports: tuple[Report, ...], spec: RewardSpec, price: Callable[[Outcome], float]) -> float | None:
    values = [r.value for r in reports if r.value is not None]
    parts = [r.outcome for r in reports if r.outcome is not None]
    if values and parts:
        raise OutcomeInvalid(
            "a decision has bare rewards and outcomes",
            expected="one kind for all reports of a decision",
            found=f"{len(values)} bare rewards and {len(parts)} outcomes",
            fix="report outcomes, and let the reward be computed from them",
        )
    if values:
        return merge_values(values, spec.aggregate)
    outcome = merge_outcomes(parts, spec.aggregate, spec.aggregates)
    return None if outcome is None else unit("the reward", price(outcome))


def _only_pending(ledger: Ledger, row: Row) -> None:
    if ledger.state is not RewardState.PENDING:
        raise _illegal(ledger, row, "only a pending decision can expire or be abandoned")


def _illegal(ledger: Ledger, row: Row, why: str) -> RewardConflict:
    return RewardConflict(
        f"the row does not fit the state of the decision's reward: {why}",
        expected="pending" if isinstance(row, Expired | Abandoned) else "any state but retracted",
        found=f"{type(row).__name__} for a decision that is {ledger.state.value}",
        fix="leave the row out; the ledger has not changed",
    )


def _move(
    ledger: Ledger, state: RewardState, contribution: float | None, reports: tuple[Report, ...]
) -> tuple[Ledger, Change]:
    moved = Ledger(ledger.decided_at, state, contribution, reports)
    if ledger.contribution == contribution:
        return moved, Change()
    return moved, Change(remove=ledger.contribution, add=contribution)


def fold(
    rows: Iterable[Row], spec: RewardSpec, *, decided_at: float, price: Callable[[Outcome], float]
) -> Ledger:
    """Apply rows in order to a new decision and return where its reward stands."""
    ledger = Ledger(decided_at)
    for row in rows:
        ledger, _ = advance(ledger, row, spec, price=price)
    return ledger
