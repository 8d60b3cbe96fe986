"""Insights: planted failure sequences, false discoveries on shuffled data, speed, and a report of real runs.

    python -m benchmarks insights
    python -m benchmarks.insights --fast
    python -m benchmarks.insights --runs ../shared/data/terminalbench_runs/runs.csv.gz

Planted: in 1,000 executions with 20 kinds of errors (the most frequent ones in a third of them, as decoys),
three pairs and two triples are inserted in their order, at random places, into as many executions as
``support`` says; two pairs that come together in either order are decoys too. What is found must be one of
the five: parts of them, longer ones and the decoys count as false. Shuffled: the same codes, put into other
places and executions at random.

Opportunities: see ``confounded``; found is the planted change, anything else that is told is false.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from nyx_learning.insights.columns import METRICS, Cell, Codes, ExecutionTable
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import FoundSequence, detect_failure_patterns, mine
from nyx_learning.insights.opportunities import OptimizationOpportunity, identify_optimization_opportunities
from nyx_learning.insights.patterns import analyze_agent_performance_by_type, analyze_strategy_patterns
from nyx_learning.insights.resources import analyze_resource_patterns
from nyx_learning.insights.temporal import analyze_temporal_patterns
from nyx_learning.service.pattern_store import all_patterns

PLANTED = (("p0", "p1"), ("p2", "p3"), ("p4", "common0"), ("t0", "t1", "t2"), ("t3", "t4", "common1"))
UNORDERED = (("u0", "u1"), ("u2", "common2"))
KINDS = [f"common{i}" for i in range(4)] + [f"p{i}" for i in range(5)] + [f"t{i}" for i in range(5)]
KINDS += [f"u{i}" for i in range(3)] + ["rare0", "rare1", "rare2"]


def planted(n: int, support: int, seed: int) -> list[list[str]]:
    """Codes of n executions: noise, planted sequences and decoys."""
    rng = np.random.default_rng([seed, 0x1F])
    weights = np.array([8.0] * 4 + [1.0] * (len(KINDS) - 4))
    listed: list[list[str]] = [
        [KINDS[k] for k in rng.choice(len(KINDS), m, p=weights / weights.sum())] for m in rng.poisson(1.5, n)
    ]
    for sequence in (*PLANTED, *UNORDERED):
        for i in rng.choice(n, support, replace=False).tolist():
            codes = list(sequence)
            if sequence in UNORDERED:
                rng.shuffle(codes)
            places = np.sort(rng.integers(0, len(listed[i]) + 1, len(codes))).tolist()
            for step, (place, code) in enumerate(zip(places, codes, strict=True)):
                listed[i].insert(place + step, code)
    return listed


def shuffled(listed: Sequence[Sequence[str]], seed: int) -> list[list[str]]:
    """The same codes and the same lengths; which code is where is chance."""
    flat = np.random.default_rng([seed, 0x5F]).permutation([c for codes in listed for c in codes]).tolist()
    ends = np.cumsum([len(codes) for codes in listed]).tolist()
    return [flat[end - len(codes) : end] for codes, end in zip(listed, ends, strict=True)]


def found_of(listed: Sequence[Sequence[str]]) -> set[tuple[str, ...]]:
    """Sequences that are discoveries at 5 %."""
    return {found.sequence for found in mine(listed, 5, 3, 0.05)}


def judged(support: int, seeds: int) -> tuple[float, float]:
    """Precision and recall, of all seeds together."""
    hits = claims = 0
    for seed in range(seeds):
        found = found_of(planted(1000, support, seed))
        hits += len(found & set(PLANTED))
        claims += len(found)
    return hits / max(claims, 1), hits / (seeds * len(PLANTED))


def false_alarms(seeds: int) -> float:
    """Share of shuffled data sets in which anything is found."""
    return float(np.mean([bool(found_of(shuffled(planted(1000, 40, s), s))) for s in range(seeds)]))


def executions(n: int, seed: int) -> list[Executed]:
    """Executions with strategies, contexts and the planted errors, for speed."""
    rng = np.random.default_rng([seed, 0x2F])
    return [
        Executed(
            f"e-{i}",
            ("direct", "sequential", "parallel")[rng.integers(3)],
            context={
                "task_type": ("research", "coding", "analysis")[rng.integers(3)],
                "complexity": ("simple", "moderate", "complex")[rng.integers(3)],
            },
            success=bool(rng.random() < 0.7),
            reward=float(rng.random()),
            duration_s=float(np.exp(rng.normal(3.0, 1.0))),
            cost=float(np.exp(rng.normal(-3.0, 1.0))),
            error_codes=tuple(codes),
            time=1_700_000_000.0 + 600.0 * i,
            agent_type=("junior", "senior")[int(rng.integers(2))],
            propensity=1.0 / 3.0,
            chances=dict.fromkeys(("direct", "sequential", "parallel"), 1.0 / 3.0),
        )
        for i, codes in enumerate(planted(n, n // 25, seed))
    ]


def table(n: int, seed: int) -> ExecutionTable:
    """The same as columns, without errors: three strategies in nine cells."""
    rng = np.random.default_rng([seed, 0x3F])
    cells: tuple[Cell, ...] = tuple(
        (("complexity", c), ("task_type", t)) for c in ("complex", "moderate", "simple") for t in "abc"
    )
    values = {
        "success": (rng.random(n) < 0.7).astype(np.float64),
        "reward": rng.random(n),
        "duration_s": np.exp(rng.normal(3.0, 1.0, n)),
        "cost": np.exp(rng.normal(-3.0, 1.0, n)),
    }
    return ExecutionTable(
        Codes(("direct", "parallel", "sequential"), rng.integers(0, 3, n)),
        Codes(cells, rng.integers(0, 9, n)),
        {metric: values[metric] for metric in METRICS},
        rng.random(n) < 0.05,
        1_700_000_000.0 + 60.0 * np.arange(n, dtype=np.float64),
    )


ARMS = [("direct", {}), *(("parallel", {"workers": w}) for w in (2, 4, 8))]
ARM_IDS = ["direct", *(f"parallel(workers={w})" for w in (2, 4, 8))]


def confounded(seed: int, n: int, *, effect: float, confounding: float) -> list[Executed]:
    """Arm 1 is better by ``effect`` for code; arm 2 is chosen for the easy tasks, which nobody sees.

    Without confounding all arms are chosen alike. Rewards have a standard deviation of .2.
    """
    rng = np.random.default_rng([seed, 0x4F])
    found = []
    for i in range(n):
        task, easy = ("code", "text")[int(rng.integers(2))], rng.random() < 0.5
        p = np.array([0.25] * 4)
        if confounding:
            p = np.array([0.1, 0.1, 0.7, 0.1]) if easy else np.array([0.3, 0.3, 0.1, 0.3])
        arm = int(rng.choice(4, p=p))
        mean = 0.5 + (confounding if easy else -confounding) + effect * (arm == 1 and task == "code")
        found.append(
            Executed(
                f"e-{i}",
                *ARMS[arm],
                {"task": task},
                reward=float(np.clip(rng.normal(mean, 0.2), 0.0, 1.0)),
                arm_id=ARM_IDS[arm],
                propensity=float(p[arm]),
                chances=dict(zip(ARM_IDS, p.tolist(), strict=True)),
            )
        )
    return found


def wanted(found: OptimizationOpportunity) -> bool:
    """Tell whether it is the planted one."""
    return (found.kind, found.cell, found.arms) == ("strategy", (("task", "code"),), (ARM_IDS[1],))


def opportunities(seeds: int) -> None:
    """Print power, false finds, and what raw means say under confounding."""
    print(f"opportunities in worlds of 1,000 executions and four arms, {seeds} seeds")
    for effect in (0.1, 0.15, 0.2):
        told = [
            identify_optimization_opportunities(
                confounded(seed, 1000, effect=effect, confounding=0.0), 0.1, by=["task"]
            ).opportunities
            for seed in range(seeds)
        ]
        hits = [next((o for o in each if wanted(o)), None) for each in told]
        covered = [o.low <= 0.75 * effect <= o.high for o in hits if o is not None]
        power, held = np.mean([h is not None for h in hits]), np.mean(covered) if covered else float("nan")
        print(
            f"  planted {effect:.2f}: found in {power:.3f}; in {held:.3f} of these its interval has the truth"
        )
    for confounding in (0.0, 0.2):
        false = raw = 0
        for seed in range(seeds):
            rows = confounded(seed, 1000, effect=0.0, confounding=confounding)
            false += bool(identify_optimization_opportunities(rows, 0.0, by=["task"]).opportunities)
            named = [
                Executed(e.execution_id, e.arm_id or "", context=e.context, reward=e.reward) for e in rows
            ]
            means = analyze_strategy_patterns(named, ["task"])
            raw += any(m.finding == "higher" for p in means.patterns for m in p.metrics)
        print(
            f"  nothing planted, confounding {confounding:.1f}: something is told in {false / seeds:.3f},"
            f" raw means call an arm better in {raw / seeds:.3f}"
        )


def recorded(path: Path) -> list[Executed]:
    """Recorded runs of agents: the failure mode is the only code of a run, the submission its strategy."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Executed(
            f"run-{i}",
            row["submission"],
            context={"agent": row["agent"], "model": row["model"], "task": row["task"]},
            success=row["resolved"] == "1",
            reward=float(row["test_frac"] or 0.0),
            duration_s=float(row["duration_s"]) if row["duration_s"] else None,
            timed_out=row["failure_mode"] == "agent_timeout",
            error_codes=() if row["failure_mode"] == "unset" else (row["failure_mode"],),
            time=datetime.fromisoformat(row["started_at"]).timestamp() if row["started_at"] else None,
        )
        for i, row in enumerate(rows)
    ]


