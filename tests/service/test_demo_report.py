"""The demo's report and tables: self-contained, complete, honest about what is missing."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nyx_learning.bandit import ArmTable, VerifyReport
from nyx_learning.service.demo import plots
from nyx_learning.service.demo import run as running
from nyx_learning.service.demo.console import ConsoleProgress, render_result
from nyx_learning.service.demo.experiment import Contestant, Design, Phase, Run
from nyx_learning.service.demo.report import render_report
from nyx_learning.service.demo.run import DemoOptions, DemoResult
from nyx_learning.service.demo.spec import BASELINE_ARM, build_spec
from nyx_learning.service.demo.summary import Choice, Paired, summarise
from nyx_learning.service.demo.wording import arm_label, headline
from nyx_learning.service.demo.workload import KINDS, SIZES, contexts, population

BEST = "threads(retries=2,timeout_s=0.08,workers=8)"
LEARNED = "processes(retries=2,timeout_s=0.08,workers=2)"


def runs_of(phase: Phase, contestant: Contestant, arm_id: str, count: int, reward: float) -> list[Run]:
    return [
        Run(
            phase=phase,
            contestant=contestant,
            workflow_id=workflow.workflow_id,
            kind=workflow.kind,
            size=workflow.size,
            flaky=workflow.flaky,
            arm_id=arm_id,
            duration_s=0.02 + 0.001 * (number % 7),
            success=number % 5 != 0 or contestant != "baseline",
            quality=1.0,
            retries=0,
            timeouts=0,
            reward=reward + 0.01 * ((number * (3 if contestant == "learned" else 5)) % 4),
        )
        for number, workflow in enumerate(population(1, phase, count))
    ]


def sample(lift: float = 0.25) -> DemoResult:
    runs = [
        *runs_of("learning", "learned", LEARNED, 40, 0.55 + lift),
        *runs_of("learning", "baseline", BASELINE_ARM, 40, 0.55),
        *runs_of("evaluation", "learned", LEARNED, 36, 0.6 + lift),
        *runs_of("evaluation", "baseline", BASELINE_ARM, 36, 0.6),
        *runs_of("evaluation", "best_fixed", BEST, 36, 0.6 + lift),
    ]
    strategies = {"sequential": 0.05, "threads": 0.2, "processes": 0.7, "asyncio": 0.05}
    return DemoResult(
        options=DemoOptions(workflows=40, seed=1, report=Path("report.html")),
        bandit="demo-<1>",
        arms=ArmTable(build_spec(1, "x", {}).strategies).ids,
        baseline=BASELINE_ARM,
        best_fixed=BEST,
        reference_s={(kind, size): 0.025 for kind in KINDS for size in SIZES},
        runs=tuple(runs),
        choices=tuple(
            Choice(kind, size, flaky, LEARNED, 0.631, 0.874, 0.031, strategies)
            for kind, size, flaky in contexts()
        ),
        summary=summarise(runs),
        verification=VerifyReport(1234, 1234, 40, True, None),
        notes=(),
        duration_s=61.6,
        compiled_s=18.2,
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(sample())


def test_the_report_loads_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|<script|<link|<img|src=", page)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {
        f"#{name}" for name in re.findall(r'id="([^"]*)"', page)
    }


def test_ids_are_unique_and_references_resolve(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_plots_follow_the_theme_and_keep_their_text(page: str) -> None:
    svgs = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(svgs) == 4
    assert all('role="img"' in svg and "viewBox" in svg and "<text" in svg for svg in svgs)
    assert not re.search(r"#0[0-9a]0[0-9a]0[0-9a]", page)
    used = set(re.findall(r"var\(--([a-z-]+)\)", page))
    defined = set(re.findall(r"--([a-z-]+):", page))
    assert used <= defined
    assert {"learned", "baseline", "best-fixed", "threads"} <= used


def test_the_verdict_comes_first_and_the_numbers_are_there(page: str) -> None:
    result = sample()
    body = page[page.index("<body") :]
    assert body.index("better") < body.index("Comparison")
    pair = result.summary.against("evaluation", "baseline").reward
    for text in (
        f"{pair.value:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}]",
        f"{result.summary.level('evaluation', 'learned').reward.value:.3f}",
        "1,234 of 1,234",
        "36 fresh workflows",
        "63 %",
        "0.87 ± 0.03",
        "25.0 ms",
        "45 % speed",
        BEST,
        "demo-&lt;1&gt;",
        "62 s, of which 18 s compiled kernels",
    ):
        assert text in body, text


def test_the_same_result_gives_the_same_page(page: str) -> None:
    assert render_report(sample()) == page


def test_without_matplotlib_the_report_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(plots.PlotsUnavailable) as refused:
        plots.require()
    text = str(refused.value)
    assert [word in text for word in ("expected:", "found:", "fix:", "nyx-learning[plots]")] == [True] * 4
    page = render_report(replace(sample(), notes=(text,)))
    assert "<svg" not in page
    assert "nyx-learning[plots]" in page
    assert "Comparison" in page


async def test_without_matplotlib_the_demo_still_completes(
    monkeypatch: pytest.MonkeyPatch, database_dsn: str, tmp_path: Path
) -> None:
    """Its runs are given here: whether there are plots is asked behind them."""

    async def played(options: DemoOptions, dsn: str, _watch: object) -> DemoResult:
        assert dsn == database_dsn
        return replace(sample(), options=options)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(running, "_play", played)
    options = DemoOptions(workflows=2, report=tmp_path / "demo.html", dsn=database_dsn)
    result = await running.run_demo(options)
    assert "nyx-learning[plots]" in result.notes[0]
    assert "<svg" not in (tmp_path / "demo.html").read_text(encoding="utf-8")


def test_the_verdict_follows_the_interval() -> None:
    def pair(lift: float) -> Paired:
        return sample(lift).summary.against("evaluation", "baseline")

    assert [pair(lift).verdict for lift in (0.2, 0.0, -0.2)] == ["better", "not distinguishable", "worse"]
    assert headline(pair(0.0))[1:] == ("not distinguishable", " from the baseline on this evidence.")
    assert '<em class="worse">worse</em>' in render_report(sample(-0.2))


def test_a_divergence_is_not_hidden() -> None:
    broken = replace(sample(), verification=VerifyReport(9, 8, 4, True, "decision 'wf-3'"))
    page = render_report(broken)
    assert "8 of 9" in page
    assert "diverged" in page
    assert "decision &#x27;wf-3&#x27;" in page


def test_paired_differences_pair_by_workflow() -> None:
    runs = [run for run in sample().runs if run.phase == "evaluation"]
    learning = [run for run in sample().runs if run.phase == "learning"]
    forth, back = summarise([*learning, *runs]), summarise([*learning, *reversed(runs)])
    assert forth == back


def test_tables_on_the_terminal() -> None:
    stream = io.StringIO()
    Console(file=stream, width=140, color_system=None).print(render_result(sample()))
    text = stream.getvalue()
    for part in (
        "The learned policy is better than the baseline.",
        "processes · 2 workers, 80 ms, 2 retries  63 %",
        "1,234 of 1,234 decisions re-derived and matched",
        "36 fresh workflows",
        "report.html",
        "62 s, of which 18 s compiled kernels",
    ):
        assert part in text, part
    rows = [line for line in text.splitlines() if re.search(r"(better|able) +│ +(better|not)", line)]
    assert [re.findall("better|not distinguishable", row) for row in rows] == [
        ["better", "better"],
        ["not distinguishable", "not distinguishable"],
    ]


def test_success_has_a_verdict_of_its_own() -> None:
    pair = sample(0.0).summary.against("evaluation", "baseline")
    assert (pair.verdict, pair.success_verdict) == ("not distinguishable", "better")
    row = next(x for x in render_report(sample(0.0)).split("<tr>") if "learned − baseline" in x)
    assert re.findall('<b class="([a-z]+)">', row) == ["open", "better"]


def test_progress_off_a_terminal_is_a_few_plain_lines() -> None:
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, width=140)) as progress:
        progress.begin({"learning": 80, "evaluation": 108})
        for run in sample().runs:
            progress.run(run)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("learning beside the baseline: 20/80")
    assert lines[3].startswith("learning beside the baseline: 80/80")
    assert len(lines) == 8
    assert "\x1b" not in stream.getvalue()


def test_progress_on_a_terminal_is_a_bar() -> None:
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, width=140, force_terminal=True)) as progress:
        progress.begin({"learning": 80, "evaluation": 108})
        for run in sample().runs:
            progress.run(run)
    assert "108/108" in stream.getvalue()


def test_the_result_is_plain_json() -> None:
    document = json.loads(json.dumps(sample().to_dict(), allow_nan=False))
    assert document["verification"]["matched"] == 1234
    assert document["runs"] == {"learning": 80, "evaluation": 108}
    assert document["differences"][1]["verdict"] == "better"
    assert document["differences"][1]["success_verdict"] == "better"
    assert document["compiled_s"] == 18.2
    assert len(document["choices"]) == 18


def test_the_spec_names_the_baseline_and_few_enough_arms() -> None:
    spec = build_spec(7, "demo", {("cpu", "small"): 0.001})
    arms = ArmTable(spec.strategies)
    assert spec.baseline_arm == BASELINE_ARM
    assert 10 <= len(arms) <= 24
    assert all(arm_label(arm.arm_id).startswith(f"{arm.strategy} · ") for arm in arms)


def test_the_design_counts_its_runs() -> None:
    design = Design(seed=7, learning=150)
    assert design.evaluation == 54
    assert design.halving(12) == [(12, 5), (5, 8), (2, 12)]
    assert design.runs(12) == {"calibration": 36, "learning": 300, "selection": 124, "evaluation": 162}
