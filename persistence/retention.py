"""Retention: old decisions are dropped with their rows, once what they taught stands in the base.

The base goes up to a row below everything that is still needed: the rows that a kept decision knew, decisions
that wait for an outcome within the reward window, and rows that monitors or guardrails still read
(``nyx.hold``), or will, as their spec has just come. Sums and ``verify`` begin behind it. A decision below
the base that has a row behind the base, or came late, is kept as it is; it can no longer be derived anew,
because what it knew cannot be folded any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import asyncpg

from ..bandit import BanditSpec, Learner
from ..errors import InputInvalid, shown
from .advice import drop_advice
from .base import Base, base_digest, read_base
from .executions import drop_executions
from .fold import Fold
from .guardrails import guarding_key, guardrail_events
from .queries import Connection, query
from .rows import Row, any_row_from, array_text, day_of, spec_from
from .store import Store

__all__ = ["Retained", "check_age", "retain"]

_PAGE = 2000
_DROPPED_AT_ONCE = 2000
_TRIES, _DELAY_S = 5, 0.2
_LONG_S = 86_400.0
_LONGEST_S = 1e11
_HOLDERS = ("monitors", "guardrails")


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention did for a bandit, or would do.

    base_seq : row up to which the log may be dropped now; before : until now. decisions : how many went.
    rows : those of the log that went one by one, not with ``months``; both are upper bounds in a dry run.
    months : partitions that went as a whole. held_by : what keeps the base where it is: ``young`` decisions,
    those ``waiting`` for an outcome, a ``hold`` of who still reads, or the ``end`` of the log. expired : how
    many decisions were closed before, because their window had passed without an outcome. executions, advice
    : how many that agents reported, and pieces of advice on running executions, went: by their age alone.
    """

    bandit: str
    dry_run: bool
    before: int
    base_seq: int
    last_seq: int
    decisions: int
    rows: int
    months: tuple[str, ...]
    held_by: str
    expired: int = 0
    executions: int = 0
    advice: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "months": list(self.months)}


async def retain(
    stores: Sequence[Store], older_than_s: float, *, now: float, dry_run: bool = False
) -> list[Retained]:
    """Drop what is older than ``older_than_s`` seconds before ``now`` from these bandits.

    Needs the rights of the schema's owner. Each step is a short transaction that leaves everything true; an
    interrupted run is continued by the next. A month's partitions are dropped as a whole where all bandits
    that have rows in them are among ``stores`` and need none; otherwise rows are deleted.

    Raises
    ------
    InputInvalid : an age that is none.
    """
    check_age(older_than_s)
    cutoff = now - older_than_s
    plans = [await _plan(store, cutoff, now) for store in stores]
    if dry_run:
        return plans
    plans = [await _advance(store, plan) for store, plan in zip(stores, plans, strict=True)]
    months: dict[str, list[str]] = {}
    dropped = dict.fromkeys((store.bandit for store in stores), 0)
    for month in await stores[0].pool.fetch(query("whole_months"), day_of(cutoff)):
        for bandit, decisions in (await _drop_month(stores, month["month"])).items():
            dropped[bandit] += decisions
            months.setdefault(bandit, []).append(f"{month['month']:%Y-%m}")
    found = []
    for store, plan in zip(stores, plans, strict=True):
        decisions, rows = await _delete(store, cutoff)
        whole = tuple(months.get(store.bandit, ()))
        decisions += dropped[store.bandit]
        done = replace(plan, dry_run=False, decisions=decisions, rows=rows, months=whole)
        executions = await drop_executions(store.pool, store.bandit, cutoff)
        advice = await drop_advice(store.pool, store.bandit, cutoff)
        found.append(replace(done, executions=executions, advice=advice))
    return found


def check_age(older_than_s: object) -> None:
    """Raise ``InputInvalid`` unless this is a number of seconds, 0 or more."""
    number = isinstance(older_than_s, (int, float)) and not isinstance(older_than_s, bool)
    if not number or not 0.0 <= older_than_s < _LONGEST_S:  # type: ignore[operator]
        raise InputInvalid(
            "retention cannot go by this 'older_than_s'",
            expected="seconds, 0 or more",
            found=shown(older_than_s),
            fix="pass for example 90 * 86_400.0",
        )


async def _plan(store: Store, cutoff: float, now: float) -> Retained:
    async with store.snapshot() as connection:
        await connection.execute(query("no_limits"))
        (row,) = await connection.fetch(
            query("retention_bounds"),
            store.bandit,
            cutoff,
            day_of(cutoff),
            now,
            store.own_spec.reward.window_s,
        )
        bounds = {
            "young": row["young"],
            "waiting": row["waiting"],
            "hold": await _held(store, connection, await _watchers(store, connection)),
            "end": row["last_seq"],
        }
        held_by = min((name for name in bounds if bounds[name] is not None), key=lambda name: bounds[name])
        base = max(row["base_seq"], bounds[held_by])
        (counts,) = await connection.fetch(query("count_droppable"), store.bandit, base)
        executions = await connection.fetchval(query("count_executions"), store.bandit, cutoff)
        advice = await connection.fetchval(query("count_advice"), store.bandit, cutoff)
    return Retained(
        store.bandit,
        True,
        row["base_seq"],
        base,
        row["last_seq"],
        counts["decisions"],
        counts["rows"],
        (),
        held_by,
        executions=executions,
        advice=advice,
    )


class _Watchers(NamedTuple):
    """Whose holds are nobody's any more; the newest spec's hash, and the keys of those who watch by it."""

    gone: list[str]
    spec_hash: str
    keys: list[str]


