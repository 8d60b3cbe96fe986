"""One bandit's rows in Postgres: appended in one transaction a batch, read back in order."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import asyncpg

from ..bandit import BanditSpec, Decision
from ..bandit.decision import DecisionText
from ..bandit.log import ABANDONMENT, LogRow, RewardRow, RowText
from ..bandit.same import same_choice
from ..bandit.settle import settle
from ..errors import DecisionConflict, DecisionUnknown, DocumentInvalid, NyxError, RewardTooLate
from ..rewards import Adoption, Reward, reference_for
from ..rewards import RewardRow as PricedRow
from .base import Base, StoredBlock, read_base
from .pages import LogPage, page_from
from .partitions import prepare_partitions
from .queries import Connection, query
from .rows import (
    Row,
    adoption_from,
    any_row_from,
    array_text,
    day_of,
    decision_columns,
    decision_from,
    log_columns,
    log_row_from,
    spec_from,
)

__all__ = ["Batch", "Store", "StoredBlock", "decision_conflict"]

_STRIPES = 64
_PAGE = 1000


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

    decisions: Mapping[str, Decision]
    rewards: Mapping[str, RewardRow]
    targets: Mapping[str, Decision] = field(default_factory=dict)
    abandoned: Mapping[str, float] = field(default_factory=dict)
    decision_texts: Mapping[str, DecisionText] = field(default_factory=dict)
    texts: Mapping[str, RowText] = field(default_factory=dict)
    stored: dict[str, Decision] = field(default_factory=dict)
    appended: list[RewardRow] = field(default_factory=list)
    known: dict[str, RewardRow] = field(default_factory=dict)
    refused: dict[str, NyxError] = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        """The highest number among the rows of this batch; 0 without any."""
        return max((row.seq for row in (*self.appended, *self.known.values())), default=0)


class Store:
    """Reads and writes of one bandit on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool, spec: BanditSpec) -> None:
        self.pool, self.own_spec = pool, spec
        self.bandit, self.encoding = spec.name, spec.encoding
        self._specs: dict[str, BanditSpec] = {spec.spec_hash: spec}
        self._adopted_seq = 0
        self.adopted: tuple[Adoption, ...] = ()
        """The adoptions, as of the last time that ``lock`` was called."""
        self.base_seq = 0
        """Rows up to here may be dropped, as of the last time that ``lock`` was called."""
        self._stripe = secrets.randbelow(_STRIPES)
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
            await connection.execute(
                query("start_checkpoint"), self.bandit, self.encoding, self.own_spec.bucket_rows
            )

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
        async with self.pool.acquire() as connection:
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
        histories = await self.histories(connection, keys, _span(batch, keys))
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
            *log_columns(rows, texts, _days_of(rows, batch.targets)),
            last,
            last + len(rows),
            self._adopted_seq,
            self.base_seq,
            *_span(batch, drafts),
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
            self.adopted = await self.adoptions(connection)
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
            columns = log_columns(rows, texts, _days_of(rows, decisions))
            await connection.execute(query("append_rewards"), self.bandit, *columns, rows[-1].seq)

    async def histories(
        self, connection: Connection | None, ids: Sequence[str], days: tuple[date, date] | None = None
    ) -> dict[str, list[RewardRow]]:
        """The rows about each of these decisions that has any, in the order of the sequence.

        ``days`` : the first and the last day on which they were decided; looked up where None.
        """
        found: dict[str, list[RewardRow]] = {}
        source = connection or self.pool
        if days is None:
            (between,) = await source.fetch(query("decided_between"), self.bandit, list(ids))
            days = between[0], between[1]
        rows = await source.fetch(query("rewards_by_decision"), self.bandit, list(ids), *days)
        for row in rows:
            found.setdefault(row["decision_id"], []).append(log_row_from(row))
        return found

    async def adoptions(self, connection: Connection | None = None) -> tuple[Adoption, ...]:
        """All adoptions of references, in the order of the sequence."""
        rows = await (connection or self.pool).fetch(query("adoptions"), self.bandit)
        return tuple(adoption_from(row).adoption for row in rows)

    async def adopted_seq(self, connection: Connection) -> int:
        """The number of the last adoption, as the bandit's row has it."""
        return int(await connection.fetchval(query("adopted_seq"), self.bandit) or 0)

    async def due(self, now: float, window_s: float) -> list[str]:
        """Ids of the decisions whose window has passed in silence, sorted."""
        due: list[str] = []
        while True:
            page = await self.pool.fetch(
                query("due_decisions"), self.bandit, now, window_s, due[-1] if due else "", _PAGE
            )
            due += [row["decision_id"] for row in page]
            if len(page) < _PAGE:
                return due

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

    async def last_seq(self, connection: Connection | None = None) -> int:
        """Number of the last row of the log."""
        return int(await (connection or self.pool).fetchval(query("last_seq"), self.bandit) or 0)

    async def log_after(self, seq: int, limit: int) -> list[tuple[LogRow, dict[str, Any] | None]]:
        """Rows above ``seq`` in order; with the decision's context where φ is of another encoding."""
        rows = await self.pool.fetch(query("log_after"), self.bandit, seq, limit, self.encoding)
        return [
            (any_row_from(row), None if row["context"] is None else json.loads(row["context"]))
            for row in rows
        ]

    async def log_page(self, seq: int, limit: int, dimension: int) -> LogPage:
        """Rows above ``seq``, in columns where their φ is of this encoding and ``dimension`` numbers long."""
        found = await self.pool.fetch(query("log_page"), self.bandit, seq, limit, self.encoding, dimension)
        return page_from(found[0], dimension)

    async def log_rows(self, seqs: Sequence[int]) -> list[tuple[LogRow, dict[str, Any] | None]]:
        """The rows with these numbers, as ``log_after`` tells them."""
        if not seqs:
            return []
        rows = await self.pool.fetch(query("log_rows"), self.bandit, seqs, self.encoding)
        return [
            (any_row_from(row), None if row["context"] is None else json.loads(row["context"]))
            for row in rows
        ]

    async def raw_log(self, connection: Connection, after: int = 0) -> list[Row]:
        """The log behind row ``after`` as it is stored, for ``verify``."""
        return list(await connection.fetch(query("log_after"), self.bandit, after, None, ""))

    async def raw_decisions(self, connection: Connection) -> list[Row]:
        """All decisions as they are stored, by what was known when they were made."""
        return list(await connection.fetch(query("decisions_by_state"), self.bandit))

    async def counted_decisions(self, connection: Connection) -> int:
        """How many decisions were counted when they were written."""
        return int(await connection.fetchval(query("counted_decisions"), self.bandit))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Give a connection on which several reads agree with each other."""
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def rewards_in_force(self) -> list[tuple[PricedRow, str]]:
        """The reward of each decision that has one, as it is now, and its state; ordered by decision id."""
        found = []
        async with self.snapshot() as connection:
            async for row in connection.cursor(query("rewards_in_force"), self.bandit, prefetch=2000):
                pricing = json.loads(row["pricing"])
                reward = Reward.from_dict(pricing)._replace(value=row["reward"])
                context = json.loads(row["context"])
                priced = PricedRow(row["decision_id"], row["arm_id"], context, reward)
                found.append((priced, row["state"]))
        return found

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored."""
        return dict(*await self.pool.fetch(query("counts"), self.bandit))

    async def save_sums(self, take: Callable[[int], tuple[int, Iterable[StoredBlock]]]) -> int:
        """Store the sums; returns the row that the stored sums go up to.

        ``take(stored)`` is called under the checkpoint's lock with the row that the stored sums go up to, and
        gives the row that the new ones go up to, and the blocks that changed between.
        """
        key = (self.bandit, self.encoding, self.own_spec.bucket_rows)
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(query("start_checkpoint"), *key)
            stored = int(await connection.fetchval(query("lock_checkpoint"), *key))
            seq, taken = take(stored)
            # Spelled out before the next await: the blocks go on changing.
            blocks = [(arm, epoch, bucket, array_text(numbers)) for arm, epoch, bucket, numbers in taken]
            if seq <= stored:
                return stored
            await connection.execute(
                query("write_sums"), *key, *([block[i] for block in blocks] for i in range(4))
            )
            await connection.execute(query("advance_checkpoint"), *key, seq)
        return seq

    async def load_sums(self) -> tuple[int, int, list[StoredBlock]]:
        """The last row of the log, the row that the stored sums go up to, and the sums."""
        async with self.snapshot() as connection:
            return await self.last_seq(connection), *await self.read_sums(connection, self.own_spec)

    async def load_base(self) -> Base:
        """The sums of what may be dropped: a fold of the log starts from them."""
        async with self.snapshot() as connection:
            return await read_base(connection, self.own_spec)

    async def read_sums(self, connection: Connection, spec: BanditSpec) -> tuple[int, list[StoredBlock]]:
        """The row that the stored sums of a spec go up to, and the sums."""
        key = (self.bandit, spec.encoding, spec.bucket_rows)
        seq = await connection.fetchval(query("checkpoint_seq"), *key)
        rows = await connection.fetch(query("read_sums"), *key)
        return int(seq or 0), [(r["arm_id"], r["epoch"], r["bucket"], r["statistics"]) for r in rows]


def _days_of(rows: Sequence[RewardRow], decisions: Mapping[str, Decision]) -> list[date]:
    return [day_of(decisions[row.decision_id].time) for row in rows]


def _span(batch: Batch, keys: Iterable[str]) -> tuple[date, date]:
    """The first and the last day on which the decisions of these rows were made."""
    days = {day_of(batch.targets[key].time) for key in keys}
    return min(days), max(days)


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
