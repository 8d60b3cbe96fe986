"""A strategy is renamed while processes with its former name go on: one log, one learner, one truth."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg

from nyx_learning import BanditSpec, Monitors, Outcome, Strategy
from nyx_learning.bandit.guardrails import Breaker, Guardrails
from nyx_learning.persistence.base import StoredBlock

Contexts = Callable[[int], dict[str, Any]]
WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}
GRID = {"workers": [2, 4, 8]}


def renamed(spec: BanditSpec) -> BanditSpec:
    return replace(spec, strategies=[Strategy("direct"), Strategy("wide", GRID, formerly=["parallel"])])


async def served(engines: Any, contexts: Contexts, numbers: range, *, crossed: bool = False) -> list[Any]:
    """Decide by the engines in turn; each outcome is told to who decided, or (``crossed``) to the next."""
    decisions = []
    for i in numbers:
        decider, told = engines[i % len(engines)], engines[(i + crossed) % len(engines)]
        decisions.append(await decider.select_arm(contexts(i), f"wf-{i}"))
        await told.update_reward(f"wf-{i}", Outcome(success=i % 3 > 0, quality=i % 8 / 8))
    return decisions


async def stored(engine: Any) -> list[StoredBlock]:
    async with engine._store.snapshot() as connection:
        return sorted((await engine._store.sums.read(connection, engine.spec))[1])


async def test_a_rolling_deploy(open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts) -> None:
    old = await open_engine(spec)
    await served([old], contexts, range(40))
    waiting = await old.select_arm(contexts(1), "late", eligible=["parallel(workers=4)"])
    new = await open_engine(renamed(spec))
    # What was learned under the former name is the renamed arm's, to the last bit.
    assert new._learner.sums.digest() == old._learner.sums.digest()
    told = [(b.mean, b.sd, b.probability, b.rewards) for b in old.beliefs(contexts(2))]
    assert [(b.mean, b.sd, b.probability, b.rewards) for b in new.beliefs(contexts(2))] == told
    # Both go on, and report for each other.
    decisions = await served([old, new], contexts, range(40, 80), crossed=True)
    assert {d.strategy for d in decisions} == {"direct", "parallel", "wide"}
    before = new.beliefs(contexts(1))[2].rewards
    assert (await new.update_reward("late", reward=1.0)).applied
    assert new.beliefs(contexts(1))[2].rewards == before + 1
    assert new.beliefs(contexts(1))[2].arm_id == "wide(workers=4)"
    assert waiting.arm_id == "parallel(workers=4)"
    for engine in (old, new):
        await engine._replica.catch_up()
        assert engine.state_seq == 81
    assert sum(b.rewards for b in new.beliefs(contexts(0))) == 81
    assert sum(b.rewards for b in old.beliefs(contexts(0))) == 81 - sum(
        d.strategy == "wide" for d in decisions
    )
    # Either stores what serves both.
    for writer in (new, old):
        await sql("UPDATE nyx.checkpoint SET seq = 0")
        await sql("DELETE FROM nyx.sums")
        await writer._replica.checkpoint()
        blocks = await stored(writer)
        assert {name.partition("(")[0] for name, *_ in blocks} == {"direct", "parallel", "wide"}
        for engine in (old, new):
            again = await open_engine(engine.spec)
            assert again._replica.stored_seq == 81
            assert again._learner.sums.digest() == engine._learner.sums.digest()
        report = await writer.verify()
        assert report.ok, report.first_divergence
        assert report.matched == 81


async def test_what_is_tampered_with_is_still_named(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    old = await open_engine(spec)
    await served([old], contexts, range(20))
    new = await open_engine(renamed(spec))
    decisions = await served([old, new], contexts, range(20, 50))
    await new._replica.catch_up()
    await new._replica.checkpoint()
    assert (await new.verify()).ok
    later = next(d for d in decisions if d.strategy == "wide")
    earlier = next(d for d in decisions if d.strategy == "parallel")
    other = (later.arm_id.replace("wide", "parallel"), earlier.arm_id.replace("parallel", "wide"))
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("SET session_replication_role = replica")
    for decision, name in zip((later, earlier), other, strict=True):
        for table in ("decision", "log"):
            change = f"UPDATE nyx.{table} SET arm_id = $1 WHERE decision_id = $2"  # noqa: S608 (a name above)
            await connection.execute(change, name, decision.decision_id)
            report = await new.verify()
            assert not report.ok
            assert f"'{decision.decision_id}'" in str(report.first_divergence)
            await connection.execute(change, decision.arm_id, decision.decision_id)
    assert (await new.verify()).ok
    # Rows moved from the sums of one name to those of the other.
    await connection.execute(
        "UPDATE nyx.sums SET statistics[1] = statistics[1] + 1 WHERE arm_id LIKE 'wide%'"
    )
    report = await new.verify()
    assert (report.ok, report.sums_match) == (False, False)
    assert "arm 'wide(" in str(report.first_divergence)
    await connection.close()


async def test_guardrails_and_monitors_act_under_either_name(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    watched = replace(
        spec,
        monitors=Monitors(context=False, duration=False),
        guardrails=Guardrails(breaker=Breaker(window=4, failures=3, cooldown_s=3600.0)),
        holdout=0.0,
    )
    old = await open_engine(watched)
    out = await old.override("exclude", ["parallel(workers=8)"], **WHO)
    await served([old], contexts, range(10))
    new = await open_engine(renamed(watched))
    pinned = await new.override("cap", ["parallel(workers=2)"], share=0.1, **WHO)
    assert [o.seq for o in await new.overrides()] == [out.seq, pinned.seq]
    await old._replica.catch_up()
    for engine in (old, new):
        for i in range(10):
            decision = await engine.select_arm(contexts(i), f"{engine.spec.spec_hash[:6]}-{i}")
            assert decision.pmf[3] == 0
            assert decision.pmf[1] <= round(0.1 * sum(decision.pmf))
    # An error burst of the arm under its former name trips it under the new one.
    for i in range(4):
        await old.select_arm(contexts(i), f"burst-{i}", eligible=["parallel(workers=4)"])
        await old.update_reward(f"burst-{i}", Outcome(success=False))
    async with asyncio.timeout(20):
        while not new._learner.guards.tripped:
            await asyncio.sleep(0.01)
            await new._replica.catch_up()
    assert set(new._learner.guards.tripped) == {"wide(workers=4)"}
    decision = await new.select_arm(contexts(1), "behind")
    assert decision.pmf[2] == 0
    assert "breaker" in decision.reason
    kinds = await sql("SELECT kind, pricing::text FROM nyx.log WHERE decision_id IS NULL")
    assert any("parallel(workers=4)" in json.loads(text).get("subject", "") for _, text in kinds)
    report = await new.verify()
    assert report.ok, report.first_divergence
    assert (await new.explain("behind")).rederived
    assert (await new.explain("burst-1")).rederived  # by the spec that made it, under the name it then had