async def _watchers(store: Store, connection: Connection) -> _Watchers:
    """A hold ends where no process watches, and the newest spec would have none begin."""
    newest = spec_from(await connection.fetchval(query("newest_spec"), store.bandit))
    keys = {}
    if newest.monitors is not None:
        keys["monitors"] = newest.spec_hash
    if newest.guardrails is not None:
        keys["guardrails"] = guarding_key(newest.spec_hash)
    idle = [holder for holder in _HOLDERS if holder not in keys]
    gone = [each for each in idle if await connection.fetchval(query("nobody_leads"), store.bandit, each)]
    return _Watchers(gone, newest.spec_hash, list(keys.values()))


async def _held(store: Store, connection: Connection, watchers: _Watchers) -> int | None:
    """Number of the row behind which somebody still reads; None where nobody does."""
    held: int | None = await connection.fetchval(query("rows_held"), store.bandit, *watchers)
    return held


async def _advance(store: Store, plan: Retained) -> Retained:
    """Write the sums of all rows up to the new base, for every encoding that has sums, and move the base.

    Returns what is so then: somebody else's retention may have been faster, or somebody begun to watch.
    """
    if plan.base_seq <= plan.before:
        return plan
    folded = await _folded(store, plan)
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute(query("no_limits"))
        await store.lock(connection)
        if store.base_seq != plan.before:
            return replace(plan, base_seq=store.base_seq)
        watchers = await _watchers(store, connection)
        held = await _held(store, connection, watchers)
        if held is not None and held < plan.base_seq:
            return replace(plan, base_seq=plan.before, held_by="hold")
        for spec, base in folded:
            key = (store.bandit, spec.encoding, spec.bucket_rows)
            blocks = [[*block[:3], array_text(block[3])] for block in base.blocks]
            columns = [[block[i] for block in blocks] for i in range(4)]
            await connection.execute(query("write_base"), *key, base.seq, base_digest(base.seq, base.blocks))
            await connection.execute(query("write_base_sums"), *key, *columns)
            # Stored sums from below the base could not be continued.
            await connection.execute(query("start_checkpoint"), *key)
            if await connection.fetchval(query("lock_checkpoint"), *key) < base.seq:
                await connection.execute(query("write_sums"), *key, *columns)
                await connection.execute(query("advance_checkpoint"), *key, base.seq)
        await connection.execute(query("advance_base"), store.bandit, plan.base_seq)
        await connection.execute(query("release_holds"), store.bandit, plan.base_seq, watchers.gone)
    return plan


async def _folded(store: Store, plan: Retained) -> list[tuple[BanditSpec, Base]]:
    async with store.snapshot() as connection:
        documents = await store.raw_specs(connection)
        specs = [spec_from(document) for document in documents.values()]
        wanted = list({(spec.encoding, spec.bucket_rows): spec for spec in specs}.values())
        guardrails = await guardrail_events(connection, store.bandit)
        folds = []
        for spec in wanted:
            base = await read_base(connection, spec)
            fold = Fold(Learner(spec))
            fold.restore(base.seq, base.blocks, guardrails)
            folds.append(fold)
        # The contexts are wanted where rows have to be encoded anew.
        encoding = wanted[0].encoding if len({spec.encoding for spec in wanted}) == 1 else ""
        seq = plan.before
        while seq < plan.base_seq:
            limit = min(_PAGE, plan.base_seq - seq)
            page = await connection.fetch(query("log_after"), store.bandit, seq, limit, encoding)
            await asyncio.to_thread(_absorb, folds, page)
            seq = folds[0].seq
    return [
        (spec, Base(plan.base_seq, [(*name, fold.statistics(name)) for name in fold.names()]))
        for spec, fold in zip(wanted, folds, strict=True)
    ]


def _absorb(folds: Sequence[Fold], page: Sequence[Row]) -> None:
    for row in page:
        context = None if row["context"] is None else json.loads(row["context"])
        for fold in folds:
            fold.absorb(any_row_from(row), context)


async def _drop_month(stores: Sequence[Store], month: date) -> dict[str, int]:
    """Drop the partitions of a month where nothing needs them; how many decisions went, by bandit."""
    bandits = [store.bandit for store in stores]
    windows = [store.own_spec.reward.window_s for store in stores]
    for tried in range(_TRIES):
        try:
            async with stores[0].pool.acquire() as connection, connection.transaction():
                await connection.execute(query("no_limits"))
                rows = await connection.fetch(query("drop_month"), month, bandits, windows, timeout=_LONG_S)
                for row in rows:
                    await connection.execute(query("count_dropped"), row["of_bandit"], row["decisions"])
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if tried == _TRIES - 1:
                return {}  # in use: its rows are deleted one by one
            await asyncio.sleep(_DELAY_S * 2**tried)
        else:
            return {row["of_bandit"]: row["decisions"] for row in rows}
    return {}


async def _delete(store: Store, cutoff: float) -> tuple[int, int]:
    """Delete what is below the base and not needed, a page a transaction; how many decisions and rows."""
    decisions = rows = 0
    while True:
        async with store.pool.acquire() as connection, connection.transaction():
            # Under the lock: whoever reports on one of these has written its row, or finds the decision gone.
            await store.lock(connection)
            (gone,) = await connection.fetch(
                query("drop_decisions"),
                store.bandit,
                cutoff,
                store.own_spec.reward.window_s,
                _DROPPED_AT_ONCE,
            )
            if gone["decisions"]:
                await connection.execute(query("count_dropped"), store.bandit, gone["decisions"])
        decisions, rows = decisions + gone["decisions"], rows + gone["rows"]
        if gone["decisions"] < _DROPPED_AT_ONCE:
            return decisions, rows
