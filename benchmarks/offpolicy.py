"""Off-policy estimation: which estimator errs least, and how long ten million rows take.

    python -m benchmarks.offpolicy [--data FOLDER] [--replications R] [--log-rows L] [--world W]
        [--model M] [--blind]

First 10,000,000 rows (``--rows``) in batches of 100,000, made on the way: time and peak memory.

Then 1,000 × root mean squared error of each estimator over R logs of L rows, in the orchestration world and
in histories, where the truth is known. The logging policy serves one arm with 40 %, and is else uniform: the
context's third best by an opinion (truth + noise). The target serves the best by another opinion with 90 %.
The reward model is linear in the encoded contexts, with effects of each arm; ``--blind``: it does not see the
contexts, and knows the arms' means only. It is cross-fitted inside each log. The last column: by how many
standard errors the squared errors of DR lie below those of IPS and of DM.

Against Open Bandit Pipeline: ``python -m benchmarks.peers ope``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.choose import NAMES, history_table
from nyx_learning.features import ONE, Encoder
from nyx_learning.simulation.offpolicy import (
    Accumulator,
    IntervalSpec,
    LoggedData,
    Settings,
    evaluate,
    overlay,
)
from nyx_learning.simulation.offpolicy.models import Model
from nyx_learning.simulation.worlds import History, Orchestration, World

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ESTIMATORS = ("ips", "snips", "dm", "dr", "switch_dr", "dr_shrunk")
BATCH = 100_000
ROWS_MIN = 1000
POINT = IntervalSpec("none")


def drawn(world: World, seed: int, rows: int) -> tuple[Integers, Floats, Floats, Floats, Floats]:
    """Contexts, features, rewards and expected rewards of every arm, and who is eligible, of some rounds."""
    rounds = world.rounds(seed, 0, 0, rows)
    encoder = Encoder(world.schema)
    phi = np.array([encoder.encode(context)[1] for context in rounds.contexts], np.float64) / ONE
    allowed = ~np.isnan(rounds.expected)
    return rounds.which, phi[rounds.which], rounds.rewards / ONE, rounds.expected, allowed


def mixed(arm: Integers, share: float, allowed: Floats) -> Floats:
    """A pmf: one arm with some share, the rest uniform over the eligible."""
    pmf = (1.0 - share) * allowed / allowed.sum(axis=1, keepdims=True)
    pmf[np.arange(len(arm)), arm] += share
    return np.asarray(pmf, np.float64)


class Setting:
    """A world, a logging policy, a target policy (context × arm), and the target's true value."""

    def __init__(self, world: World, rows: int) -> None:
        self.world, self.rows = world, rows
        rng = np.random.default_rng(5)
        which, _, _, expected, allowed = drawn(world, 99, 40_000)
        count, arms = int(which.max()) + 1, expected.shape[1]
        self.truth = np.full((count, arms), np.nan)
        self.truth[which] = expected
        self.allowed = np.zeros((count, arms))
        self.allowed[which] = allowed
        known = np.nan_to_num(self.truth, nan=-9.0)
        opinions = known + 0.1 * rng.standard_normal((2, *known.shape))
        self.logging = mixed(np.argsort(opinions[0], axis=1)[:, -3], 0.4, self.allowed)
        self.target = mixed(opinions[1].argmax(axis=1), 0.9, self.allowed)
        share = np.bincount(which, minlength=count) / len(which)
        self.value = float(share @ np.nansum(self.target * self.truth, axis=1))

    def log(self, seed: int) -> LoggedData:
        """A log of its own."""
        which, phi, reward, _, _ = drawn(self.world, seed, self.rows)
        pmf = self.logging[np.minimum(which, len(self.logging) - 1)]
        u = np.random.default_rng(seed).random((len(which), 1))
        arm = np.minimum((pmf.cumsum(axis=1) <= u).sum(axis=1), pmf.shape[1] - 1)
        rows = np.arange(len(which))
        names = tuple(f"arm{a}" for a in range(pmf.shape[1]))
        return LoggedData(
            names,
            arm,
            reward[rows, arm],
            pmf[rows, arm],
            pmf,
            cell=which,
            cells=tuple(str(c) for c in range(len(self.logging))),
            features=phi,
        )


