"""Overrides end to end: rows that every process obeys, that verify re-derives, that outlive restarts."""

import asyncio
import json
import time as clock
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.bandit.choice import TOTAL
from nyx_learning.errors import ArmUnknown, GuardrailConflict, InputInvalid
from nyx_learning.service.cli import main

WHO: dict[str, Any] = {"author": "ada", "reason": "a test"}


async def worked(
    engine: LearningEngine, contexts: Callable[[int], dict[str, Any]], numbers: range
) -> list[Any]:
    decisions = []
    for i in numbers:
        decisions.append(await engine.select_arm(contexts(i), f"w-{i}"))
        await engine.update_reward(decisions[-1], reward=i % 5 / 5)
    return decisions


async def until_learned(engine: LearningEngine, seq: int) -> None:
    async with asyncio.timeout(60):
        while engine.state_seq < seq:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.01)


async def test_orders_reach_every_process_and_verify_derives_what_they_did(
    open_engine: Any, spec: BanditSpec, contexts: Any, sql: Any
) -> None:
    first, second = await open_engine(spec), await open_engine(spec)
    await worked(first, contexts, range(20))
    cap = await first.override("cap", "direct", share=0.05, **WHO)
    out = await second.override("exclude", ["parallel(workers=8)"], until=clock.time() + 3600, **WHO)
    assert (cap.seq, out.seq) == (21, 22)
    for engine in (first, second):
        await until_learned(engine, out.seq)
        assert await engine.overrides() == [cap, out]
    decisions = await worked(second, contexts, range(20, 60))
    for decision in decisions:
        if decision.reason == "holdout":
            continue
        assert decision.pmf[3] == 0
        assert decision.pmf[0] <= round(0.05 * TOTAL)
        assert decision.reason in {"guarded:exclude", "guarded:exclude,cap"}
    assert {d.reason for d in decisions} > {"guarded:exclude,cap"}
    await second.revoke(out.seq, **WHO)
    assert await second.overrides() == [cap]
    assert any(d.pmf[3] for d in await worked(second, contexts, range(60, 80)))
    report = await first.verify()
    assert report.ok, report.first_divergence
    assert (report.decisions, report.rewards) == (80, 83)
    # Audited: who, why and when stand in the row.
    told = [
        json.loads(p)
        for (p,) in await sql("SELECT pricing::text FROM nyx.log WHERE kind = 'guardrail' ORDER BY seq")
    ]
    assert [(t["subject"], t["evidence"]["author"]) for t in told] == [
        ("cap", "ada"),
        ("exclude", "ada"),
        ("revoke", "ada"),
    ]


async def test_orders_outlive_restarts_lost_sums_and_retention(
    open_engine: Any, spec: BanditSpec, contexts: Any, sql: Any
) -> None:
    engine = await open_engine(spec)
    await worked(engine, contexts, range(10))
    await engine.override("pause", "parallel", **WHO)
    freeze = await engine.override("freeze", **WHO)
    await worked(engine, contexts, range(10, 40))
    known = engine._parts.learner.sums.digest()
    counts = [belief.rewards for belief in engine.beliefs(contexts(1))]
    assert sum(counts) == 10
    await engine.close()
    for statements in ([], ["DELETE FROM nyx.sums", "DELETE FROM nyx.checkpoint"]):
        for statement in statements:
            await sql(statement)
        again = await open_engine(spec)
        assert again._parts.learner.sums.digest() == known
        assert [o.rule for o in await again.overrides()] == ["pause", "freeze"]
        assert (await again.select_arm(contexts(0))).arm_id == "direct"
        await again.close()
    last = await open_engine(spec)
    await last.retain(0.0)
    await last.revoke(freeze.seq, **WHO)
    await worked(last, contexts, range(40, 50))
    assert sum(belief.rewards for belief in last.beliefs(contexts(1))) == 20
    await last.close()
    fresh = await open_engine(spec)
    assert (await fresh.select_arm(contexts(0))).arm_id == "direct"
    report = await fresh.verify()
    assert report.ok, report.first_divergence


