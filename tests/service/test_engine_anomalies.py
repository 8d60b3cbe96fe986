"""Anomalies as rows of the log: found by the leader, found again by another, listed, and held back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nyx_learning import (
    BanditSpec,
    LearningEngine,
    Monitors,
    Outcome,
    PerformanceMetrics,
    PolicySpec,
    Strategy,
)
from nyx_learning.bandit.watch import Watch
from nyx_learning.errors import InputInvalid


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> BanditSpec:
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    return BanditSpec(
        "odd",
        [Strategy("direct")],
        policy=PolicySpec("uniform"),
        monitors=Monitors(reward=False, duration=False, context=False, alerts_a_day=2),
        seed=5,
    )


async def worked(engine: LearningEngine, numbers: range) -> None:
    """Durations between 10 and 13 s; every 60th 2,000 s."""
    for i in numbers:
        decision = await engine.select_arm({}, f"w-{i}")
        seconds = 2000.0 if i % 60 == 59 else 10.0 + i % 7 * 0.5
        await engine.update_reward(decision, Outcome(success=True, duration_s=seconds, retries=0))


async def caught_up(engine: LearningEngine) -> None:
    async with asyncio.timeout(20):
        while True:
            status = await engine.monitoring()
            if status is not None and status.lag_rows == 0 and engine.state_seq == status.seq:
                return
            await asyncio.sleep(0.01)


async def test_who_takes_over_finds_the_same_anomalies(
    open_engine: Any, sql: Any, watched: BanditSpec
) -> None:
    engine = await open_engine(watched)
    for begin in range(0, 260, 52):
        await worked(engine, range(begin, begin + 52))
        await sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nyx-monitors'"
        )
        if begin == 104:
            await sql("DELETE FROM nyx.monitoring")
    await caught_up(engine)
    found = await engine.anomalies()
    watch, again, seq = Watch(watched), [], 0
    while page := await engine._parts.store.log.after(seq, 500):
        for row, context in page:
            again += watch.absorb(row, context)
            seq = row.seq
    assert [(f.row, f.anomaly.to_dict()["text"]) for f in reversed(found)] == [
        (event.cause, event.evidence["text"]) for event in again
    ]
    assert len(found) == 4  # rows of events stand between those of executions
    assert {f.anomaly.metric for f in found} == {"duration_s"}
    assert [f.alert for f in found] == [False, False, True, True]
    assert all(f.arm_id == "direct" and f.time is not None for f in found)
    assert (await engine.verify()).ok
    # In pages, by arm, from a process that never led.
    other = await open_engine(watched)
    assert await other.anomalies(1, before=found[0].seq) == [found[1]]
    assert await other.anomalies(arm="nobody") == []
    with pytest.raises(InputInvalid, match="expected:"):
        await other.anomalies(0)


async def test_an_execution_is_judged_by_the_newest_reports(open_engine: Any, watched: BanditSpec) -> None:
    engine = await open_engine(watched)
    odd = PerformanceMetrics(duration_s=900.0, retries=12)
    assert await engine.detect_performance_anomalies(odd) == []  # nothing is known yet
    await worked(engine, range(50))
    found = await engine.detect_performance_anomalies(odd)
    assert [a.metric for a in found] == ["retries", "duration_s"]
    assert await engine.detect_performance_anomalies(PerformanceMetrics(duration_s=11.0, retries=0)) == []
    baseline = await engine.performance_baseline("direct")
    assert baseline.rows == {"duration_s": 50, "retries": 50, "errors": 50}
    assert await engine.detect_performance_anomalies(odd, baseline) == found
    assert (await engine.performance_baseline("nobody")).rows == {}
    predicted = await engine.predict_workflow_performance({}, "direct")
    slow = PerformanceMetrics(duration_s=900.0, retries=0)
    (judged,) = await engine.detect_performance_anomalies(slow, expected=predicted)
    assert predicted.duration_s.high is not None
    assert judged.expected.high == pytest.approx(predicted.duration_s.high, rel=0.5)
