"""Scores of executions, written into a table of thought trees that the user's database already has.

The table's name comes from outside, so it is looked up in the catalogue, and the catalogue quotes it: the
statement is made by Postgres, from names and types that exist. Rows are queued and written many in one
statement; the same id twice before a write is written once, the later scores.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from ..errors import DatabaseRefused, DatabaseUnavailable, InputInvalid, NyxError, Overloaded, shown
from ..rewards import ScoringResult
from ..rewards.numbers import unit
from .database import reaching, unavailable
from .queries import query

__all__ = ["COLUMNS", "ThoughtTrees", "ThoughtTreesWritten", "TreeId"]

TreeId: TypeAlias = UUID | str | int
"""Id of a thought tree, of the type of the table's key."""

COLUMNS = ("success_score", "quality_score", "speed_score", "usefulness_score", "overall_weight")
"""The columns that are written; a score that is missing becomes NULL."""

_LOG = logging.getLogger("nyx_learning")
_PART = re.compile(r"[^\W\d][\w$]{0,62}")
_BATCH = 2000
_MOST_WAITING = 50_000
_MOST_MISSING = 10_000
_DELAY_S = 0.1
_CLOSE_S = 15.0
_INTEGERS = {"smallint": 1 << 15, "integer": 1 << 31, "bigint": 1 << 63}

_Scores: TypeAlias = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ThoughtTreesWritten:
    """What became of scores: how many rows were updated, and the ids that the table does not have.

    A queue remembers the first 10,000 of these.
    """

    updated: int
    missing: tuple[str, ...]


class ThoughtTrees:
    """The queue in front of one table.

    Parameters
    ----------
    pool : connections to the database. table : ``name`` or ``schema.name``, in the letters that the catalogue
        has; without a schema the search path decides. key : the column with the ids: ``uuid``, text or an
        integer. patience_s : for so long a statement is tried again while the database is away.

    Raises
    ------
    InputInvalid : a name that no table or column can have. Whether the table is there and has the columns,
        the first write tells.
    """

    def __init__(
        self, pool: asyncpg.Pool, table: str = "thought_trees", *, key: str = "id", patience_s: float = 5.0
    ) -> None:
        parts = table.split(".") if isinstance(table, str) else []
        if not 1 <= len(parts) <= 2 or not all(_PART.fullmatch(part) for part in (*parts, key)):
            raise InputInvalid(
                "the name of the thought trees' table is none",
                expected="'table' or 'schema.table', and a column: letters, digits and underscores",
                found=f"{shown(table)}, column {shown(key)}",
                fix="pass the names as the catalogue spells them, without quotes",
            )
        self._pool, self._patience_s = pool, patience_s
        self._schema, self._table, self._key = (parts[0] if len(parts) == 2 else None), parts[-1], key
        self._statement: tuple[str, str] | None = None
        self._waiting: dict[str, _Scores] = {}
        self._writer: asyncio.Task[None] | None = None
        self._updated = 0
        self._missing: list[str] = []
        self._failed: NyxError | None = None

    async def update(self, thought_tree_id: TreeId, scores: ScoringResult) -> None:
        """Queue the scores of one thought tree, and return; a writer behind the scenes stores them.

        Only where tens of thousands are waiting, this waits too.

        Raises
        ------
        InputInvalid, OutcomeInvalid : an id or a score that cannot be written.
        Overloaded (retryable) : the database has not taken what waits; these scores were not queued.
        """
        key, checked = _spelled(thought_tree_id), _checked(scores)
        if len(self._waiting) >= _MOST_WAITING and key not in self._waiting:
            self._start()
            if self._writer is not None:
                await asyncio.wait([self._writer])
            if len(self._waiting) >= _MOST_WAITING:
                raise Overloaded(
                    "too many scores of thought trees are waiting for the database",
                    expected=f"fewer than {_MOST_WAITING}",
                    found=str(len(self._waiting)),
                    fix="send them again when the database answers",
                )
        self._waiting[key] = checked
        self._start()

    async def update_many(self, scores: Mapping[Any, ScoringResult]) -> ThoughtTreesWritten:
        """Write the scores of many thought trees, 2,000 in one statement, and say which were not there.

        All are checked before any is written.

        Raises
        ------
        InputInvalid, OutcomeInvalid : an id or a score that cannot be written, or the table is not usable.
        DatabaseUnavailable, DatabaseRefused : the database did not take them; all may be sent again.
        """
        rows = {_spelled(tree): _checked(result) for tree, result in scores.items()}
        return await self._write(rows)

    async def flush(self) -> ThoughtTreesWritten:
        """Write all that is queued; what has become of it since the last call.

        Raises
        ------
        InputInvalid, DatabaseRefused : a write was refused; its rows are dropped.
        DatabaseUnavailable : the database is away; the rows stay queued.
        """
        self._start()
        if self._writer is not None:
            await asyncio.shield(self._writer)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        written = ThoughtTreesWritten(self._updated, tuple(self._missing))
        self._updated, self._missing = 0, []
        return written

    async def close(self) -> None:
        """Write what is queued; what cannot be written is told in the log."""
        try:
            await asyncio.wait_for(self.flush(), _CLOSE_S)
        except (NyxError, TimeoutError) as error:
            _LOG.error("scores of thought trees were not written (%d wait): %r", len(self._waiting), error)
        finally:
            if self._writer is not None:
                self._writer.cancel()
                await asyncio.wait([self._writer])

    def _start(self) -> None:
        if self._waiting and (self._writer is None or self._writer.done()):
            self._writer = asyncio.create_task(self._drain(), name="nyx-thought-trees")

    async def _drain(self) -> None:
        while self._waiting:
            taken = dict(islice(self._waiting.items(), _BATCH))
            for key in taken:
                del self._waiting[key]
            try:
                written = await self._write(taken)
            except DatabaseUnavailable as error:
                self._waiting = {**taken, **self._waiting}  # what came meanwhile is newer
                self._failed = error
                return
            except (NyxError, asyncpg.InterfaceError) as error:
                told = error if isinstance(error, NyxError) else unavailable(str(error))
                _LOG.warning("scores of %d thought trees were not written: %s", len(taken), told)
                self._failed = told
            else:
                self._updated += written.updated
                self._missing += written.missing[: _MOST_MISSING - len(self._missing)]
                if written.missing:
                    _LOG.warning(
                        "%d thought trees with scores are not in table '%s', for example '%s'",
                        len(written.missing),
                        self._table,
                        written.missing[0],
                    )

    async def _write(self, rows: Mapping[str, _Scores]) -> ThoughtTreesWritten:
        if not rows:
            return ThoughtTreesWritten(0, ())
        statement, kind = self._statement or await self._insisted(self._looked_up)
        self._statement = statement, kind
        # In one order everywhere, so that two writers seldom wait for each other crosswise.
        fitted = {_fitting(key, kind): scores for key, scores in rows.items()}
        listed = sorted(fitted.items())
        found: set[str] = set()
        for begin in range(0, len(listed), _BATCH):
            page = listed[begin : begin + _BATCH]
            ids = [key for key, _ in page]
            columns = [[scores[i] for _, scores in page] for i in range(len(COLUMNS))]
            updated = await self._insisted(lambda: self._pool.fetch(statement, ids, *columns))  # noqa: B023 (awaited at once)
            found.update(row["id"] for row in updated)
        return ThoughtTreesWritten(len(found), tuple(key for key, _ in listed if key not in found))

    async def _looked_up(self) -> tuple[str, str]:
        """The statement for the table as the catalogue has it, and the type of its key."""
        row = await self._pool.fetchrow(
            query("thought_trees_statement"), self._schema, self._table, self._key, list(COLUMNS)
        )
        name = self._table if self._schema is None else f"{self._schema}.{self._table}"
        needed = {self._key, *COLUMNS}
        lacking = sorted(needed - set(row["columns"])) if row is not None else []
        if row is None or lacking:
            raise InputInvalid(
                f"the table '{name}' cannot take scores of thought trees",
                expected=f"an existing table with the columns {', '.join(sorted(needed))}",
                found="no such table" if row is None else f"a table without {', '.join(lacking)}",
                fix="name the table that holds the thought trees, or add the columns",
            )
        return str(row["statement"]), str(row["kind"])

    async def _insisted(self, run: Any) -> Any:
        """Run a statement, repeatedly while the database is away: the same update twice does no harm."""
        deadline = clock.monotonic() + self._patience_s
        while True:
            try:
                with reaching():
                    return await run()
            except DatabaseUnavailable as error:
                closed = isinstance(error.__cause__, asyncpg.InterfaceError)
                if closed or clock.monotonic() + _DELAY_S > deadline:
                    raise
                await asyncio.sleep(_DELAY_S)
            except DatabaseRefused:
                self._statement = None  # the table may have been made anew: it is looked up the next time
                raise


