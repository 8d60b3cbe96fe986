"""Drop decisions, with their rows of the log, that are older than an age; what they taught stays.

  nyx-learning retention --older-than 90d --dry-run
  nyx-learning retention --older-than 12w --bandit orchestration --json

AGE is a number with s, m (minutes), h, d or w. The sums of what goes are kept as the base, from which verify
begins, and a restart without newer sums. Decisions whose reward window has passed in silence are closed
before, with the default reward. Kept are: what a kept decision knew, decisions that wait for an outcome
within their window, and rows that monitors or guardrails have not read. Reports on dropped decisions are
refused as too late, and their ids stay taken. Executions that agents reported and advice on running
executions go by their age alone; stored patterns stay. Needs the rights of the schema's owner.
"""

from __future__ import annotations

import argparse
import asyncio
import time as clock

from ...errors import InputInvalid
from ...persistence.database import close_pool, connect, reaching
from ...persistence.queries import query
from ...persistence.retention import Retained
from ...persistence.rows import spec_from
from ...persistence.store import Store
from ..access import database_address
from ..retaining import expire_and_retain
from .ages import seconds_of
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]

_HELD = {
    "young": "the oldest decision that is kept",
    "waiting": "a decision that waits for its outcome",
    "hold": "monitors or guardrails, which have not read the rows behind it",
    "end": "the end of the log",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``retention``."""
    add = parser.add_argument
    add("--older-than", metavar="AGE", required=True, help="such as 90d, 12w or 36h")
    add("--bandit", metavar="NAME", help="which bandit (default: all of them)")
    add("--dry-run", action="store_true", help="drop nothing; say what would go, at most")
    add("--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)")


def run(args: argparse.Namespace) -> int:
    """Drop what is old; print how much went."""
    found = asyncio.run(_retain(args, seconds_of(args.older_than, "--older-than")))
    if args.json:
        print_json({"dry_run": args.dry_run, "bandits": [retained.to_dict() for retained in found]})
    else:
        print_text("\n".join(map(_text, found)) or "no bandit is stored")
    return 0


async def _retain(args: argparse.Namespace, older_than_s: float) -> list[Retained]:
    async with database_address(args.dsn) as address:
        pool = await connect(address, connections=2)
        try:
            with reaching():
                names = [row["bandit"] for row in await pool.fetch(query("bandits"))]
                if args.bandit is not None and args.bandit not in names:
                    raise InputInvalid(
                        "there is no such bandit",
                        expected=f"one of {names[:20]}",
                        found=repr(args.bandit),
                        fix="correct --bandit, or the DSN",
                    )
                chosen = names if args.bandit is None else [args.bandit]
                stores = [
                    Store(pool, spec_from(await pool.fetchval(query("newest_spec"), n))) for n in chosen
                ]
                return await expire_and_retain(stores, older_than_s, now=clock.time(), dry_run=args.dry_run)
        finally:
            await close_pool(pool)


def _text(found: Retained) -> str:
    closed = f"closed {found.expired:,} decisions without an outcome, " if found.expired else ""
    verb = "would drop up to" if found.dry_run else "dropped"
    aside = f", {found.executions:,} executions of agents" if found.executions else ""
    aside += f", {found.advice:,} pieces of advice" if found.advice else ""
    whole = f" (whole months: {', '.join(found.months)})" if found.months else ""
    return (
        f"{found.bandit}: {closed}{verb} {found.decisions:,} decisions, {found.rows:,} rows{aside}{whole}; "
        f"base at row {found.base_seq:,} of {found.last_seq:,}, was {found.before:,}; "
        f"held by {_HELD[found.held_by]}"
    )
