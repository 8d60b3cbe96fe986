"""The log of a stored bandit, as it would be exported."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...bandit import BanditSpec
from ...simulation.interchange import LoggedChoice, read_log
from ..access import stored_bandit
from ..exporting import export_log

__all__ = ["StoredLog", "stored_log"]


@dataclass(frozen=True, slots=True)
class StoredLog:
    """Decisions of a bandit in the order in which their rewards were learned, and its newest spec."""

    bandit: str
    spec: BanditSpec
    choices: list[LoggedChoice]


async def stored_log(name: str | None, dsn: str | None) -> StoredLog:
    """Read a bandit's log by way of its export: what is judged is what any other tool would read.

    Raises
    ------
    InputInvalid : no such bandit. DatabaseUnavailable, SchemaMismatch … : the database is of no use.
    """
    async with stored_bandit(name, dsn) as store:
        with tempfile.TemporaryDirectory(prefix="nyx-evaluate-") as folder:
            path = Path(folder) / "log.jsonl"
            await export_log(store, path)
            return StoredLog(store.bandit, store.own_spec, list(read_log(path)))
