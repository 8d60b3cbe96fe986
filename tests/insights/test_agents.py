"""Agents by type: compared within kinds of tasks, no findings by chance, and explicit lack of evidence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.insights.executed import Executed
from nyx_learning.insights.patterns import AgentPerformancePattern, analyze_agent_performance_by_type


def runs(seed: int, n: int = 800, *, better: float = 0.0) -> list[Executed]:
    """``senior`` gets four of five hard tasks, which succeed less often, whoever does them."""
    rng = np.random.default_rng([seed, 0xA6])
    found = []
    for i in range(n):
        hard = rng.random() < 0.5
        senior = rng.random() < (0.8 if hard else 0.2)
        p = (0.4 if hard else 0.8) + (better if senior else 0.0)
        found.append(
            Executed(
                f"e{i}",
                "direct",
                context={"task": "t", "complexity": "complex" if hard else "simple"},
                success=bool(rng.random() < p),
                reward=float(np.clip(rng.normal(p, 0.1), 0.0, 1.0)),
                duration_s=float(np.exp(rng.normal())),
                agent_type="senior" if senior else "junior",
                time=60.0 * i,
            )
        )
    return found


def reward(found: AgentPerformancePattern) -> Any:
    """What is said of rewards."""
    metric = found.metric("reward")
    assert metric is not None
    return metric


def test_like_is_compared_with_like() -> None:
    raw = analyze_agent_performance_by_type(runs(1), "senior")
    assert reward(raw).finding == "lower"  # it gets the hard tasks
    fair = analyze_agent_performance_by_type(runs(1), "senior", by=["complexity"])
    assert reward(fair).finding is None
    assert not any(m.finding for m in fair.metrics)
    assert [c.strategy for c in fair.cells] == ["senior", "senior"]
    better = analyze_agent_performance_by_type(runs(1, better=0.15), "senior", by=["complexity"])
    found = reward(better)
    assert found.finding == "higher"
    assert found.effect_low < 0.15 < found.effect_high
    hard = analyze_agent_performance_by_type(runs(1, better=0.15), "senior", "complex", by=["task"])
    assert hard.n == sum(
        e.agent_type == "senior" and e.context["complexity"] == "complex" for e in runs(1, better=0.15)
    )
    assert hard.others + hard.n + hard.unknown == sum(e.context["complexity"] == "complex" for e in runs(1))


def test_effect_within_cells_by_hand() -> None:
    # Cell x: a 1, 0 against b 0, 0 (1/2; weight 2·2/4 = 1).
    # Cell y: a 1, 1 against b 1, 1, 0, 1 (1/4; weight 2·4/6 = 4/3).
    told = [("x", "a", (1, 0)), ("x", "b", (0, 0)), ("y", "a", (1, 1)), ("y", "b", (1, 1, 0, 1))]
    rows = [
        Executed(f"{cell}{agent}{k}-{i}", "s", context={"c": cell}, reward=float(r), agent_type=agent)
        for k in range(20)
        for cell, agent, rewards in told
        for i, r in enumerate(rewards)
    ]
    found = reward(analyze_agent_performance_by_type(rows, "a", by=["c"]))
    assert found.n == 80
    assert found.others == 120
    assert found.effect == pytest.approx((1.0 * 0.5 + 4 / 3 * 0.25) / (1.0 + 4 / 3))


def test_no_findings_by_chance() -> None:
    wrong = 0
    for seed in range(40):
        found = analyze_agent_performance_by_type(runs(seed, 300), "senior", by=["complexity"])
        metrics = [*found.metrics, *(m for cell in found.cells for m in cell.metrics)]
        wrong += any(m.finding or m.trend_finding for m in metrics)
    assert wrong <= 6  # 5 % of 40 is 2; above 6 comes with probability .01


def test_few_that_all_succeeded_are_no_proof() -> None:
    wrong = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        agents, good = rng.integers(0, 8, 300), rng.random(300) < 0.97
        rows = [
            Executed(f"{i}", "s", success=bool(s), reward=float(s), agent_type=f"t{a}")
            for i, (a, s) in enumerate(zip(agents.tolist(), good.tolist(), strict=True))
        ]
        told = [analyze_agent_performance_by_type(rows, f"t{a}").metrics for a in range(8)]
        wrong += any(m.finding for metrics in told for m in metrics)
    assert wrong <= 2  # 5 % of 6 is .3; above 2 comes with probability .003


def test_agents_come_from_parameters_and_features_too() -> None:
    rows = [Executed(f"p{i}", "s", parameters={"agent_type": "x"}, reward=0.5 + i % 2 / 9) for i in range(30)]
    rows += [Executed(f"c{i}", "s", context={"agent_type": "y"}, reward=0.2 + i % 3 / 9) for i in range(25)]
    rows += [Executed(f"u{i}", "s", reward=0.1) for i in range(5)]
    found = analyze_agent_performance_by_type(rows, "x")
    assert (found.n, found.others, found.unknown) == (30, 25, 5)
    assert found.types == (("x", 30), ("y", 25))
    assert reward(found).finding == "higher"
    assert json.loads(json.dumps(found.to_dict()))["types"][1] == {"agent_type": "y", "n": 25}
    assert "agents of type x" in found.to_text()


def test_too_little_evidence_is_said() -> None:
    for rows in ([], runs(1)[:10]):
        found = analyze_agent_performance_by_type(rows, "senior")
        assert found.reason is not None
        assert found.reason.startswith("not enough evidence")
        assert not found.metrics
        assert not found.cells
    nobody = analyze_agent_performance_by_type(runs(1), "nobody")
    assert "not enough evidence" in nobody.to_text()
    wrongs: list[dict[str, Any]] = [
        {"agent_type": ""},
        {"agent_type": 3},
        {"agent_type": "x", "task_complexity": 1},
    ]
    for wrong in wrongs:
        with pytest.raises(InputInvalid) as caught:
            analyze_agent_performance_by_type(runs(1), **wrong)
        assert caught.value.fix
