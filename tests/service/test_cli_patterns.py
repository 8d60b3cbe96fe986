"""``nyx-learning patterns`` and ``opportunities``: findings, stored versions, too little evidence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    LearningEngine,
    Outcome,
    PolicySpec,
    RewardReport,
    Strategy,
)
from nyx_learning.service.cli import main

SPEC = BanditSpec(
    name="orchestration",
    seed=5,
    strategies=[Strategy("direct"), Strategy("parallel")],
    context=ContextSchema(task_type=Categorical(["code", "text"])),
    policy=PolicySpec("uniform"),
)


async def fill(dsn: str, count: int) -> None:
    async with await LearningEngine.open(SPEC, dsn, deadline_s=60.0) as engine:
        reports = []
        for i in range(count):
            decision = await engine.select_arm({"task_type": ("code", "text")[i % 2]}, f"{i}", durable=False)
            good = decision.strategy == "direct" or i % 3 > 0
            reports.append(
                RewardReport(f"{i}", Outcome(success=good, quality=0.3 + 0.6 * good + i % 7 / 100))
            )
        await engine.flush()
        await engine.update_rewards(reports)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_patterns_and_opportunities(database_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--dsn", database_dsn]
    asyncio.run(fill(database_dsn, 10))
    for command in ("patterns", "opportunities"):
        assert main([command, *where, "--json"]) == 1
        assert told(capsys)["bandit"] == "orchestration"
        assert main([command, *where]) == 1
        assert "not enough evidence" in capsys.readouterr().out
    assert main(["patterns", *where, "--store"]) == 0
    assert "version 1: 10 executions, rows up to 10" in capsys.readouterr().out

    asyncio.run(fill(database_dsn, 200))  # the first ten are there
    assert main(["patterns", *where, "--json", "--window", "1d"]) == 0
    found = told(capsys)
    assert found["executions"] == 200
    assert {p["strategy"] for p in found["strategy_patterns"]["patterns"]} == {"direct", "parallel"}
    assert main(["patterns", *where, "--store", "--json"]) == 0
    assert told(capsys)["version"] == 2
    assert main(["patterns", *where, "--evolution", "--json"]) == 0
    moved = told(capsys)
    assert moved["versions"] == [1, 2]
    assert any(p["kind"] == "opportunity" and p["state"] == "appeared" for p in moved["patterns"])
    assert main(["opportunities", *where, "--by", "", "--threshold", "0.05", "--json"]) == 0
    best = told(capsys)["opportunities"][0]
    assert best["arms"] == ["direct"]
    assert main(["opportunities", *where]) == 0
    assert "choose direct" in capsys.readouterr().out
    for wrong in (["--window", "soon"], ["--by", "joy"], ["--fdr", "2"], ["--bandit", "other"]):
        for command in ("patterns", "opportunities"):
            assert main([command, *where, *wrong, "--json"]) == 2
            assert told(capsys)["error"]["fix"]
