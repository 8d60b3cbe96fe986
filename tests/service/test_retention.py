"""Retention: what is old goes, what it taught stays, and ``verify`` is true from the base on."""

import asyncio
import time as clock
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import (
    BanditSpec,
    ContextSchema,
    Flag,
    LearningEngine,
    RewardSpec,
)
from nyx_learning.errors import InputInvalid, RewardTooLate, SpecInvalid
from nyx_learning.persistence.advice import AdviceRow, insert_advice
from nyx_learning.persistence.retention import Retained, retain
from nyx_learning.rewards import ReferenceTimes
from nyx_learning.service.retaining import expire_and_retain

Contexts = Callable[[int], dict[str, Any]]
LONG = 90 * 86_400.0
LATER = 91 * 86_400.0
"""Behind all that a test has decided by now, from so far in the future retention looks back."""


async def work(engine: LearningEngine, contexts: Contexts, ids: range, kept_open: int = 0) -> None:
    for i in ids:
        await engine.select_arm(contexts(i), f"wf-{i}")
        if i >= ids.start + kept_open:
            await engine.update_reward(f"wf-{i}", reward=i % 8 / 8)


async def drop(*engines: LearningEngine, now: float | None = None, **options: Any) -> list[Retained]:
    """Drop what these engines' bandits have stored so far; each of them may need it at another time."""
    stores = [engine._store for engine in engines]
    return await retain(stores, LONG, now=clock.time() + LATER if now is None else now, **options)


async def ids(sql: Any, table: str = "decision") -> list[str]:
    statements = {
        "decision": "SELECT decision_id FROM nyx.decision ORDER BY state_seq, decision_id",
        "log": "SELECT decision_id FROM nyx.log WHERE decision_id IS NOT NULL ORDER BY seq",
        "key": "SELECT decision_id FROM nyx.decision_key ORDER BY 1",
    }
    return [key for (key,) in await sql(statements[table])]


async def test_what_was_learned_stays(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(40))
    before = engine.state_seq, engine._learner.sums.digest(), engine.beliefs(contexts(3))
    (told,) = await drop(engine, dry_run=True)
    assert (told.decisions, told.rows, told.base_seq, told.dry_run) == (40, 40, 40, True)
    assert len(await ids(sql)) == 40
    (told,) = await drop(engine)
    assert (told.before, told.base_seq, told.last_seq, told.held_by) == (0, 40, 40, "end")
    assert (told.decisions, await ids(sql), await ids(sql, "log")) == (40, [], [])
    assert len(await ids(sql, "key")) == 40
    report = await engine.verify()
    assert report.ok, report.first_divergence
    await sql("DELETE FROM nyx.sums")  # a restart has the base only
    await sql("DELETE FROM nyx.checkpoint")
    again = await open_engine(spec)
    assert (again.state_seq, again._learner.sums.digest(), again.beliefs(contexts(3))) == before
    await work(again, contexts, range(40, 60))
    report = await again.verify()
    assert report.ok, report.first_divergence
    assert report.decisions == 20
    (told,) = await drop(again)
    assert (told.before, told.base_seq, told.decisions) == (40, 60, 20)
    assert (await again.verify()).ok


async def test_young_decisions_hold_the_base(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(20))
    cut = clock.time()
    await work(engine, contexts, range(20, 40))
    (told,) = await drop(engine, now=cut + LONG)
    assert (told.base_seq, told.held_by, told.decisions, told.rows) == (20, "young", 20, 20)
    assert await ids(sql) == [f"wf-{i}" for i in range(20, 40)]
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert report.decisions == report.matched == 20
    (told,) = await drop(engine, now=cut + LONG)  # again: nothing to do
    assert (told.before, told.base_seq, told.decisions, told.rows) == (20, 20, 0, 0)


