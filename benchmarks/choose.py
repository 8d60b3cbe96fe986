"""Which policy when: mean rewards in worlds and histories, the table of docs/how-to-choose.md.

    python -m benchmarks.choose --replications 400 --history-replications 60 --data FOLDER [--world WORD]
    python -m benchmarks.choose --replications 4000 --lift

FOLDER holds the histories in NAMES; where a file is absent, its row says so. In a cell: scenarios, "whole run
/ policy at the end"; histories, "whole run / last half". All policies of a row meet the same contexts and
rewards. ± is the largest standard error of the row's whole runs, over replications. ``--lift`` prints instead
how often 1.2 times the incumbent is reached within 100 workflows.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nyx_learning import PolicySpec
from nyx_learning.simulation import ExecutionTable, RewardColumn, execution_table, read_rows, replay
from nyx_learning.simulation.lift import Warm, measure_lift
from nyx_learning.simulation.rows import Rows
from nyx_learning.simulation.worlds import SCENARIOS

POLICIES = {
    "hier_ts": PolicySpec("hier_ts"),
    "hier_ucb": PolicySpec("hier_ucb"),
    "thompson_beta": PolicySpec("thompson_beta"),
    "kl_ucb": PolicySpec("kl_ucb"),
    "ucb1 α=1": PolicySpec("ucb1", alpha=1),
    "linucb": PolicySpec("linucb"),
    "lints": PolicySpec("lints"),
    "square_cb": PolicySpec("square_cb"),
}
ASLIB = ("QBF-2011", "SAT11-RAND", "MIP-2016")
NAMES = ("terminalbench", "swebench_mini", *ASLIB)
HEAD = "| world | rounds | uniform | best fixed arm | " + " | ".join(POLICIES) + " | ± |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Mean reward of policies in worlds and histories.")
    parser.add_argument("--replications", type=int, default=20)
    parser.add_argument("--history-replications", type=int, default=4)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--world", default="")
    parser.add_argument("--lift", action="store_true")
    options = parser.parse_args()
    if options.lift:
        _lift_table(options.replications)
        return
    print(HEAD)
    print("|" + "---|" * (len(POLICIES) + 5))
    for name in SCENARIOS:
        if options.world in name:
            print(_scenario(name, options.replications), flush=True)
    for name in NAMES:
        if options.world in name:
            print(_history(name, options.data, options.history_replications), flush=True)


def _scenario(name: str, replications: int) -> str:
    world = SCENARIOS[name]
    shares = np.array(world.weights) / sum(world.weights)
    values = shares @ np.array(world.means)
    found = [measure_lift(world, policy, replications=replications) for policy in POLICIES.values()]
    cells = [f"{lift.mean()[0]:.3f} / {lift.mean(final=True)[0]:.3f}" for lift in found]
    error = max(lift.mean()[1] for lift in found)
    return f"| {name} | 100 | {values.mean():.3f} | {values.max():.3f} | " + (
        " | ".join(cells) + f" | {error:.3f} |"
    )


def _history(name: str, data: Path, replications: int) -> str:
    try:
        table, limit, rounds = history_table(name, data)
    except FileNotFoundError as absent:
        return f"| {name}: left out, {Path(absent.filename).name} is absent |"
    found = replay(
        table, list(POLICIES.values()), rounds=rounds, replications=replications, context_limit=limit
    )
    cells = [f"{r.overall.mean:.3f} / {r.last_half.mean:.3f}" for r in found.policies]
    error = max(r.overall.standard_error for r in found.policies)
    refs = found.references
    return f"| {name} | {rounds} | {refs.uniform.mean:.3f} | {refs.best_fixed_arm.mean:.3f} | " + (
        " | ".join(cells) + f" | {error:.3f} |"
    )


def history_table(name: str, data: Path) -> tuple[ExecutionTable, int | None, int]:
    """The table of a history, how many contexts recur in a replication, and the rounds."""
    if name == "terminalbench":
        runs = _rows(data / "terminalbench_runs/runs.csv.gz")
        pricing = RewardColumn("resolved")
        return execution_table(runs, arm=["submission"], context=["task"], pricing=pricing), 10, 100
    if name == "swebench_mini":
        runs, features = _rows(data / name / "runs.csv.gz"), _rows(data / name / "features.csv")
        pricing = RewardColumn("resolved")
        table = execution_table(
            runs, arm=["arm"], features=features, on="instance_id", without=["issue_number"], pricing=pricing
        )
        return table, None, 300
    runs = _rows(data / f"aslib/{name}_runs.csv.gz")
    features = _rows(data / f"aslib/{name}_features.csv.gz")
    solved = {i for i, s in zip(runs.column("instance"), runs.column("status"), strict=True) if s == "ok"}
    kept = [i for i, instance in enumerate(runs.column("instance")) if instance in solved]
    runs = replace(
        runs, rows=tuple(runs.rows[i] for i in kept), lines=tuple(runs.lines[i] for i in kept)
    )  # an instance that no solver solves tells nothing
    without = [column for column in ("_cv_fold", "_feature_cost_s") if column in features.header]
    table = execution_table(
        runs,
        arm=["algorithm"],
        features=features,
        on="instance",
        without=without,
        pricing=RewardColumn("status", {"ok": 1.0, "*": 0.0}),
        ranks=True,
    )
    return table, None, 300


def _rows(path: Path) -> Rows:
    with (
        gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    ) as lines:
        return read_rows(lines, path.name)


def _lift_table(replications: int) -> None:
    print("| world | start | policy | P(cumulative ≥ 1.2) | ± | P(final ≥ 1.2) | mean reward | ± | final |")
    print("|" + "---|" * 9)
    for line in _lift_rows(replications):
        print(line, flush=True)


def _lift_rows(replications: int) -> Iterator[str]:
    starts = {"cold": None, "300 rows, incumbent 80 %": Warm(300, 0.8), "300 rows, uniform": Warm(300)}
    for name, world in SCENARIOS.items():
        for start, warm in starts.items():
            for policy in ("hier_ts", "hier_ucb"):
                lift = measure_lift(world, PolicySpec(policy), replications=replications, warm=warm)
                share, error = lift.share(1.2)
                mean, mean_error = lift.mean()
                yield (
                    f"| {name} | {start} | {policy} | {share:.3f} | {error:.3f} | "
                    f"{lift.share(1.2, final=True)[0]:.3f} | {mean:.3f} | {mean_error:.4f} | "
                    f"{lift.mean(final=True)[0]:.3f} |"
                )


if __name__ == "__main__":
    main()
