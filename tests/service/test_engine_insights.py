"""Patterns through the engine: what the log has recorded, as it was corrected, and bad questions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    Numeric,
    Ordinal,
    Outcome,
    PolicySpec,
    RewardReport,
    Strategy,
)
from nyx_learning.errors import InputInvalid

SPEC = BanditSpec(
    name="orchestration",
    seed=3,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(
        size=Numeric(0, 10),
        task_type=Categorical(["code", "text"]),
        complexity=Ordinal(["simple", "complex"]),
    ),
    policy=PolicySpec("uniform"),
)


async def test_patterns_of_the_log(open_engine: Any, sql: Any) -> None:
    engine = await open_engine(SPEC)
    n = 160
    told: dict[str, Outcome] = {}
    strategies: dict[str, str] = {}
    for i in range(n):
        context = {"size": 1.0, "task_type": ("code", "text")[i % 2], "complexity": "simple"}
        decision = await engine.select_arm(context, f"wf-{i}", durable=False)
        strategies[f"wf-{i}"] = decision.strategy
        bad = decision.strategy == "parallel" and i % 3 == 0
        codes = ("throttled", "late") if bad else ()
        told[f"wf-{i}"] = Outcome(success=not bad, duration_s=2.0 + i % 5, error_codes=codes)
    await engine.flush()
    await engine.update_rewards([RewardReport(d, o) for d, o in told.items()])
    await engine.update_reward("wf-0", Outcome(success=True, error_codes=("odd",)), corrects=0)
    told["wf-0"] = Outcome(success=True, error_codes=("odd",))
    before = await sql("SELECT seq, digest FROM nyx.log ORDER BY seq")

    found = await engine.analyze_strategy_patterns(timedelta(hours=1))
    assert found.by == ("task_type", "complexity")
    for pattern in found.patterns:
        cell = dict(pattern.cell)
        mine = [
            told[f"wf-{i}"]
            for i in range(n)
            if strategies[f"wf-{i}"] == pattern.strategy and ("code", "text")[i % 2] == cell["task_type"]
        ]
        assert pattern.n == len(mine)
        assert pattern.metric("success").value == pytest.approx(sum(o.success for o in mine) / len(mine))
        assert pattern.metric("cost") is None
    assert {p.strategy for p in found.patterns} == {"direct", "parallel"}

    failures = await engine.detect_failure_patterns(min_occurrences=5)
    bad = [d for d, o in told.items() if o.error_codes == ("throttled", "late")]
    assert failures.executions == n
    assert {p.sequence: p.occurrences for p in failures.codes} == {
        ("late",): len(bad),
        ("throttled",): len(bad),
    }
    assert failures.codes[0].goes_with[0].kind == "strategy"
    assert failures.codes[0].goes_with[0].value == "parallel"
    assert set(failures.codes[0].examples) <= set(bad)

    (await engine.analyze_strategy_patterns(1e-9, by=[])).reason.startswith("not enough evidence")
    assert await sql("SELECT seq, digest FROM nyx.log ORDER BY seq") == before
    for wrong in ({"time_window": -1.0}, {"by": ["size"]}, {"by": ["joy"]}, {"min_count": 0}):
        with pytest.raises(InputInvalid) as caught:
            await engine.analyze_strategy_patterns(**wrong)
        assert caught.value.fix
    with pytest.raises(InputInvalid):
        await engine.detect_failure_patterns(min_occurrences=True)
