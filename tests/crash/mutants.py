"""Faults that the checks have to find: each breaks one promise, and nothing else.

They are put in by replacing methods in the writers' processes.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from nyx_learning.bandit.settle import settle
from nyx_learning.persistence import store as store_module
from nyx_learning.persistence.replica import Replica
from nyx_learning.persistence.store import Batch, Store

__all__ = ["MUTANTS", "Mutant"]

_LATE_S = 0.06
_UNCOMMITTED_S = 0.15  # a writer that works has such rows at nearly every instant, however busy the machine
_LEFT_BEHIND: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True)
class Mutant:
    """``apply`` puts it into a writer; ``schema`` : what a database without the promise lacks."""

    apply: Callable[[], None]
    schema: str = ""


def _acknowledge_before_commit() -> None:
    """Everybody is told once the rows are sent; COMMIT follows a moment later."""

    async def commit(self: Store, batch: Batch) -> None:
        batch.stored, batch.appended, batch.known, batch.refused = {}, [], {}, {}
        connection = await self.pool.acquire()
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _statements(self, connection, batch)
        except BaseException:
            await transaction.rollback()
            await self.pool.release(connection)
            raise

        async def later() -> None:
            try:
                await asyncio.sleep(_UNCOMMITTED_S)
                await transaction.commit()
            finally:
                await self.pool.release(connection)

        task = asyncio.create_task(later())
        _LEFT_BEHIND.add(task)
        task.add_done_callback(_finished)

    _replace(Store, "commit", commit)


def _no_uniqueness() -> None:
    """Every report counts, also one that came before."""

    def forgetful(draft: Any, _history: Any, *others: Any) -> Any:
        return settle(draft, (), *others)

    _replace(store_module, "settle", forgetful)


def _out_of_order() -> None:
    """Own rows are folded at once, also where other processes' rows stand before them."""
    fold = Replica.fold

    def eager(self: Replica, rows: Any) -> bool:
        if rows and rows[0].seq > self.seq + 1:
            self._fold.learner.sums.seq = rows[0].seq - 1
        return fold(self, rows)

    _replace(Replica, "fold", eager)


def _fold_before_commit() -> None:
    """Rows are folded when they are sent, whether they are committed or not."""
    made: list[Replica] = []
    begin, write_rows = Replica.__init__, Store.write_rows

    def remembered(self: Replica, *arguments: Any) -> None:
        begin(self, *arguments)
        made.append(self)

    async def early(self: Store, connection: Any, rows: Any, *others: Any) -> None:
        await write_rows(self, connection, rows, *others)
        for replica in made[-1:]:
            if rows and replica.fold(rows):
                await asyncio.sleep(_LATE_S)

    async def never(*_: Any) -> bool:
        return False

    _replace(Store, "_append_next", never)  # so that all rows are written there
    _replace(Replica, "__init__", remembered)
    _replace(Store, "write_rows", early)


def _replace(owner: Any, name: str, function: Any) -> None:
    setattr(owner, name, function)


def _finished(task: asyncio.Task[None]) -> None:
    _LEFT_BEHIND.discard(task)
    if not task.cancelled():
        task.exception()


async def _statements(store: Store, connection: Any, batch: Batch) -> None:
    """What ``Store.commit`` does between BEGIN and COMMIT: on a pool that has this one connection."""

    class Inside:
        def acquire(self) -> Any:
            return self

        def __await__(self) -> Generator[None, None, Any]:
            yield from ()
            return connection

        async def release(self, _: Any) -> None:
            return None

        async def __aenter__(self) -> Any:
            return connection

        async def __aexit__(self, *_: object) -> None:
            return None

    alone: Any = copy.copy(store)
    alone.pool = Inside()
    await _COMMIT(alone, batch)


_COMMIT = Store.commit

MUTANTS: Mapping[str, Mutant] = {
    "acknowledge_before_commit": Mutant(_acknowledge_before_commit),
    "no_uniqueness": Mutant(_no_uniqueness, "ALTER TABLE nyx.log DROP CONSTRAINT log_report_key"),
    "out_of_order": Mutant(_out_of_order),
    "fold_before_commit": Mutant(_fold_before_commit),
}
