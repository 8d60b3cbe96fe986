"""What guardrails cost a decision of the pure ``Bandit``: none, configured and idle, and in force.

python -m benchmarks.guardrails [--arms 10] [--rows 400] [--repeats 2000] [--json]

Microseconds of single ``select_arm`` calls, warmed up, on one thread; the variants take turns call by call,
so that what else the machine does meets all of them. ``idle``: a breaker and a budget that have not acted.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from nyx_learning import Bandit, BanditSpec, PolicySpec, Strategy
from nyx_learning.bandit.guardrails import Breaker, Budget, Guardrails, Service

WHO: dict[str, Any] = {"author": "benchmark", "reason": "measured"}
WATCHING = Guardrails(Breaker(), budgets=(Budget("tokens", "tokens", 1e9),))


def learned(arms: int, rows: int, guardrails: Guardrails | None = None) -> Bandit:
    """A bandit of so many arms that has learned so many rewards."""
    strategies = [Strategy("direct"), Strategy("parallel", {"workers": list(range(1, arms))})]
    policy = PolicySpec("thompson_gaussian")
    spec = BanditSpec("guarded", strategies, policy=policy, baseline_arm="direct", guardrails=guardrails)
    bandit = Bandit(spec)
    ids = spec.arms.units
    bandit.learn_history([({}, ids[i % len(ids)], 0.3 + 0.4 * (i % 7) / 7) for i in range(rows)])
    return bandit


def variants(arms: int, rows: int) -> dict[str, Bandit]:
    """Bandits that differ in their guardrails only."""
    found = {
        "none": learned(arms, rows),
        "idle": learned(arms, rows, WATCHING),
        "exclude": learned(arms, rows),
        "cap": learned(arms, rows),
        "five orders": learned(arms, rows),
        "service": learned(arms, rows, Guardrails(service=Service())),
    }
    last = found["none"].spec.arms.units[-1]
    for name in ("exclude", "five orders"):
        found[name].override("exclude", last, **WHO)
    for name in ("cap", "five orders"):
        found[name].override("cap", "parallel", share=0.2, **WHO)
    for workers in (1, 2, 3):
        found["five orders"].override("ramp", f"parallel(workers={workers})", share=0.1, rows=10**6, **WHO)
    return found


def measured(arms: int, rows: int, repeats: int) -> dict[str, Any]:
    """Quantiles of each variant, in µs."""
    bandits = variants(arms, rows)
    taken: dict[str, list[float]] = {name: [] for name in bandits}
    for i in range(repeats + 20):
        for name, bandit in bandits.items():
            began = time.perf_counter()
            bandit.select_arm({}, f"d-{i}")
            if i >= 20:
                taken[name].append(1e6 * (time.perf_counter() - began))
    found: dict[str, Any] = {"arms": arms, "rows": rows, "repeats": repeats}
    for name, times in taken.items():
        times.sort()
        found[name] = {"p50_us": times[repeats // 2], "p99_us": times[repeats * 99 // 100]}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    found = measured(args.arms, args.rows, args.repeats)
    if args.json:
        print(json.dumps(found))
        return
    base = found["none"]["p50_us"]
    for name, q in found.items():
        if isinstance(q, dict):
            more = q["p50_us"] - base
            print(f"{name:<12} p50 {q['p50_us']:7.1f} us ({more:+6.1f})   p99 {q['p99_us']:7.1f} us")


if __name__ == "__main__":
    main()
