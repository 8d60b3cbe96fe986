"""Fill a bandit with two days of simulated history, so that the dashboard has something to show.

  python scripts/fill_dashboard.py --dsn postgresql://user@host/database
  nyx-learning serve --dsn postgresql://user@host/database

Strategies differ by task and complexity, one gets worse half-way, executions fail with codes that go
together, some outcomes come late or never. The process has a clock of its own, on which two days pass in
seconds; everything else is the engine as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    LearningEngine,
    Numeric,
    Ordinal,
    Outcome,
    PolicySpec,
    RewardSpec,
    Strategy,
)
from nyx_learning.bandit.guardrails import Breaker, Budget, Guardrails
from nyx_learning.features.monitors import Monitors
from nyx_learning.service.bulk import ArmRequest, RewardReport

__all__ = ["SPEC", "fill"]

TASKS = ("research", "coding", "analysis")
LEVELS = ("simple", "moderate", "complex")
SPEC = BanditSpec(
    name="orchestration",
    seed=7,
    strategies=[
        Strategy("direct"),
        Strategy("sequential", {"agents": [2, 3]}),
        Strategy("parallel", {"workers": [2, 4, 8]}),
        Strategy("recursive"),
    ],
    context=ContextSchema(
        task_type=Categorical(TASKS), complexity=Ordinal(LEVELS), input_tokens=Numeric(1, 200_000, log=True)
    ),
    reward=RewardSpec(reference_time_s=30.0, window_s=6 * 3600.0, default=0.0),
    policy=PolicySpec("hier_ts", floor=0.02),
    baseline_arm="direct",
    holdout=0.05,
    bucket_rows=64,
    monitors=Monitors(),
    guardrails=Guardrails(
        breaker=Breaker(window=10, failures=9, cooldown_s=1800.0),
        budgets=(Budget("dear", metric="cost", limit=1500.0, window_s=86_400.0),),
    ),
)
_GOOD = {
    ("research", "direct"): (0.75, 0.60, 0.45),
    ("research", "sequential"): (0.70, 0.72, 0.66),
    ("research", "parallel"): (0.80, 0.86, 0.82),
    ("research", "recursive"): (0.55, 0.68, 0.78),
    ("coding", "direct"): (0.90, 0.72, 0.45),
    ("coding", "sequential"): (0.82, 0.86, 0.80),
    ("coding", "parallel"): (0.70, 0.62, 0.50),
    ("coding", "recursive"): (0.60, 0.70, 0.84),
    ("analysis", "direct"): (0.88, 0.80, 0.62),
    ("analysis", "sequential"): (0.78, 0.76, 0.70),
    ("analysis", "parallel"): (0.74, 0.80, 0.86),
    ("analysis", "recursive"): (0.50, 0.55, 0.70),
}
_SECONDS = {"direct": 14.0, "sequential": 26.0, "parallel": 18.0, "recursive": 38.0}


@contextmanager
def _passing(seconds: float) -> Iterator[list[float]]:
    """Let the process live so many seconds ago; whoever holds the list moves its clock on."""
    kept, now = time.time, [time.time() - seconds]
    time.time = lambda: now[0]
    try:
        yield now
    finally:
        time.time = kept


async def fill(engine: LearningEngine, rounds: int = 60, seed: int = 7, batch: int = 20) -> int:
    """Decide and learn ``rounds`` times ``batch`` executions over two days; returns how many decisions."""
    random, made, days_s = Random(seed), 0, 2 * 86_400.0  # noqa: S311 - a simulation
    with _passing(days_s) as now:
        for i in range(rounds):
            requests = [ArmRequest(_context(random), f"wf-{made + k:05}/step-1") for k in range(batch)]
            decisions = await engine.select_arms(requests)
            now[0] += 0.6 * days_s / rounds
            reports: list[RewardReport] = []
            late: list[RewardReport] = []
            for k, decision in enumerate(decisions):
                if random.random() < (0.03 if i < rounds - 1 else 0.4):
                    continue  # nothing is heard of it
                outcome = _outcome(random, decision.context, decision.strategy, worse=i > rounds * 0.55)
                (late if k == 7 and i % 9 == 4 else reports).append(
                    RewardReport(decision.decision_id, outcome)
                )
            await engine.update_rewards(reports)
            now[0] += 0.4 * days_s / rounds
            if late:
                now[0] += 6 * 3600.0
                await engine.expire(now[0])
                await engine.update_rewards(late)
                now[0] -= 6 * 3600.0
            made += batch
            if i % 5 == 4:
                await _watched(engine)
    return made


async def _watched(engine: LearningEngine) -> None:
    """Let the monitors see what there is, so that what they find stands where it happened."""
    for _ in range(100):
        status = await engine.monitoring()
        if status is None or status.lag_rows == 0:
            return
        await asyncio.sleep(0.1)


def _context(random: Random) -> dict[str, str | float]:
    return {
        "task_type": random.choice(TASKS),
        "complexity": random.choice(LEVELS),
        "input_tokens": float(round(10 ** random.uniform(2.0, 5.0))),
    }


def _outcome(random: Random, context: object, strategy: str, *, worse: bool) -> Outcome:
    assert isinstance(context, dict)  # noqa: S101 - for the type checker
    level = LEVELS.index(context["complexity"])
    chance = _GOOD[context["task_type"], strategy][level]
    if worse and strategy == "parallel":
        chance *= 0.45
    success = random.random() < chance
    seconds = _SECONDS[strategy] * (1.0 + 0.6 * level) * random.lognormvariate(0.0, 0.3)
    if random.random() < 0.004:
        seconds *= 12.0
    codes: list[str] = []
    if not success:
        codes = ["tool_timeout", "retry_exhausted"] if strategy == "parallel" else ["wrong_answer"]
        if random.random() < 0.25:
            codes = ["rate_limited", *codes]
    return Outcome(
        success=success,
        duration_s=seconds,
        quality=min(1.0, max(0.0, random.gauss(0.8 if success else 0.3, 0.1))),
        cost=round(seconds * 0.01 * (4 if strategy == "parallel" else 1), 4),
        error_codes=tuple(codes),
    )


async def _main(dsn: str, rounds: int) -> None:
    async with await LearningEngine.open(SPEC, dsn, deadline_s=60.0) as engine:
        made = await fill(engine, rounds)
        await engine.override(
            "exclude",
            "recursive",
            author="ada",
            reason="its provider has an incident; see INC-1042",
            until=time.time() + 4 * 3600.0,
        )
    print(f"{made} decisions of bandit '{SPEC.name}'")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dsn", required=True, help="Postgres to fill")
    parser.add_argument("--rounds", type=int, default=60, help="of 20 decisions each (default: 60)")
    told = parser.parse_args()
    asyncio.run(_main(told.dsn, told.rounds))
