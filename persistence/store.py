"""One bandit's rows in Postgres: appended in one transaction a batch, read back in order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from ..bandit import BanditSpec, Decision
from ..bandit.log import RewardRow
from ..errors import DecisionConflict, DecisionUnknown, NyxError, RewardConflict
from .queries import query
from .rows import array_text, decision_columns, decision_from, log_columns, log_row_from

__all__ = ["Batch", "Store", "StoredBlock"]

StoredBlock: TypeAlias = tuple[str, int, int, Sequence[int]]
"""(arm id, epoch, bucket, statistics)."""


@dataclass(slots=True)
class Batch:
    """What one transaction writes, and what became of it.

    ``decisions`` are those that may not be stored yet. ``stored`` has the canonical decision for each id (an earlier one wins); ``appended`` the rows that got numbers
    here, in order; ``known`` the rows that stood in the log before; ``refused`` an error by decision id.
    """

    decisions: Mapping[str, Decision]
    rewards: Mapping[str, RewardRow]
    stored: dict[str, Decision] = field(default_factory=dict)
    appended: list[RewardRow] = field(default_factory=list)
    known: dict[str, RewardRow] = field(default_factory=dict)
    refused: dict[str, NyxError] = field(default_factory=dict)


class Store:
    """Reads and writes of one bandit on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool, spec: BanditSpec) -> None:
        self._pool, self.own_spec = pool, spec
        self.bandit, self.encoding = spec.name, spec.context.version
        self._specs: dict[str, BanditSpec] = {spec.spec_hash: spec}

    async def register(self) -> None:
        """Make the bandit and this spec known; a no-op when they are."""
        document = json.dumps(self.own_spec.to_dict())
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(query("register_bandit"), self.bandit)
            await connection.execute(query("register_spec"), self.bandit, self.own_spec.spec_hash, document)
            await connection.execute(
                query("start_checkpoint"), self.bandit, self.encoding, self.own_spec.bucket_rows
            )

    async def specs(self) -> dict[str, BanditSpec]:
        """Every spec that ever decided for this bandit, by hash."""
        for row in await self._pool.fetch(query("specs"), self.bandit):
            if row["spec_hash"] not in self._specs:
                self._specs[row["spec_hash"]] = BanditSpec.from_dict(json.loads(row["document"]))
        return self._specs

    async def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction; filling in ``batch`` is safe to repeat after a failure."""
        batch.stored, batch.appended, batch.known, batch.refused = {}, [], {}, {}
        async with self._pool.acquire() as connection, connection.transaction():
            await self._insert_decisions(connection, batch)
            if batch.rewards:
                await self._append_rewards(connection, batch)

    async def _insert_decisions(self, connection: asyncpg.Connection, batch: Batch) -> None:
        if not batch.decisions:
            return
        # Sorted: two writers that insert overlapping ids in different orders would deadlock.
        ordered = [batch.decisions[key] for key in sorted(batch.decisions)]
        columns = decision_columns(ordered, self.encoding)
        rows = await connection.fetch(query("insert_decisions"), self.bandit, *columns)
        inserted = {row["decision_id"] for row in rows}
        batch.stored.update((d.decision_id, d) for d in ordered if d.decision_id in inserted)
        others = [d.decision_id for d in ordered if d.decision_id not in inserted]
        if others:
            batch.stored.update(await self._decisions(connection, others))

    async def _append_rewards(self, connection: asyncpg.Connection, batch: Batch) -> None:
        # The bandit's row is locked in a statement of its own: the next statement then sees all that was
        # committed before the lock was granted.
        last = await connection.fetchval(query("lock_bandit"), self.bandit)
        keys = sorted(batch.rewards)
        for row in await connection.fetch(query("rewards_by_decision"), self.bandit, keys):
            batch.known[row["decision_id"]] = log_row_from(row)
        fresh = []
        for key in keys:
            draft, known = batch.rewards[key], batch.known.get(key)
            stored = batch.stored.get(key)
            if known is not None:
                if not known.same_report(draft):
                    batch.refused[key] = reward_conflict(known, draft)
            elif stored is not None and stored != batch.decisions[key]:
                batch.refused[key] = decision_conflict(stored, batch.decisions[key])
            else:
                fresh.append(draft.numbered(last + len(fresh) + 1))
        if fresh:
            await connection.execute(query("append_rewards"), self.bandit, *log_columns(fresh))
            await connection.execute(query("advance_bandit"), self.bandit, fresh[-1].seq)
        batch.appended = fresh

    async def decision(self, decision_id: str) -> Decision:
        """The stored decision; ``DecisionUnknown`` (retryable) if there is none yet."""
        async with self._pool.acquire() as connection:
            found = await self._decisions(connection, [decision_id])
        if decision_id not in found:
            raise DecisionUnknown(
                f"no decision '{decision_id}' is stored for bandit '{self.bandit}'",
                expected="the id of a decision that was selected before",
                found=repr(decision_id),
                fix="retry if another process is just deciding it, or pass the Decision itself",
            )
        return found[decision_id]

    async def _decisions(self, connection: asyncpg.Connection, ids: Sequence[str]) -> dict[str, Decision]:
        rows = await connection.fetch(query("decisions_by_id"), self.bandit, list(ids))
        if any(row["spec_hash"] not in self._specs for row in rows):
            await self.specs()
        return {row["decision_id"]: decision_from(row, self._specs[row["spec_hash"]]) for row in rows}

    async def last_seq(self, connection: asyncpg.Connection | None = None) -> int:
        """Number of the last row of the log."""
        return int(await (connection or self._pool).fetchval(query("last_seq"), self.bandit) or 0)

    async def log_after(self, seq: int, limit: int) -> list[tuple[RewardRow, dict[str, Any] | None]]:
        """Rows above ``seq`` in order; beside each the decision's context where its φ is of another encoding."""
        rows = await self._pool.fetch(query("log_after"), self.bandit, seq, limit, self.encoding)
        return [
            (log_row_from(row), None if row["context"] is None else json.loads(row["context"])) for row in rows
        ]

    async def raw_log(self, connection: asyncpg.Connection) -> list[asyncpg.Record]:
        """The whole log as it is stored, for ``verify``."""
        return list(await connection.fetch(query("log_after"), self.bandit, 0, None, ""))

    async def raw_decisions(self, connection: asyncpg.Connection) -> list[asyncpg.Record]:
        """All decisions as they are stored, by what was known when they were made."""
        return list(await connection.fetch(query("decisions_by_state"), self.bandit))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection on which several reads agree with each other."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def abandon(self, decision_id: str, reported_at: float | None) -> None:
        """Note that an execution was cancelled."""
        await self._pool.execute(query("abandon"), self.bandit, decision_id, reported_at)

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored."""
        return dict(await self._pool.fetchrow(query("counts"), self.bandit))

    async def save_sums(self, take: Callable[[int], tuple[int, Iterable[StoredBlock]]]) -> int:
        """Store the sums; returns the row that the stored sums go up to.

        ``take(stored)`` is called under the checkpoint's lock with the row that the stored sums go up to, and
        gives the row that the new ones go up to, and the blocks that changed between.
        """
        key = (self.bandit, self.encoding, self.own_spec.bucket_rows)
        async with self._pool.acquire() as connection, connection.transaction():
            stored = int(await connection.fetchval(query("lock_checkpoint"), *key) or 0)
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

    async def load_sums(self) -> tuple[int, list[StoredBlock]]:
        """The stored sums and the row that they go up to."""
        async with self.snapshot() as connection:
            return await self.read_sums(connection)

    async def read_sums(self, connection: asyncpg.Connection) -> tuple[int, list[StoredBlock]]:
        """``load_sums`` inside a snapshot."""
        key = (self.bandit, self.encoding, self.own_spec.bucket_rows)
        seq = await connection.fetchval(query("checkpoint_seq"), *key)
        rows = await connection.fetch(query("read_sums"), *key)
        return int(seq or 0), [(r["arm_id"], r["epoch"], r["bucket"], r["statistics"]) for r in rows]


def reward_conflict(known: RewardRow, draft: RewardRow) -> RewardConflict:
    """The error for a second, different report."""
    return RewardConflict(
        f"decision '{known.decision_id}' has another outcome already",
        expected=f"the outcome of row {known.seq}: reward {known.reward!r}, outcome {known.outcome!r:.120}",
        found=f"reward {draft.reward!r}, outcome {draft.outcome!r:.120}",
        fix="report each decision once; a changed outcome is a correction, not a second report",
    )


def decision_conflict(stored: Decision, given: Decision) -> DecisionConflict:
    """The error for a decision that is not the stored one of its id."""
    return DecisionConflict(
        f"decision '{given.decision_id}' is stored with other content",
        expected=f"the stored decision: arm '{stored.arm_id}', digest {stored.digest}",
        found=f"arm '{given.arm_id}', digest {given.digest}",
        fix="report on the decision that select_arm returned",
    )
