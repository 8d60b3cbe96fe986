"""What it costs to price executions: one composite from an ``Outcome``, and tables of them.

Limits: one composite at most 20 µs; bulk at least 2 million rows a second. Each figure is the median of
rounds, with the best beside it: other work on the machine only ever adds time.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nyx_learning.rewards import (
    Gate,
    Ledger,
    Outcome,
    ReferenceCell,
    ReferenceTimes,
    Report,
    RewardSpec,
    ValidationResult,
    WeightProfile,
    advance,
    composite_bulk,
    price,
    price_bulk,
    reprice_reward,
)

ROUNDS = 15
CALLS = 2_000
ROWS = 400_000
LIMIT_US = 20.0
LIMIT_ROWS = 2e6

CONTEXT = {"task_type": "coding", "complexity": "complex", "urgent": True}
REFERENCES = ReferenceTimes(
    cells=(
        ReferenceCell(("coding", "complex"), time_s=60.0, tokens=20_000.0),
        ReferenceCell(("coding", "*"), time_s=40.0),
        ReferenceCell(("*", "*"), time_s=30.0, tokens=9_000.0, cost=0.2),
    )
)
PLAIN = RewardSpec(reference_time_s=30.0)
RICH = RewardSpec(
    profiles=(WeightProfile({"task_type": "research"}, {"quality": 1.0}),), gates=(Gate("success", 0.5, 0.4),)
)
SMALL = Outcome(success=True, duration_s=12.0)
USUAL = Outcome(
    success=True, duration_s=12.0, quality=0.9, goal_alignment=0.8, tokens=5000, cost=0.1, retries=1
)
LARGE = Outcome(
    success=True,
    duration_s=12.0,
    validation_results=tuple(ValidationResult(name=f"check {i}", passed=i != 3) for i in range(8)),
    format_compliance=1.0,
    goal_achievement=0.7,
    goal_alignment=0.8,
    business_impact=0.4,
    input_tokens=4000,
    output_tokens=1000,
    cost=0.1,
    agents_succeeded=4,
    agents_failed=1,
    error_codes=("rate_limit", "rate_limit"),
)


def microseconds(call: Callable[[], object]) -> tuple[float, float]:
    """Median and best over the rounds, for one call."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call()
        taken.append((time.perf_counter() - began) / CALLS * 1e6)
    return statistics.median(taken), min(taken)


def rows_per_second(call: Callable[[], object]) -> tuple[float, float]:
    """Median and best over the rounds, in million rows a second."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        taken.append(ROWS / (time.perf_counter() - began) / 1e6)
    return statistics.median(taken), max(taken)


def table() -> dict[str, Any]:
    """Columns of many outcomes, a tenth of the optional values missing."""
    source = np.random.default_rng(1)

    def unit() -> Any:
        return np.where(source.random(ROWS) < 0.1, np.nan, source.random(ROWS))

    return {
        "success": source.random(ROWS) < 0.8,
        "timed_out": source.random(ROWS) < 0.05,
        "duration_s": source.exponential(30.0, ROWS),
        "validation": unit(),
        "goal_achievement": unit(),
        "format_compliance": unit(),
        "goal_alignment": unit(),
        "user_feedback": unit(),
        "business_impact": unit(),
        "retries": source.integers(0, 3, ROWS),
    }


def main() -> None:
    """Print both tables."""
    stored = price(USUAL, RICH, context=CONTEXT, reference=REFERENCES)
    report = Report(outcome=USUAL.to_dict())
    calls: dict[str, Callable[[], object]] = {
        "price: success and time": lambda: price(SMALL, PLAIN),
        "price: usual, profiles, gate, references": lambda: price(
            USUAL, RICH, context=CONTEXT, reference=REFERENCES
        ),
        "price: 8 checks, every part": lambda: price(LARGE, RICH, context=CONTEXT, reference=REFERENCES),
        "Outcome(...): usual": lambda: Outcome(
            success=True, duration_s=12.0, quality=0.9, goal_alignment=0.8, tokens=5000, cost=0.1, retries=1
        ),
        "reprice_reward": lambda: reprice_reward(stored, RICH, context=CONTEXT),
        "advance: a report, priced": lambda: advance(
            Ledger(0.0), report, PLAIN, price=lambda outcome: price(outcome, PLAIN).value
        ),
    }
    gc.disable()
    try:
        print(f"{'one at a time':44}{'median':>9}{'best':>9}   µs (limit {LIMIT_US:.0f} for price)")
        for name, call in calls.items():
            median, best = microseconds(call)
            print(f"{name:44}{median:9.1f}{best:9.1f}")
        columns = table()
        scores = price_bulk(columns, PLAIN, reference_time_s=30.0).scores
        full = {name: np.nan_to_num(values) for name, values in scores.items()}
        geometric = RewardSpec(mean="geometric")
        bulk: dict[str, Callable[[], object]] = {
            "composite_bulk: 4 scores": lambda: composite_bulk(full, PLAIN),
            "composite_bulk: 4 scores, some missing": lambda: composite_bulk(scores, PLAIN),
            "composite_bulk: geometric, some missing": lambda: composite_bulk(scores, geometric),
            "price_bulk: 10 columns, all formulas": lambda: price_bulk(columns, PLAIN, reference_time_s=30.0),
        }
        heading = f"{ROWS:,} rows"
        print(
            f"\n{heading:44}{'median':>9}{'best':>9}   million rows a second (limit {LIMIT_ROWS / 1e6:.0f})"
        )
        for name, call in bulk.items():
            median, best = rows_per_second(call)
            print(f"{name:44}{median:9.1f}{best:9.1f}")
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
