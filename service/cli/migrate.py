"""Bring the schema of a database up to date, or see what that would do.

  nyx-learning migrate                     apply what is outstanding, all or nothing
  nyx-learning migrate --check             apply nothing; exit code 1 if something is outstanding
  nyx-learning migrate --dry-run --to 4    apply it inside a transaction, and take it back
  nyx-learning migrate --roles             also make nyx_reader and nyx_writer, and grant their rights

An engine does the same when it opens, if its role may. A schema that a newer version made is refused.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from ...errors import InputInvalid
from ...persistence.database import reaching
from ...persistence.migrations import (
    grant_roles,
    known_migrations,
    migrate,
    outstanding_migrations,
    rehearse,
)
from ...persistence.single import connected
from ..access import database_address
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``migrate``."""
    add = parser.add_argument
    add("--check", action="store_true", help="apply nothing; exit code 1 if something is outstanding")
    add("--dry-run", action="store_true", help="apply it in a transaction, and take it back")
    add("--to", metavar="N", type=int, help="stop behind migration N (default: the newest)")
    add("--roles", action="store_true", help="make the roles nyx_reader and nyx_writer, grant their rights")
    add("--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)")


def run(args: argparse.Namespace) -> int:
    """Migrate; print what was, or would be, applied."""
    if args.check + args.dry_run + args.roles > 1:
        raise InputInvalid(
            "these options exclude each other",
            expected="at most one of --check, --dry-run and --roles",
            found="several of them",
            fix="run the command once for each",
        )
    found = asyncio.run(_migrate(args))
    if args.json:
        print_json(found)
    else:
        print_text(_text(args, found))
    return 1 if args.check and found["outstanding"] else 0


async def _migrate(args: argparse.Namespace) -> dict[str, Any]:
    async with database_address(args.dsn) as address, connected(address) as connection:
        with reaching():
            before = [migration.title for migration in await outstanding_migrations(connection, args.to)]
            applied: list[str] = []
            if args.dry_run:
                await rehearse(connection, args.to)
            elif not args.check:
                applied = await migrate(connection, args.to)
                if args.roles:
                    await grant_roles(connection)
    return {
        "newest": known_migrations()[-1].number,
        "applied": applied,
        "outstanding": [title for title in before if title not in applied],
        "dry_run": args.dry_run,
        "roles": args.roles,
    }


def _text(args: argparse.Namespace, found: dict[str, Any]) -> str:
    lines = [f"applied      {title}" for title in found["applied"]]
    label = "would apply" if args.dry_run else "outstanding"
    lines += [f"{label}  {title}" for title in found["outstanding"]]
    if found["roles"]:
        lines.append("granted      nyx_reader, nyx_writer")
    return "\n".join(lines) or "the schema is up to date"
