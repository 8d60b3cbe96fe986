"""Export the decisions of a bandit and what they were worth: JSONL, CSV or Parquet.

  nyx-learning export log.jsonl.gz --bandit orchestration
  nyx-learning export log.csv --context-columns json
  nyx-learning export /dev/stdout --format jsonl | jq .reward
  nyx-learning export copy.jsonl.gz --rows log

A line for each decision, with the reward that counts now (corrected, priced anew, or a default), in the order
in which the rewards were learned. It is streamed, of one moment, and appears under its name when it is
complete. `nyx-learning import` and `nyx-learning evaluate` read it.

With --rows log, all rows as they are stored (JSONL): `nyx-learning import` restores them, numbers and hashes
and all, into a database that does not have the bandit yet, if every decision can be derived again there.
"""

from __future__ import annotations

import argparse
import asyncio

from ...simulation.interchange import FORMATS
from ..access import stored_bandit
from ..archiving import archive_log
from ..exporting import ExportReport, export_log
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export``."""
    add = parser.add_argument
    add("file", metavar="FILE", help="where to write; a name that ends in .gz makes JSONL and CSV compressed")
    add("--format", choices=FORMATS, help="of the file (default: what its name says, or jsonl)")
    add(
        "--context-columns",
        choices=("dotted", "json"),
        default="dotted",
        help="of a CSV: a column context.<feature> each, or one column of JSON (default: dotted)",
    )
    add(
        "--rows",
        choices=("decisions", "log"),
        default="decisions",
        help="a line for each decision, or every row as it is stored (default: decisions)",
    )
    add("--bandit", metavar="NAME", help="which bandit (default: the only one)")
    add(
        "--dsn",
        metavar="DSN",
        help="Postgres that has the log (default: NYX_DATABASE_URL, or the embedded one)",
    )


def run(args: argparse.Namespace) -> int:
    """Export; print what was written."""
    report = asyncio.run(_export(args))
    if args.json:
        print_json(report.to_dict())
    elif args.file != "/dev/stdout" and args.rows == "log":
        print_text(f"{report.bandit}: {report.lines:,} rows, {report.rewards:,} of them of the log")
    elif args.file != "/dev/stdout":
        print_text(
            f"{report.bandit}: {report.lines:,} decisions, {report.rewards:,} with a reward,"
            f" {report.unknown_propensities:,} of unknown propensity"
        )
    return 0


async def _export(args: argparse.Namespace) -> ExportReport:
    async with stored_bandit(args.bandit, args.dsn) as store:
        if args.rows == "log":
            return await archive_log(store, args.file)
        return await export_log(store, args.file, form=args.format, context_columns=args.context_columns)
