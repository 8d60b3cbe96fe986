"""Score recorded agent runs end to end, and see which weights change the winner.

    python examples/score_terminalbench.py runs.csv.gz

The table has a row for each trial, with the columns ``submission`` (the arm), ``task``, ``resolved`` (0 or
1), ``test_frac`` (share of tests passed), ``agent_s`` (seconds), ``failure_mode``, and perhaps
``input_tokens`` and ``output_tokens``. Reference times are estimated for each task from the executions of one
arm (``--baseline``; default: the arm with the most rows). Speed, quality and success become the composite,
and the stored scores are read again under other weights.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from nyx_learning.errors import NyxError, TableInvalid
from nyx_learning.rewards import (
    Execution,
    Gate,
    Outcome,
    Reward,
    RewardRow,
    RewardSpec,
    estimate_references,
    price,
    reprice,
)
from nyx_learning.rewards.compare import compare

COLUMNS = ("submission", "task", "resolved", "test_frac", "agent_s", "failure_mode")
TIMEOUTS = {"agent_timeout", "test_timeout"}
SPEC = RewardSpec(
    weights={"speed": 0.25, "quality": 0.30, "success": 0.30, "usefulness": 0.15}, reference_by=("task",)
)
READINGS = {
    "default (speed .25, quality .30, success .30)": SPEC,
    "success alone": RewardSpec(weights={"success": 1.0}, reference_by=("task",)),
    "quality alone": RewardSpec(weights={"quality": 1.0}, reference_by=("task",)),
    "speed alone": RewardSpec(weights={"speed": 1.0}, reference_by=("task",)),
    "speed alone, failures worth 0": RewardSpec(
        weights={"speed": 1.0}, gates=(Gate("success", below=0.5, cap=0.0),), reference_by=("task",)
    ),
    "half speed, half success": RewardSpec(weights={"speed": 1.0, "success": 1.0}, reference_by=("task",)),
    "geometric mean of the default": RewardSpec(mean="geometric", reference_by=("task",)),
}
SPEED_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def read(path: Path) -> list[dict[str, str]]:
    """Read the table, refusing one without the columns that are needed."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise TableInvalid(
            "the table lacks columns",
            expected=", ".join(COLUMNS),
            found=", ".join(reader.fieldnames or ()) or "nothing",
            fix=f"add {', '.join(missing)}, or pass another file",
        )
    return list(reader)


def outcome_of(row: dict[str, str]) -> Outcome:
    """Map a row; what the table does not say stays unreported."""
    mode = row["failure_mode"]
    tokens = int(row.get("input_tokens") or 0) + int(row.get("output_tokens") or 0)
    return Outcome(
        success=row["resolved"] == "1",
        duration_s=float(row["agent_s"]) if row["agent_s"] else None,
        timed_out=mode in TIMEOUTS,
        goal_achievement=float(row["test_frac"]) if row["test_frac"] else None,
        tokens=tokens or None,  # 0 stands for "not reported" there
        error_codes=() if mode in {"unset", ""} else (mode,),
    )


def mean_by_arm(rows: Sequence[RewardRow], values: Sequence[float]) -> dict[str, float]:
    """Mean over tasks of the mean over trials: every task counts alike for every arm."""
    cells: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, value in zip(rows, values, strict=True):
        cells[row.arm_id][str(row.context["task"])].append(value)
    return {arm: float(np.mean([np.mean(v) for v in tasks.values()])) for arm, tasks in cells.items()}


def ranked(means: dict[str, float]) -> list[str]:
    """Arms, best first."""
    return sorted(means, key=lambda arm: (-means[arm], arm))


