"""``evaluate`` on the log of a stored bandit: its own policy's propensities, and its holdout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, Outcome, PolicySpec
from nyx_learning.service.cli import main

Contexts = Callable[[int], dict[str, Any]]


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main(["evaluate", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


async def test_a_stored_log_is_judged(
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    database_dsn: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    engine = await open_engine(replace(spec, holdout=0.3, policy=PolicySpec("uniform")))
    held = 0
    for i in range(240):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        held += decision.reason == "holdout"
        good = decision.arm_id != "direct" or i % 5 == 0
        await engine.update_reward(decision, Outcome(success=good, duration_s=2.0))
    dsn = ["--dsn", database_dsn]
    code, found = await asyncio.to_thread(ask, capsys, *dsn, "--policy", "fixed:arm=parallel(workers=2)")
    (verdict,) = found["verdicts"]
    assert (code, verdict["status"], verdict["baseline"]) == (0, "met", "direct")
    assert verdict["rows"] == 240 - held
    assert any("holdout" in text for text in verdict["warnings"])
    report = tmp_path / "holdout.html"
    code, found = await asyncio.to_thread(
        ask, capsys, *dsn, "--holdout", "--min-lift", "0", "--report", str(report)
    )
    (verdict,) = found["verdicts"]
    assert verdict["rows"] == 240
    assert (verdict["policy"], verdict["baseline"]) == ("learner", "holdout")
    assert verdict["method"] == "empirical_bernstein_sequence"
    assert (code, verdict["status"]) == (0, "met")
    assert "learner" in report.read_text(encoding="utf-8")
    code, found = await asyncio.to_thread(ask, capsys, *dsn, "--policy", "hier_ts")
    assert code in {0, 1}
    assert found["rows_that_taught"] > 0
    code, found = await asyncio.to_thread(ask, capsys, *dsn, "--bandit", "gone", "--policy", "uniform")
    assert (code, found["error"]["code"]) == (2, "input_invalid")
