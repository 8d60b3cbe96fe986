"""The demo on a terminal: progress while it runs, tables when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .experiment import Phase, Run
from .summary import Level, Verdict
from .wording import (
    NAMES,
    arm_label,
    difference,
    headline,
    level,
    percent,
    points,
    total_line,
    verification_line,
)
from .workload import KINDS, SIZES

if TYPE_CHECKING:
    from .run import DemoResult

__all__ = ["ConsoleProgress", "render_result"]

_TITLES: Final[Mapping[Phase, str]] = {
    "calibration": "measuring reference times",
    "learning": "learning beside the baseline",
    "selection": "finding the best fixed arm",
    "evaluation": "comparing on fresh workflows",
}
_COLOURS: Final[Mapping[Verdict, str]] = {
    "better": "bold green",
    "worse": "bold red",
    "not distinguishable": "bold yellow",
}
_WINDOW: Final = 25
_PLAIN_STEPS: Final = 4


class ConsoleProgress:
    """Progress of the demo: a bar on a terminal, a few plain lines elsewhere; use as ``with``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._totals: Mapping[Phase, int] = {}
        self._done: dict[Phase, int] = {}
        self._rewards: dict[str, list[float]] = {}
        self._tasks: dict[Phase, TaskID] = {}
        self._bar = Progress(
            TextColumn("{task.description:<30}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, totals: Mapping[Phase, int]) -> None:
        """Show one line per phase."""
        self._totals = totals
        self._done = dict.fromkeys(totals, 0)
        for phase, total in totals.items():
            self._tasks[phase] = self._bar.add_task(_TITLES[phase], total=total, note="", start=False)

    def run(self, run: Run) -> None:
        """Advance the run's phase."""
        phase = run.phase
        if self._done[phase] == 0:
            self._bar.start_task(self._tasks[phase])
            self._rewards = {}
        self._done[phase] += 1
        if run.reward is not None:
            self._rewards.setdefault(run.contestant, []).append(run.reward)
        self._bar.update(self._tasks[phase], advance=1, note=self._note(phase))
        total = self._totals[phase]
        step = max(1, -(-total // _PLAIN_STEPS))
        if not self._console.is_terminal and (self._done[phase] % step == 0 or self._done[phase] == total):
            note = self._note(phase)
            self._console.print(
                f"{_TITLES[phase]}: {self._done[phase]}/{total}" + (f"  {note}" if note else ""),
                soft_wrap=True,
            )

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(Text(text, style="dim"))

    def _note(self, phase: Phase) -> str:
        if phase not in {"learning", "evaluation"}:
            return ""
        recent = {name: values[-_WINDOW:] for name, values in self._rewards.items()}
        parts = [f"{NAMES[name]} {sum(v) / len(v):.2f}" for name, v in sorted(recent.items(), reverse=True)]
        return "reward: " + ", ".join(parts)


def render_result(result: DemoResult) -> RenderableType:
    """Return the tables: learned choices, comparison, verdict, verification, where the report is."""
    pair = result.summary.against("evaluation", "baseline")
    fixed = result.summary.against("evaluation", "best_fixed")
    while_learning = result.summary.against("learning", "baseline")
    verified = "green" if result.verification.ok else "bold red"
    lines: list[RenderableType] = [
        _choices(result),
        Text(),
        _comparison(result),
        Text(),
        Text("".join(headline(pair)), style=_COLOURS[pair.verdict]),
        Text(f"  after learning, reward against the baseline:       {difference(pair.reward)}"),
        Text(f"  after learning, reward against the best fixed arm: {difference(fixed.reward)}"),
        Text(f"  while learning, reward against the baseline:       {difference(while_learning.reward)}"),
        Text("  Same workflows for all, interleaved; 95 % intervals of paired differences (Student's t)."),
        Text("  Speed is judged against the baseline arm's own times, measured at the start.", style="dim"),
        Text("  The best fixed arm was found by sequential halving on workflows of its own.", style="dim"),
        Text(),
        Text(verification_line(result.verification), style=verified),
        *(Text(note, style="yellow") for note in result.notes),
        Text(f"report: {result.options.report.absolute()}   ({_total(result)})"),
    ]
    return Group(*lines)


def _total(result: DemoResult) -> str:
    return total_line(result.duration_s, result.compiled_s)


def _choices(result: DemoResult) -> Table:
    table = Table(title="Learned choice per context (probability of that arm)", title_justify="left")
    for name in ("batch", "calm", "flaky"):
        table.add_column(name)
    by = {(choice.kind, choice.size, choice.flaky): choice for choice in result.choices}
    for kind in KINDS:
        for size in SIZES:
            cells = [
                f"{arm_label(choice.arm_id)}  [dim]{percent(choice.probability)}"
                for choice in (by[kind, size, False], by[kind, size, True])
            ]
            table.add_row(f"{kind} {size}", *cells, end_section=size == SIZES[-1])
    return table


def _comparison(result: DemoResult) -> Table:
    n = result.summary.level("evaluation", "learned").reward.n
    table = Table(title=f"Evaluation on {n} fresh workflows (95 % intervals)", title_justify="left")
    table.add_column("policy")
    for name in ("composite reward", "success rate", "mean duration"):
        table.add_column(name, justify="right")
    arms = {"baseline": result.baseline, "best_fixed": result.best_fixed}
    for one in (result.summary.level("evaluation", x) for x in ("learned", "baseline", "best_fixed")):
        arm = arms.get(one.contestant)
        chosen = arm_label(arm) if arm else "chosen by context"
        table.add_row(f"{NAMES[one.contestant]}\n[dim]{chosen}", *_figures(one))
    table.add_section()
    for pair in (result.summary.against("evaluation", x) for x in ("baseline", "best_fixed")):
        table.add_row(
            f"learned − {NAMES[pair.other]}",
            f"{difference(pair.reward)}\n{_judged(pair.verdict)}",
            f"{points(pair.success)}\n{_judged(pair.success_verdict)}",
        )
    return table


def _judged(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict}"


def _figures(one: Level) -> tuple[str, str, str]:
    low, value, high = (1e3 * x for x in (one.duration_s.low, one.duration_s.value, one.duration_s.high))
    return (
        f"{one.reward.value:.3f}\n[dim]{level(one.reward)}",
        f"{percent(one.success.value)}\n[dim]{percent(one.success.low)} – {percent(one.success.high)}",
        f"{value:.0f} ms\n[dim]{low:.0f} – {high:.0f}",
    )
