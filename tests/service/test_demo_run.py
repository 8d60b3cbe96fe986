"""The demo from end to end, on the real engine and a real database."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from nyx_learning import jit
from nyx_learning.errors import DatabaseSetupFailed, DatabaseUnavailable, InputInvalid
from nyx_learning.persistence.embedded import EmbeddedServer
from nyx_learning.rewards import Outcome, price
from nyx_learning.service import opening
from nyx_learning.service.demo import compiling, database
from nyx_learning.service.demo.experiment import Phase, Run
from nyx_learning.service.demo.run import DemoOptions, DemoResult, run_demo
from nyx_learning.service.demo.spec import build_spec


def in_order(runs: tuple[Run, ...], phase: str) -> list[tuple[str, str]]:
    return [(run.workflow_id, run.contestant) for run in runs if run.phase == phase]


def assert_rewards_are_the_price_of_what_was_measured(result: DemoResult) -> None:
    spec = build_spec(3, result.bandit, result.reference_s).reward
    items = {"small": {"cpu": 2, "io": 3, "mixed": 3}, "medium": {"cpu": 6, "io": 15, "mixed": 10}}
    items["large"] = {"cpu": 10, "io": 24, "mixed": 10}
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


@pytest.mark.parametrize("workflows", [1, 0, -3, 100_001, True, 1.5])
def test_a_number_of_workflows_out_of_range_is_refused(workflows: int) -> None:
    with pytest.raises(InputInvalid, match="2 to 100,000"):
        DemoOptions(workflows=workflows)


class _Told:
    """Notes what a demo says, and that nothing was run."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.runs = 0

    def begin(self, totals: Mapping[Phase, int]) -> None:
        self.texts.append("begin")

    def run(self, run: Run) -> None:
        self.runs += 1

    def say(self, text: str) -> None:
        self.texts.append(text)


async def test_a_database_that_does_not_answer_is_refused_before_anything_runs(tmp_path: Path) -> None:
    told = _Told()
    options = DemoOptions(report=tmp_path / "demo.html", dsn="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1"):
        await run_demo(options, told)
    assert (told.texts, told.runs) == ([], 0)
    assert not options.report.exists()


def test_bad_options_are_refused_before_numba_is_imported() -> None:
    program = """
import sys
from nyx_learning.service.cli import main
code = main(["demo", "--workflows", "1"])
print(code, sorted({"numba", "scipy", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "2 []\n"


async def test_without_a_database_the_demo_has_a_folder_beside_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders: list[Path] = []

    def refuse(home: Path, *, binaries: Path | None) -> EmbeddedServer:
        folders.append(home)
        raise DatabaseSetupFailed("no server", expected="none", found="none", fix="none")

    monkeypatch.setattr(opening, "start", refuse)
    monkeypatch.delenv("NYX_DATABASE_URL", raising=False)
    monkeypatch.setenv("NYX_DATA_HOME", str(tmp_path / "postgres"))
    with pytest.raises(DatabaseSetupFailed):
        async with database.opened(None):
            pass
    assert [(home.parent.name, home.name) for home in folders] == [(tmp_path.name, "demo-postgres")]


@pytest.mark.parametrize("asked", [True, False])
async def test_a_database_that_was_named_is_used(
    monkeypatch: pytest.MonkeyPatch, database_dsn: str, *, asked: bool
) -> None:
    elsewhere = "postgresql://nobody@127.0.0.1:1/none"
    monkeypatch.setenv("NYX_DATABASE_URL", elsewhere if asked else database_dsn)
    async with database.opened(database_dsn if asked else None) as dsn:
        assert dsn == database_dsn


async def test_compiling_is_announced_and_timed_where_nothing_was_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def warm_up(policies: list[str], *, staged: bool) -> None:
        (tmp_path / f"{policies[0]}.nbc").touch()

    monkeypatch.setattr(jit, "cache_folder", lambda: str(tmp_path))
    monkeypatch.setattr(compiling, "warm_up", warm_up)
    said: list[str] = []
    assert await compiling.compile_kernels(["hier_ts"], said.append) > 0.0
    assert said == ["compiling kernels (first time only)"]
    assert await compiling.compile_kernels(["hier_ts"], said.append) == 0.0
    assert len(said) == 1
    assert await compiling.compile_kernels(["linucb"], said.append) > 0.0


def test_a_report_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="a folder that exists"):
        DemoOptions(report=tmp_path / "missing" / "demo.html")
    with pytest.raises(InputInvalid, match="a folder that exists"):
        DemoOptions(report=tmp_path)
