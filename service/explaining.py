"""``explain``: why a stored decision came out as it did, from the log as it was then."""

from __future__ import annotations

import asyncio

from ..bandit import Decision, Learner
from ..bandit.explaining import Explanation, explain_decision, twin_of
from ..bandit.learner import checked_id
from ..errors import DatabaseUnavailable, DecisionUnknown
from ..persistence.database import reaching
from ..persistence.store import Store
from .past import learner_behind, spec_of, stored_decision
from .remembered import Remembered

__all__ = ["explain_stored", "explain_told"]


async def explain_stored(store: Store, decision_id: str) -> Explanation:
    """Explain a stored decision, under the spec that made it.

    Raises
    ------
    InputInvalid, DecisionUnknown, StateDropped, DocumentInvalid, DatabaseUnavailable : it cannot be.
    """
    key = checked_id(decision_id)
    with reaching():
        decision, spec = await stored_decision(store, key)
        learner = await learner_behind(store.pool, spec, decision.state_seq)
    return await asyncio.to_thread(explain_decision, learner, decision)


async def explain_told(
    store: Store, live: Learner, remembered: Remembered, decision: Decision | str
) -> Explanation:
    """Explain a decision or the decision of an id, also one that is not stored yet.

    While the database is away, decisions of this process are explained from its memory, if nothing was
    learned since they were made.
    """
    key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
    known = decision if isinstance(decision, Decision) else remembered.get(key)
    if known is not None and known.spec_hash == live.spec.spec_hash and known.state_seq == live.sums.seq:
        return await asyncio.to_thread(explain_decision, twin_of(live), known)
    try:
        with reaching():
            if isinstance(decision, Decision):
                known = decision
            else:
                known = await _found(store, key, known)
            learner = await learner_behind(store.pool, await spec_of(store, known), known.state_seq)
    except DatabaseUnavailable as error:
        if known is None:
            raise
        raise DatabaseUnavailable(
            f"what was known when decision '{key}' was made has to be read, and the database cannot be used",
            expected=f"a learner at row {known.state_seq}, or a database that answers",
            found=f"row {live.sums.seq}; {error.found}",
            fix="ask again when the database answers",
        ) from error
    return await asyncio.to_thread(explain_decision, learner, known)


async def _found(store: Store, key: str, known: Decision | None) -> Decision:
    """The stored decision; the one that was made here, where none is stored yet."""
    try:
        return (await stored_decision(store, key))[0]
    except DecisionUnknown:
        if known is None:
            raise
        return known
