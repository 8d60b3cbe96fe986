"""Two orchestrators, two processes, one database: what the first one learns, the second one uses.

    python examples/orchestrators/run.py [--workflows 24] [--dsn postgresql://…]

``ada`` starts with nothing and learns. ``bob`` is started behind it with ada's bandits, ``eve`` with bandits
of her own; bob and eve run the same workflows. Then a workflow is run again under its id, one meets its
deadline, and one is cancelled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from orchestrators import Learning, TopLevelOrchestrator
from world import Store, Workflow, population

from nyx_learning.errors import NyxError
from nyx_learning.service.access import database_address

Counts = dict[str, dict[str, int]]


async def orchestrate(team: str, workflows: str, count: int, dsn: str | None) -> list[dict[str, Any]]:
    """One orchestrator's life: its workflows, one after the other, and what each came to."""
    async with AsyncExitStack() as stack:
        top = TopLevelOrchestrator(await Learning.open(team, dsn, stack), Store())
        return [await top.execute(workflow) for workflow in population(workflows, count)]


def in_a_process(team: str, workflows: str, count: int, dsn: str) -> list[dict[str, Any]]:
    """Run an orchestrator as a program of its own."""
    command = [sys.executable, __file__, "--orchestrator", team, workflows, str(count), "--dsn", dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this program
    if done.returncode:
        sys.exit(done.stderr)
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def line(name: str, results: list[dict[str, Any]]) -> str:
    """Means of some workflows, as a line of the table."""
    count = len(results)
    success = sum(result["right"] == result["steps"] for result in results) / count
    right = sum(result["right"] for result in results) / sum(result["steps"] for result in results)
    reward = sum(result["reward"] for result in results) / count
    return f"{name:22}{count:10}{success:9.0%}{right:13.0%}{reward:8.3f}"


async def troubles(learning: Learning) -> None:
    """A retry, a deadline, a cancellation: what each level's log says of them."""
    calm, flaky = (
        next(w for w in population("troubles", 16) if w.size == "large" and w.source == source)
        for source in ("calm", "flaky")
    )
    top, hasty = (TopLevelOrchestrator(learning, Store(), deadline_s=s) for s in (5.0, 0.02))

    async def again(workflow: Workflow) -> None:
        # The engine warns that the first outcomes stand: here that is the point.
        engine_log = logging.getLogger("nyx_learning")
        level = engine_log.level
        engine_log.setLevel(logging.ERROR)
        try:
            await top.execute(workflow)
        finally:
            engine_log.setLevel(level)

    async def late(workflow: Workflow) -> None:
        with suppress(TimeoutError):
            await hasty.execute(workflow)

    async def cancelled(workflow: Workflow) -> None:
        left = TopLevelOrchestrator(learning, Store())
        task = asyncio.create_task(left.execute(workflow))
        await left.store.begun.wait()
        task.cancel()
        await asyncio.wait([task])

    scenes: tuple[tuple[str, Callable[[Workflow], Awaitable[Any]], Workflow], ...] = (
        ("run", top.execute, calm),
        ("again by the same id", again, calm),
        ("deadline missed", late, flaky),
        ("cancelled", cancelled, population("left", 1)[0]),
    )
    print(f"\n{'decisions/rewards/abandoned:':30}{'top':>10}{'fetch':>10}{'agent':>10}")
    before = await settled(learning)
    for name, scene, workflow in scenes:
        await scene(workflow)
        after = await settled(learning)
        gained = (
            "/".join(str(after[level][kind] - before[level][kind]) for kind in after[level])
            for level in after
        )
        print(f"{name:30}" + "".join(f"{numbers:>10}" for numbers in gained))
        before = after


async def settled(learning: Learning) -> Counts:
    """Counts of each level when all that was handed over is written: each decision has come to its end.

    But for one whose caller went while it was being made: nothing was begun, and it stays open.
    """
    for _ in range(50):
        counts = {name: await engine.counts() for name, engine in learning.levels.items()}
        if all(level["decisions"] == level["rewards"] + level["abandoned"] for level in counts.values()):
            break
        await asyncio.sleep(0.02)
    return counts


async def advice(learning: Learning) -> None:
    """What the learners would say to a person by now, and that nothing of it is made up."""
    print()
    for source in ("calm", "flaky"):
        found = await learning.top.recommend_strategy({"source": source, "size": "large"})
        print(f"large workflows, {source} store: {found.arm_id}")
    for noise, length in (("clean", "long"), ("noisy", "short"), ("noisy", "long")):
        found = await learning.agent.recommend_strategy({"noise": noise, "length": length})
        print(f"{noise} {length} names: {found.arm_id}")
    untuned = {"timeout_s": 0.06, "retries": 0}
    tuned = await learning.fetch.optimize_parameters(untuned, context={"source": "flaky"})
    print(f"fetching from a flaky store, one step from {untuned}: {dict(tuned.parameters)}")
    for name, engine in learning.levels.items():
        report = await engine.verify()
        print(
            f"{name}: {report.matched} of {report.decisions} decisions re-derived, sums {report.sums_match}"
        )


async def show(count: int, dsn: str | None) -> None:
    """Run the three, compare bob with eve, and show the rest."""
    async with database_address(dsn) as address:
        team = f"team{time.time_ns()}"
        half = count // 4
        ada = in_a_process(team, "first", count, address)
        bob = in_a_process(team, "second", 2 * half, address)
        eve = in_a_process(f"{team}-eve", "second", 2 * half, address)
        print(f"{'':22}{'workflows':>10}{'success':>9}{'steps right':>13}{'reward':>8}")
        print(line("ada, first half", ada[: count // 2]))
        print(line("ada, second half", ada[count // 2 :]))
        print(line("bob knows ada's, first", bob[:half]))
        print(line("eve alone, the same", eve[:half]))
        print(line("bob, second half", bob[half:]))
        print(line("eve, second half", eve[half:]))
        async with AsyncExitStack() as stack:
            learning = await Learning.open(team, address, stack)
            await troubles(learning)
            await advice(learning)


def main() -> int:
    """Parse, and run either one orchestrator or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workflows", type=int, default=24, help="of ada; bob and eve run half of them")
    parser.add_argument("--dsn", help="Postgres to use (default: NYX_DATABASE_URL, or the embedded one)")
    parser.add_argument("--orchestrator", nargs=3, metavar=("TEAM", "WORKFLOWS", "COUNT"))
    options = parser.parse_args()
    try:
        if options.orchestrator:
            team, workflows, count = options.orchestrator
            print(json.dumps(asyncio.run(orchestrate(team, workflows, int(count), options.dsn))))
        else:
            asyncio.run(show(options.workflows, options.dsn))
    except NyxError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
