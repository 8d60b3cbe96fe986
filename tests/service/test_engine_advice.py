"""Recommendations, explanations and agents' reports through the engine, on a real database."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    Categorical,
    ContextSchema,
    Numeric,
    Outcome,
    PolicySpec,
    Strategy,
)
from nyx_learning.errors import (
    DatabaseUnavailable,
    DecisionUnknown,
    InputInvalid,
    OutcomeInvalid,
    RewardConflict,
    StateDropped,
)
from nyx_learning.features.monitors import PerformanceMetrics
from nyx_learning.insights.recommending import ExecutionResult
from nyx_learning.persistence.executions import recorded_executions
from nyx_learning.persistence.retention import retain

SPEC = BanditSpec(
    name="advised",
    seed=7,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4, 8]})],
    context=ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 10)),
    policy=PolicySpec("hier_ts", floor=0.04),
    baseline_arm="direct",
    bucket_rows=16,
)


def context(i: int) -> dict[str, Any]:
    return {"task": ("code", "text")[i % 2], "size": i % 10}


def worth(decision: Any, i: int) -> float:
    return 0.4 if decision.strategy == "direct" else 0.2 + 0.5 * (i % 2)


async def learned(engine: Any, n: int) -> Bandit:
    """Learn n decisions, and the same ones in a bandit in memory."""
    twin = Bandit(SPEC)
    for i in range(n):
        decision = await engine.select_arm(context(i), f"wf-{i}")
        twin.select_arm(context(i), f"wf-{i}", time=decision.time)
        reward = worth(decision, i)
        await engine.update_reward(decision, reward=reward)
        twin.update_reward(f"wf-{i}", reward=reward)
    return twin


async def test_explanations_are_of_then_from_the_log_and_the_same_in_memory(
    open_engine: Any, sql: Any
) -> None:
    engine = await open_engine(SPEC)
    twin = await learned(engine, 40)
    (rows,) = await sql("SELECT count(*) FROM nyx.log")
    for name in ("wf-0", "wf-7", "wf-39"):
        told = await engine.explain(name)
        assert told.rederived
        assert told == twin.explain(name)
        assert told == await engine.explain(await engine.decision(name))
        json.dumps(told.to_dict(), allow_nan=False)
    order = await engine.override("cap", "parallel", share=0.125, author="ada", reason="dear")
    capped = await engine.select_arm(context(3), "capped")
    told = await engine.explain(capped)  # from memory: nothing came since
    assert told.rederived
    assert [rail.seq for rail in told.guardrails] == [order.seq]
    assert await sql("SELECT count(*) FROM nyx.log") == [(rows[0] + 1,)]


async def test_an_explanation_folds_from_stored_sums_where_it_can(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    twin = await learned(engine, 20)
    await engine.close()
    (stored,) = (await sql("SELECT seq FROM nyx.checkpoint"))[0]
    assert stored == 20
    other = await open_engine(SPEC)
    for i in range(20, 26):
        await other.update_reward(await other.select_arm(context(i), f"wf-{i}"), reward=0.5)
    assert await other.explain("wf-9") == twin.explain("wf-9")
    told = await other.explain("wf-23")
    assert (told.rederived, told.state_seq) == (True, 23)


async def test_what_cannot_be_explained_says_why(open_engine: Any) -> None:
    engine = await open_engine(SPEC)
    with pytest.raises(DecisionUnknown, match="no decision 'never'"):
        await engine.explain("never")
    with pytest.raises(InputInvalid, match="decision id is unusable"):
        await engine.explain("")


async def test_what_retention_dropped_is_told_as_such(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    await learned(engine, 20)
    early = await engine.decision("wf-3")
    await engine.close()
    old = await open_engine(SPEC)
    await sql("UPDATE nyx.decision SET decided_at = 0 WHERE state_seq < 15")
    await retain([old._store], 60.0, now=early.time + 30.0)
    with pytest.raises(StateDropped, match="was dropped by retention"):
        await old.explain("wf-3")
    with pytest.raises(StateDropped, match="cannot be told any more") as caught:
        await old.explain(early)
    assert "row 15 or a later one" in caught.value.expected
    told = await old.explain("wf-17")
    assert (told.rederived, told.state_seq) == (True, 17)


async def test_decisions_of_an_outage_are_explained_from_memory(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    await learned(engine, 12)
    spooled = await engine.select_arm(context(1), "kept", durable=False)
    told = await engine.explain("kept")
    assert told.rederived
    assert told.mode == spooled.mode == "write_behind"
    await engine.flush()
    assert (await engine.explain("kept")).arm_id == spooled.arm_id


async def test_recommendations_change_nothing_and_follow_the_posterior(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    await learned(engine, 60)
    before = await sql("SELECT count(*) FROM nyx.decision")
    told = await engine.recommend_strategy(context(1))
    assert told == await engine.recommend_strategy(context(1))
    beliefs = {belief.arm_id: belief for belief in engine.beliefs(context(1))}
    assert told.expected_reward == max(belief.mean for belief in beliefs.values())
    assert told.probability == beliefs[told.arm_id].probability
    means = [told.expected_reward, *(other.expected_reward for other in told.alternatives)]
    assert means == sorted(means, reverse=True)
    assert told.strategy == "parallel"
    patterns = await engine.analyze_strategy_patterns(None, min_count=5)
    predicted = await engine.recommend_strategy(context(1), patterns, predict=True)
    assert predicted.prediction is not None
    assert predicted.prediction.strategy == told.arm_id
    json.dumps(predicted.to_dict(), allow_nan=False)
    only = await engine.recommend_strategy(context(1), eligible=["direct"])
    assert (only.arm_id, only.arms, only.alternatives) == ("direct", 1, ())
    kept = await engine.optimize_parameters({"workers": 2}, context=context(1))
    assert kept.strategy == "parallel"
    assert await sql("SELECT count(*) FROM nyx.decision") == before
    assert await engine.verify()


async def test_an_execution_is_kept_once_and_conflicts_are_refused(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    result = ExecutionResult(success=True, duration_s=12.5, error_codes=("throttled",))
    metrics = PerformanceMetrics(tokens=900, duration_s=12.5)
    first = await engine.record_execution(
        "researcher-1", result, metrics, agent_type="researcher", execution_id="run-1"
    )
    assert (first.applied, first.receipt) == (True, None)
    again = await engine.record_execution(
        "researcher-1", result, metrics, agent_type="researcher", execution_id="run-1"
    )
    assert not again.applied
    with pytest.raises(RewardConflict, match="run-1"):
        await engine.record_execution("researcher-1", {"success": False}, execution_id="run-1")
    with pytest.raises(RewardConflict, match="run-1"):
        await engine.record_execution(
            "researcher-2", result, metrics, agent_type="researcher", execution_id="run-1"
        )
    (row,) = await recorded_executions(engine._pool, SPEC.name, 0.0, 10)
    assert (row.agent_id, row.agent_type, row.decision_id) == ("researcher-1", "researcher", None)
    assert row.result == {
        "success": True,
        "duration_s": 12.5,
        "tokens": 900,
        "error_codes": ["throttled"],
    }
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]  # nothing is learned from it


async def test_an_execution_of_a_decision_is_its_outcome(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    decision = await engine.select_arm(context(1), "wf-1")
    outcome = Outcome(success=True, quality=0.9)
    done = await engine.record_execution(
        "coder-1", outcome, agent_type="coder", decision_id=decision.decision_id
    )
    assert (done.execution_id, done.applied, done.receipt.applied) == ("wf-1", True, True)
    status = await engine.rewards("wf-1")
    assert (status.outcome.agent_type, status.outcome.quality) == ("coder", 0.9)
    again = await engine.record_execution("coder-1", outcome, agent_type="coder", decision_id="wf-1")
    assert (again.applied, again.receipt.applied) == (False, False)
    with pytest.raises(RewardConflict):
        await engine.record_execution("coder-1", {"success": False}, decision_id="wf-1")
    with pytest.raises(DecisionUnknown):
        await engine.record_execution("coder-1", outcome, decision_id="never")
    assert await sql("SELECT execution_id, decision_id FROM nyx.execution") == [("wf-1", "wf-1")]


async def test_a_decision_learns_nothing_from_an_execution_that_is_refused(
    open_engine: Any, sql: Any
) -> None:
    engine = await open_engine(SPEC)
    await engine.record_execution("coder-1", {"success": True}, execution_id="run-1")
    await engine.select_arm(context(1), "wf-1")
    with pytest.raises(RewardConflict, match="run-1"):
        await engine.record_execution("coder-1", {"success": False}, execution_id="run-1", decision_id="wf-1")
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]


async def test_many_reports_at_once_are_each_kept_once(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)

    async def report(i: int) -> bool:
        told = {"success": i % 50 % 3 > 0, "retries": i % 50}
        done = await engine.record_execution(f"a-{i % 50 % 4}", told, execution_id=f"run-{i % 50}")
        return bool(done.applied)

    applied = await asyncio.gather(*(report(i) for i in range(150)))
    assert sum(applied) == 50
    assert await sql("SELECT count(*) FROM nyx.execution") == [(50,)]


BAD: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    (("", {"success": True}), InputInvalid, "agent's id"),
    (("a", {}), OutcomeInvalid, "no result"),
    (("a", {"success": True, "speed": 1}), OutcomeInvalid, "no result"),
    (("a", {"success": True, "duration_s": -1.0}), OutcomeInvalid, "duration_s"),
    (("a", {"success": True, "reward": 1.5}), InputInvalid, "'reward'"),
    (("a", {"success": True, "parameters": {"x": [1]}}), InputInvalid, "'parameters'"),
    (("a", {"success": True, "error_codes": ["e" * 100] * 400}), InputInvalid, "too long"),
    (("a", {"success": True, "cost": 1.0}, {"cost": 2.0}), InputInvalid, "contradict"),
    (("a", 7), InputInvalid, "result is none"),
    (("a", {"success": True}, {"speed": 2.0}), InputInvalid, "unknown"),
]


async def test_bad_reports_are_refused_and_nothing_is_stored(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    for arguments, error, match in BAD:
        with pytest.raises(error, match=match):
            await engine.record_execution(*arguments)
    assert await sql("SELECT count(*) FROM nyx.execution") == [(0,)]


async def test_a_closed_engine_gives_no_advice(open_engine: Any) -> None:
    engine = await open_engine(SPEC)
    await engine.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await engine.recommend_strategy(context(1))
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await engine.record_execution("a", {"success": True})


async def test_retention_drops_old_reports_of_agents_too(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    await engine.record_execution("a", ExecutionResult(success=True, time=100.0), execution_id="old")
    await engine.record_execution("a", ExecutionResult(success=True, time=300.0), execution_id="young")
    (planned,) = await retain([engine._store], 100.0, now=350.0, dry_run=True)
    (done,) = await retain([engine._store], 100.0, now=350.0)
    assert (planned.executions, done.executions) == (1, 1)
    assert await sql("SELECT execution_id FROM nyx.execution") == [("young",)]
