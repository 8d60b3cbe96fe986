"""One bandit's log as it is read: in order, by number, by decision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import asyncpg

from ..bandit.log import LogRow, RewardRow
from ..rewards import Adoption, Reward
from ..rewards import RewardRow as PricedRow
from .database import snapshot
from .pages import LogPage, page_from
from .queries import Connection, query
from .rows import adoption_from, any_row_from, log_row_from

__all__ = ["LogReader"]

_PAGE = 1000


class LogReader:
    """Reads of one bandit's log; rows come with their contexts where φ is of another encoding than this."""

    def __init__(self, pool: asyncpg.Pool, bandit: str, encoding: str) -> None:
        self.pool, self.bandit, self.encoding = pool, bandit, encoding

    async def last_seq(self, connection: Connection | None = None) -> int:
        """Number of the last row of the log."""
        return int(await (connection or self.pool).fetchval(query("last_seq"), self.bandit) or 0)

    async def window(self, seq: int) -> tuple[int, int, str | None]:
        """Numbers of the last row and of the base; and what tells row ``seq`` from any other, None without
        it.
        """
        row = await self.pool.fetchrow(query("log_window"), self.bandit, seq)
        return (0, 0, None) if row is None else (row["last_seq"], row["base_seq"], row["mark"])

    async def after(self, seq: int, limit: int) -> list[tuple[LogRow, dict[str, Any] | None]]:
        """Rows above ``seq`` in order; with the decision's context where φ is of another encoding."""
        rows = await self.pool.fetch(query("log_after"), self.bandit, seq, limit, self.encoding)
        return [
            (any_row_from(row), None if row["context"] is None else json.loads(row["context"]))
            for row in rows
        ]

    async def page(self, seq: int, limit: int, dimension: int) -> LogPage:
        """Rows above ``seq``, in columns where their φ is of this encoding and ``dimension`` numbers long."""
        found = await self.pool.fetch(query("log_page"), self.bandit, seq, limit, self.encoding, dimension)
        return page_from(found[0], dimension)

    async def rows(self, seqs: Sequence[int]) -> list[tuple[LogRow, dict[str, Any] | None]]:
        """The rows with these numbers, as ``after`` tells them."""
        if not seqs:
            return []
        rows = await self.pool.fetch(query("log_rows"), self.bandit, seqs, self.encoding)
        return [
            (any_row_from(row), None if row["context"] is None else json.loads(row["context"]))
            for row in rows
        ]

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

    async def some_due(self, now: float, window_s: float) -> bool:
        """Whether ``due`` would find any."""
        return bool(await self.pool.fetch(query("due_decisions"), self.bandit, now, window_s, "", 1))

    async def rewards_in_force(self) -> list[tuple[PricedRow, str]]:
        """The reward of each decision that has one, as it is now, and its state; ordered by decision id."""
        found = []
        async with snapshot(self.pool) as connection:
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
