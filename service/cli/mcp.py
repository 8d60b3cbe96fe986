"""Offer a bandit to agents as tools, over the Model Context Protocol on stdin and stdout.

  nyx-learning mcp --bandit orchestration
  nyx-learning mcp --spec spec.json --dsn postgresql://user@host/database

An MCP client starts this command and speaks to it; it ends when the client closes its input. What the tools
say of themselves is in docs/how-to/mcp.md.
"""

from __future__ import annotations

import argparse
import asyncio

from ...bandit import BanditSpec
from ...errors import PackageMissing
from ..access import database_address, stored_bandit
from ..engine import LearningEngine
from .spec_file import read_spec_file

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mcp``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--bandit", metavar="NAME", help="a stored bandit (default: the only one there is)")
    which.add_argument(
        "--spec", metavar="FILE", help="JSON of BanditSpec.to_dict(): a new one, or its new spec"
    )
    parser.add_argument(
        "--dsn", metavar="DSN", help="which Postgres (default: NYX_DATABASE_URL, or the embedded one)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until the input ends."""
    try:
        import mcp  # noqa: F401, PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        raise PackageMissing(
            "the package of the Model Context Protocol is not installed",
            expected="mcp",
            found=f"no {error.name}",
            fix="pip install 'nyx-learning[mcp]'",
        ) from error
    spec = None if args.spec is None else read_spec_file(args.spec)
    asyncio.run(_serve(spec, args.bandit, args.dsn))
    return 0


async def _serve(spec: BanditSpec | None, bandit: str | None, dsn: str | None) -> None:
    from ..integrations.mcp import build_server  # noqa: PLC0415

    async with database_address(dsn) as address:
        if spec is None:
            async with stored_bandit(bandit, address) as store:
                spec = store.own_spec
        async with await LearningEngine.open(spec, address) as engine:
            await build_server(engine).run_stdio_async()
