"""The demo from end to end, on the real engine and a real database."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from nyx_learning.errors import InputInvalid
from nyx_learning.rewards import Outcome, price
from nyx_learning.service.demo.experiment import Run
from nyx_learning.service.demo.run import DemoOptions, DemoResult, run_demo
from nyx_learning.service.demo.spec import build_spec


def in_order(runs: tuple[Run, ...], phase: str) -> list[tuple[str, str]]:
    return [(run.workflow_id, run.contestant) for run in runs if run.phase == phase]


def assert_rewards_are_the_price_of_what_was_measured(result: DemoResult) -> None:
    spec = build_spec(3, result.bandit, result.reference_s).reward
    items = {"small": {"cpu": 2, "io": 2, "mixed": 2}, "medium": {"cpu": 6, "io": 6, "mixed": 6}}
    items["large"] = {"cpu": 8, "io": 12, "mixed": 12}
    for run in result.runs:
        if run.reward is None:
            assert run.phase == "calibration"
            continue
        total = items[run.size][run.kind]
        right = round(run.quality * total)
        outcome = Outcome(
            success=run.success,
            duration_s=run.duration_s,
            quality=run.quality,
            retries=run.retries,
            agents_succeeded=right,
            agents_failed=total - right,
        )
        context = {"kind": run.kind, "size": run.size, "flaky": run.flaky}
        assert run.reward == price(outcome, spec, context=context).value


async def test_the_demo_learns_compares_verifies_and_reports(database_dsn: str, tmp_path: Path) -> None:
    options = DemoOptions(workflows=12, seed=3, report=tmp_path / "demo.html", dsn=database_dsn)
    result = await run_demo(options)
    assert_rewards_are_the_price_of_what_was_measured(result)

    assert Counter(run.phase for run in result.runs) == {
        "calibration": 36,
        "learning": 24,
        "selection": 2 * (12 + 5 + 2),
        "evaluation": 54,
    }
    assert (result.verification.decisions, result.verification.matched) == (12 + 18, 12 + 18)
    assert result.verification.rewards == 12
    assert result.verification.ok
    assert result.best_fixed in result.arms
    assert all(time > 0.0 for time in result.reference_s.values())

    for phase, contestants in (("learning", 2), ("evaluation", 3)):
        order = in_order(result.runs, phase)
        blocks = [order[start : start + contestants] for start in range(0, len(order), contestants)]
        # Interleaved: one workflow after the other, each by all contestants, not always in the same order.
        assert all(len({workflow_id for workflow_id, _ in block}) == 1 for block in blocks)
        assert all(len({name for _, name in block}) == contestants for block in blocks)
        assert len({tuple(name for _, name in block) for block in blocks}) > 1

    # The data that the best fixed arm is chosen on and the data that it is judged on are disjoint.
    ids = {
        phase: {run.workflow_id for run in result.runs if run.phase == phase}
        for phase in ("selection", "evaluation")
    }
    assert not ids["selection"] & ids["evaluation"]

    page = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert "30 of 30" in page
    assert not re.search(r"https?:", page)

    for choice in result.choices:
        assert sum(choice.strategies.values()) == pytest.approx(1.0, abs=1e-6)
        assert 0.0 < choice.probability <= 1.0


async def test_without_matplotlib_the_demo_still_completes(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = await run_demo(DemoOptions(workflows=2, report=tmp_path / "demo.html", dsn=database_dsn))
    assert "nyx-learning[plots]" in result.notes[0]
    assert "<svg" not in (tmp_path / "demo.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("workflows", [1, 0, -3, 100_001, True, 1.5])
def test_a_number_of_workflows_out_of_range_is_refused(workflows: int) -> None:
    with pytest.raises(InputInvalid, match="2 to 100,000"):
        DemoOptions(workflows=workflows)


def test_a_report_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="a folder that exists"):
        DemoOptions(report=tmp_path / "missing" / "demo.html")
    with pytest.raises(InputInvalid, match="a folder that exists"):
        DemoOptions(report=tmp_path)
