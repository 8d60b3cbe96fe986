"""The report of a verdict: one HTML file that needs nothing else, verdict first, its JSON inside."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ...errors import InputInvalid
from ...simulation.verdict import Verdict
from .sections import TONES, rate, sections_of
from .study import Study
from .wording import bound, lift, more_line, percent, question

__all__ = ["render_report", "write_report"]


def write_report(path: Path, study: Study, *, source: str) -> None:
    """Write ``render_report`` to a file.

    Raises
    ------
    InputInvalid : it cannot be written.
    """
    text = render_report(study, source=source)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputInvalid(
            "the report cannot be written",
            expected="a path that can be written",
            found=f"{path}: {error.strerror or error}"[:200],
            fix="name another file",
        ) from None


def render_report(study: Study, *, source: str) -> str:
    """The whole page. ``source`` : what was read, as the reader knows it."""
    web = files(__package__) / "web"
    page = Template((web / "verdict.html").read_text(encoding="utf-8"))
    first = study.best
    tone = TONES[first.status]
    document = json.dumps(
        [verdict.to_dict() for verdict in study.verdicts], ensure_ascii=False, allow_nan=False
    )
    return page.substitute(
        css=(web / "verdict.css").read_text(encoding="utf-8"),
        headline=f'{escape(question(first))} <em class="{tone}">{escape(first.status.capitalize())}.</em>',
        lead=_lead(first),
        cards="\n".join(_cards(first)),
        sections="\n".join(sections_of(study)),
        footer=escape(f"{source}; {_footer(study)}"),
        # Text of a log may contain what would end the element.
        document=document.replace("<", "\\u003c"),
    )


def _lead(verdict: Verdict) -> str:
    named = verdict.reason.startswith(verdict.policy)
    reason = verdict.reason if named else verdict.reason[:1].upper() + verdict.reason[1:]
    text = f"{escape(reason)}. "
    text += f"Lift of the {escape(verdict.metric)}: <strong>{escape(lift(verdict.lift))}</strong>; "
    text += f"each bound holds with {100 * verdict.confidence:g} % confidence"
    if verdict.candidates > 1:
        text += f", shared by {verdict.candidates} policies"
    text += "."
    if verdict.more is not None:
        text += f" {escape(more_line(verdict.more))}"
    return text


def _cards(verdict: Verdict) -> list[str]:
    tone = TONES[verdict.status]
    support, ceiling = verdict.support, verdict.ceiling
    words = {"yes": "within reach", "doubtful": "doubtful", "no": "out of reach"}
    return [
        _card(
            verdict.policy,
            rate(verdict.target.value),
            f"bounds {bound(verdict.target).partition(' ')[2]}",
            tone,
        ),
        _card(
            "baseline: " + verdict.baseline,
            rate(verdict.reference.value),
            f"bounds {bound(verdict.reference).partition(' ')[2]}",
        ),
        _card(
            f"needed for {percent(verdict.min_lift, signed=True)}",
            rate(ceiling.needed),
            f"{words[ceiling.reachable]}: best of each context {ceiling.oracle:.3f}",
            "unmet" if ceiling.reachable == "no" else "",
        ),
        _card(
            "effective rows",
            f"{support.ess:,.0f}",
            f"of {verdict.rows:,}; largest weight {support.largest_weight:.1f}",
            "open" if support.ess < 50.0 else "",
        ),
    ]


def _card(label: str, value: str, detail: str, tone: str = "") -> str:
    return (
        f'<div class="card"><div class="label">{escape(label)}</div>'
        f'<div class="value {tone}">{escape(value)}</div><div class="detail">{escape(detail)}</div></div>'
    )


def _footer(study: Study) -> str:
    verdict = study.best
    return f"{verdict.rows:,} rows, metric {verdict.metric}, confidence {100 * verdict.confidence:g} %"
