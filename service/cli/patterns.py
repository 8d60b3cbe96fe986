"""Find what works where, which failures repeat, what resources bring, and what comes and goes with the time.

  nyx-learning patterns
  nyx-learning patterns --bandit orchestration --window 30d --by task_type,complexity --json
  nyx-learning patterns --store
  nyx-learning patterns --evolution

Strategies against each other in each kind of task; errors that repeat, what they go with, and whether they
repeat behind a change; opportunities, see the command of that name; knees of timeouts, retries and limits;
hours, weekdays and load; trends. Everything with intervals, and with the false discovery rate held.
Nothing is changed; with --store the findings become the next stored version, which --evolution follows.

Exit code 1: there is not enough evidence for any of it.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from ..access import stored_bandit
from .ages import seconds_of
from .output import print_json, print_text

__all__ = ["add_arguments", "add_shared", "named", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``patterns``."""
    add = parser.add_argument
    add_shared(parser)
    add(
        "--min-occurrences",
        metavar="N",
        type=int,
        default=3,
        help="executions that a failure needs (default: %(default)s)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--store", action="store_true", help="store what is found as the next version")
    what.add_argument(
        "--evolution", action="store_true", help="show what came and went through the stored versions"
    )


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Add what ``opportunities`` takes too."""
    add = parser.add_argument
    add("--bandit", metavar="NAME", help="which bandit (default: the only one)")
    add("--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)")
    add(
        "--window",
        metavar="AGE",
        help="reports of the last AGE, such as 30d or 12w (default: all that is read)",
    )
    add(
        "--by",
        metavar="FEATURE,…",
        help="features that make the kinds of tasks; '' for none"
        " (default: the first categorical and the first ordinal one)",
    )
    add(
        "--min-count",
        metavar="N",
        type=int,
        default=20,
        help="executions that a comparison needs on each side (default: %(default)s)",
    )
    add(
        "--threshold",
        metavar="SHARE",
        type=float,
        default=0.15,
        help="least gain of an opportunity, as a share of the present reward (default: %(default)s)",
    )
    add("--fdr", metavar="RATE", type=float, default=0.05, help="false discovery rate (default: %(default)s)")


def named(text: str | None) -> tuple[str, ...] | None:
    """Names between commas; None for the default."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def run(args: argparse.Namespace) -> int:
    """Find; print what was found."""
    document, text, enough = asyncio.run(_find(args))
    if args.json:
        print_json(document)
    else:
        print_text(text)
    return 0 if enough else 1


async def _find(args: argparse.Namespace) -> tuple[dict[str, Any], str, bool]:
    from ..pattern_store import PatternBook, PatternQuestion, find_patterns  # noqa: PLC0415 - loads scipy

    question = PatternQuestion(
        None if args.window is None else seconds_of(args.window, "--window"),
        named(args.by),
        args.min_occurrences,
        args.min_count,
        args.threshold,
        args.fdr,
    )
    async with stored_bandit(args.bandit, args.dsn) as store:
        if args.evolution:
            moved = await PatternBook(store).evolution(1000)
            return {"bandit": store.bandit, **moved.to_dict()}, moved.to_text(), moved.reason is None
        if args.store:
            stored = await PatternBook(store).refresh(question, 100)
            text = f"version {stored.version}: {stored.executions:,} executions, rows up to {stored.seq:,}"
            return stored.to_dict(), text, stored.executions > 0
        executions, found = await find_patterns(store, question)
        document = {"bandit": store.bandit, "executions": executions, **found.document()}
        return document, found.to_text(), found.reason is None
