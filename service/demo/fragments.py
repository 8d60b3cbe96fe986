"""Pieces of the report that need no plotting library: cards, tables, the list of facts, the guide."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from .experiment import Contestant
from .spec import WEIGHTS
from .summary import Choice, Level, Paired, Verdict
from .wording import NAMES, arm_label, level, percent, total_line
from .workload import KINDS, SIZES

if TYPE_CHECKING:
    from .run import DemoResult

__all__ = ["COMPARED", "cards", "choice_table", "colour_key", "comparison_table", "facts", "guide"]

COMPARED: Final[tuple[Contestant, ...]] = ("learned", "baseline", "best_fixed")
_TONES: Final = {"better": "good", "worse": "bad", "not distinguishable": ""}


def _card(label: str, value: str, detail: str, tone: str = "") -> str:
    return (
        f'<div class="card"><div class="label">{escape(label)}</div>'
        f'<div class="value {tone}">{escape(value)}</div><div class="detail">{escape(detail)}</div></div>'
    )


def cards(result: DemoResult) -> str:
    """Return the four numbers that matter most."""
    learned = result.summary.level("evaluation", "learned")
    baseline = result.summary.level("evaluation", "baseline")
    pair = result.summary.against("evaluation", "baseline")
    verified = result.verification
    lift = f" · {pair.reward.value / baseline.reward.value:+.0%}" if baseline.reward.value > 0.0 else ""
    return "\n".join(
        [
            _card(
                "composite reward",
                f"{learned.reward.value:.3f}",
                f"baseline {baseline.reward.value:.3f}{lift}",
                _TONES[pair.verdict],
            ),
            _card(
                "success rate", percent(learned.success.value), f"baseline {percent(baseline.success.value)}"
            ),
            _card(
                "mean duration",
                f"{1e3 * learned.duration_s.value:.0f} ms",
                f"baseline {1e3 * baseline.duration_s.value:.0f} ms",
            ),
            _card(
                "decisions verified",
                f"{verified.matched:,} of {verified.decisions:,}",
                "re-derived from the log",
                "good" if verified.ok else "bad",
            ),
        ]
    )


def _dot(contestant: str) -> str:
    return f'<span class="dot" style="background:var(--{contestant.replace("_", "-")})"></span>'


def colour_key() -> str:
    """Return which colour stands for whom."""
    names = "".join(f"<span>{_dot(name)}{escape(NAMES[name])}</span>" for name in COMPARED)
    return f'<div class="key">{names}</div>'


def _cell(text: str, interval: str) -> str:
    return f'<td class="number">{text}<small>{interval}</small></td>'


def _level_row(one: Level, arm_id: str) -> str:
    low, value, high = (1e3 * x for x in (one.duration_s.low, one.duration_s.value, one.duration_s.high))
    name = f"{_dot(one.contestant)}{escape(NAMES[one.contestant])}<small>{escape(arm_label(arm_id))}</small>"
    return (
        f"<tr><td>{name}</td>"
        + _cell(f"{one.reward.value:.3f}", level(one.reward))
        + _cell(percent(one.success.value), f"{percent(one.success.low)} – {percent(one.success.high)}")
        + _cell(f"{value:.0f} ms", f"{low:.0f} – {high:.0f}")
        + "</tr>"
    )


def _judged(verdict: Verdict) -> str:
    tone = {"better": "better", "worse": "worse", "not distinguishable": "open"}[verdict]
    return f'<b class="{tone}">{escape(verdict)}</b>'


def _paired_row(pair: Paired) -> str:
    low, value, high = (100 * x for x in (pair.success.low, pair.success.value, pair.success.high))
    return (
        f"<tr><td>learned − {escape(NAMES[pair.other])}</td>"
        + _cell(
            f"{pair.reward.value:+.3f}",
            f"{pair.reward.low:+.3f} – {pair.reward.high:+.3f}<br>{_judged(pair.verdict)}",
        )
        + _cell(f"{value:+.0f} pp", f"{low:+.0f} – {high:+.0f}<br>{_judged(pair.success_verdict)}")
        + "<td></td></tr>"
    )


def comparison_table(result: DemoResult) -> str:
    """Return levels and paired differences of the evaluation, each with its interval."""
    arms = {"learned": "chosen by context", "baseline": result.baseline, "best_fixed": result.best_fixed}
    rows = [_level_row(result.summary.level("evaluation", name), arms[name]) for name in COMPARED]
    rows += [_paired_row(result.summary.against("evaluation", name)) for name in COMPARED[1:]]
    names = "".join(f'<th class="number">{name}</th>' for name in ("reward", "success", "duration"))
    return f'<div class="scroll"><table><tr><th></th>{names}</tr>{"".join(rows)}</table></div>'


def _choice_cell(choice: Choice) -> str:
    strategy, _, rest = arm_label(choice.arm_id).partition(" · ")
    style = f"--tone:var(--{strategy});--share:{100 * choice.probability:.0f}%"
    return (
        f'<td><div class="choice" style="{style}"><b>{escape(strategy)}</b> <span>{escape(rest)}</span>'
        f"<small>{percent(choice.probability)} · expects {choice.mean:.2f} ± {choice.sd:.2f}</small>"
        "</div></td>"
    )


def choice_table(choices: Sequence[Choice]) -> str:
    """Return the most probable arm of each context as a heat map."""
    by = {(choice.kind, choice.size, choice.flaky): choice for choice in choices}
    rows = "".join(
        f"<tr><td>{kind}<small>{size}</small></td>"
        f"{_choice_cell(by[kind, size, False])}{_choice_cell(by[kind, size, True])}</tr>"
        for kind in KINDS
        for size in SIZES
    )
    head = "<tr><th>batch</th><th>calm service</th><th>flaky service</th></tr>"
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def facts(result: DemoResult) -> str:
    """Return what a reader needs to place the result."""
    ok = result.verification.ok
    reference = ", ".join(
        f"{kind} {size} {1e3 * value:.1f} ms" for (kind, size), value in result.reference_s.items()
    )
    tone, word = ("good", "all matched") if ok else ("bad", "diverged")
    rows = {
        "result": f'<span class="verified {tone}">{word}</span>',
        "bandit": f"<code>{escape(result.bandit)}</code>",
        "seed": str(result.options.seed),
        "arms": f"{len(result.arms)}, chosen among by <code>hier_ts</code>",
        "runs": f"{len(result.runs):,} executions in {total_line(result.duration_s, result.compiled_s)}",
        "reference times": escape(reference),
    }
    return f"<dl>{''.join(f'<dt>{key}</dt><dd>{value}</dd>' for key, value in rows.items())}</dl>"


def guide(result: DemoResult) -> str:
    """Return how to read the report."""
    weights = ", ".join(f"{percent(weight)} {name}" for name, weight in WEIGHTS.items())
    points = [
        (
            f"<strong>Composite reward</strong>: {weights}; quality is the share of items that came out "
            "right. Speed is judged against the baseline arm's own median duration per kind and size, "
            "measured at the start."
        ),
        (
            f"<strong>Baseline</strong>: <code>{escape(result.baseline)}</code>, one item after the other, "
            "patient, no second try."
        ),
        (
            f"<strong>Best fixed arm</strong>: <code>{escape(result.best_fixed)}</code>, found by sequential "
            "halving over all arms on workflows of its own, so that it is not judged on the data that it was "
            "chosen on."
        ),
        (
            "<strong>Intervals</strong>: 95 %. Means and paired differences of means: Student's t over "
            "workflows; success rates: Wilson; their paired differences: Newcombe. Reward and success rate "
            "are judged each by its own interval; none is corrected for the others."
        ),
        (
            "<strong>Flaky</strong> services fail and hang more often; calm ones are sometimes slow but "
            "right. What a workflow meets is drawn by a keyed hash, so it is the same for all three; times "
            "are measured, and differ from run to run and from machine to machine."
        ),
        (
            "A policy that beats the best fixed arm has learned from context; one that only matches it has "
            "found that arm, or one as good, without being told."
        ),
    ]
    return f"<ul>{''.join(f'<li>{point}</li>' for point in points)}</ul>"
