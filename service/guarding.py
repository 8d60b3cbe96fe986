"""Orders of people: checked against those in force, and appended to the log, where everybody finds them."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable

from ..bandit import BanditSpec
from ..bandit.events import EventRow
from ..bandit.guardrails import GuardState, Override, revocation
from ..bandit.guardrails.override import PERSON, act_of, arm_names, revoked_by
from ..persistence.database import reaching
from ..persistence.guardrails import append_order, guardrail_events
from ..persistence.replica import Replica
from ..persistence.store import Store

__all__ = ["list_overrides", "order_override", "revoke_override"]


async def order_override(
    store: Store,
    replica: Replica | None,
    spec: BanditSpec,
    rule: str,
    arms: Iterable[str] | str = (),
    *,
    author: str,
    reason: str,
    share: float | None = None,
    rows: int | None = None,
    until: float | None = None,
) -> Override:
    """``LearningEngine.override``; without a replica, nobody in this process learns of it."""
    now = clock.time()
    override = Override(rule, arm_names(arms, spec), author, reason, share, rows, until, now)

    def order(events: list[EventRow]) -> EventRow:
        _state(spec, events).check(override, now)
        return override.draft(spec.name, spec.spec_hash)

    with reaching():
        event = await append_order(store.pool, spec.name, order, now)
        if replica is not None:
            await replica.catch_up()
    return override.numbered(event.seq)


async def revoke_override(
    store: Store, replica: Replica | None, spec: BanditSpec, seq: object, *, author: str, reason: str
) -> Override:
    """``LearningEngine.revoke``."""
    now = clock.time()
    with reaching():
        ended = _revoked(await guardrail_events(store.pool, spec.name), seq, author, reason)
    if ended is not None:
        return ended
    known: list[Override] = []

    def order(events: list[EventRow]) -> EventRow:
        known.append(_state(spec, events).check_revocation(seq, now))
        return revocation(spec.name, spec.spec_hash, known[0].seq, author, reason, now)

    with reaching():
        await append_order(store.pool, spec.name, order, now)
        if replica is not None:
            await replica.catch_up()
    return known[0]


def _revoked(events: list[EventRow], seq: object, author: str, reason: str) -> Override | None:
    """The override of this number, where this author has ended it for this reason already."""
    ordered: EventRow | None = None
    for event in events:
        if event.seq == seq:
            ordered = event
        elif (
            ordered is not None
            and event.monitor == PERSON
            and act_of(event) == "revoke"
            and revoked_by(event) == seq
            and (event.evidence["author"], event.evidence["reason"]) == (author, reason)
        ):
            return Override.of(ordered)
    return None


async def list_overrides(store: Store, spec: BanditSpec, *, expired: bool = False) -> list[Override]:
    """``LearningEngine.overrides``."""
    with reaching():
        state = _state(spec, await guardrail_events(store.pool, spec.name))
    return list(state.overrides.values()) if expired else state.in_force(clock.time())


def _state(spec: BanditSpec, events: list[EventRow]) -> GuardState:
    state = GuardState(spec.arms, spec.baseline)
    state.restore(events)
    return state
