"""Opening a bandit with a long log: from the stored sums, and folding all of it."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import asyncpg

from benchmarks.durable.load import context, outcome, rounds, spec
from benchmarks.durable.several import child
from nyx_learning import LearningEngine
from nyx_learning.bandit import Learner
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.replica import Replica
from nyx_learning.persistence.store import Store

__all__ = ["measure_reopening"]

_REAL = 1000
_COPIES = """
    INSERT INTO nyx.log
        (bandit, seq, decided_on, decision_id, arm_id, epoch, encoding, phi, propensity, units, reward,
         outcome, pricing, reported_at, digest, kind, state, priced_by)
    SELECT bandit, copy * $1 + seq, decided_on, decision_id || '/' || copy, arm_id, epoch, encoding, phi,
           propensity, units, reward, outcome, pricing, reported_at, digest, kind, state, priced_by
    FROM nyx.log CROSS JOIN generate_series(1, $2) AS copy
    WHERE bandit = 'reopened' AND seq <= $1
    ORDER BY copy, seq
"""


async def measure_reopening(dsn: str, rows: int) -> None:
    """Print how long it takes until a process can decide."""
    await _fill(dsn, rows)
    print(f"\n{f'a log of {rows:,} rewards':34}{'s':>9}   limit")
    print(f"{'nothing is stored: open()':34}{await _opened(dsn):9.2f}")
    folding = statistics.median([await _folded(dsn) for _ in range(3)])
    print(
        f"{'  of it the fold of all rows':34}{folding:9.2f}   {rows / folding:,.0f} rewards/s, limit 200,000"
    )
    stored = statistics.median([await _opened(dsn) for _ in range(3)])
    print(f"{'from the stored sums: open()':34}{stored:9.2f}   2")
    began = time.monotonic()
    one = await child("benchmarks.durable.reopen", dsn)
    if one.stdout is not None:
        await one.stdout.readline()
    print(f"{'  a new process, to its 1st choice':34}{time.monotonic() - began:9.2f}")
    await one.wait()


async def _fill(dsn: str, rows: int) -> None:
    """A thousand rewards that were learned, and copies of their rows: the fold does not look at decisions."""
    async with await LearningEngine.open(spec("reopened"), dsn, deadline_s=30.0) as engine:

        async def both(i: int) -> None:
            await engine.update_reward(await engine.select_arm(context(i)), outcome(i))

        await rounds(64, _REAL, both)
    connection = await asyncpg.connect(dsn)
    await connection.execute("SET session_replication_role = replica")  # the copies have no decisions
    copies = rows // _REAL - 1
    await connection.execute(_COPIES, _REAL, copies, timeout=900)
    last = (copies + 1) * _REAL
    await connection.execute("UPDATE nyx.bandit SET last_seq = $1 WHERE bandit = 'reopened'", last)
    await connection.execute("DELETE FROM nyx.sums WHERE bandit = 'reopened'")
    await connection.execute("DELETE FROM nyx.checkpoint WHERE bandit = 'reopened'")
    await connection.execute("ANALYZE nyx.log")
    await connection.close()


async def _opened(dsn: str) -> float:
    """Seconds until an engine can decide, when all is compiled already."""
    began = time.monotonic()
    async with await LearningEngine.open(spec("reopened"), dsn):
        return time.monotonic() - began


async def _folded(dsn: str) -> float:
    """Seconds of folding the whole log."""
    own = spec("reopened")
    pool = await connect(dsn)
    replica = Replica(Learner(own), Store(pool, own))
    began = time.monotonic()
    await replica.catch_up()
    took = time.monotonic() - began
    await close_pool(pool)
    return took


async def _decide(dsn: str) -> None:
    async with await LearningEngine.open(spec("reopened"), dsn, deadline_s=30.0) as engine:
        await engine.select_arm(context(1))
        print("decided", flush=True)


if __name__ == "__main__":
    asyncio.run(_decide(sys.argv[1]))