def lifts() -> list[FoundSequence]:
    """What is found in one data set, with its lifts."""
    return mine(planted(1000, 30, 0), 5, 3, 0.05)


def fastest(name: str, n: int, call: Callable[[], object]) -> None:
    """Print the best of five times."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    print(f"{name}, {n:,} executions: {1e3 * min(times):.0f} ms (best of 5)")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Insights: what is found, and how fast.")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--runs", help="runs.csv.gz of recorded runs: a report of their failures")
    parser.add_argument("--fast", action="store_true", help="only how long it takes")
    options = parser.parse_args()
    if not options.fast:
        mining(options.seeds)
    speeds()
    if not options.fast:
        opportunities(3 * options.seeds)
    if options.runs:
        rows = recorded(Path(options.runs))
        print(detect_failure_patterns(rows).to_text())
        print(analyze_resource_patterns(rows).to_text())
        print(analyze_temporal_patterns(rows, ["task"]).to_text())


def mining(seeds: int) -> None:
    """Print precision and recall of planted sequences, and false alarms."""
    print(f"planted sequences in 1,000 executions, {seeds} seeds")
    for support in (10, 20, 30, 40, 60):
        precision, recall = judged(support, seeds)
        print(f"  support {support:3}: precision {precision:.3f}, recall {recall:.3f}")
    alarms = false_alarms(5 * seeds)
    print(f"  shuffled: something is found in {alarms:.3f} of {5 * seeds} data sets")
    print(
        "  one data set, support 30: "
        + "; ".join(f"{' '.join(f.sequence)}: lift {f.lift:.1f}" for f in lifts())
    )


def speeds() -> None:
    """Print how long it takes."""
    for n in (1000, 10_000):
        rows = executions(n, 1)
        fastest("detect_failure_patterns", n, partial(detect_failure_patterns, rows))
        cells = ["task_type", "complexity"]
        fastest("analyze_strategy_patterns", n, partial(analyze_strategy_patterns, rows, cells))
    rows = executions(1000, 1)
    cells = ["task_type", "complexity"]
    fastest("agents", 1000, partial(analyze_agent_performance_by_type, rows, "senior", by=cells))
    fastest("opportunities", 1000, partial(identify_optimization_opportunities, rows, by=cells))
    fastest("resources", 1000, partial(analyze_resource_patterns, rows))
    fastest("times", 1000, partial(analyze_temporal_patterns, rows, cells))
    fastest("all patterns, trends included", 1000, partial(all_patterns, rows, cells))
    fastest("strategies, of columns", 1_000_000, partial(analyze_strategy_patterns, table(1_000_000, 1)))


if __name__ == "__main__":
    main()
