"""The demo's report: one HTML file that needs nothing else, verdict first."""

from __future__ import annotations

import statistics
from collections import Counter
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from . import plots
from .experiment import Contestant, Phase
from .fragments import COMPARED, cards, choice_table, colour_key, comparison_table, facts, guide
from .wording import arm_label, difference, headline, verification_line
from .workload import KINDS, SIZES

if TYPE_CHECKING:
    from .run import DemoResult

__all__ = ["render_report", "write_report"]

_WINDOW: Final = 25
_ARMS_SHOWN: Final = 8


def write_report(result: DemoResult) -> None:
    """Write the report to ``result.options.report``."""
    result.options.report.write_text(render_report(result), encoding="utf-8")


def render_report(result: DemoResult) -> str:
    """Return the whole page; without plots where ``result.notes`` says that they are not available."""
    web = files(__package__) / "web"
    page = Template((web / "report.html").read_text(encoding="utf-8"))
    pair = result.summary.against("evaluation", "baseline")
    tone = {"better": "better", "worse": "worse", "not distinguishable": "open"}[pair.verdict]
    before, verdict, after = headline(pair)
    return page.substitute(
        css=(web / "report.css").read_text(encoding="utf-8"),
        headline=f'{escape(before)}<em class="{tone}">{escape(verdict)}</em>{escape(after)}',
        lead=_lead(result),
        cards=cards(result),
        sections="\n".join(_sections(result)),
    )


def _lead(result: DemoResult) -> str:
    baseline = result.summary.against("evaluation", "baseline")
    fixed = result.summary.against("evaluation", "best_fixed")
    return (
        f"After learning from {result.options.workflows} workflows, it ran {baseline.reward.n} fresh ones. "
        f"Its composite reward was <strong>{difference(baseline.reward)}</strong> against the baseline, and "
        f"<strong>{difference(fixed.reward)}</strong> against the best fixed arm ({escape(fixed.verdict)}). "
        "All three ran the same workflows, interleaved; brackets are 95 % intervals of paired differences."
    )


def _section(title: str, note: str, body: str, *, wide: bool = False) -> str:
    return (
        f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>"
        f'<p class="note">{escape(note)}</p>{body}</section>'
    )


def _sections(result: DemoResult) -> list[str]:
    drawn = not result.notes
    n = result.summary.against("evaluation", "baseline").reward.n
    sections = [_learning(result)] if drawn else []
    sections.append(
        _section(
            "Comparison",
            f"{n} fresh workflows, each run by all three in random order. The learner no longer learned.",
            comparison_table(result),
            wide=not drawn,
        )
    )
    sections.append(
        _section(
            "What it learned",
            "The most probable arm of each context; the deeper the colour, the more probable.",
            choice_table(result.choices),
            wide=True,
        )
    )
    if drawn:
        sections += _drawn(result)
    sections.append(_section("Verification", verification_line(result.verification), facts(result)))
    sections.append(
        _section("How to read this", "What was measured, and what it does not show.", guide(result))
    )
    sections += [f'<section class="wide"><pre>{escape(note)}</pre></section>' for note in result.notes]
    return sections


def _learning(result: DemoResult) -> str:
    return _section(
        "Learning",
        f"Composite reward of each workflow (dots) and the mean of the last {_WINDOW}, exploration included.",
        plots.learning_curve(
            _rewards(result, "learning", "learned"), _rewards(result, "learning", "baseline"), _WINDOW
        ),
    )


def _drawn(result: DemoResult) -> list[str]:
    strategies = _section(
        "Strategy by context",
        "Probability of each strategy, summed over its parameters.",
        plots.strategy_map(result.choices),
    )
    durations = _section(
        "Duration",
        "Median of the evaluation, per kind and size of batch; further left is faster.",
        colour_key() + plots.durations(_durations(result)),
    )
    shares = _section(
        "Arms tried while learning",
        "Share of the learned policy's decisions.",
        plots.arm_shares(_shares(result)),
    )
    return [strategies, f'<div class="stack">{durations}{shares}</div>']


def _rewards(result: DemoResult, phase: Phase, contestant: Contestant) -> list[float]:
    runs = [run for run in result.runs if (run.phase, run.contestant) == (phase, contestant)]
    return [run.reward or 0.0 for run in sorted(runs, key=lambda run: run.workflow_id)]


def _durations(result: DemoResult) -> dict[str, dict[str, float]]:
    runs = [run for run in result.runs if run.phase == "evaluation"]
    return {
        f"{kind} · {size}": {
            name: statistics.median(
                run.duration_s for run in runs if (run.kind, run.size, run.contestant) == (kind, size, name)
            )
            for name in COMPARED
        }
        for kind in KINDS
        for size in SIZES
    }


def _shares(result: DemoResult) -> dict[str, tuple[str, float]]:
    chosen = [run.arm_id for run in result.runs if (run.phase, run.contestant) == ("learning", "learned")]
    top = Counter(chosen).most_common(_ARMS_SHOWN)
    return {arm_label(arm): (arm.partition("(")[0], count / len(chosen)) for arm, count in top}
