"""Look at the database, and say what is wrong with it and how to mend it. Nothing is changed.

  nyx-learning doctor
  nyx-learning doctor --dsn postgresql://user@host/database --json

Checked: connection, version, role, sessions, migrations, rights, settings, indexes, bloat, lag, transactions,
replication and its slots, clocks, and the spool.

Exit code 1: something failed; warnings alone leave it at 0.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from ..access import database_address
from ..doctor import Diagnosis, examine_database
from ..settings import Settings
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
    parser.add_argument(
        "--dsn", metavar="DSN", help="Postgres to look at (default: NYX_DATABASE_URL, or the embedded one)"
    )
    parser.add_argument(
        "--spool",
        metavar="FOLDER",
        type=Path,
        help="the spool's folder (default: NYX_SPOOL, or in the user's data directory)",
    )


def run(args: argparse.Namespace) -> int:
    """Examine; print what was found."""
    found = asyncio.run(_examine(args))
    if args.json:
        print_json(found.to_dict())
    else:
        print_text(_text(found))
    return 0 if found.ok else 1


async def _examine(args: argparse.Namespace) -> Diagnosis:
    async with database_address(args.dsn) as address:
        return await examine_database(address, args.spool or Settings.read().spool)


def _text(found: Diagnosis) -> str:
    lines = []
    width = max(len(finding.check) for finding in found.findings)
    for finding in found.findings:
        lines.append(f"{finding.state:4}  {finding.check:{width}}  {finding.found}")
        if finding.fix is not None:
            lines.append(f"{'':{width + 8}}fix: {finding.fix}")
    return "\n".join(lines)
