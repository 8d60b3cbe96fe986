"""Import decisions and what they were worth from a file: JSONL, CSV or Parquet.

  nyx-learning import history.csv --bandit orchestration
  nyx-learning import history.jsonl.gz --spec spec.json --skip-bad --json

A line has decision_id, time, context (or columns context.<feature>), arm_id, propensity and reward; where the
propensity is not known, it is left empty, and stays unknown. All lines are imported, in one transaction, or
none; lines that were imported before change nothing. See docs/how-to/import-a-history.md.

A copy that `nyx-learning export --rows log` wrote is restored: all of it, if it verifies, or nothing.

Exit code 1: lines were skipped (--skip-bad). Exit code 2: a line cannot be imported, and nothing was.
"""

from __future__ import annotations

import argparse
import asyncio
import time as clock
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ...bandit import BanditSpec
from ...errors import InputInvalid
from ...persistence.database import close_pool, connect, reaching
from ...persistence.store import Store
from ...simulation.interchange import FORMATS
from ..access import database_address, stored_bandit
from ..archiving import Restored, is_archive, restore_log
from ..importing import ImportReport, LogRejected, import_and_learn
from .output import print_error, print_json, print_text
from .spec_file import read_spec_file

__all__ = ["add_arguments", "run"]

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``import``."""
    add = parser.add_argument
    add("file", metavar="FILE", help="the log; JSONL and CSV may be gzip-compressed")
    add("--format", choices=FORMATS, help="of the file (default: what its name says, or its beginning)")
    into = parser.add_mutually_exclusive_group()
    into.add_argument("--bandit", metavar="NAME", help="which bandit (default: the only one)")
    into.add_argument(
        "--spec", metavar="FILE", help="JSON of a BanditSpec: its bandit, which is created where it is new"
    )
    add(
        "--dsn",
        metavar="DSN",
        help="Postgres to import into (default: NYX_DATABASE_URL, or the embedded one)",
    )
    add("--skip-bad", action="store_true", help="import the lines that fit, and list the others")


def run(args: argparse.Namespace) -> int:
    """Import; print what became of the lines."""
    if is_archive(args.file):
        restored = asyncio.run(_restore(args))
        if args.json:
            print_json(restored.to_dict())
        else:
            counts = restored.rows
            print_text(
                f"{restored.bandit}: {counts.get('decision', 0):,} decisions and"
                f" {counts.get('log', 0):,} rows restored, verified"
            )
        return 0
    try:
        report = asyncio.run(_import(args))
    except LogRejected as error:
        if args.json:
            print_json(error.report.to_dict())
        else:
            print_error(error)
            print_text(_rejects(error.report))
        return 2
    if args.json:
        print_json(report.to_dict())
    else:
        print_text(_text(report))
    return 1 if report.rejected else 0


async def _import(args: argparse.Namespace) -> ImportReport:
    spec = None if args.spec is None else read_spec_file(args.spec)
    async with _store(spec, args.bandit, args.dsn) as store:
        return await import_and_learn(
            store, args.file, form=args.format, skip_bad=args.skip_bad, time=clock.time()
        )


async def _restore(args: argparse.Namespace) -> Restored:
    if args.spec is not None or args.bandit is not None or args.skip_bad:
        raise InputInvalid(
            "a copy of a bandit is restored as it is",
            expected="the file alone",
            found="--spec, --bandit or --skip-bad",
            fix="leave them out: the copy has its bandit, specs and all rows",
        )
    async with database_address(args.dsn) as address:
        pool = await connect(address, connections=2)
        try:
            return await restore_log(pool, args.file)
        finally:
            await close_pool(pool)


@asynccontextmanager
async def _store(spec: BanditSpec | None, bandit: str | None, dsn: str | None) -> AsyncIterator[Store]:
    if spec is None:
        async with stored_bandit(bandit, dsn) as store:
            yield store
        return
    async with database_address(dsn) as address:
        pool = await connect(address, connections=2)
        try:
            store = Store(pool, spec)
            with reaching():
                await store.register()
            yield store
        finally:
            await close_pool(pool)


def _text(report: ImportReport) -> str:
    rows = f", rows {report.first_seq:,} to {report.last_seq:,}" if report.rewards else ""
    lines = [
        f"{report.bandit}: {report.lines:,} lines",
        f"  imported  {report.decisions:,} decisions, {report.unknown_propensities:,} of unknown propensity",
        f"  learned   {report.rewards:,} rewards{rows}",
        f"  known     {report.known:,} lines",
        f"  rejected  {report.rejected:,} lines",
    ]
    if report.outcomes_dropped:
        lines.append(f"  outcomes  {report.outcomes_dropped:,} not kept: the spec prices them otherwise")
    if report.ignored:
        lines.append(f"  ignored   {', '.join(report.ignored[:_SHOWN])}")
    return "\n".join([*lines, *([_rejects(report)] if report.rejected else [])])


def _rejects(report: ImportReport) -> str:
    lines = []
    for reject in report.rejects[:_SHOWN]:
        what = reject.error.what.removeprefix(f"line {reject.line}: ")
        whose = "" if reject.decision_id is None else f" ({reject.decision_id:.60})"
        lines += [f"line {reject.line}{whose}: {what}", f"  expected: {reject.error.expected}"]
        lines += [f"  found:    {reject.error.found}", f"  fix:      {reject.error.fix}"]
    if report.rejected > _SHOWN:
        lines.append(f"… and {report.rejected - _SHOWN:,} more; --json lists up to 10,000")
    return "\n".join(lines)
