"""Several processes on one bandit of one database, and what one of them hears of another."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path

from benchmarks.durable.load import Load, context, outcome, rounds, spec
from nyx_learning import Decision, LearningEngine

__all__ = ["Several", "child", "measure_processes", "tell"]

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Several:
    """Operations a second of all processes together."""

    select_rate: float
    update_rate: float


async def measure_processes(dsn: str, load: Load, processes: int) -> Several:
    """The same load from each process at once; begins together, counted until the last one has finished."""
    operations = max(load.operations, 1000)
    children = [
        await child("benchmarks.durable.several", dsn, str(load.tasks), str(operations), str(number))
        for number in range(processes)
    ]
    rates = []
    try:
        for _ in ("select", "update"):
            for one in children:
                await _line(one)  # it is ready
            for one in children:
                await tell(one, "go")
            spans = [json.loads(await _line(one)) for one in children]
            took = max(span[1] for span in spans) - min(span[0] for span in spans)
            rates.append(processes * operations / took)
    finally:
        for one in children:
            if one.returncode is None:
                await one.wait()
    return Several(*rates)


async def child(module: str, *arguments: str) -> Process:
    """Start a module in an interpreter of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdin=PIPE,
        stdout=PIPE,
    )


async def tell(one: Process, line: str) -> None:
    """Send a line to a process."""
    if one.stdin is not None:
        one.stdin.write(f"{line}\n".encode())
        await one.stdin.drain()


async def _line(one: Process) -> str:
    line = b"" if one.stdout is None else await one.stdout.readline()
    if not line:
        message = "a process of the benchmark ended early"
        raise RuntimeError(message)
    return line.decode()


async def _work(dsn: str, tasks: int, operations: int, number: int) -> None:
    decisions: list[Decision] = []
    async with await LearningEngine.open(spec("several"), dsn, deadline_s=30.0) as engine:

        async def select(i: int) -> None:
            decisions.append(await engine.select_arm(context(i + number)))

        async def update(i: int) -> None:
            await engine.update_reward(decisions[i], outcome(i))

        for work in (select, update):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            began = time.monotonic()
            await rounds(tasks, operations, work)
            print(json.dumps([began, time.monotonic()]), flush=True)


def work() -> None:
    """Work as one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    for name in ("tasks", "operations", "number"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    asyncio.run(_work(options.dsn, options.tasks, options.operations, options.number))


if __name__ == "__main__":
    work()
