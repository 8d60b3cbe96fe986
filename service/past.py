"""A learner as it stood behind a row of the stored log, for whoever asks why something was decided then."""

from __future__ import annotations

import asyncpg

from ..bandit import BanditSpec, Decision, Learner
from ..errors import DocumentInvalid, RewardTooLate, StateDropped
from ..persistence.fold import Fold
from ..persistence.guardrails import guardrail_events
from ..persistence.store import Store

__all__ = ["learner_behind", "stored_decision"]

_PAGE = 20_000


async def stored_decision(store: Store, decision_id: str) -> tuple[Decision, BanditSpec]:
    """A decision and the spec that made it.

    Raises
    ------
    DecisionUnknown (retryable) : no such decision is stored. StateDropped : retention dropped it.
    """
    try:
        decision = await store.decision(decision_id)
    except RewardTooLate as error:
        raise StateDropped(error.what, expected=error.expected, found=error.found, fix=_KEEP) from error
    return decision, await spec_of(store, decision)


async def spec_of(store: Store, decision: Decision) -> BanditSpec:
    """The spec that made a decision.

    Raises
    ------
    DocumentInvalid : it is not stored.
    """
    spec = await store.spec(decision.spec_hash)
    if spec is None:
        raise DocumentInvalid(
            f"the spec of decision '{decision.decision_id}' is not stored",
            expected=f"spec {decision.spec_hash} of bandit '{store.bandit}'",
            found="no such row in nyx.spec",
            fix="open the bandit with that spec, or restore the row from a backup",
        )
    return spec


async def learner_behind(pool: asyncpg.Pool, spec: BanditSpec, seq: int) -> Learner:
    """The learner of a spec behind row ``seq``: folded from the nearest stored sums before it.

    Exact, as ``verify`` folds: integer sums, in the order of the log.

    Raises
    ------
    StateDropped : retention dropped rows that are needed. DocumentInvalid : a row is missing.
    """
    store = Store(pool, spec)
    learner = Learner(spec)
    fold = Fold(learner)
    base = await store.sums.load_base()
    _, stored, blocks = await store.sums.load()
    whole = all(len(block[3]) == learner.sums.width for block in blocks)
    begin, known = (stored, blocks) if whole and base.seq <= stored <= seq else (base.seq, base.blocks)
    if begin > seq:
        raise StateDropped(
            f"what bandit '{spec.name}' knew at row {seq} cannot be told any more",
            expected=f"a decision that knew row {begin} or a later one",
            found=f"rows up to {begin}, of which retention kept the sums alone",
            fix=_KEEP,
        )
    events = await guardrail_events(pool, spec.name, begin) if begin else ()
    fold.restore(begin, known, events)
    while fold.seq < seq:
        await _fold_on(store, fold, min(_PAGE, seq - fold.seq))
    return learner


async def _fold_on(store: Store, fold: Fold, count: int) -> None:
    """Fold the next ``count`` rows: those of one encoding by columns, the others one by one."""
    begin = fold.seq
    if fold.by_pages:
        page = await store.log.page(begin, count, fold.learner.sums.dimension)
        others = {row.seq: (row, context) for row, context in await store.log.rows(page.others)}
        at = 0
        while fold.seq < begin + count:
            following = fold.seq + 1
            if following in others:
                fold.absorb(*others[following])
                continue
            stop = min((seq for seq in others if seq > following), default=begin + count + 1)
            at = int(page.seqs.searchsorted(following))
            end = int(page.seqs.searchsorted(stop))
            if at == end or end - at != stop - following:
                raise _missing(store.bandit, following)
            fold.absorb_page(page.part(at, end))
        return
    for row, context in await store.log.after(begin, count):
        if row.seq != fold.seq + 1:
            raise _missing(store.bandit, fold.seq + 1)
        fold.absorb(row, context)
    if fold.seq == begin:
        raise _missing(store.bandit, begin + 1)


_KEEP = "keep decisions and rows for as long as they may have to be explained"


def _missing(bandit: str, seq: int) -> DocumentInvalid:
    return DocumentInvalid(
        f"the log of bandit '{bandit}' cannot be folded",
        expected=f"row {seq}",
        found="no such row, or not all of those behind it",
        fix="run verify, and restore the rows from a backup",
    )
