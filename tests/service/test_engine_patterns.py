"""Stored patterns: versions, memory, evolution, agents, opportunities and changes, through the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    LearningEngine,
    Numeric,
    Ordinal,
    Outcome,
    PolicySpec,
    RewardReport,
    Strategy,
)
from nyx_learning.errors import InputInvalid
from nyx_learning.insights.patterns import analyze_strategy_patterns
from nyx_learning.service.executed_log import read_executions

SPEC = BanditSpec(
    name="orchestration",
    seed=5,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(
        size=Numeric(0, 10),
        task_type=Categorical(["code", "text"]),
        complexity=Ordinal(["simple", "complex"]),
    ),
    policy=PolicySpec("uniform"),
    baseline_arm="direct",
    holdout=0.1,
)


async def work(engine: LearningEngine, first: int, last: int, *, failing: bool) -> None:
    """``direct`` is best for code; ``parallel`` fails in text while ``failing``."""
    reports = []
    for i in range(first, last):
        task = ("code", "text")[i % 2]
        context: dict[str, Any] = {"size": 1.0, "task_type": task, "complexity": "simple"}
        decision = await engine.select_arm(context, f"wf-{i}", durable=False)
        bad = failing and task == "text" and decision.strategy == "parallel" and i % 3 > 0
        quality = 0.9 if decision.strategy == "direct" and task == "code" else 0.5
        outcome = Outcome(
            success=not bad,
            quality=quality + i % 7 / 100,
            duration_s=2.0 + i % 5,
            retries=i % 3,
            error_codes=("late",) if bad else (),
            agent_type=("junior", "senior")[i % 3 == 0],
        )
        reports.append(RewardReport(f"wf-{i}", outcome))
    await engine.flush()
    await engine.update_rewards(reports)


async def test_patterns_are_stored_in_versions_and_remembered(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    assert await engine.patterns() is None
    await work(engine, 0, 240, failing=True)
    before = await sql("SELECT seq, digest FROM nyx.log ORDER BY seq")

    first = await engine.refresh_patterns(min_count=15)
    assert (first.version, first.seq, first.executions) == (1, 240, 240)
    assert set(first.metadata) >= {
        "strategy_patterns",
        "failure_patterns",
        "optimization_opportunities",
        "performance_trends",
    }
    assert first.metadata["failure_patterns"]["codes"][0]["sequence"] == ["late"]
    json.dumps(first.to_dict(), allow_nan=False)
    assert await engine.refresh_patterns(min_count=15) == first  # the log has not moved
    assert await engine.patterns() == first
    await sql("UPDATE nyx.pattern_snapshot SET executions = 7")
    assert await engine.patterns() == first  # from memory
    await sql("UPDATE nyx.pattern_snapshot SET executions = 240")
    other = await open_engine(SPEC)
    assert await other.patterns() == first

    await work(engine, 240, 900, failing=False)
    second = await other.refresh_patterns(min_count=15)
    assert (second.version, second.seq) == (2, 900)
    assert await engine.patterns() == second
    assert await engine.patterns(1) == first
    moved = await engine.pattern_evolution()
    assert moved.versions == (1, 2)
    late = next(p for p in moved.patterns if p.kind == "failure")
    assert (late.text, late.state) == ("late", "weakened")
    for k in range(3):
        await engine.refresh_patterns(min_count=15, min_occurrences=4 + k, keep=2)
    assert await sql("SELECT version FROM nyx.pattern_snapshot ORDER BY version") == [(4,), (5,)]
    with pytest.raises(InputInvalid):
        await engine.patterns(1)
    assert (await sql("SELECT seq, digest FROM nyx.log ORDER BY seq"))[:240] == before
    assert (await engine.verify()).ok
    for wrong in ({"keep": 0}, {"min_count": 1}, {"threshold_improvement": -1.0}, {"by": ["size"]}):
        with pytest.raises(InputInvalid) as caught:
            await engine.refresh_patterns(**wrong)
        assert caught.value.fix


async def test_what_the_log_says_of_agents_changes_and_opportunities(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    await work(engine, 0, 300, failing=True)
    agents = await engine.analyze_agent_performance_by_type("senior", "simple")
    assert (agents.n, agents.others, agents.unknown) == (100, 200, 0)
    assert agents.by == ("task_type", "complexity")
    for i in range(30):
        await engine.record_execution(f"r-{i % 3}", Outcome(success=i % 2 == 0), agent_type="reader")
    reader = await engine.analyze_agent_performance_by_type("reader")
    assert (reader.n, reader.others) == (30, 300)
    assert (await engine.analyze_agent_performance_by_type("nobody")).reason.startswith("not enough")

    found = await engine.identify_optimization_opportunities()
    code = (("task_type", "code"), ("complexity", "simple"))
    best = next(o for o in found.opportunities if o.kind == "strategy" and o.cell == code)
    assert best.arms == ("direct",)
    held = await sql("SELECT count(*) FROM nyx.decision WHERE reason = 'holdout'")
    assert found.usable == 300 - held[0][0]  # a cohort is no choice of the policy
    assert any(o.kind == "failure" and o.error_codes == ("late",) for o in found.opportunities)
    proof = await engine.evidence(best)
    assert len(proof) == best.evidence.chosen
    assert {row["arm_id"] for row in proof} == {"direct"}

    await engine.retract("wf-1")
    await engine.update_reward("wf-3", Outcome(success=True, duration_s=9.5), corrects=0)
    columns = (await engine.analyze_strategy_patterns(3600.0)).to_dict()
    rows = await read_executions(engine._store, 3600.0)
    objects = analyze_strategy_patterns(rows, ["task_type", "complexity"]).to_dict()
    assert columns["executions"] == objects["executions"] == 299
    names = ("n", "value", "low", "effect_high", "trend")
    numbers = [
        [m[name] or 0.0 for p in told["patterns"] for m in p["metrics"] for name in names]
        for told in (columns, objects)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6, abs=1e-6)

    await engine.override("exclude", ["parallel"], author="ann", reason="it fails")
    await work(engine, 300, 360, failing=True)
    failures = await engine.detect_failure_patterns()
    (late,) = failures.codes
    (after,) = late.after_changes
    assert (after.change.kind, after.repeats, after.after) == ("override", False, 0)
    assert (await engine.analyze_resource_patterns()).patterns
    assert (await engine.analyze_temporal_patterns()).to_text()
    with pytest.raises(InputInvalid):
        await engine.analyze_resource_patterns(margin=2.0)
