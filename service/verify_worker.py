"""A process that checks one section of a log: an order comes in as JSON, what was found goes out as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from ..persistence.database import close_pool, connect, reaching
from ..persistence.queries import query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from .base_check import checked_base
from .log_walk import Found, Section
from .verification import read_specs
from .verify_walk import walk_section

__all__ = ["main"]


async def main(order: dict[str, Any]) -> Found | None:
    """Check the section of the order, against the sums that it brings; None if the log has another base."""
    pool = await connect(order["dsn"], connections=1)
    try:
        with reaching():
            document = await pool.fetchval(query("newest_spec"), order["bandit"])
            store = Store(pool, spec_from(document))
            async with store.snapshot() as connection:
                await connection.execute(query("no_time_limits"))
                specs, noted = read_specs(await store.raw_specs(connection), Found()), Found()
                base = await checked_base(store, connection, noted)  # what is wrong with it, the caller says
                if base.seq != order["base"]:
                    return None
                sums = [(specs[spec_hash], seq, blocks) for spec_hash, seq, blocks in order["sums"]]
                section = Section(**order["section"])
                return await walk_section(connection, store.bandit, specs, section, sums, base)
    finally:
        await close_pool(pool)


if __name__ == "__main__":
    seen = asyncio.run(main(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(None if seen is None else asdict(seen)))
