"""Order a guardrail of a stored bandit, end one, or list those in force.

  nyx-learning override list --bandit orchestration
  nyx-learning override exclude parallel --author ada --reason "times out since noon" --for 2h
  nyx-learning override cap "parallel(workers=8)" --share 0.1 --author ada --reason "dear"
  nyx-learning override kill_switch --author ada --reason "incident 12"
  nyx-learning override revoke 412 --author ada --reason "fixed"

Rules: pin, exclude, pause, retire, cap, ramp (of arm ids or strategy names), kill_switch, shadow, freeze (of
the whole bandit). An order is a row of the log: every process obeys it once it has learned that row, and
verify derives each decision under the orders that it knew.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time as clock
from datetime import UTC, datetime

from ...bandit.guardrails import RULES, Override
from ...errors import InputInvalid
from ...persistence.database import close_pool, connect, reaching
from ...persistence.queries import query
from ...persistence.rows import spec_from
from ...persistence.store import Store
from ..access import database_address
from ..guarding import list_overrides, order_override, revoke_override
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]

_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``override``."""
    add = parser.add_argument
    add(
        "action",
        metavar="ACTION",
        choices=("list", "revoke", *RULES),
        help=f"list, revoke, or a rule: {', '.join(RULES)}",
    )
    add(
        "names", metavar="NAME", nargs="*", help="arm ids or strategy names; of revoke: the override's number"
    )
    add("--bandit", metavar="NAME", help="which bandit (default: the only one that is stored)")
    add("--author", metavar="WHO", help="who orders it; needed but for list")
    add("--reason", metavar="WHY", help="why; needed but for list")
    add(
        "--share",
        metavar="S",
        type=float,
        help="of cap: the most that the arms get; of ramp: what it begins with",
    )
    add("--rows", metavar="N", type=int, help="of ramp: rewards of an arm at which it is no more held back")
    add(
        "--for",
        dest="span",
        metavar="SPAN",
        help="it expires after so long, such as 90m, 2h or 7d (default: never)",
    )
    add("--expired", action="store_true", help="of list: also those that have expired")
    add("--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)")


def run(args: argparse.Namespace) -> int:
    """Order, end or list; print what is in force behind that."""
    until = None if args.span is None else clock.time() + _span(args.span)
    done, found = asyncio.run(_act(args, until))
    if args.json:
        documents = [override.to_dict() for override in found]
        print_json(
            {"action": args.action, "done": None if done is None else done.to_dict(), "overrides": documents}
        )
    else:
        print_text("\n".join(map(_text, found)) or "no override is in force")
    return 0


async def _act(args: argparse.Namespace, until: float | None) -> tuple[Override | None, list[Override]]:
    async with database_address(args.dsn) as address:
        pool = await connect(address, connections=2)
        try:
            with reaching():
                names = [row["bandit"] for row in await pool.fetch(query("bandits"))]
                document = await pool.fetchval(query("newest_spec"), _chosen(args.bandit, names))
            store = Store(pool, spec_from(document))
            done = await _done(args, store, until)
            return done, await list_overrides(store, store.own_spec, expired=args.expired)
        finally:
            await close_pool(pool)


async def _done(args: argparse.Namespace, store: Store, until: float | None) -> Override | None:
    spec, who = store.own_spec, {"author": args.author, "reason": args.reason}
    if args.action == "list":
        return None
    if args.action == "revoke":
        number = args.names[0] if len(args.names) == 1 else repr(args.names)
        seq: object = int(number) if number.isascii() and number.isdigit() else number
        return await revoke_override(store, None, spec, seq, **who)
    return await order_override(
        store, None, spec, args.action, args.names, share=args.share, rows=args.rows, until=until, **who
    )


def _chosen(name: str | None, names: list[str]) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    raise InputInvalid(
        "there is no such bandit" if name else "which bandit is not said",
        expected=f"one of {names[:20]}" if names else "a database with a bandit",
        found=repr(name),
        fix="name one with --bandit, or correct the DSN",
    )


def _span(text: str) -> float:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise InputInvalid(
            "the span of time cannot be read",
            expected="a number with s, m, h, d or w, such as 2h",
            found=f"{text!r:.80}",
            fix="write --for 2h",
        )
    return float(match[1]) * _SECONDS[match[2]]


def _text(override: Override) -> str:
    of = f" of {', '.join(override.arms)}" if override.arms else ""
    share = "" if override.share is None else f" at {override.share:g}"
    until = (
        ""
        if override.until is None
        else f", until {datetime.fromtimestamp(override.until, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    return f"{override.seq}: {override.rule}{of}{share}{until} ({override.author}: {override.reason})"