def _spelled(tree: TreeId) -> str:
    if isinstance(tree, UUID) or type(tree) is int:
        return str(tree)
    if isinstance(tree, str) and 0 < len(tree) <= 1000 and tree.isprintable():
        return tree
    raise InputInvalid(
        "the id of a thought tree is unusable",
        expected="a UUID, an integer, or a printable string",
        found=shown(tree),
        fix="pass the id as the table has it",
    )


def _fitting(key: str, kind: str) -> str:
    """The id as a column of this type spells it."""
    try:
        if kind == "uuid":
            return str(UUID(key))
        if kind in _INTEGERS and not -_INTEGERS[kind] <= int(key) < _INTEGERS[kind]:
            raise ValueError(key)  # noqa: TRY301 (one error for all that does not fit)
        return str(int(key)) if kind in _INTEGERS else key
    except ValueError:
        raise InputInvalid(
            "the id of a thought tree is not of the type of the table's key",
            expected=f"a value of type {kind}",
            found=shown(key),
            fix="pass the ids as the table has them",
        ) from None


def _checked(scores: ScoringResult) -> _Scores:
    if not isinstance(scores, ScoringResult):
        raise InputInvalid(
            "the scores of a thought tree are none",
            expected="a ScoringResult, as PerformanceScorer.score_execution returns it",
            found=shown(scores),
            fix="score the execution, and pass the result",
        )
    values = (getattr(scores, name) for name in COLUMNS)
    return tuple(
        None if value is None else unit(name, value) for name, value in zip(COLUMNS, values, strict=True)
    )
