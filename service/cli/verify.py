"""Fold the stored log, derive every decision anew, and name the first row that differs.

  nyx-learning verify
  nyx-learning verify --bandit orchestration --workers 2 --json

Sequence, hashes, prices, pmfs, draws and stored sums are checked of every row; see docs/how-to.

Exit code 1: something differs; its row is named.
"""

from __future__ import annotations

import argparse
import asyncio

from ..access import database_address
from ..verifying import BanditVerified, verify_database
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``verify``."""
    add = parser.add_argument
    add("--bandit", metavar="NAME", help="which bandit (default: all of them)")
    add(
        "--dsn",
        metavar="DSN",
        help="Postgres that has the log (default: NYX_DATABASE_URL, or the embedded one)",
    )
    add(
        "--workers",
        metavar="N",
        type=int,
        help="processes that share a long log (default: one for each processor, at most 4)",
    )


def run(args: argparse.Namespace) -> int:
    """Verify; print what was found."""
    found = asyncio.run(_verify(args))
    good = all(verified.report.ok for verified in found)
    if args.json:
        print_json({"ok": good, "bandits": [verified.to_dict() for verified in found]})
    else:
        print_text("\n".join(map(_text, found)) or "no bandit is stored")
    return 0 if good else 1


async def _verify(args: argparse.Namespace) -> list[BanditVerified]:
    async with database_address(args.dsn) as address:
        return await verify_database(address, args.bandit, workers=args.workers)


def _text(verified: BanditVerified) -> str:
    report = verified.report
    rate = report.decisions / verified.seconds if verified.seconds > 0 else 0.0
    told = (
        f"{verified.bandit}: {report.matched:,} of {report.decisions:,} decisions and {report.rewards:,} rows"
        f" re-derived, sums {'match' if report.sums_match else 'differ'}"
        f" ({verified.seconds:.1f} s, {rate:,.0f} decisions/s)"
    )
    if report.imported:
        told += f"\n  {report.imported:,} imported, not re-derivable: made elsewhere"
    first = report.first_divergence
    return told if first is None else f"{told}\n  first divergence: {first}"
