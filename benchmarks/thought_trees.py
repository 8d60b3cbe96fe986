"""Writing the scores of 10,000 executions into a table of thought trees, on an embedded Postgres.

Limits: at most 0.5 s, in at most 20 statements. The median of rounds, with the best beside it; ``queued`` is
what ``update`` costs the caller, who does not wait for the database.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid5

import asyncpg

from nyx_learning.persistence.embedded import start
from nyx_learning.persistence.thought_trees import ThoughtTrees
from nyx_learning.rewards import ScoringResult

ROWS = 10_000
ROUNDS = 7
LIMIT_S = 0.5
LIMIT_STATEMENTS = 20
TABLE = """
    CREATE TABLE thought_trees (id uuid PRIMARY KEY, content text, success_score float8, quality_score float8,
                                speed_score float8, usefulness_score float8, overall_weight float8)
"""


async def measure(dsn: str) -> None:
    """Fill a table, and write all its scores again and again."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        ids = [uuid5(UUID(int=1), str(i)) for i in range(ROWS)]
        await pool.execute(TABLE)
        await pool.execute(
            "INSERT INTO thought_trees SELECT i, repeat('x', 200) FROM unnest($1::uuid[]) i", ids
        )
        sent: list[str] = []
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as one, one.acquire() as connection:
            connection.add_query_logger(lambda record: sent.append(record.query))
            counted = await ThoughtTrees(connection).update_many(  # type: ignore[arg-type]
                {key: ScoringResult(1.0, 0.5, 0.5, None, 0.6) for key in ids}
            )
        trees = ThoughtTrees(pool)
        bulk, queued, flushed = [], [], []
        for turn in range(ROUNDS):
            scores = {key: ScoringResult(1.0, turn / ROUNDS, 0.5, None, 0.6) for key in ids}
            began = time.perf_counter()
            await trees.update_many(scores)
            bulk.append(time.perf_counter() - began)
            began = time.perf_counter()
            for key, result in scores.items():
                await trees.update(key, result)
            queued.append(time.perf_counter() - began)
            await trees.flush()
            flushed.append(time.perf_counter() - began)
    print(f"{ROWS:,} rows, {counted.updated:,} updated in {len(sent)} statements (limit {LIMIT_STATEMENTS})")
    print(f"{'':34}{'median':>9}{'best':>9}   (limit {LIMIT_S} s)")
    for name, taken in (("update_many", bulk), ("update, all, and flush", flushed)):
        print(f"{name:34}{statistics.median(taken):7.3f} s{min(taken):7.3f} s")
    each = [seconds / ROWS * 1e6 for seconds in queued]
    print(f"{'update, for the caller':34}{statistics.median(each):6.2f} µs{min(each):6.2f} µs")


def main() -> None:
    """Print the table."""
    # Not below the user's own temporary folder: root's may be closed to the account that runs Postgres.
    folder = Path(tempfile.mkdtemp(prefix="nyx-bench-", dir="/tmp"))
    try:
        with start(folder) as server:
            asyncio.run(measure(server.dsn))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
