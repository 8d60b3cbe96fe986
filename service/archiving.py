"""The full-fidelity form of a log: every row as it is stored, restored only where all of it verifies.

    {"format": "nyx-learning/log", "version": 1, "schema": 7, "bandit": "…", "row": {…}}
    {"table": "spec", "row": {…}}
    …
    {"end": {"spec": 1, "decision_key": 60, …}}

It is JSONL. Corrections, retractions, adoptions, epochs and specs keep their numbers and hashes, so decisions
can be derived again where they were made and where they are restored.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from ..bandit import VerifyReport
from ..errors import DocumentInvalid, LogUnreadable, VerificationFailed
from ..persistence.archive import (
    TABLES,
    StoreInside,
    archived,
    restore_bandit,
    restore_rows,
    schema_number,
)
from ..persistence.database import reaching, refused
from ..persistence.queries import query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from ..simulation.interchange.cells import parse_json
from ..simulation.interchange.reading import opened
from ..simulation.interchange.writing import open_lines
from .exporting import ExportReport
from .verification import verify_log

__all__ = ["Restored", "archive_log", "is_archive", "restore_log"]

_FORMAT, _VERSION = "nyx-learning/log", 1
_PAGE = 1000
_LONGEST = 1 << 26
_BEGIN, _MIDDLE = '{"table":"', '","row":'


@dataclass(frozen=True, slots=True)
class Restored:
    """A bandit that was restored: how many rows of each table, and what ``verify`` said of them."""

    bandit: str
    rows: dict[str, int]
    verified: VerifyReport

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "bandit": self.bandit,
            "restored": True,
            "decisions": self.rows.get("decision", 0),
            "log_rows": self.rows.get("log", 0),
            "rows": dict(self.rows),
            "verified": self.verified.ok,
        }


class _Header(NamedTuple):
    bandit: str
    row: str


async def archive_log(store: Store, path: str | Path) -> ExportReport:
    """Write every row of a bandit as it is stored, of one moment; streamed.

    Raises
    ------
    LogUnwritable : the file cannot be written.
    """
    counts: Counter[str] = Counter()
    with reaching():
        async with store.snapshot() as connection:
            await connection.execute(query("exact_numbers"))
            row = await connection.fetchval(query("archived_bandit"), store.bandit)
            header = {
                "format": _FORMAT,
                "version": _VERSION,
                "schema": schema_number(),
                "bandit": store.bandit,
            }
            with open_lines(path) as writer:
                writer.write([f'{json.dumps(header)[:-1]},"row":{row}}}'])
                for table in TABLES:
                    async for rows in archived(store, connection, table):
                        counts[table] += len(rows)
                        lines = [f"{_BEGIN}{table}{_MIDDLE}{row}}}" for row in rows]
                        await asyncio.to_thread(writer.write, lines)
                writer.write([json.dumps({"end": {table: counts[table] for table in TABLES}})])
    return ExportReport(store.bandit, str(path), "log", sum(counts.values()), counts["log"], 0)


def is_archive(path: str | Path) -> bool:
    """Tell whether a file is what ``archive_log`` wrote.

    Raises
    ------
    LogUnreadable : the file cannot be opened.
    """
    with opened(path) as file:
        return file.read(64).startswith(b'{"format": "nyx-learning/log"')


async def restore_log(pool: asyncpg.Pool, path: str | Path) -> Restored:
    """Restore a bandit into a database that has none of its decisions: all that verifies, or nothing.

    Raises
    ------
    DocumentInvalid : the database has decisions of this bandit, or the file is of another schema, or damaged.
    LogUnreadable : the file is truncated.
    VerificationFailed : the rows are not what a bandit wrote; the first one that differs is named.
    """
    counts: Counter[str] = Counter()
    with closing(_lines(path)) as lines:
        first = await asyncio.to_thread(next, lines, "")
        header = _header(first, path)
        with reaching():
            async with pool.acquire() as connection, connection.transaction():
                await restore_bandit(connection, header.bandit, header.row)
                ended = False
                while page := await asyncio.to_thread(list, islice(lines, _PAGE)):
                    if ended:
                        raise _damaged("lines behind the end")
                    if page[-1].startswith('{"end"'):
                        _check_end(page.pop(), counts, page)
                        ended = True
                    for table, rows in _tables(page, header.bandit):
                        try:
                            await restore_rows(connection, table, rows)
                        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                            raise _damaged(f"rows of {table}: {refused(error).found}") from error
                        counts[table] += len(rows)
                if not ended:
                    raise LogUnreadable(
                        f"{Path(path).name} ends too soon",
                        expected="a last line with the number of rows",
                        found=f"{sum(counts.values()):,} rows",
                        fix="the file is truncated: copy it again",
                    )
                return Restored(header.bandit, dict(counts), await _verified(pool, connection, header.bandit))


async def _verified(pool: asyncpg.Pool, connection: Any, bandit: str) -> VerifyReport:
    document = await connection.fetchval(query("newest_spec"), bandit)
    if document is None:
        raise _damaged("no spec")
    spec = spec_from(document)
    report = await verify_log(StoreInside(Store(pool, spec), connection, spec))
    if not report.ok:
        raise VerificationFailed(
            f"bandit '{bandit}' was not restored: its rows are not what a bandit wrote",
            expected="a log that verifies",
            found=report.first_divergence or "other sums",
            fix="export it again from a database that verifies",
        )
    return report


def _lines(path: str | Path) -> Generator[str, None, None]:
    with opened(path) as file:
        while data := file.readline(_LONGEST):
            yield data.decode().rstrip("\n")


def _header(line: str, path: str | Path) -> _Header:
    try:
        document = parse_json(line)
        bandit, row, schema = document["bandit"], document["row"], document["schema"]
        known = document["format"] == _FORMAT and document["version"] == _VERSION
    except (ValueError, KeyError, TypeError):
        known = False
    if not known or not isinstance(row, dict) or row.get("bandit") != bandit or type(bandit) is not str:
        raise DocumentInvalid(
            f"{Path(path).name} is no copy of a bandit",
            expected=f'a first line with "format": "{_FORMAT}", version {_VERSION}',
            found=f"{line!r:.120}",
            fix="write it with nyx-learning export --rows log",
        )
    if schema != schema_number():
        raise DocumentInvalid(
            f"{Path(path).name} is of another schema",
            expected=f"rows of schema {schema_number()}",
            found=f"rows of schema {schema!r:.20}",
            fix="restore it with the version that wrote it, and let this one migrate the database",
        )
    return _Header(bandit, json.dumps(row))


def _tables(page: list[str], bandit: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of a page by their tables, as they are spelled."""
    for table, lines in groupby(page, key=_table_of):
        rows = []
        for line in lines:
            row = line[len(_BEGIN) + len(table) + len(_MIDDLE) : -1]
            try:
                own = parse_json(row)["bandit"] == bandit
            except (ValueError, KeyError, TypeError):
                own = False
            if not own:
                raise _damaged(f"{line!r:.120}")
            rows.append(row)
        yield table, rows


def _table_of(line: str) -> str:
    table = line[len(_BEGIN) :].partition('"')[0]
    if not line.startswith(f"{_BEGIN}{table}{_MIDDLE}") or table not in TABLES:
        raise _damaged(f"{line!r:.120}")
    return table


def _check_end(line: str, counts: Counter[str], page: list[str]) -> None:
    total = counts + Counter(_table_of(row) for row in page)
    try:
        told = parse_json(line)["end"]
    except (ValueError, KeyError, TypeError):
        told = None
    if told != {table: total[table] for table in TABLES}:
        raise _damaged(f"the end says {told!r:.100}, there are {dict(total)!r:.100}")


def _damaged(found: str) -> DocumentInvalid:
    return DocumentInvalid(
        "the copy of a bandit is damaged",
        expected="the lines that nyx-learning export --rows log wrote",
        found=found[:300],
        fix="copy or export it again; it is not meant to be edited",
    )