async def test_what_is_dropped_stays_dropped(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Whoever knows a dropped decision, by heart or by its id, is told; nothing is applied a second time."""
    engine, other = await open_engine(spec), await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-0")
    silent = await engine.select_arm(contexts(1), "wf-1")
    await engine.update_reward(decision, reward=0.5)
    await work(engine, contexts, range(2, 10))
    assert len(await ids(sql)) == 10
    await drop(engine)
    before = await ids(sql, "log"), engine.state_seq
    for one in (engine, other):
        for target in (decision, "wf-0", silent, "wf-1"):
            with pytest.raises(RewardTooLate, match="dropped by retention") as caught:
                await one.update_reward(target, reward=0.5)
            assert not caught.value.retryable
        with pytest.raises(RewardTooLate):
            await one.retract("wf-0")
    with pytest.raises(RewardTooLate, match="dropped by retention"):
        await (await open_engine(spec)).select_arm(contexts(0), "wf-0")  # knows neither
    assert (await ids(sql, "log"), engine.state_seq) == before
    assert (await engine.verify()).ok


async def test_a_decision_with_a_row_behind_the_base_is_kept_with_all_its_rows(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(10))
    cut = clock.time()
    await work(engine, contexts, range(10, 20))
    await engine.update_reward("wf-3", reward=0.25, corrects=0)
    (told,) = await drop(engine, now=cut + LONG)
    assert (told.base_seq, told.decisions) == (10, 9)
    assert "wf-3" in await ids(sql)
    assert (await ids(sql, "log")).count("wf-3") == 2
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert not (await engine.update_reward("wf-3", reward=0.25, corrects=0)).applied
    assert (await engine.update_reward("wf-3", reward=0.75, corrects=1)).applied
    report = await engine.verify()
    assert report.ok, report.first_divergence
    await drop(engine)
    assert await ids(sql) == []
    assert (await engine.verify()).ok


async def test_open_windows_and_holds(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    windowed = replace(spec, reward=RewardSpec(weights={"success": 1.0}, window_s=60.0))
    engine = await open_engine(windowed)
    await work(engine, contexts, range(10))
    await engine.select_arm(contexts(1), "silent")
    await work(engine, contexts, range(10, 20))
    now = clock.time() + LATER
    (told,) = await drop(engine, now=now)
    assert (told.base_seq, told.held_by, told.decisions) == (10, "waiting", 10)
    assert [receipt.decision_id for receipt in await engine.expire(now)] == ["silent"]
    await sql("INSERT INTO nyx.hold VALUES ('orchestration', 'a monitor', 15)")
    (told,) = await drop(engine, now=now)
    assert (told.base_seq, told.held_by) == (15, "hold")
    assert (await engine.verify()).ok
    await sql("UPDATE nyx.hold SET seq = 1000")
    (told,) = await drop(engine, now=now)
    assert (told.base_seq, told.held_by, await ids(sql)) == (21, "end", [])


async def test_a_process_that_was_behind_goes_on_from_the_base(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine, behind = await open_engine(spec), await open_engine(spec)
    await work(engine, contexts, range(5))
    await behind._replica.catch_up()
    following, behind._replica._store = behind._replica._store, engine._store
    catch_up = behind._replica.catch_up

    async def nothing() -> None:
        return

    behind._replica.catch_up = nothing
    await work(engine, contexts, range(5, 30))
    await drop(engine)
    late = await behind.select_arm(contexts(3), "late")  # knew rows that are gone
    assert late.state_seq < 30
    behind._replica.catch_up, behind._replica._store = catch_up, following
    await behind._replica.catch_up()
    assert behind.state_seq == engine.state_seq == 30
    assert behind._learner.sums.digest() == engine._learner.sums.digest()
    assert (await behind.update_reward(late, reward=1.0)).applied
    assert (await behind.verify()).ok


async def test_every_encoding_in_use_has_a_base_and_a_new_one_is_refused(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """In a rolling deploy both specs go on; a spec that comes after retention cannot be folded any more."""
    foreign = replace(spec, context=ContextSchema(task=spec.context["task"]))
    old, new = await open_engine(spec), await open_engine(foreign)
    for i in range(20):
        maker = (old, new)[i % 2]
        context = contexts(i) if maker is old else {"task": contexts(i)["task"]}
        await maker.update_reward(await maker.select_arm(context, f"wf-{i}"), reward=i % 4 / 4)
    await drop(old)
    digests = []
    for engine, own in ((old, spec), (new, foreign)):
        await engine._replica.catch_up()
        again = await open_engine(own)
        assert again._learner.sums.digest() == engine._learner.sums.digest()
        assert sum(b.rewards for b in again.beliefs(contexts(0) if own is spec else {"task": "code"})) > 0
        digests.append(again._learner.sums.digest())
    assert digests[0] != digests[1]
    assert (await old.verify()).ok
    for changed in (replace(spec, context=ContextSchema(urgent=Flag())), replace(spec, bucket_rows=32)):
        with pytest.raises(SpecInvalid, match="cannot be folded for this spec") as caught:
            await open_engine(changed)
        assert caught.value.expected and caught.value.found and caught.value.fix  # noqa: PT018
    assert await old.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}


async def test_reference_times_are_never_dropped(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(3))
    adoption = await engine.adopt_references(ReferenceTimes.from_dict(ReferenceTimes().to_dict()))
    await work(engine, contexts, range(3, 6))
    await drop(engine)
    assert await sql("SELECT seq, kind FROM nyx.log") == [(adoption.seq, "adoption")]
    assert (await open_engine(spec))._store is not None
    report = await engine.verify()
    assert report.ok, report.first_divergence


async def test_windows_that_have_passed_are_closed_before(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    windowed = replace(spec, reward=RewardSpec(weights={"success": 1.0}, window_s=60.0))
    stores = []
    for each in (windowed, replace(spec, name="other")):
        engine = await open_engine(each)
        stores.append(engine._store)
        await work(engine, contexts, range(5))
        await engine.select_arm(contexts(1), "silent")
    now = clock.time() + LATER
    (told, _) = await expire_and_retain(stores, LONG, now=now, dry_run=True)
    assert (told.expired, told.held_by) == (0, "waiting")
    told, other = await expire_and_retain(stores, LONG, now=now)
    assert (told.expired, told.held_by, told.decisions) == (1, "end", 6)
    assert (other.expired, other.held_by, other.decisions) == (0, "end", 5)  # at the base itself
    with pytest.raises(InputInvalid, match="cannot go by"):
        await expire_and_retain(stores, -1.0, now=now)


async def test_whole_months_go_where_all_bandits_agree(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(replace(spec, name="other"))
    for engine in (one, two):
        await work(engine, contexts, range(10))
    parts = (
        "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('nyx.decision'::regclass, 'nyx.log'::regclass)"
    )
    (before,) = await sql(parts)
    ((over,),) = await sql(
        "SELECT extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC')"
        " + interval '1 month')::float8"
    )
    then = over + LONG  # the present month is over, and old; the next, which has no rows, is not
    (told,) = await drop(one, now=then)  # the other bandit's rows stand in the same partitions
    assert (told.months, told.decisions) == ((), 10)
    assert await sql(parts) == [before]
    both = await drop(one, two, now=then)
    (month,) = await sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')")
    assert [told.months for told in both] == [(), month]
    assert [told.decisions for told in both] == [0, 10]
    assert (await sql(parts))[0][0] < before[0]
    for engine in (one, two):
        assert (await engine.verify()).ok
        await work(engine, contexts, range(10, 13))  # into the default partition, until there is one again
        assert (await engine.verify()).ok
    assert await sql("SELECT count(*) FROM nyx.decision_default") == [(6,)]
    await (await open_engine(spec)).close()
    assert await sql("SELECT count(*) FROM nyx.decision_default") == [(0,)]
    assert (await one.verify()).ok


async def test_writers_go_on_meanwhile(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine, other = await open_engine(spec), await open_engine(spec)
    began: dict[LearningEngine, float] = {}

    async def write(own: LearningEngine, first: int) -> None:
        for i in range(first, first + 60):
            began[own] = clock.time()
            await work(own, contexts, range(i, i + 1))

    dropped: list[int] = []

    async def age() -> None:
        async with asyncio.timeout(60):
            while len(dropped) < 4 or not any(dropped):
                await asyncio.sleep(0.05)
                (told,) = await drop(engine, now=min(began.values()) + LONG)  # all but what is under way
                dropped.append(told.decisions)

    await asyncio.gather(write(engine, 0), write(other, 100), age())
    assert await sql("SELECT last_seq FROM nyx.bandit") == [(120,)]
    report = await engine.verify()
    assert report.ok, report.first_divergence
    fresh = await open_engine(spec)
    for one in (engine, other):
        await one._replica.catch_up()
        assert one._learner.sums.digest() == fresh._learner.sums.digest()


TAMPERED = [
    ("UPDATE nyx.base_sums SET statistics[1] = statistics[1] + 1 WHERE arm_id = 'direct'", "base"),
    ("UPDATE nyx.base SET seq = seq + 1", "base"),
    ("UPDATE nyx.base SET digest = 'x'", "base"),
    ("UPDATE nyx.bandit SET base_seq = base_seq + 1", "base"),
    ("UPDATE nyx.bandit SET base_seq = base_seq - 1", "base"),
    ("DELETE FROM nyx.base_sums", "base"),
    ("UPDATE nyx.log SET reward = 0.5, units = 32768 WHERE seq = 25", "log row 25"),
    ("DELETE FROM nyx.log WHERE seq = 21", "log row 21"),
    ("DELETE FROM nyx.decision WHERE decision_id = 'wf-25'", "wf-25"),
    ("UPDATE nyx.decision SET reason = 'holdout' WHERE decision_id = 'wf-22'", "wf-22"),
    ("UPDATE nyx.decision_key SET digest = 'x' WHERE decision_id = 'wf-25'", "wf-25"),
    ("UPDATE nyx.decision_key SET state_seq = 1 WHERE decision_id = 'wf-25'", "wf-25"),
    ("UPDATE nyx.decision_key SET decided_on = decided_on + 1 WHERE decision_id = 'wf-25'", "wf-25"),
    ("UPDATE nyx.decision_key SET state_seq = 1000 WHERE decision_id = 'wf-5'", "wf-5"),
    ("UPDATE nyx.sums SET statistics[1] = statistics[1] + 1 WHERE arm_id = 'direct'", "sums"),
    ("UPDATE nyx.counted SET decisions = decisions - 1 WHERE stripe = -1", "counted"),
]


async def test_tampering_is_named_from_the_base_on(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(20))
    cut = clock.time()
    await work(engine, contexts, range(20, 40))
    await drop(engine, now=cut + LONG)
    assert (await engine.verify()).ok
    for statement, named in TAMPERED:
        await sql("SET session_replication_role = replica")
        tables = ("base_sums", "base", "bandit", "log", "decision", "decision_key", "sums", "counted")
        for table in tables:
            await sql(f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM nyx.{table}")  # noqa: S608
        await sql(statement)
        report = await engine.verify()
        assert not report.ok, statement
        assert named in (report.first_divergence or ""), (statement, report.first_divergence)
        for table in tables:
            await sql(f"DELETE FROM nyx.{table}")  # noqa: S608
            await sql(f"INSERT INTO nyx.{table} SELECT * FROM kept_{table}")  # noqa: S608
            await sql(f"DROP TABLE kept_{table}")
    report = await engine.verify()
    assert report.ok, report.first_divergence


async def test_what_changes_no_choice_goes_by_its_age(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(4))
    for i in range(3):
        await engine.record_execution("agent", {"success": True}, execution_id=f"e-{i}")
        row = AdviceRow(f"wf-{i}", 1.5, clock.time(), "continue", None, {"values": {}})
        await insert_advice(engine._pool, spec.name, [row, row._replace(elapsed_s=2.0)])
    await engine.refresh_patterns()
    left = "SELECT (SELECT count(*) FROM nyx.execution), (SELECT count(*) FROM nyx.advice)"
    await sql("UPDATE nyx.execution SET reported_at = 10.0 WHERE execution_id < 'e-2'")
    await sql("UPDATE nyx.advice SET asked_at = 10.0 WHERE decision_id < 'wf-1'")
    (planned,) = await drop(engine, now=clock.time(), dry_run=True)
    assert (planned.executions, planned.advice) == (2, 2)
    assert await sql(left) == [(3, 6)]
    (done,) = await drop(engine, now=clock.time())
    assert (done.executions, done.advice, done.decisions) == (2, 2, 0)
    assert await sql(left) == [(1, 4)]
    (done,) = await drop(engine)
    assert (done.executions, done.advice, done.decisions) == (1, 4, 4)
    assert await sql("SELECT count(*) FROM nyx.pattern_snapshot") == [(1,)]
    assert (await engine.verify()).ok


@pytest.mark.parametrize("age", [-1.0, float("nan"), float("inf"), True, "90d"])
async def test_ages_that_are_none(open_engine: Any, spec: BanditSpec, age: Any) -> None:
    engine = await open_engine(spec)
    with pytest.raises(InputInvalid, match="older_than_s"):
        await retain([engine._store], age, now=clock.time())
