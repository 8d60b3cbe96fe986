"""What a report does to a decision's reward: the lifecycle's rules over the rows of the log.

``settle`` is pure: the rows that the decision has already, and the new one, give the row to append: the state
behind it, what leaves the sums and what joins them. Whoever appends to the log calls it under the lock that
numbers rows, and ``verify`` calls it again.

A contribution stands in the bucket of the row that first brought it, and what replaces it (a correction, a
late outcome, a new price) stands in the same place: it is the same execution, and forgetting policies go on
reading it with that age. A retraction takes it from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import RewardConflict
from ..rewards import (
    Abandoned,
    Expired,
    Ledger,
    Outcome,
    ReferenceTimes,
    Report,
    Retracted,
    Reward,
    RewardState,
    advance,
    price,
)
from ..rewards.lifecycle import Row
from ..rewards.merge import merge_outcomes
from .decision import Decision
from .fixed_point import reward_to_fixed
from .log import ABANDONMENT, EXPIRY, REPORT, REPRICING, RETRACTION, RewardRow
from .spec import BanditSpec

__all__ = ["current_outcome", "draft_of", "ledger_of", "settle"]

_ROWS: dict[str, Row] = {EXPIRY: Expired(), ABANDONMENT: Abandoned(), RETRACTION: Retracted()}
_PRICED = (RewardState.FINAL, RewardState.LATE, RewardState.CORRECTED)


def ledger_of(history: Sequence[RewardRow], decided_at: float | None = None) -> Ledger:
    """Where a decision's reward stands behind its rows, which are in the order of the sequence."""
    if not history:
        return Ledger(decided_at or 0.0)
    last = history[-1]
    state = RewardState(last.state)
    reports: dict[tuple[str, str], Report] = {}
    if state is not RewardState.RETRACTED:
        for row in history:
            if row.kind == REPORT:
                reports[row.source, row.identifier] = _report(row)
    return Ledger(decided_at or 0.0, state, last.reward, tuple(reports.values()))


def current_outcome(history: Sequence[RewardRow], spec: BanditSpec) -> Outcome | None:
    """The outcome that a decision's reports give together; None where none counts, or they are numbers."""
    ledger = ledger_of(history)
    if ledger.state not in _PRICED:
        return None
    parts = [report.outcome for report in ledger.reports if report.outcome is not None]
    return merge_outcomes(parts, spec.reward.aggregate, spec.reward.aggregates)


def settle(
    draft: RewardRow,
    history: Sequence[RewardRow],
    decision: Decision,
    spec: BanditSpec,
    references: ReferenceTimes | None,
) -> RewardRow:
    """The row that a draft becomes, without its number; or the row of ``history`` that says the same.

    ``draft`` : from ``RewardRow.of`` (priced by ``spec`` without adopted references) or ``RewardRow.bare``.
    ``references`` : the adopted version in force for the decision.

    Raises
    ------
    RewardConflict : the row is not legal in this state, or contradicts a report that is known.
    RewardTooLate : an outcome after the window, where the spec rejects it.
    OutcomeInvalid : the outcome cannot be priced, or numbers and outcomes meet.
    """
    for known in history[::-1]:
        if known.kind == draft.kind != REPRICING and _key(known) == _key(draft):
            if known.same_report(draft) or draft.kind != REPORT:
                return known
            if history[-1].state != RewardState.RETRACTED:
                raise _another(known, draft)
    if draft.kind == REPRICING:
        return _repriced(draft, history, decision, spec, references)
    if not history and draft.units is not None and draft.revision == 0 and references is None:
        # The usual case: one report, priced already.
        return draft if draft.priced_by == spec.spec_hash else draft._replace(priced_by=spec.spec_hash)
    priced: list[Reward] = []

    def worth(outcome: Outcome) -> float:
        priced.append(price(outcome, spec.reward, context=decision.context, reference=references))
        return priced[-1].value

    row = _report(draft) if draft.kind == REPORT else _ROWS[draft.kind]
    ledger, _ = advance(ledger_of(history, decision.time), row, spec.reward, price=worth)
    if draft.kind == EXPIRY:
        priced.append(Reward(spec.reward.default, {}, (), spec.reward.version))
    pricing = priced[-1].to_dict() if priced else draft.pricing
    moved = draft._replace(pricing=pricing, state=ledger.state.value)
    return _placed(moved, ledger.contribution, history, spec)


def draft_of(row: RewardRow) -> RewardRow:
    """The draft that a row once was, without a price: so it is priced anew."""
    bare = row._replace(seq=0, units=None, reward=None, state="final", taken=None, place=0, priced_by=None)
    if row.kind == REPORT and row.outcome is None:
        own = Reward(row.pricing["value"], {}, (), row.pricing["reward_fn_version"])
        return bare._replace(pricing=own.to_dict())
    return bare._replace(pricing={})


def _repriced(
    draft: RewardRow,
    history: Sequence[RewardRow],
    decision: Decision,
    spec: BanditSpec,
    references: ReferenceTimes | None,
) -> RewardRow:
    outcome = current_outcome(history, spec)
    if outcome is None:
        raise RewardConflict(
            "the reward of this decision has no outcome that could be priced again",
            expected="a decision with an outcome that counts",
            found=f"decision '{decision.decision_id}', {history[-1].state if history else 'pending'}",
            fix="leave the row out",
        )
    reward = price(outcome, spec.reward, context=decision.context, reference=references)
    changed = draft._replace(pricing=reward.to_dict(), state=history[-1].state)
    return _placed(changed, reward.value, history, spec)


def _placed(
    row: RewardRow, contribution: float | None, history: Sequence[RewardRow], spec: BanditSpec
) -> RewardRow:
    taken = history[-1].units if history else None
    return row._replace(
        reward=contribution,
        units=None if contribution is None else reward_to_fixed(contribution),
        taken=taken,
        place=0 if taken is None else history[-1].stands_at,
        priced_by=spec.spec_hash,
    )


def _report(row: RewardRow) -> Report:
    return Report(row.source, row.identifier, row.outcome, row.value, row.revision)


def _key(row: RewardRow) -> tuple[str, str, int]:
    return row.source, row.identifier, row.revision


def _another(known: RewardRow, draft: RewardRow) -> RewardConflict:
    return RewardConflict(
        f"decision '{known.decision_id}' has another outcome already",
        expected=f"the outcome of row {known.seq}: reward {known.reward!r}, outcome {known.outcome!r:.120}",
        found=f"reward {draft.reward!r}, outcome {draft.outcome!r:.120}",
        fix=f"report each decision once; to change the outcome, send a correction: corrects={known.revision}",
    )
