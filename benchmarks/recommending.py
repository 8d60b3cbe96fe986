"""How long advice takes: a recommendation and better parameters from memory, an explanation from its learner.

python -m benchmarks.recommending [--arms 10] [--features 4] [--repeats 400] [--json]

Quantiles of single calls, warmed up, on one thread. The limits of the plan: a recommendation < 50 ms, and
1 ms is aimed at. The reports that a learner knows do not matter: it reads sums.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Numeric, Ordinal, Strategy
from nyx_learning.bandit.explaining import explain_decision
from nyx_learning.bandit.learner import Learner
from nyx_learning.features import Feature
from nyx_learning.insights.recommending import optimize_parameters, recommend_strategy

LIMIT_MS, AIM_MS = 50.0, 1.0


def world(arms: int, features: int, rows: int) -> tuple[Bandit, Callable[[int], dict[str, Any]]]:
    """A bandit that has learned, and its contexts."""
    kinds: list[Feature] = [
        Categorical(["code", "text", "data"]),
        Ordinal(["low", "mid", "high"]),
        Numeric(0, 100),
    ]
    schema = {f"f{i}": kinds[i % 3] for i in range(features)}
    spec = BanditSpec(
        "advised",
        [Strategy("direct"), Strategy("parallel", {"workers": list(range(1, arms))})],
        context=ContextSchema(**schema),
        baseline_arm="direct",
        seed=3,
    )

    def context(i: int) -> dict[str, Any]:
        values = [("code", "text", "data")[i % 3], ("low", "mid", "high")[i // 2 % 3], i * 7 % 100]
        return {f"f{j}": values[j % 3] for j in range(features)}

    bandit = Bandit(spec)
    for i in range(rows):
        decision = bandit.select_arm(context(i))
        bandit.update_reward(decision, reward=0.3 + 0.4 * (decision.arm == 1 + i % 2))
    return bandit, context


def quantiles(call: Callable[[int], object], repeats: int) -> dict[str, float]:
    """Milliseconds of single calls: median, 99 %, and the longest."""
    for i in range(3):
        call(i)
    taken = []
    for i in range(repeats):
        began = time.perf_counter()
        call(i)
        taken.append(1e3 * (time.perf_counter() - began))
    taken.sort()
    return {"p50_ms": taken[repeats // 2], "p99_ms": taken[repeats * 99 // 100], "max_ms": taken[-1]}


def measured(arms: int, features: int, rows: int, repeats: int) -> dict[str, Any]:
    """Quantiles of each call."""
    bandit, context = world(arms, features, rows)
    learner: Learner = bandit.learner
    decision = bandit.select_arm(context(1), "asked")
    few = max(20, repeats // 10)
    return {
        "arms": arms,
        "features": features,
        "rows": rows,
        "recommend_strategy": quantiles(lambda i: recommend_strategy(learner, context(i)), repeats),
        "optimize_parameters": quantiles(
            lambda i: optimize_parameters(learner, {"workers": 2}, context=context(i)), repeats
        ),
        "explain_decision": quantiles(lambda _: explain_decision(learner, decision), few),
    }


def main() -> None:
    """Measure, print, and say whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measured(args.arms, args.features, args.rows, args.repeats)
    met = found["recommend_strategy"]["p99_ms"]
    found |= {"limit_ms": LIMIT_MS, "aim_ms": AIM_MS, "limit_met": met < LIMIT_MS, "aim_met": met < AIM_MS}
    if args.json:
        print(json.dumps(found))
        return
    for name in ("recommend_strategy", "optimize_parameters", "explain_decision"):
        q = found[name]
        print(f"{name:<20} p50 {q['p50_ms']:8.3f} ms   p99 {q['p99_ms']:8.3f} ms   max {q['max_ms']:8.3f} ms")
    print(f"recommendation: limit {LIMIT_MS:g} ms {'met' if found['limit_met'] else 'NOT met'}, ", end="")
    print(f"aim {AIM_MS:g} ms {'met' if found['aim_met'] else 'NOT met'} (99 % of calls)")


if __name__ == "__main__":
    main()