def errors(
    world: World, replications: int, rows: int, *, blind: bool, model: Model = "linear"
) -> tuple[Setting, dict[str, Floats]]:
    """Errors (R,) of every estimator."""
    setting = Setting(world, rows)
    found: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for seed in range(replications):
        log = setting.log(seed)
        target = setting.target[np.asarray(log.cell)]
        if blind:
            log = replace(log, cell=None, cells=(), features=None)
        settings = Settings(model="cells" if blind else model, seed=seed)
        for name, one in evaluate(overlay(log, target), ESTIMATORS, POINT, settings).items():
            found[name].append(one.value - setting.value)
    return setting, {name: np.array(values) for name, values in found.items()}


def row(
    name: str, world: World, replications: int, rows: int, *, blind: bool, model: Model = "linear"
) -> str:
    """One line of the table."""
    setting, found = errors(world, replications, rows, blind=blind, model=model)
    squares = {key: values**2 for key, values in found.items()}
    rms = {key: float(np.sqrt(values.mean())) for key, values in squares.items()}
    gains = [squares[rival] - squares["dr"] for rival in ("ips", "dm")]
    z = [float(gain.mean() / (gain.std(ddof=1) / np.sqrt(replications))) for gain in gains]
    cells = " | ".join(f"{1000 * rms[key]:.1f}" for key in ESTIMATORS)
    return f"| {name} | {setting.value:.3f} | {cells} | {z[0]:+.1f} {z[1]:+.1f} |"


def batches(rows: int, arms: int = 10) -> Iterator[tuple[LoggedData, Floats, Floats]]:
    """Rows made a batch at a time: log, target, modelled rewards."""
    names = tuple(f"arm{a}" for a in range(arms))
    for start in range(0, rows, BATCH):
        rng = np.random.default_rng(start)
        n = min(BATCH, rows - start)
        logging = rng.random((n, arms)) + 0.2
        logging /= logging.sum(axis=1, keepdims=True)
        arm = np.minimum((logging.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), arms - 1)
        reward = (rng.random(n) < 0.3 + 0.04 * arm).astype(np.float64)
        target = logging**2
        target /= target.sum(axis=1, keepdims=True)
        q = np.broadcast_to(0.3 + 0.04 * np.arange(arms), (n, arms))
        yield LoggedData(names, arm, reward, logging[np.arange(n), arm]), target, q


def stream(rows: int) -> None:
    """Time the accumulator over the batches, without what making them takes."""
    found: Accumulator | None = None
    spent = 0.0
    for log, target, q in batches(rows):
        began = time.process_time()
        found = found or Accumulator(log.arms)
        found.add(log, target, q)
        spent += time.process_time() - began
    if found is None:
        return
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    print(f"\n{rows:,} rows in batches of {BATCH:,}, K = 10: {spent:.1f} s, peak memory {peak:,.0f} MiB")
    for name, one in found.estimates().items():
        print(f"  {name:6} {one.value:.6f} ± {one.standard_error:.6f}, ESS {one.ess:,.0f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Errors of off-policy estimators; ten million rows.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--replications", type=int, default=60)
    parser.add_argument("--log-rows", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=10_000_000, help="to stream: 0, or at least 1,000")
    parser.add_argument("--world", default="")
    parser.add_argument("--model", choices=("linear", "cells", "auto"), default="linear")
    parser.add_argument("--blind", action="store_true", help="a reward model that does not see contexts")
    options = parser.parse_args()
    if options.rows != 0 and options.rows < ROWS_MIN:
        parser.error(f"--rows: fewer than {ROWS_MIN:,} rows leave arms untried; 0 streams none")
    # Before the tables: the peak is that of the process.
    stream(options.rows)
    print(f"\n1,000 × root mean squared error, {options.replications} logs of {options.log_rows:,} rows")
    print(
        "| world | value | "
        + " | ".join(ESTIMATORS)
        + " | DR better by |\n"
        + "|---" * (len(ESTIMATORS) + 3)
        + "|"
    )
    made = {"orchestration": partial(Orchestration, drift_round=None)}
    for name in ("orchestration", *NAMES):
        if options.world not in name:
            continue
        try:
            world = made[name]() if name in made else History(history_table(name, options.data)[0])
        except FileNotFoundError as absent:
            print(f"| {name}: left out, {Path(absent.filename).name} is absent |")
            continue
        runs, rows = options.replications, options.log_rows
        line = row(name, world, runs, rows, blind=options.blind, model=options.model)
        print(line, flush=True)


if __name__ == "__main__":
    main()
