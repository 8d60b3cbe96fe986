"""``export``: a bandit's decisions into a file, streamed: memory does not grow with the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..bandit.log import RewardRow
from ..bandit.reports import status_of
from ..errors import DocumentInvalid
from ..persistence.database import reaching
from ..persistence.queries import Connection, query
from ..persistence.rows import Row, decision_from
from ..persistence.store import Store
from ..simulation.interchange import document_of, open_writer

__all__ = ["ExportReport", "export_log"]

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: lines, and how many of them have a reward, and a propensity that is unknown."""

    bandit: str
    path: str
    rows: Literal["decisions", "log"]
    lines: int
    rewards: int
    unknown_propensities: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "bandit": self.bandit,
            "path": self.path,
            "rows": self.rows,
            "lines": self.lines,
            "rewards": self.rewards,
            "unknown_propensities": self.unknown_propensities,
        }


async def export_log(
    store: Store,
    path: str | Path,
    *,
    form: str | None = None,
    context_columns: Literal["dotted", "json"] = "dotted",
) -> ExportReport:
    """Write a line for each stored decision, with the reward that counts now.

    The lines stand in the order in which their rewards were learned; decisions without one follow. All are of
    one moment. The file appears under its name when it is complete.

    context_columns : of a CSV: a column for each feature of every spec that decided, or one of JSON.

    Raises
    ------
    LogUnwritable, PackageMissing : the file cannot be written as asked.
    DocumentInvalid : a stored decision was damaged.
    """
    lines = rewards = unknown = 0
    with reaching():
        async with store.snapshot() as connection:
            dotted = await _features(store, connection) if context_columns == "dotted" else None
            with open_writer(path, form=form, dotted=dotted) as writer:
                async for page in _pages(store, connection):
                    documents = await asyncio.to_thread(_documents, store, *page)
                    await asyncio.to_thread(writer.write, documents)
                    lines += len(documents)
                    rewards += sum(document["reward"] is not None for document in documents)
                    unknown += sum(document["propensity"] is None for document in documents)
    return ExportReport(store.bandit, str(path), "decisions", lines, rewards, unknown)


async def _features(store: Store, connection: Connection) -> list[str]:
    """Every feature that a spec of the bandit has or had: its own first."""
    names = dict.fromkeys(store.own_spec.context)
    for row in await connection.fetch(query("specs"), store.bandit):
        spec = await store.spec(row["spec_hash"], connection)
        if spec is not None:
            names.update(dict.fromkeys(spec.context))
    return list(names)


async def _pages(
    store: Store, connection: Connection
) -> AsyncIterator[tuple[list[Row], Mapping[str, list[RewardRow]], Mapping[str, Any]]]:
    """Decisions in pages, with the rows about them, and the specs that decided."""
    cursor = await connection.cursor(query("decisions_as_learned"), store.bandit)
    while rows := await cursor.fetch(_PAGE):
        histories = await store.log.histories(connection, [row["decision_id"] for row in rows])
        specs = {key: await store.spec(key, connection) for key in {row["spec_hash"] for row in rows}}
        yield list(rows), histories, specs


def _documents(
    store: Store, rows: Sequence[Row], histories: Mapping[str, list[RewardRow]], specs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    documents = []
    for row in rows:
        key, spec = row["decision_id"], specs[row["spec_hash"]]
        if spec is None:
            raise DocumentInvalid(
                f"the stored decision '{key}' cannot be read",
                expected="the spec that decided, in nyx.spec",
                found=f"no spec with hash {row['spec_hash']}",
                fix="run verify, and restore the row from a backup",
            )
        status = status_of(key, histories.get(key, []), store.own_spec)
        documents.append(document_of(decision_from(row, spec), status, spec))
    return documents
