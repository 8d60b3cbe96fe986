"""The durable path on an embedded Postgres with fsync, beside pgbench on the same server in the same run.

``python -m benchmarks.persistence [--quick] [--rows N]``. One bandit, the default policy, ten arms. Medians
of blocks. ``--rows`` : of the log that is opened and folded anew, by default a million.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.durable.follow import lags
from benchmarks.durable.load import (
    Alone,
    Load,
    Single,
    measure_alone,
    measure_one_process,
    measure_statements,
)
from benchmarks.durable.pgbench import Pgbench
from benchmarks.durable.reopen import measure_reopening
from benchmarks.durable.several import measure_processes
from nyx_learning import Monitors
from nyx_learning.persistence.embedded import start

TASKS = 64


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.persistence")
    parser.add_argument("--quick", action="store_true", help="small blocks: whether it runs, not how fast")
    parser.add_argument("--rows", type=int, default=None, help="rows of the log that is opened anew")
    options = parser.parse_args()
    load = Load(blocks=3, operations=2_000, tasks=TASKS) if options.quick else Load(9, 20_000, TASKS)
    rows = options.rows or (20_000 if options.quick else 1_000_000)
    # Not below the user's own temporary folder: root's may be closed to the account that runs Postgres.
    folder = Path(tempfile.mkdtemp(prefix="nyx-bench-", dir="/tmp"))
    try:
        with start(folder) as server:
            print(f"Postgres {server.version}, fsync on, {os.cpu_count()} cores;", end=" ")
            print(f"load average {os.getloadavg()[0]:.1f} before")
            pgbench = Pgbench(server.dsn, seconds=1 if options.quick else 3)
            asyncio.run(measure(server.dsn, pgbench, load))
            asyncio.run(measure_reopening(server.dsn, rows))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"load average afterwards {os.getloadavg()[0]:.1f}")


async def measure(dsn: str, pgbench: Pgbench, load: Load) -> None:
    """Print the tables of a server that has no other clients."""
    await pgbench.prepare()
    lone = [pgbench.one_row_ms(clients=1)]
    alone = await measure_alone(dsn, load)
    lone.append(pgbench.one_row_ms(clients=1))
    many = [pgbench.per_second(clients=load.tasks)]
    single = await measure_one_process(dsn, load)
    many.append(pgbench.per_second(clients=load.tasks))
    commit_ms = statistics.median(lone)
    print(f"\npgbench, a row a transaction: {commit_ms:.3f} ms alone;", end=" ")
    print(f"{statistics.median(many):,.0f} a second with {load.tasks} clients")
    print_alone(alone, commit_ms)
    print_single(single, load.tasks, commit_ms)
    watched = await measure_one_process(dsn, replace(load, blocks=max(load.blocks // 3, 2)), Monitors())
    print_single(watched, load.tasks, commit_ms)
    print(f"the monitors, behind {2 * load.operations:,} operations:", end=" ")
    print(f"{statistics.median(lag.rows for lag in watched.lags):,.0f} rows behind the log,", end=" ")
    print(f"{statistics.median(lag.seconds for lag in watched.lags):.1f} s until they have seen all")
    several = await measure_processes(dsn, load, processes=4)
    print(f"\n{'4 processes, one bandit':34}{'/s':>9}{'÷ one':>9}   limit 0.6")
    for name, together, one in (
        ("durable select_arm", several.select_rate, single.select_rates),
        ("durable update_reward", several.update_rate, single.update_rates),
    ):
        print(f"{name:34}{together:9,.0f}{together / statistics.median(one):9.2f}")
    found = await lags(dsn, load)
    print(f"\n{'what A learned is in B':34}{'p50 ms':>9}{'p99 ms':>9}{'worst':>9}   limit 1,000 ms")
    for name, times in found.items():
        print(f"{name:34}{quantile(times, 0.5):9.1f}{quantile(times, 0.99):9.1f}{max(times):9.1f}")
    counted = await measure_statements(dsn, load)
    print(f"\nan execution, {load.tasks} tasks: {counted.statements:.3f} statements (limit 2),", end=" ")
    print(f"{counted.transactions:.3f} transactions")


def print_alone(alone: Alone, commit_ms: float) -> None:
    """One call after the other."""
    print(f"\n{'alone':34}{'p50 ms':>9}{'p99 ms':>9}{'÷ commit':>10}   limit")
    for name, limit, times in (
        ("durable select_arm", "3 × a commit", alone.select_ms),
        ("durable update_reward", "", alone.update_ms),
        ("write-behind select_arm", "0.1 ms", alone.behind_ms),
    ):
        p50 = quantile(times, 0.5)
        print(f"{name:34}{p50:9.3f}{quantile(times, 0.99):9.3f}{p50 / commit_ms:10.2f}   {limit}")


def print_single(single: Single, tasks: int, commit_ms: float) -> None:
    """Many tasks of one process."""
    heads = f"{'/s':>9}{'best':>9}{'p50 ms':>9}{'p99 ms':>9}{'÷ commit':>10}"
    title = f"{tasks} tasks, one process" + (", monitors on" if single.lags else "")
    print(f"\n{title:34}{heads}   limit")
    for name, limit, rates, times in (
        ("durable select_arm", "8,000/s, p99 10 × a commit", single.select_rates, single.select_ms),
        ("durable update_reward", "15,000/s, p99 10 × a commit", single.update_rates, single.update_ms),
        ("both, one after the other", "", single.both_rates, single.both_ms),
    ):
        p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
        rate = f"{statistics.median(rates):9,.0f}{max(rates):9,.0f}"
        print(f"{name:34}{rate}{p50:9.2f}{p99:9.2f}{p99 / commit_ms:10.1f}   {limit}")


def quantile(times: list[float], share: float) -> float:
    """The value below which that share of the times lies."""
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


if __name__ == "__main__":
    main()
