"""Watch a small, real orchestrator learn: CPU-bound, I/O-bound and mixed batches of work, run for real.

Workflows are executed sequentially, by threads, by processes or by asyncio, with several workers, timeouts
and retries; measured times and results are what is learned from. What was learned is compared with a static
baseline and with the best fixed arm, interleaved on fresh workflows. Decisions and rewards are stored in
Postgres (an embedded one, unless --dsn or NYX_DATABASE_URL names another), and at the end every decision is
derived again from the log. The report is one HTML file.

Exit code 1: a decision could not be re-derived.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rich.console import Console

from ..demo.console import ConsoleProgress, render_result
from ..demo.run import DemoOptions, DemoResult, run_demo
from .output import print_json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``demo``."""
    usual = DemoOptions()
    shown = "(default: %(default)s)"
    add = parser.add_argument
    add("--workflows", metavar="N", type=int, default=usual.workflows, help=f"to learn from {shown}")
    add("--seed", metavar="N", type=int, default=usual.seed, help=f"of workflows, order and draws {shown}")
    add("--report", metavar="FILE", type=Path, default=usual.report, help=f"HTML report {shown}")
    add("--dsn", metavar="DSN", help="Postgres to store in (default: NYX_DATABASE_URL, or an embedded one)")
    add("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Run the demo; print its result."""
    options = DemoOptions(args.workflows, args.seed, args.report, args.dsn)
    result = _play(options, quiet=args.quiet)
    if args.json:
        print_json(result.to_dict())
    else:
        Console().print(render_result(result))
    return 0 if result.verification.ok else 1


def _play(options: DemoOptions, *, quiet: bool) -> DemoResult:
    if quiet:
        return asyncio.run(run_demo(options))
    with ConsoleProgress(Console(stderr=True)) as progress:
        return asyncio.run(run_demo(options, progress))
