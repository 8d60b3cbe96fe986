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
from .log_walk import Found, Section
from .verification import overview
from .verify_walk import walk_section

__all__ = ["main"]


async def main(order: dict[str, Any]) -> Found:
    """Check the section of the order, against the sums that it brings."""
    pool = await connect(order["dsn"], connections=1)
    try:
        with reaching():
            document = await pool.fetchval(query("newest_spec"), order["bandit"])
            store = Store(pool, spec_from(document))
            async with store.snapshot() as connection:
                specs = (await overview(store, connection)).specs
                sums = [(specs[spec_hash], seq, blocks) for spec_hash, seq, blocks in order["sums"]]
                section = Section(**order["section"])
                return await walk_section(connection, store.bandit, specs, section, sums)
    finally:
        await close_pool(pool)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(asyncio.run(main(json.load(sys.stdin))))))
