"""Breaker and hard budget under four processes: real ones, on one database."""

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PolicySpec, Strategy
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.bandit.events import EventRow
from nyx_learning.bandit.guardrails import Breaker, Budget, Guardrails
from nyx_learning.errors import BudgetExhausted, DatabaseUnavailable, InputInvalid

LIMIT, EACH = 20.0, 0.7

WORKER = """
import asyncio, json, sys
from nyx_learning import BanditSpec, LearningEngine, Outcome
from nyx_learning.errors import BudgetExhausted

async def main() -> None:
    dsn, spec, name = sys.argv[1], BanditSpec.from_dict(json.loads(sys.argv[2])), sys.argv[3]
    held = refused = 0
    async with await LearningEngine.open(spec, dsn, deadline_s=60.0) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        for i in range(60):
            decision = await engine.select_arm({}, f"{name}-{i}")
            try:
                await engine.reserve(decision, cost=0.7)
                held += 1
                if i % 3 == 0:
                    await engine.settle(decision, cost=0.2)
            except BudgetExhausted:
                refused += 1
            await engine.update_reward(decision, Outcome(success=decision.arm_id != "broken"))
    print(json.dumps([held, refused]))

asyncio.run(main())
"""

PROBER = """
import asyncio, json, sys
from nyx_learning import BanditSpec, LearningEngine, Outcome

async def main() -> None:
    dsn, spec, name = sys.argv[1], BanditSpec.from_dict(json.loads(sys.argv[2])), sys.argv[3]
    made = 0
    async with await LearningEngine.open(spec, dsn, deadline_s=60.0) as engine:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            for _ in range(6):
                decision = await engine.select_arm({}, f"{name}-{made}")
                made += 1
                success = decision.arm_id != "broken" or line == "mended\\n"
                await engine.update_reward(decision, Outcome(success=success, duration_s=0.0))
            print(json.dumps([decision.state_seq, decision.pmf[1]]), flush=True)

asyncio.run(main())
"""


