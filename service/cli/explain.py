"""Say why a stored decision came out as it did.

  nyx-learning explain wf-1/step-2 --bandit orchestration

From what was known when it was made, and not later: what was expected of each arm, which features spoke for
it, how its probabilities came about stage by stage, the draw, exploration, the guardrails that acted, and
which other context or which further rewards would have changed it. The learner is folded from the log up to
the row that the decision knew, and decides once more: "comes out again" says whether that gave the same bits.
Exit code 1: it did not.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from ..access import stored_bandit
from .output import print_json, print_text

if TYPE_CHECKING:
    from ...bandit.explaining import Explanation

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``explain``."""
    add = parser.add_argument
    add("decision_id", metavar="DECISION_ID", help="id of a stored decision")
    add("--bandit", metavar="NAME", help="which bandit (default: the only one that is stored)")
    add("--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)")


def run(args: argparse.Namespace) -> int:
    """Explain it; 1 where it does not come out again."""
    found = asyncio.run(_explained(args))
    if args.json:
        print_json(found.to_dict())
    else:
        print_text(found.to_text())
    return 0 if found.rederived or found.kind == "imported" else 1


async def _explained(args: argparse.Namespace) -> Explanation:
    from ..explaining import explain_stored  # noqa: PLC0415 - loads the compiler

    async with stored_bandit(args.bandit, args.dsn) as store:
        return await explain_stored(store, args.decision_id)
