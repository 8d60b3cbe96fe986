"""One bandit's rows in Postgres: appended in one transaction a batch, read back in order."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from ..bandit import BanditSpec, Decision
from ..bandit.log import ABANDONMENT, RewardRow, RowText
from ..bandit.same import same_choice
from ..bandit.settle import settle
from ..errors import DecisionUnknown, DocumentInvalid, NyxError, RewardTooLate
from ..rewards import Adoption, reference_for
from .base import StoredBlock, read_base
from .batch import Batch, days_of, decision_conflict
from .checkpoints import Checkpoints
from .database import snapshot
from .log_reader import LogReader
from .partitions import prepare_partitions
from .queries import Connection, query
from .rows import decision_columns, decision_from, log_columns, spec_from

__all__ = ["Batch", "Store", "StoredBlock", "decision_conflict"]

_STRIPES = 64


class Store:
    """One bandit on a pool of connections: ``log`` reads it, ``sums`` keeps its sums, ``commit`` appends."""

    def __init__(self, pool: asyncpg.Pool, spec: BanditSpec) -> None:
        self.pool, self.own_spec = pool, spec
        self.bandit, self.encoding = spec.name, spec.encoding
        self.log, self.sums = LogReader(pool, spec.name, spec.encoding), Checkpoints(pool, spec)
        self._specs: dict[str, BanditSpec] = {spec.spec_hash: spec}
        self._adopted_seq = 0
        self.adopted: tuple[Adoption, ...] = ()
        """The adoptions, as of the last time that ``lock`` was called."""
        self.base_seq = 0
        """Rows up to here may be dropped, as of the last time that ``lock`` was called."""
        self._stripe = secrets.randbelow(_STRIPES)
        self._giving: set[asyncio.Task[None]] = set()
        self._last: int | None = None  # the last number, where this process wrote it
        self.alone = True
        """False where another process has written since this one did, when it was last looked at."""

    async def register(self) -> None:
        """Make the bandit and this spec known; a no-op when they are."""
        document = json.dumps(self.own_spec.to_dict())
        await self.make_partitions()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(query("register_bandit"), self.bandit)
            await read_base(connection, self.own_spec)  # refuses what can no longer be folded
            await connection.execute(query("register_spec"), self.bandit, self.own_spec.spec_hash, document)
            await self.sums.register(connection)

    async def make_partitions(self) -> None:
        """Make the partitions of this month and the next, where they are missing."""
        async with self.pool.acquire() as connection:
            await prepare_partitions(connection)

    async def spec(self, spec_hash: str, connection: Connection | None = None) -> BanditSpec | None:
        """A spec that decided for this bandit; None if it is not stored.

        Raises
        ------
        DocumentInvalid, SpecInvalid : another version wrote it, or it was changed.
        """
        if spec_hash not in self._specs:
            # On the caller's connection: who waits for a second one while holding one can wait for ever.
            document = await (connection or self.pool).fetchval(query("spec"), self.bandit, spec_hash)
            if document is None:
                return None
            spec = spec_from(document)
            if spec.spec_hash != spec_hash:
                raise DocumentInvalid(
                    f"a stored spec of bandit '{self.bandit}' is not what was written",
                    expected=f"a document with hash {spec_hash}",
                    found=f"hash {spec.spec_hash}",
                    fix="restore the row of nyx.spec from a backup",
                )
            self._specs[spec_hash] = spec
        return self._specs[spec_hash]

    async def raw_specs(self, connection: Connection) -> dict[str, str]:
        """Every spec that ever decided for this bandit as it is stored, by hash."""
        return {
            row["spec_hash"]: row["document"] for row in await connection.fetch(query("specs"), self.bandit)
        }

    async def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction; filling in ``batch`` is safe to repeat after a failure.

        Decisions alone, and rewards where nobody else has written since this process did, are one statement.
        """
        batch.stored, batch.appended, batch.known, batch.refused = {}, [], {}, {}
        reported = bool(batch.rewards or batch.abandoned)
        async with self._lent() as connection:
            if not reported:
                await self._insert_decisions(connection, batch)
                return
            drafts = await self._drafts(connection, batch)
            mine, self._last = self._last, None
            if (
                not batch.decisions
                and mine is not None
                and self.alone
                and await self._append_next(connection, batch, drafts, mine)
            ):
                self._last = mine + len(batch.appended)
                return
            async with connection.transaction():
                await self._insert_decisions(connection, batch)
                for key in batch.decisions.keys() & drafts.keys():
                    stored = batch.stored.get(key)
                    if stored is not None and not same_choice(stored, batch.decisions[key]):
                        batch.refused[key] = decision_conflict(stored, batch.decisions[key])
                last = await self._append(connection, batch, drafts)
        self.alone = mine in {None, last}
        self._last = last + len(batch.appended)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        """A connection that is given back behind the block, and nobody waits for that."""
        connection = await self.pool.acquire()
        try:
            yield connection
        finally:
            giving = asyncio.create_task(self.pool.release(connection))
            self._giving.add(giving)
            giving.add_done_callback(self._given)

    def _given(self, giving: asyncio.Task[None]) -> None:
        self._giving.discard(giving)
        if not giving.cancelled():
            giving.exception()  # whose connection is broken is not used again

    async def _drafts(self, connection: Connection, batch: Batch) -> dict[str, RewardRow]:
        if not batch.abandoned:
            return dict(batch.rewards)
        drafts = dict(batch.rewards)
        for key, time in batch.abandoned.items():
            decision = batch.targets[key]
            spec = await self.spec(decision.spec_hash, connection) or self.own_spec
            drafts[key] = RewardRow.bare(decision, spec.encoding, time, ABANDONMENT)
        return drafts

    async def _insert_decisions(self, connection: Connection, batch: Batch) -> None:
        if not batch.decisions:
            return
        # Sorted: two writers that insert overlapping ids in different orders would deadlock.
        keys = sorted(batch.decisions)
        ordered = [batch.decisions[key] for key in keys]
        texts = [batch.decision_texts.get(d.decision_id) or d.spelled() for d in ordered]
        own, encodings = self.own_spec.spec_hash, []
        for decision in ordered:
            spec = None if decision.spec_hash == own else await self.spec(decision.spec_hash, connection)
            encodings.append(self.encoding if spec is None else spec.encoding)
        columns = decision_columns(ordered, texts, encodings)
        rows = await connection.fetch(query("insert_decisions"), self.bandit, self._stripe, *columns)
        batch.stored = dict(batch.decisions)
        if len(rows) < len(ordered):
            inserted = {row["decision_id"] for row in rows}
            others = [key for key in keys if key not in inserted]
            for key in others:
                del batch.stored[key]
            # Committed by now: the insert waited for whoever was writing them.
            known = await self._decisions(connection, others)
            batch.stored.update(known)
            # The id stays taken.
            batch.refused.update((key, self._dropped(key)) for key in others if key not in known)

    async def _append(self, connection: Connection, batch: Batch, drafts: Mapping[str, RewardRow]) -> int:
        """Append under the lock; returns the last number before."""
        last = await self.lock(connection)
        if not batch.refused and await self._append_next(connection, batch, drafts, last):
            return last
        keys = sorted(drafts)
        await self._refuse_dropped(connection, batch, keys)
        histories = await self.log.histories(connection, keys, batch.span(keys))
        batch.appended, texts = self._settled(batch, drafts, histories, last)
        await self.write_rows(connection, batch.appended, batch.targets, texts)
        return last

    async def _append_next(
        self, connection: Connection, batch: Batch, drafts: Mapping[str, RewardRow], last: int
    ) -> bool:
        """Append in one statement, if the log ends at ``last`` and has nothing about these decisions.

        Whoever was told of the number ``last`` sees all rows up to it; where it is the last one still, and
        locked, there are no others. So what the statement sees is the whole log.
        """
        if any(target.state_seq < self.base_seq for target in batch.targets.values()):
            return False  # retention may have dropped it
        rows, texts = self._settled(batch, drafts, {}, last)
        if len(rows) < len(drafts):
            batch.refused, batch.known = {}, {}
            return False
        done = await connection.execute(
            query("append_next"),
            self.bandit,
            *log_columns(rows, texts, days_of(rows, batch.targets)),
            last,
            last + len(rows),
            self._adopted_seq,
            self.base_seq,
            *batch.span(drafts),
        )
        if done != f"INSERT 0 {len(rows)}":
            return False
        batch.appended = rows
        return True

    def _settled(
        self,
        batch: Batch,
        drafts: Mapping[str, RewardRow],
        histories: Mapping[str, Sequence[RewardRow]],
        last: int,
    ) -> tuple[list[RewardRow], list[RowText]]:
        """The rows that the drafts become behind row ``last``, numbered, and as they are spelled.

        What does not become one is put among the batch's ``known`` or ``refused``.
        """
        fresh: list[RewardRow] = []
        texts: list[RowText] = []
        for key in sorted(drafts):
            if key in batch.refused:
                continue
            target, draft = batch.targets[key], drafts[key]
            references = reference_for(self.adopted, target.state_seq, now_seq=last) if self.adopted else None
            try:
                row = settle(draft, histories.get(key, ()), target, self.own_spec, references)
            except NyxError as error:
                batch.refused[key] = error
                continue
            if row.seq:
                batch.known[key] = row
            else:
                text = batch.texts.get(key) if row is draft else None
                texts.append(row.spelled() if text is None else text)
                fresh.append(row.numbered(last + len(fresh) + 1))
        return fresh, texts

    async def _refuse_dropped(self, connection: Connection, batch: Batch, keys: Sequence[str]) -> None:
        """Refuse reports on decisions that retention dropped since; only old ones are looked at."""
        old = [k for k in keys if k not in batch.stored and batch.targets[k].state_seq < self.base_seq]
        if old:
            there = await self._decisions(connection, old)
            batch.refused.update((key, self._dropped(key)) for key in old if key not in there)

    def _dropped(self, decision_id: str) -> RewardTooLate:
        return RewardTooLate(
            f"decision '{decision_id}' was dropped by retention",
            expected="a decision that is stored, or an id that was never used",
            found=f"an id of bandit '{self.bandit}' that is taken, and no decision behind it",
            fix="keep decisions for longer than their outcomes take, and use a new id for a new decision",
        )

    async def lock(self, connection: Connection) -> int:
        """Lock the bandit's row; returns the last number, and knows all adoptions up to it."""
        # In a statement of its own: the next statement then sees all that was committed before the lock was
        # granted.
        row = await connection.fetchrow(query("lock_bandit"), self.bandit)
        last, adopted, self.base_seq = (0, 0, 0) if row is None else row
        if adopted != self._adopted_seq:
            self.adopted = await self.log.adoptions(connection)
            self._adopted_seq = adopted
        return int(last)

    async def write_rows(
        self,
        connection: Connection,
        rows: Sequence[RewardRow],
        decisions: Mapping[str, Decision],
        texts: Sequence[RowText] | None = None,
    ) -> None:
        """Append numbered rows, under the lock.

        ``decisions`` : those that they are about, by id. ``texts`` : as they are spelled, where it is known.
        """
        if rows:
            texts = [row.spelled() for row in rows] if texts is None else texts
            columns = log_columns(rows, texts, days_of(rows, decisions))
            await connection.execute(query("append_rewards"), self.bandit, *columns, rows[-1].seq)

    async def decisions(
        self, ids: Sequence[str], connection: Connection | None = None
    ) -> dict[str, Decision]:
        """The stored decisions among these ids."""
        if connection is not None:
            return await self._decisions(connection, ids)
        async with self.pool.acquire() as own:
            return await self._decisions(own, ids)

    async def decision(self, decision_id: str) -> Decision:
        """The stored decision; ``DecisionUnknown`` (retryable) if there is none yet."""
        async with self.pool.acquire() as connection:
            found = await self._decisions(connection, [decision_id])
            if not found and await connection.fetchval(query("key_digest"), self.bandit, decision_id):
                raise self._dropped(decision_id)
        if decision_id not in found:
            raise DecisionUnknown(
                f"no decision '{decision_id}' is stored for bandit '{self.bandit}'",
                expected="the id of a decision that was selected before",
                found=repr(decision_id),
                fix="retry if another process is just deciding it, or pass the Decision itself",
            )
        return found[decision_id]

    async def _decisions(self, connection: Connection, ids: Sequence[str]) -> dict[str, Decision]:
        rows = await connection.fetch(query("decisions_by_id"), self.bandit, list(ids))
        found = {}
        for row in rows:
            spec = await self.spec(row["spec_hash"], connection)
            if spec is not None:  # a foreign key sees to that
                found[row["decision_id"]] = decision_from(row, spec)
        return found

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Give a connection on which several reads agree with each other."""
        return snapshot(self.pool)
