"""The leader: exactly one concludes, behind the commit; who takes over finds the same alarms."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, PolicySpec, Strategy
from nyx_learning.bandit.watch import Watch
from nyx_learning.features.monitors import Monitors
from nyx_learning.persistence.rows import event_from

EVENTS = "SELECT seq, kind, pricing::text FROM nyx.log WHERE kind IN ('epoch', 'alarm') ORDER BY seq"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> BanditSpec:
    """Two arms of which the policy plays both, watched by monitors of rewards; a leader that hurries."""
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    return BanditSpec(
        "watched",
        [Strategy("direct"), Strategy("parallel")],
        policy=PolicySpec("uniform"),
        monitors=Monitors(context=False, duration=False),
        bucket_rows=16,
        seed=5,
    )


async def worked(engine: LearningEngine, numbers: range, mean: Callable[[str, int], float]) -> None:
    """Decide and report one after the other; every fifth reward is the other of the two."""
    for i in numbers:
        decision = await engine.select_arm({}, f"w-{i}")
        await engine.update_reward(decision, reward=mean(decision.arm_id, i))


def falling(arm: str, i: int) -> float:
    """``direct`` is worth .8, and from number 120 on .0; ``parallel`` .6 all the time."""
    if arm == "direct":
        return 0.0 if i >= 120 else (0.9, 0.7)[i % 2]
    return (0.7, 0.5)[i % 2]


async def caught_up(engine: LearningEngine) -> None:
    """Wait until the monitors have seen every row, and this process has learned every row."""
    async with asyncio.timeout(60):
        while True:
            status = await engine.monitoring()
            assert status is not None
            if status.lag_rows == 0 and engine.state_seq == status.seq:
                return
            await asyncio.sleep(0.01)


async def test_exactly_one_process_concludes_and_all_learn_it(
    open_engine: Any, sql: Any, watched: BanditSpec
) -> None:
    engines = [await open_engine(watched) for _ in range(3)]
    await worked(engines[0], range(200), falling)
    for engine in engines:
        await caught_up(engine)
    status = [await engine.monitoring() for engine in engines]
    assert sum(s is not None and s.leading for s in status) == 1
    lags = [engine.health().monitors_lag_rows for engine in engines]
    assert sorted(lag is not None for lag in lags) == [False, False, True]
    events = await sql(EVENTS)
    assert len(events) == 1
    assert events[0][1] == "epoch"
    assert {engine.beliefs({})[0].rewards for engine in engines} == {engines[0].beliefs({})[0].rewards}
    assert engines[0].beliefs({})[0].rewards < 60
    report = await engines[1].verify()
    assert report.ok, report.first_divergence
    assert report.rewards == 201


async def test_a_restart_reads_the_same_epochs(open_engine: Any, sql: Any, watched: BanditSpec) -> None:
    first = await open_engine(watched)
    await worked(first, range(200), falling)
    await caught_up(first)
    known = first._parts.learner.sums.digest()
    await first.close()
    for statements in ([], ["DELETE FROM nyx.sums", "DELETE FROM nyx.checkpoint"]):
        for statement in statements:
            await sql(statement)
        again = await open_engine(watched)
        assert again._parts.learner.sums.digest() == known
        await again.close()


async def test_who_takes_over_finds_the_same_alarms(open_engine: Any, sql: Any, watched: BanditSpec) -> None:
    """Leaders are cut off again and again, and their progress is lost once."""
    engine = await open_engine(watched)
    for begin in range(0, 220, 20):
        await worked(engine, range(begin, begin + 20), falling)
        await sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nyx-monitors'"
        )
        if begin == 100:
            await sql("DELETE FROM nyx.monitoring")
    await caught_up(engine)
    rows = [dict(zip(("seq", "kind", "pricing"), row, strict=True)) for row in await sql(EVENTS)]
    events = [event_from({**row, "bandit": "watched", "reported_at": None}) for row in rows]
    assert events
    watch, found = Watch(watched), []
    seq = 0
    while page := await engine._parts.store.log.after(seq, 500):
        for row, context in page:
            found += watch.absorb(row, context)
            seq = row.seq
    assert [event.key for event in found] == [event.key for event in events]
    assert all(event.same(other) for event, other in zip(found, events, strict=True))
    assert (await engine.verify()).ok


async def test_a_removed_or_invented_event_is_named(open_engine: Any, sql: Any, watched: BanditSpec) -> None:
    engine = await open_engine(watched)
    await worked(engine, range(200), falling)
    await caught_up(engine)
    seq = (await sql(EVENTS))[0][0]
    await sql(
        "UPDATE nyx.log SET pricing = replace(pricing::text, '\"rows\":', '\"row\":')::json WHERE seq = $1",
        seq,
    )
    report = await engine.verify()
    assert not report.ok
    assert str(seq) in str(report.first_divergence)


async def test_writers_do_not_wait_and_without_monitors_nothing_runs(
    open_engine: Any, sql: Any, watched: BanditSpec
) -> None:
    plain = await open_engine(replace(watched, monitors=None, name="plain"))
    assert await plain.monitoring() is None
    await worked(plain, range(5), falling)
    assert await sql("SELECT count(*) FROM nyx.monitoring") == [(0,)]
