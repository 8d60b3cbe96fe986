"""The log of a stored bandit, as it would be exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...bandit import BanditSpec
from ..access import stored_bandit
from ..exporting import export_log

__all__ = ["StoredLog", "stored_log"]


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A bandit's exported log, in the order in which rewards were learned, and its newest spec."""

    bandit: str
    spec: BanditSpec
    path: Path


async def stored_log(name: str | None, dsn: str | None, folder: Path) -> StoredLog:
    """Export a bandit's log to ``folder``: what is judged is what any other tool would read.

    It may be larger than memory.

    Raises
    ------
    InputInvalid : no such bandit. DatabaseUnavailable, SchemaMismatch … : the database is of no use.
    """
    async with stored_bandit(name, dsn) as store:
        path = folder / "log.jsonl"
        await export_log(store, path)
        return StoredLog(store.bandit, store.own_spec, path)
