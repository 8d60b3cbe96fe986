"""Adopting reference times: a numbered row, and where it says so, new prices of what came before."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Literal

from ..bandit.log import REPRICING, AdoptionRow, RewardRow
from ..bandit.settle import current_outcome, settle
from ..canonical import canonical_json
from ..errors import OutcomeInvalid
from ..rewards import Adoption, Execution, ReferenceTimes, reference_for
from .queries import Connection, query
from .rows import log_row_from
from .store import Store

__all__ = ["adopt", "executions"]

_PAGE = 1000


async def adopt(
    store: Store, references: ReferenceTimes, earlier: Literal["keep", "reprice"], time: float
) -> Adoption:
    """Append the adoption, and the new prices, in one transaction; the one in force is not adopted again.

    While earlier rewards are priced anew, nobody else appends to the bandit's log.
    """
    async with store.pool.acquire() as connection, connection.transaction():
        last = await store.lock(connection)
        known = store.adopted[-1] if store.adopted else None
        if known is not None and known.references == references and known.earlier == earlier:
            return known
        row = AdoptionRow(store.bandit, Adoption(last + 1, references, earlier), time)
        document = row.adoption.to_dict()
        del document["seq"]
        await connection.execute(
            query("append_adoption"), store.bandit, row.seq, canonical_json(document), time, row.digest
        )
        await connection.execute(query("note_adoption"), store.bandit, row.seq)
        if earlier == "reprice":
            await _reprice(store, connection, (*store.adopted, row.adoption), time)
    return row.adoption


async def _reprice(
    store: Store, connection: Connection, adoptions: tuple[Adoption, ...], time: float
) -> None:
    seq = adoptions[-1].seq
    histories = [history async for history in _histories(store, connection)]
    for begin in range(0, len(histories), _PAGE):
        page = histories[begin : begin + _PAGE]
        decisions = await store.decisions([history[0].decision_id for history in page], connection)
        fresh: list[RewardRow] = []
        for history in page:
            decision = decisions.get(history[0].decision_id)
            if decision is None or current_outcome(history, store.own_spec) is None:
                continue  # retention dropped it, or it is a bare number, which has no price
            references = reference_for(adoptions, decision.state_seq, now_seq=adoptions[-1].seq)
            revision = sum(row.kind == REPRICING for row in history)
            draft = RewardRow.bare(decision, history[0].encoding, time, REPRICING, revision=revision)
            try:
                row = settle(draft, history, decision, store.own_spec, references)
            except OutcomeInvalid:
                continue  # no score that has weight can be computed: the price stays
            if row.reward != history[-1].reward:
                seq += 1
                fresh.append(row.numbered(seq))
        await store.write_rows(connection, fresh, decisions)


async def _histories(store: Store, connection: Connection) -> AsyncIterator[list[RewardRow]]:
    """The rows about each decision whose last one counts an outcome, by decision id."""
    history: list[RewardRow] = []
    async for row in connection.cursor(query("rewarded_decisions"), store.bandit, prefetch=2000):
        found = log_row_from(row)
        if history and history[0].decision_id != found.decision_id:
            yield history
            history = []
        history.append(found)
    if history:
        yield history


async def executions(store: Store, first_seq: int, last_seq: int | None) -> list[Execution]:
    """What was executed, by the rows of a stretch of the log: the decisions that have an outcome there.

    Rows behind ``last_seq`` are not looked at; a decision counts where its last row stands in the stretch.
    """
    histories: dict[str, list[RewardRow]] = {}
    contexts: dict[str, str] = {}
    async with store.snapshot() as connection:
        async for row in connection.cursor(query("log_with_contexts"), store.bandit, last_seq, prefetch=2000):
            histories.setdefault(row["decision_id"], []).append(log_row_from(row))
            contexts[row["decision_id"]] = row["decision_context"]
    found = []
    for key, history in histories.items():
        outcome = current_outcome(history, store.own_spec) if history[-1].seq >= first_seq else None
        if outcome is not None:
            context = json.loads(contexts[key])
            arm_id = store.own_spec.arms.present_id(history[0].arm_id)
            found.append(Execution(history[-1].seq, context, arm_id, outcome))
    return found