@asynccontextmanager
async def four(script: str, dsn: str, spec: BanditSpec) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Four engines in processes of their own, which are ready."""
    async with await LearningEngine.open(spec, dsn, deadline_s=60.0):
        pass  # the schema is there before four want it
    arguments = [sys.executable, "-c", script, dsn, json.dumps(spec.to_dict())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    workers = [await asyncio.create_subprocess_exec(*arguments, f"p{i}", **pipes) for i in range(4)]  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(120):
            for worker in workers:
                assert worker.stdout is not None
                assert await worker.stdout.readline() == b"ready\n"
            yield workers
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


@pytest.fixture
def guarded() -> BanditSpec:
    return BanditSpec(
        "guarded",
        [Strategy("good"), Strategy("broken"), Strategy("other")],
        policy=PolicySpec("uniform"),
        baseline_arm="good",
        guardrails=Guardrails(
            Breaker(window=6, failures=6, cooldown_s=3600.0),
            budgets=(Budget("dear", "cost", LIMIT, 1e9, hard=True),),
        ),
        seed=11,
    )


async def test_breaker_and_budget_hold_under_four_processes(
    database_dsn: str, guarded: BanditSpec, open_engine: Any, sql: Any
) -> None:
    async with four(WORKER, database_dsn, guarded) as workers:
        told = await asyncio.gather(*(worker.communicate(b"\n") for worker in workers))
    counts = [json.loads(out) for out, _ in told]
    # The budget: never passed, and used up to the last that fits.
    ((held, spent),) = await sql("SELECT held, spent FROM nyx.budget")
    assert held + spent <= LIMIT * 1e6
    assert held + spent + EACH * 1e6 > LIMIT * 1e6
    assert sum(refused for _, refused in counts) > 0
    ((amounts, used, number),) = await sql(
        "SELECT sum(amount) FILTER (WHERE used IS NULL), sum(used), count(*) FROM nyx.reservation"
    )
    assert (amounts, used, number) == (held, spent, sum(held for held, _ in counts))
    # The breaker: whoever knew that it was open did not choose the arm.
    ((opened,),) = await sql("SELECT min(seq) FROM nyx.log WHERE kind = 'guardrail'")
    chosen = await sql("SELECT state_seq, pmf[2], reason FROM nyx.decision WHERE arm_id = 'broken'")
    assert chosen
    assert all(seq < opened for seq, _, _ in chosen)
    behind = await sql("SELECT pmf[2], reason FROM nyx.decision WHERE state_seq >= $1", opened)
    assert len(behind) > 50
    assert set(behind) == {(0, "guarded:breaker")}
    assert len(await sql("SELECT FROM nyx.log WHERE kind = 'guardrail'")) == 1
    engine = await open_engine(guarded)
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert report.decisions == 240
    # It outlives restarts: this process has only the log.
    assert (await engine.select_arm({}, "later")).pmf[1] == 0
    with pytest.raises(BudgetExhausted, match="dear"):
        await engine.reserve("later", cost=EACH)


async def test_a_breaker_is_probed_closed_and_opened_again_in_four_processes(
    database_dsn: str, sql: Any, open_engine: Any
) -> None:
    """Each decision is held against what the log says of the breaker at the row that the decision knew."""
    share, probes = 0.3, 3
    probed = BanditSpec(
        "probed",
        [Strategy("good"), Strategy("broken"), Strategy("other")],
        policy=PolicySpec("uniform"),
        baseline_arm="good",
        guardrails=Guardrails(
            Breaker(window=6, failures=5, cooldown_s=0.4, probe_share=share, probes=probes)
        ),
        seed=3,
    )

    async def events() -> list[EventRow]:
        rows = await sql(
            "SELECT seq, pricing, reported_at FROM nyx.log WHERE kind = 'guardrail' ORDER BY seq"
        )
        return [EventRow.from_dict("probed", seq, json.loads(told), at) for seq, told, at in rows]

    def acts(found: list[EventRow]) -> list[str]:
        return [event.consequence["guardrail"]["act"] for event in found]

    async with four(PROBER, database_dsn, probed) as workers:

        async def everybody(state: str) -> list[tuple[int, int]]:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(f"{state}\n".encode())
            return [tuple(json.loads(await w.stdout.readline())) for w in workers if w.stdout is not None]

        met = [False] * len(workers)  # an open window is short: a busy machine may miss one
        while acts(await events()).count("trip") < 2 or not all(met):  # it opens, and a probe fails
            met = [was or mass == 0 for was, (_, mass) in zip(met, await everybody("broken"), strict=True)]
        while acts(await events())[-1] != "close":
            await everybody("mended")
        closed = (await events())[-1].seq
        while min(seq for seq, _ in await everybody("mended")) < closed:
            pass
        while acts(await events())[-1] != "trip":
            await everybody("broken")

    found = await events()
    assert acts(found)[:2] == ["trip", "trip"]
    assert acts(found).count("close") == 1
    assert len({event.cause for event in found}) == len(found)  # nobody concluded the same twice
    reported = dict(await sql("SELECT seq, reported_at FROM nyx.log WHERE kind <> 'guardrail'"))
    for before, event in pairwise(found):
        if acts([before]) == ["trip"]:  # only a probe opens it again, or closes it
            assert reported[event.cause] >= before.consequence["guardrail"]["until"]

    half_open = chosen = 0
    seen: dict[str, set[str]] = {}
    for name, seq, time, arm, pmf in await sql(
        "SELECT decision_id, state_seq, decided_at, arm_id, pmf FROM nyx.decision"
    ):
        last = max((event for event in found if event.seq <= seq), key=lambda event: event.seq, default=None)
        told = {"act": "close"} if last is None else last.consequence["guardrail"]
        if told["act"] == "close":
            state, mass = "closed" if last is None else "closed again", {TOTAL // 3, TOTAL // 3 + 1}
        elif time < told["until"]:
            state, mass = "open", {0}
        else:
            state, mass = "half open", {round(share * TOTAL)}
            half_open, chosen = half_open + 1, chosen + (arm == "broken")
        assert pmf[1] in mass, (name, state)
        assert sum(pmf) == TOTAL
        seen.setdefault(state, set()).add(name.split("-")[0])
    # In each process it was open, and closed again; over all of them the probes keep to their share.
    assert seen["open"] == seen["closed again"] == {"p0", "p1", "p2", "p3"}
    assert chosen >= probes + 1
    assert abs(chosen - share * half_open) <= 5.0 * math.sqrt(share * (1 - share) * half_open)
    report = await (await open_engine(probed)).verify()
    assert report.ok, report.first_divergence


async def test_reservations_by_hand(open_engine: Any, guarded: BanditSpec, sql: Any) -> None:
    engine = await open_engine(guarded)
    assert (await engine.reserve("one", cost=15.0)).amounts == {"dear": 15.0}
    await engine.reserve("one", cost=15.0)  # again: nothing
    with pytest.raises(InputInvalid, match="another amount"):
        await engine.reserve("one", cost=1.0)
    with pytest.raises(BudgetExhausted, match="at most 5 cost"):
        await engine.reserve("two", cost=5.1)
    await engine.settle("one", cost=2.0)
    await engine.settle("one", cost=2.0)
    with pytest.raises(InputInvalid, match="said already"):
        await engine.settle("one", cost=3.0)
    with pytest.raises(InputInvalid, match="holds nothing"):
        await engine.settle("two", cost=1.0)
    await engine.reserve("two", cost=18.0)
    (left,) = await engine.budgets()
    assert (left.held, left.spent, left.left) == (18.0, 2.0, 0.0)
    for wrong in ({}, {"cost": -1.0}, {"cost": float("nan")}, {"joy": 1.0}, {"cost": 1.0, "tokens": 2.0}):
        with pytest.raises(InputInvalid):
            await engine.reserve("three", **wrong)
    assert await sql("SELECT held, spent FROM nyx.budget") == [(18_000_000, 2_000_000)]
    await engine.close()
    with pytest.raises(DatabaseUnavailable):
        await engine.reserve("four", cost=1.0)


async def test_a_leader_that_goes_is_followed_and_retention_waits(
    open_engine: Any, guarded: BanditSpec, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second leader goes on with what the first has seen: five failures and one make six."""
    for name in ("_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.sentinel.{name}", 0.02)
    first = await open_engine(guarded)
    for i in range(5):
        decision = await first.select_arm({}, f"w-{i}", eligible=["broken"])
        await first.update_reward(decision, Outcome(success=False))
    await first.retain(0.0)
    await sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nyx-guardrails'"
    )
    decision = await first.select_arm({}, "last", eligible=["broken"])
    await first.update_reward(decision, Outcome(success=False))
    async with asyncio.timeout(20):
        while "broken" not in first._parts.learner.guards.tripped:  # noqa: ASYNC110 (another task)
            await asyncio.sleep(0.01)
    report = await first.verify()
    assert report.ok, report.first_divergence
