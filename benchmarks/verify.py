"""How many decisions a second ``verify`` derives anew, with their rewards, hashes and sums.

    python -m benchmarks.verify --decisions 60000 --workers 2 [--together 8] [--outcomes] [--monitors]

Every decision has a reward; ``--together`` of them know the same row, as under group commit. ``--outcomes``
reports outcomes, which are priced anew, in place of bare rewards; with ``--monitors`` the bandit is watched.
Everything is timed that the command does: reading, checking, and starting the processes; the embedded server
shares the machine. Processor time is that of all processes that verify, without the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Decision,
    Monitors,
    Numeric,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.reports import Reported, draft_report
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.embedded import start
from nyx_learning.persistence.store import Batch, Store
from nyx_learning.service.verifying import verify_database
from nyx_learning.service.warming import warm_up

POLICIES = ("ucb1", "kl_ucb", "thompson_beta", "hier_ts")
_BATCH = 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Decisions a second that verify derives anew.")
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--together", type=int, default=8, help="decisions that know the same row")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--outcomes", action="store_true", help="report outcomes, not bare rewards")
    parser.add_argument("--monitors", action="store_true", help="watch the bandit")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    options = parser.parse_args()
    # Not in the user's own temp folder: for root that one is closed to the account that runs Postgres.
    folder = Path(tempfile.mkdtemp(prefix="nyx-verify-", dir="/tmp"))
    try:
        with start(folder) as server:
            print(f"{'policy':14} {'workers':>7} {'seconds':>8} {'decisions/s':>12} {'CPU µs each':>12}")
            for name in options.policies:
                asyncio.run(_fill(server.dsn, name, options))
                for workers in options.workers:
                    print(asyncio.run(_line(server.dsn, name, workers)), flush=True)
    finally:
        shutil.rmtree(folder)


def _spec(policy: str, *, watched: bool) -> BanditSpec:
    """Ten arms, six columns of φ."""
    return BanditSpec(
        name=f"verify-{policy}",
        seed=7,
        strategies=[
            Strategy("direct"),
            Strategy("parallel", {"workers": [2, 4, 8], "timeout_s": [30, 60, 120]}),
        ],
        context=ContextSchema(task=Categorical(["code", "text", "data"]), size=Numeric(0, 10)),
        policy=PolicySpec(policy),
        baseline_arm="direct",
        monitors=Monitors() if watched else None,
    )


async def _fill(dsn: str, policy: str, options: Any) -> None:
    """Store a log as a bandit writes it: its numbers are those that the database gives."""
    spec = _spec(policy, watched=options.monitors)
    warm_up([policy], staged=False)
    bandit = Bandit(spec)
    pool = await connect(dsn)
    store = Store(pool, spec)
    await store.register()
    for begin in range(0, options.decisions, _BATCH):
        decisions: list[Decision] = []
        for first in range(begin, min(begin + _BATCH, options.decisions), options.together):
            known = [
                bandit.select_arm(
                    {"task": ("code", "text", "data")[i % 3], "size": i * 7919 % 100_003 / 10_000},
                    f"d{i:09d}",
                    time=1.7e9 + i,
                )
                for i in range(first, min(first + options.together, options.decisions))
            ]
            for decision in known:
                bandit.update_reward(decision, **_told(decision, options))
            decisions += known
        drafts = {
            d.decision_id: draft_report(spec, d, spec.encoding, _reported(_told(d, options)), d.time)
            for d in decisions
        }
        targets = {d.decision_id: d for d in decisions}
        await store.commit(Batch(targets, drafts, targets, {}))
    await close_pool(pool)


def _told(decision: Decision, options: Any) -> dict[str, Any]:
    value = (int(decision.decision_id[1:]) * 37 + decision.arm * 11) % 101 / 100
    return {"outcome": Outcome(success=value > 0.4, quality=value)} if options.outcomes else {"reward": value}


def _reported(told: dict[str, Any]) -> Reported:
    return Reported(told.get("outcome"), told.get("reward"), None, "", "", None)


async def _line(dsn: str, policy: str, workers: int) -> str:
    began, used = time.perf_counter(), _processor_s()
    (found,) = await verify_database(dsn, f"verify-{policy}", workers=workers)
    seconds = time.perf_counter() - began
    if not found.report.ok:
        raise SystemExit(f"{policy}: {found.report.first_divergence}")
    count, each = found.report.decisions, (_processor_s() - used) / found.report.decisions * 1e6
    return f"{policy:14} {workers:7} {seconds:8.2f} {count / seconds:12,.0f} {each:12.1f}"


def _processor_s() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