def correlations(rewards: Sequence[Reward]) -> None:
    """Print how the scores and the composite go together over the trials."""
    names = ("speed", "quality", "success")
    kept = [reward for reward in rewards if all(name in reward.components for name in names)]
    columns: dict[str, list[float]] = {n: [reward.components[n] for reward in kept] for n in names}
    columns["composite"] = [reward.value for reward in kept]
    print(f"\nrank correlation over {len(kept):,} trials")
    print(f"{'':12}" + "".join(f"{name:>11}" for name in columns))
    for first, a in columns.items():
        print(f"{first:12}" + "".join(f"{spearmanr(a, b).statistic:11.2f}" for b in columns.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the table and print the report."""
    parser = argparse.ArgumentParser(description="Score recorded agent runs and compare weights.")
    parser.add_argument("table", type=Path, help="CSV file, plain or gzipped")
    parser.add_argument(
        "--baseline", help="arm whose times are the references; default: the most frequent one"
    )
    options = parser.parse_args(arguments)
    try:
        report(read(options.table), options.baseline)
    except (NyxError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def report(table: list[dict[str, str]], baseline: str | None) -> None:
    """Price every row, then read the stored scores under each set of weights."""
    arms = Counter(row["submission"] for row in table)
    baseline = baseline or min(arms, key=lambda arm: (-arms[arm], arm))
    executions = [
        Execution(i, {"task": row["task"]}, row["submission"], outcome_of(row)) for i, row in enumerate(table)
    ]
    references = estimate_references(executions, by=("task",), baseline_arm=baseline, min_n=3)
    rows = [
        RewardRow(
            str(e.seq), e.arm_id, e.context, price(e.outcome, SPEC, context=e.context, reference=references)
        )
        for e in executions
    ]
    sources = Counter(cell.source for cell in references.cells)
    print(f"{len(rows):,} trials, {len(arms)} arms")
    print(f"references {references.version[:8]} from {baseline}: {dict(sources)}")
    gaps = Counter(name for row in rows for name in row.reward.missing)
    print("missing: " + ", ".join(f"{name} in {n:,}" for name, n in gaps.items()))
    correlations([row.reward for row in rows])

    scores: dict[str, dict[str, float]] = {}
    for name in ("speed", "quality", "success"):
        held = [row for row in rows if name in row.reward.components]
        scores[name] = mean_by_arm(held, [row.reward.components[name] for row in held])
    composite = mean_by_arm(rows, [row.reward.value for row in rows])
    print(f"\n{'arm':52}{'composite':>10}{'speed':>8}{'quality':>9}{'success':>9}")
    for arm in ranked(composite):
        parts = (scores["speed"].get(arm, float("nan")), scores["quality"][arm], scores["success"][arm])
        print(f"{arm:52}{composite[arm]:10.3f}{parts[0]:8.3f}{parts[1]:9.3f}{parts[2]:9.3f}")

    print("nan: never reported; the composite of that arm is over the other scores: another scale")

    print(f"\n{'weights':48}winner (mean), runner-up")
    for name, spec in READINGS.items():
        pairs: list[tuple[RewardRow, float]] = [
            (item.row, item.after.value) for item in reprice(rows, spec) if item.after is not None
        ]
        means = mean_by_arm([row for row, _ in pairs], [value for _, value in pairs])
        first, second = ranked(means)[:2]
        print(f"{name:48}{first} ({means[first]:.3f}), {second} ({means[second]:.3f})")

    print("\nshare of speed against success    winner")
    last = ""
    for share in SPEED_SHARES:
        spec = RewardSpec(weights={"speed": share, "success": 1.0 - share}, reference_by=("task",))
        repriced: list[Any] = [item for item in reprice(rows, spec) if item.after is not None]
        means = mean_by_arm([item.row for item in repriced], [item.after.value for item in repriced])
        winner = ranked(means)[0]
        print(f"{share:>28.1f}      {winner}{'   <- changes' if last and winner != last else ''}")
        last = winner

    best, runner_up = ranked(composite)[:2]
    by_arm = {arm: [row.reward.value for row in rows if row.arm_id == arm] for arm in (best, runner_up)}
    found = compare(by_arm[runner_up], by_arm[best])
    gap, above = found.difference, found.superiority
    print(f"\n{best} against {runner_up}, composite of all trials")
    print(f"difference {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]")
    print(f"higher in {above.value:.0%} of pairs [{above.low:.0%}, {above.high:.0%}]")
    print("higher" if found.verdict == "b higher" else "not enough evidence that it is better")


if __name__ == "__main__":
    sys.exit(main())