async def test_a_changed_or_removed_order_is_named(
    open_engine: Any, spec: BanditSpec, contexts: Any, sql: Any
) -> None:
    engine = await open_engine(replace(spec, holdout=0.0))
    await worked(engine, contexts, range(5))
    order = await engine.override("exclude", "direct", **WHO)
    await worked(engine, contexts, range(5, 15))
    rows = await sql("SELECT pricing::text FROM nyx.log WHERE seq = $1", order.seq)
    changed = rows[0][0].replace("ada", "eve")
    await sql("UPDATE nyx.log SET pricing = $1 WHERE seq = $2", changed, order.seq)
    report = await engine.verify()
    assert f"log row {order.seq}" in str(report.first_divergence)
    # A row with a right digest that excludes another arm: the decisions behind it tell.
    event = engine._parts.learner.guards.overrides[order.seq]
    forged = replace(event, arms=("parallel(workers=2)",)).draft(spec.name, engine.spec.spec_hash)
    forged = forged.numbered(order.seq, order.set_at)
    await sql(
        "UPDATE nyx.log SET pricing = $1, digest = $2 WHERE seq = $3",
        json.dumps(forged.to_dict(), sort_keys=True, separators=(",", ":")),
        forged.digest,
        order.seq,
    )
    report = await engine.verify()
    assert not report.ok
    assert "re-derived otherwise" in str(report.first_divergence)


async def test_bad_orders_write_nothing(open_engine: Any, spec: BanditSpec, sql: Any) -> None:
    engine = await open_engine(spec)
    order = await engine.override("pin", "direct", **WHO)
    with pytest.raises(ArmUnknown):
        await engine.override("exclude", "nope", **WHO)
    with pytest.raises(GuardrailConflict):
        await engine.override("pin", "parallel", **WHO)
    with pytest.raises(InputInvalid, match="expired before"):
        await engine.override("exclude", "parallel", until=clock.time() - 1, **WHO)
    with pytest.raises(InputInvalid, match="no such override"):
        await engine.revoke(order.seq + 1, **WHO)
    with pytest.raises(InputInvalid, match="author"):
        await engine.revoke(order.seq, author="", reason="x")
    assert await sql("SELECT last_seq FROM nyx.bandit") == [(1,)]


async def test_of_two_orders_that_contradict_each_other_one_is_refused(
    open_engine: Any, spec: BanditSpec
) -> None:
    """Under the lock on the bandit's row: whoever comes second sees the first."""
    engines = [await open_engine(spec) for _ in range(3)]
    orders = [
        engine.override("pin", f"parallel(workers={n})", **WHO)
        for engine, n in zip(engines, (2, 4, 8), strict=True)
    ]
    found = await asyncio.gather(*orders, return_exceptions=True)
    assert sorted(type(result).__name__ for result in found) == ["GuardrailConflict"] * 2 + ["Override"]


def test_the_command(database_dsn: str, spec: BanditSpec, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main(["override", *arguments, "--dsn", database_dsn, "--json"])
        return code, json.loads(capsys.readouterr().out)

    async def opened() -> None:
        async with await LearningEngine.open(spec, database_dsn, deadline_s=60.0) as engine:
            await engine.select_arm({"task": "code", "size": 1})

    assert run("list")[0] == 2  # nothing is stored: there is no bandit
    asyncio.run(opened())
    who = ("--author", "ada", "--reason", "dear")
    code, said = run("cap", "parallel", "--share", "0.1", "--for", "2h", *who)
    assert (code, said["done"]["seq"], len(said["overrides"])) == (0, 1, 1)
    assert abs(said["done"]["until"] - clock.time() - 7200) < 60
    assert run("list", "--bandit", spec.name)[1] == {
        "action": "list",
        "done": None,
        "overrides": said["overrides"],
    }
    for bad in (
        ("cap", "nope", "--share", "0.1", *who),
        ("cap", "parallel", *who),
        ("exclude", "direct"),
        ("pin", "direct", "--for", "soon", *who),
        ("revoke", "17", *who),
        ("revoke", "x", *who),
        ("list", "--bandit", "other"),
    ):
        code, said = run(*bad)
        assert (code, set(said)) == (2, {"error"})
    assert main(["override", "list", "--dsn", database_dsn]) == 0
    assert "1: cap of parallel at 0.1, until" in capsys.readouterr().out
    assert run("revoke", "1", *who)[1]["overrides"] == []


async def test_a_guarded_log_is_exported_and_imported_with_its_propensities(
    open_engine: Any, spec: BanditSpec, contexts: Any, tmp_path: Path
) -> None:
    engine = await open_engine(replace(spec, holdout=0.0))
    await engine.override("cap", "direct", share=0.05, **WHO)
    made = {d.decision_id: d for d in await worked(engine, contexts, range(20))}
    order = await engine.override("kill_switch", **WHO)
    made |= {d.decision_id: d for d in await worked(engine, contexts, range(20, 30))}
    await engine.revoke(order.seq, **WHO)
    await engine.export_log(tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {line["decision_id"]: line["propensity"] for line in lines} == {
        k: d.propensity for k, d in made.items()
    }
    other = await open_engine(replace(spec, name="other"))
    report = await other.import_log(tmp_path / "log.jsonl")
    assert (report.decisions, report.rejected) == (30, 0)
    verified = await other.verify()
    assert verified.ok, verified.first_divergence
    assert verified.imported == 30
