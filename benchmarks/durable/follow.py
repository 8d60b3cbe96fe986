"""How late a process learns what another one has learned."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from bisect import bisect_left

from benchmarks.durable.load import Load, context, outcome, rounds, spec
from benchmarks.durable.several import child, tell
from nyx_learning import LearningEngine

__all__ = ["lags"]

_LOOK_S = 0.001


async def lags(dsn: str, load: Load) -> dict[str, list[float]]:
    """Milliseconds from a reward's receipt here to its number in another process's ``state_seq``."""
    other = await child("benchmarks.durable.follow", dsn)
    found: dict[str, list[float]] = {}
    async with await LearningEngine.open(spec("followed"), dsn, deadline_s=30.0) as engine:
        told: list[tuple[int, float]] = []

        async def both(i: int) -> None:
            receipt = await engine.update_reward(await engine.select_arm(context(i)), outcome(i))
            told.append((receipt.seq, time.monotonic()))

        async def seldom(i: int) -> None:
            await both(i)
            await asyncio.sleep(0.05)

        if other.stdout is None:
            return found
        await other.stdout.readline()  # it is ready
        parts = {}
        await rounds(1, 20 if load.operations < 10_000 else 100, seldom)
        parts["one reward every 50 ms"], told = told, []
        await rounds(load.tasks, load.operations, both)
        parts[f"{load.tasks} tasks at load"] = told
        await asyncio.sleep(2.0)
        await tell(other, "end")
        seen = json.loads(await other.stdout.readline())
        await other.wait()
    numbers = [seq for seq, _ in seen]
    for name, part in parts.items():
        found[name] = [max(seen[bisect_left(numbers, seq)][1] - when, 0.0) * 1e3 for seq, when in part]
    return found


async def _watch(dsn: str) -> None:
    async with await LearningEngine.open(spec("followed"), dsn, deadline_s=30.0) as engine:
        print("ready", flush=True)
        ending = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        seen = [(engine.state_seq, time.monotonic())]
        while not ending.done():
            await asyncio.sleep(_LOOK_S)
            if engine.state_seq > seen[-1][0]:
                seen.append((engine.state_seq, time.monotonic()))
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    asyncio.run(_watch(sys.argv[1]))
