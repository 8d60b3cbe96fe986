"""A bandit's rows as they are stored, out of one database and into another: a copy, to the last bit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ..bandit import BanditSpec
from ..errors import DocumentInvalid
from .migrations import known_migrations
from .queries import Connection, query
from .store import Store

__all__ = ["TABLES", "StoreInside", "archived", "restore_bandit", "restore_rows", "schema_number"]

TABLES = (
    "spec",
    "decision_key",
    "decision",
    "log",
    "abandoned",
    "counted",
    "checkpoint",
    "sums",
    "base",
    "base_sums",
)
"""What belongs to a bandit, in an order in which it can be inserted. Not: what monitors cache, who holds rows
back from retention, and what was not learned (conflicts).
"""

_PAGE = 1000
_LONG_S = 3600.0


class StoreInside(Store):
    """A store whose reads happen inside a transaction of the caller's."""

    def __init__(self, store: Store, connection: Connection, spec: BanditSpec) -> None:
        super().__init__(store.pool, spec)
        self._inside = connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Give the caller's connection."""
        yield self._inside


def schema_number() -> int:
    """Number of the newest migration: rows can be copied between databases that agree in it."""
    return known_migrations()[-1].number


async def archived(store: Store, connection: Connection, table: str) -> AsyncIterator[list[str]]:
    """The rows of a table, each as JSON, in pages; inside a transaction."""
    await connection.execute(query("exact_numbers"))
    cursor = await connection.cursor(query(f"archived_{table}"), store.bandit)
    while rows := await cursor.fetch(_PAGE):
        yield [row["row"] for row in rows]


async def restore_bandit(connection: Connection, bandit: str, row: str) -> None:
    """Make room for the rows of a bandit, and note where its log stands; ``row`` : of ``nyx.bandit``.

    Raises
    ------
    DocumentInvalid : the database has decisions or rows of this bandit.
    """
    await connection.execute(query("no_time_limits"))
    await connection.execute(query("register_bandit"), bandit)
    if not await connection.fetchval(query("is_untouched"), bandit):
        raise DocumentInvalid(
            f"bandit '{bandit}' cannot be restored: it has a log already",
            expected="a database without decisions of this bandit",
            found="decisions or rewards of this bandit",
            fix="restore into another database, or import an export of decisions (--rows decisions)",
        )
    await connection.execute(query("clear_checkpoints"), bandit)
    await connection.execute(query("restore_bandit"), bandit, row)


async def restore_rows(connection: Connection, table: str, rows: Sequence[str]) -> None:
    """Insert rows, each as JSON, as they are."""
    await connection.execute(query(f"restore_{table}"), f"[{','.join(rows)}]", timeout=_LONG_S)
