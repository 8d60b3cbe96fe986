"""Monitors and guardrails hold what they still read, and epochs stand behind what was dropped."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nyx_learning import (
    BanditSpec,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.guardrails import Breaker, Guardrails
from nyx_learning.features.monitors import Monitors
from nyx_learning.persistence import retention
from nyx_learning.persistence.queries import query
from nyx_learning.persistence.store import Store

from .test_retention import drop, work

Contexts = Callable[[int], dict[str, Any]]


async def test_epochs_of_monitors_stand_behind_retention(
    open_engine: Any, sql: Any, spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Monitors hold the rows that they still read; an epoch that began before the base goes on behind it."""
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    watched = BanditSpec(
        "watched",
        [Strategy("direct"), Strategy("parallel")],
        policy=PolicySpec("uniform"),
        monitors=Monitors(context=False, duration=False),
        bucket_rows=16,
        seed=5,
    )
    engine = await open_engine(watched)
    for i in range(200):
        decision = await engine.select_arm({}, f"w-{i}")
        high = 0.7 if decision.arm_id == "parallel" else 0.9 * (i < 120)
        await engine.update_reward(decision, reward=high if i % 2 else max(0.0, high - 0.2))
    epochs = "SELECT seq FROM nyx.log WHERE kind = 'epoch' ORDER BY seq"
    async with asyncio.timeout(30):
        while not (events := await sql(epochs)):  # noqa: ASYNC110 (polling what the leader writes)
            await asyncio.sleep(0.02)
        # The leader has seen its own event too: it stores no hold any more until there are other rows.
        at_rest = "SELECT FROM nyx.monitoring m JOIN nyx.bandit b USING (bandit) WHERE m.seq = b.last_seq"
        while not await sql(at_rest):  # noqa: ASYNC110 (polling what the leader writes)
            await asyncio.sleep(0.02)
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by) == (0, "hold")  # so few rows are all remembered
    await sql("UPDATE nyx.hold SET seq = 150")
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by) == (150, "hold")
    assert await sql(epochs) == events
    report = await engine.verify()
    assert report.ok, report.first_divergence
    await sql("DELETE FROM nyx.sums")
    await sql("DELETE FROM nyx.checkpoint")
    again = await open_engine(watched)
    await again._replica.catch_up()
    await engine._replica.catch_up()
    assert again._learner.sums.epochs == engine._learner.sums.epochs != [0, 0]
    assert again._learner.sums.digest() == engine._learner.sums.digest()


async def test_the_hold_of_monitors_ends_with_them(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    watched = replace(spec, monitors=Monitors(context=False, duration=False))
    engine = await open_engine(watched)
    await work(engine, contexts, range(30))
    held = "SELECT seq FROM nyx.hold"
    async with asyncio.timeout(30):
        while not await sql(held):  # noqa: ASYNC110 (polling what the leader writes)
            await asyncio.sleep(0.02)
    plain = await open_engine(spec)
    await work(plain, contexts, range(30, 32))
    (told,) = await drop(plain)  # a rolling deploy: the monitors still run
    assert (told.base_seq, told.held_by) == (0, "hold")
    await engine.close()
    async with asyncio.timeout(30):
        while (await drop(plain, dry_run=True))[0].held_by == "hold":  # noqa: ASYNC110 (a connection ends)
            await asyncio.sleep(0.02)
    assert len(await sql(held)) == 1
    (told,) = await drop(plain)
    assert (told.base_seq, told.held_by, told.decisions) == (32, "end", 32)
    assert await sql(held) == []
    watching = await open_engine(watched)  # begins behind what was dropped
    await work(watching, contexts, range(32, 40))
    async with asyncio.timeout(30):
        while not await sql("SELECT FROM nyx.hold WHERE seq >= 32"):  # noqa: ASYNC110 (polling what the leader writes)
            await asyncio.sleep(0.02)
    report = await watching.verify()
    assert report.ok, report.first_divergence


@pytest.mark.parametrize(("holder", "lead"), [("monitors", "try_lead"), ("guardrails", "try_guard")])
async def test_what_nobody_has_begun_to_watch_is_kept(
    open_engine: Any,
    database_dsn: str,
    sql: Any,
    spec: BanditSpec,
    contexts: Contexts,
    monkeypatch: pytest.MonkeyPatch,
    holder: str,
    lead: str,
) -> None:
    """Six failures stay, however late the first leader comes: another holds its lock."""
    for module in ("monitoring", "sentinel"):
        for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
            monkeypatch.setattr(f"nyx_learning.service.{module}.{name}", 0.02)
    watched = replace(spec, monitors=Monitors(context=False, duration=False))
    if holder == "guardrails":
        watched = replace(spec, guardrails=Guardrails(Breaker(window=6, failures=6, cooldown_s=3600.0)))
    another = await asyncpg.connect(database_dsn)
    try:
        assert await another.fetchval(query(lead), watched.name)
        engine = await open_engine(watched)
        for i in range(6):
            decision = await engine.select_arm(contexts(i), f"w-{i}", eligible=["direct"])
            await engine.update_reward(decision, Outcome(success=False))
        (told,) = await drop(engine)
        assert (told.base_seq, told.held_by, told.decisions) == (0, "hold", 0)
    finally:
        await another.close()
    async with asyncio.timeout(30):
        while not await sql("SELECT FROM nyx.monitoring WHERE seq >= 6"):  # noqa: ASYNC110 (of the leader)
            await asyncio.sleep(0.02)
    if holder == "guardrails":
        assert await sql("SELECT seq, kind FROM nyx.log WHERE decision_id IS NULL") == [(7, "guardrail")]


async def test_who_never_comes_to_watch_holds_up_nothing_for_long(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """A spec that was taken back before anyone watched by it: a day after its first use, rows may go."""
    engine = await open_engine(spec)
    await work(engine, contexts, range(10))
    taken_back = replace(spec, guardrails=Guardrails(Breaker()))
    await Store(engine._store.pool, taken_back).register()
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by, told.decisions) == (0, "hold", 0)
    await sql("UPDATE nyx.spec SET created_at = created_at - interval '25 hours'")
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by, told.decisions) == (10, "end", 10)


async def test_a_hold_that_comes_while_retention_folds_is_kept(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(10))

    async def held_meanwhile(*arguments: Any) -> Any:
        await sql("INSERT INTO nyx.hold VALUES ('orchestration', 'a monitor', 4)")
        return await folded(*arguments)

    folded = retention._folded
    monkeypatch.setattr(retention, "_folded", held_meanwhile)
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by, told.decisions) == (0, "hold", 0)
    assert await sql("SELECT seq FROM nyx.hold") == [(4,)]
    monkeypatch.setattr(retention, "_folded", folded)
    (told,) = await drop(engine)
    assert (told.base_seq, told.held_by, told.decisions) == (4, "hold", 4)
