"""Say what to change next: changes that would have brought more reward, ranked, with intervals and risks.

  nyx-learning opportunities
  nyx-learning opportunities --bandit orchestration --threshold 0.1 --window 30d --json

Another arm for a kind of task, another value of a parameter, an arm to retire: doubly robust on the logged
propensities, so that an arm that was chosen for the easy tasks does not look good for it. And failures to
get rid of, by association. Needs exploration: what was never tried is not asked about. Nothing is changed.

Exit code 1: there is not enough evidence. 0 also where no change is known to bring so much more.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from ..access import stored_bandit
from .ages import seconds_of
from .output import print_json, print_text
from .patterns import add_shared, named

if TYPE_CHECKING:
    from ...insights.opportunities import OptimizationOpportunities

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``opportunities``."""
    add_shared(parser)


def run(args: argparse.Namespace) -> int:
    """Identify; print what was found."""
    bandit, found = asyncio.run(_find(args))
    if args.json:
        print_json({"bandit": bandit, **found.to_dict()})
    else:
        print_text(found.to_text())
    return 0 if found.asked else 1


async def _find(args: argparse.Namespace) -> tuple[str, OptimizationOpportunities]:
    from ..finding import opportunities_of_log  # noqa: PLC0415 - loads scipy, compiles

    window_s = None if args.window is None else seconds_of(args.window, "--window")
    async with stored_bandit(args.bandit, args.dsn) as store:
        found = await opportunities_of_log(
            store, args.threshold, window_s, named(args.by), args.min_count, 0.95, args.fdr
        )
        return store.bandit, found
