"""Insights: planted failure sequences, false discoveries on shuffled data, speed, and a report of real runs.

    python -m benchmarks insights
    python -m benchmarks.insights --runs ../shared/data/terminalbench_runs/runs.csv.gz

Planted: in 1,000 executions with 20 kinds of errors (the most frequent ones in a third of them, as decoys),
three pairs and two triples are inserted in their order, at random places, into as many executions as
``support`` says; two pairs that come together in either order are decoys too. What is found must be one of
the five: parts of them, longer ones and the decoys count as false. Shuffled: the same codes, put into other
places and executions at random.
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

from nyx_learning.insights.executed import Executed
from nyx_learning.insights.failures import FoundSequence, detect_failure_patterns, mine
from nyx_learning.insights.patterns import analyze_strategy_patterns

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
        )
        for i, codes in enumerate(planted(n, n // 25, seed))
    ]


def recorded(path: Path) -> list[Executed]:
    """Recorded runs of agents: the failure mode is the only code of a run, the submission its strategy."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Executed(
            f"run-{i}",
            row["submission"],
            context={"agent": row["agent"], "model": row["model"]},
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
    options = parser.parse_args()
    print(f"planted sequences in 1,000 executions, {options.seeds} seeds")
    for support in (10, 20, 30, 40, 60):
        precision, recall = judged(support, options.seeds)
        print(f"  support {support:3}: precision {precision:.3f}, recall {recall:.3f}")
    alarms = false_alarms(5 * options.seeds)
    print(f"  shuffled: something is found in {alarms:.3f} of {5 * options.seeds} data sets")
    print(
        "  one data set, support 30: "
        + "; ".join(f"{' '.join(f.sequence)}: lift {f.lift:.1f}" for f in lifts())
    )
    for n in (1000, 10_000):
        rows = executions(n, 1)
        fastest("detect_failure_patterns", n, partial(detect_failure_patterns, rows))
        cells = ["task_type", "complexity"]
        fastest("analyze_strategy_patterns", n, partial(analyze_strategy_patterns, rows, cells))
    if options.runs:
        print(detect_failure_patterns(recorded(Path(options.runs))).to_text())


if __name__ == "__main__":
    main()
