"""``doctor``: is the database, and what lies around it, as the learner needs it? Nothing is changed."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from ..persistence.diagnosis import Finding, examine
from ..persistence.spool_survey import survey_spool

__all__ = ["Diagnosis", "examine_database", "examine_spool"]

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True where nothing failed; there may be warnings."""
        return all(finding.state != "fail" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"ok": self.ok, "findings": [finding.to_dict() for finding in self.findings]}


async def examine_database(dsn: str, spool: Path | None = None) -> Diagnosis:
    """Look at a database, and at the folder that decisions are spooled to while it is away.

    The schema is not touched: a database without it, or with a newer one, is told and not migrated. One
    that does not answer is a finding too, and no error.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    except (
        OSError,
        ValueError,
        OverflowError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        # The text of an error about a DSN may repeat it, and with it the password.
        told = (
            type(error).__name__
            if isinstance(error, ValueError)
            else f"{type(error).__name__}: {error!s:.160}"
        )
        fix = "start the server, or correct the DSN (postgresql://user@host/database) or the role's rights"
        found = [Finding("connection", "fail", f"no connection ({told})", fix)]
    else:
        try:
            found = await examine(connection)
        finally:
            await connection.close()
    if spool is not None:
        found += await asyncio.to_thread(examine_spool, spool)
    return Diagnosis(tuple(found))


def examine_spool(folder: Path) -> list[Finding]:
    """Look at what waits to be written to the database."""
    if not folder.exists():
        return [Finding("spool", "ok", "no folder: nothing was ever spooled")]
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        fix = f"chmod 0700 {folder}: contexts and outcomes are nobody else's business"
        return [Finding("spool", "fail", f"{folder} may be read by others (mode {mode:04o})", fix)]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [
            Finding("spool", "fail", f"{folder} cannot be used", f"give this user the folder: chown {folder}")
        ]
    try:
        seen = survey_spool(folder)
    except OSError as error:
        told = f"{folder} cannot be read: {error.strerror}"
        return [Finding("spool", "fail", told, "give this user the folder, or name another")]
    told = f"{seen.living} files of living processes, {seen.records:,} records of ended ones"
    if seen.damaged_bytes:
        fix = f"look at the files *.damaged below {folder}: a disk that tears records loses more"
        return [Finding("spool", "warn", f"{told}, {seen.damaged_bytes:,} damaged bytes put aside", fix)]
    if seen.records:
        fix = "open an engine of the bandit: it takes over what ended processes have left, and writes it"
        return [Finding("spool", "warn", told, fix)]
    return [Finding("spool", "ok", told)]
