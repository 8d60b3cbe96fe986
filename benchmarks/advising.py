"""How long an orchestrator waits for advice on a running execution: the engine's call, on an embedded server.

    python -m benchmarks.advising [--calls 500] [--outcomes 1000] [--json]

*quiet*: nothing was reported since the last question. *news*: an outcome was, so that the log is read first.
With the caller's own stakes, and with learned ones, which follow what came of earlier advice. Limit of the
plan: 20 ms; 1 ms is aimed at. A decision with its report on the same server stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from nyx_learning import (
    AdaptationStakes,
    BanditSpec,
    Categorical,
    ContextSchema,
    LearningEngine,
    Outcome,
    PerformanceMetrics,
    Strategy,
)
from nyx_learning.persistence.embedded import start

LIMIT_MS, AIM_MS = 20.0, 1.0

SPEC = BanditSpec(
    "advising",
    [Strategy("direct"), Strategy("parallel"), Strategy("recursive")],
    context=ContextSchema(task=Categorical(["code", "text"])),
    seed=3,
)
CONTEXT = {"task": "code"}


async def _run(engine: LearningEngine, seconds: float, *, success: bool) -> None:
    decision = await engine.select_arm(CONTEXT)
    await engine.update_reward(decision, Outcome(success=success, duration_s=seconds, retries=0))


async def _taken(
    call: Callable[[float], Awaitable[object]], calls: int, before: Callable[[], Awaitable[None]] | None
) -> dict[str, float]:
    """Milliseconds of single calls."""
    taken = []
    for i in range(calls + 10):
        if before is not None:
            await before()
        began = time.perf_counter()
        await call(float(i % 100))
        taken.append(1e3 * (time.perf_counter() - began))
    p50, p99 = np.quantile(taken[10:], [0.5, 0.99]).tolist()
    return {"p50_ms": p50, "p99_ms": p99}


async def measured(dsn: str, calls: int, outcomes: int) -> dict[str, dict[str, float]]:
    """Quantiles of the call, by who knows the stakes and whether there is news."""
    rng = np.random.default_rng(1)
    found = {}
    async with await LearningEngine.open(SPEC, dsn) as engine:
        for seconds, hard in zip(rng.exponential(60.0, outcomes).tolist(), rng.random(outcomes), strict=True):
            await _run(engine, seconds, success=bool(hard < 0.6))
        running = await engine.select_arm(CONTEXT)
        others = [each.name for each in SPEC.strategies if each.name != running.arm_id]

        async def report() -> None:
            await _run(engine, 30.0, success=True)

        found["a decision, a report"] = await _taken(lambda _: report(), calls, None)
        for name, stakes in (("own stakes", AdaptationStakes(time_cost=0.002)), ("learned stakes", None)):

            async def ask(seconds: float, stakes: AdaptationStakes | None = stakes) -> object:
                metrics = PerformanceMetrics(duration_s=seconds)
                return await engine.should_adapt_workflow(
                    metrics, decision=running, stakes=stakes, alternatives=others
                )

            found[f"quiet, {name}"] = await _taken(ask, calls, None)
            found[f"news, {name}"] = await _taken(ask, calls, report)
    return found


def main() -> None:
    """Measure, print, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description="The engine's advice on running executions.")
    parser.add_argument("--calls", type=int, default=500, help="of each kind")
    parser.add_argument("--outcomes", type=int, default=1000, help="that are known beforehand")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nyx-bench-", dir="/tmp") as folder,
        start(Path(folder) / "data") as server,
    ):
        found = asyncio.run(measured(server.dsn, options.calls, options.outcomes))
    if options.json:
        print(json.dumps(found))
        return
    for name, q in found.items():
        print(f"{name:<22} p50 {q['p50_ms']:7.2f} ms   p99 {q['p99_ms']:7.2f} ms")
    asked = [q for name, q in found.items() if "stakes" in name]
    for what, quantile, bound in (("limit", "p99_ms", LIMIT_MS), ("aim", "p50_ms", AIM_MS)):
        met = sum(q[quantile] < bound for q in asked)
        print(f"{what} of {bound:g} ms ({quantile[:3]}): met by {met} of {len(asked)}")


if __name__ == "__main__":
    main()
