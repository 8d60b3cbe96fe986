"""Rounds a second of the simulator on one core: choosing, paying, learning and counting regret.

Each figure is the median of rounds in processor time, with the best beside it: other work on the machine only
ever adds to it. A round includes everything that ``simulate`` does for it.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from nyx_learning.bandit import PolicySpec
from nyx_learning.simulation.contender import Contender
from nyx_learning.simulation.play import tally
from nyx_learning.simulation.worlds import Bernoulli, Linear, Orchestration, World

REPEATS = 9
TEN = Bernoulli([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9])
CLOSE = Bernoulli([0.9, 0.88, 0.86, 0.84, 0.82, 0.8, 0.78, 0.76, 0.74, 0.72])
LINEAR = Linear.drawn(10, 15, seed=1)

# What, policy, sampled, world, rounds, limit in rounds a second (None: no promise).
ROWS: list[tuple[str, PolicySpec, bool, World, int, float | None]] = [
    ("ucb1, K=10", PolicySpec("ucb1", floor=0), False, TEN, 1_000_000, 10e6),
    ("ucb_v, K=10", PolicySpec("ucb_v", floor=0), False, TEN, 500_000, None),
    ("moss, K=10", PolicySpec("moss", floor=0, horizon=1e6), False, TEN, 500_000, None),
    ("kl_ucb, K=10", PolicySpec("kl_ucb", floor=0), False, TEN, 50_000, None),
    ("thompson_beta sampled, K=10", PolicySpec("thompson_beta", floor=0), True, TEN, 300_000, 1.5e6),
    ("thompson_beta exact pmf, K=10", PolicySpec("thompson_beta", floor=0), False, TEN, 10_000, 25e3),
    ("the same, arms close together", PolicySpec("thompson_beta", floor=0), False, CLOSE, 10_000, 25e3),
    ("kl_maillard, K=10", PolicySpec("kl_maillard", floor=0), False, TEN, 50_000, None),
    ("linucb, K=10, d=16", PolicySpec("linucb", floor=0), False, LINEAR, 50_000, 250e3),
    ("hier_ts, orchestration, by the learner", PolicySpec("hier_ts"), False, Orchestration(), 1000, None),
]


def rate(contender: Contender, world: World, rounds: int) -> tuple[float, float]:
    """Rounds a second: median and best."""
    checkpoints = np.array([rounds // 4, rounds], np.int64)
    tally(world, contender, min(rounds, 100), np.array([min(rounds, 100)]), seed=0, replication=0)
    seconds = []
    for replication in range(REPEATS):
        began = time.process_time()
        tally(world, contender, rounds, checkpoints, seed=0, replication=replication)
        seconds.append(time.process_time() - began)
    return rounds / statistics.median(seconds), rounds / min(seconds)


def main() -> None:
    """Print the table."""
    print(f"{'':40}{'median':>12}{'best':>12}{'limit':>12}   rounds/s, one core")
    missed = []
    for what, policy, sampled, world, rounds, limit in ROWS:
        median, best = rate(Contender("x", policy, sampled), world, rounds)
        shown = "-" if limit is None else f"{limit:,.0f}"
        verdict = "" if limit is None else "  ok" if median >= limit else "  MISSED"
        if limit is not None and median < limit:
            missed.append(what)
        print(f"{what:40}{median:12,.0f}{best:12,.0f}{shown:>12}{verdict}")
    print(f"missed: {', '.join(missed)}" if missed else "every limit is met")


if __name__ == "__main__":
    main()
