"""Sections of a verdict's report: policies, the log over time, weights, arms, contexts, overlap, facts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ...errors import NyxError
from ...simulation.offpolicy import Diagnostics, Overlay, diagnose, evaluate, overlay
from ...simulation.verdict import Verdict
from ...simulation.verdict.bounds import weights
from .study import Study
from .svg import Interval, bars, curve, forest, histogram
from .wording import METHODS, ONE_HISTORY, beside_line, bound, lift, onward_line, percent, question

__all__ = ["TONES", "rate", "sections_of"]

TONES = {"met": "met", "not met": "unmet", "not enough evidence": "open", "not supported": "open"}
_ESTIMATORS = {
    "ips": "importance sampling",
    "snips": "self-normalised",
    "dm": "direct method",
    "dr": "doubly robust, cross-fitted",
}
_SHOWN = 15
_BINS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
_POINTS = 60


def rate(value: float | None) -> str:
    """A value in [0, 1], to three places."""
    return "–" if value is None else f"{value:.3f}"


def _section(title: str, note: str, body: str, *, wide: bool = False) -> str:
    return (
        f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2>"
        f'<p class="note">{escape(note)}</p>{body}</section>'
    )


def sections_of(study: Study) -> list[str]:
    """All sections about the verdict that answers for the study, in the order of the page."""
    first = study.best
    over = _overlaid(study)
    found = None if over is None else diagnose(over)
    sections = [_lifts(study)]
    warnings = list(dict.fromkeys([*first.warnings, *(found.warnings if found is not None else ())]))
    listed = "".join(f'<li class="warn">{escape(text)}</li>' for text in warnings)
    sections.append(
        _section(
            "What to doubt",
            "In plain language; what stands here widens the bounds, or asks for care.",
            f"<ul>{listed}</ul>" if listed else "<p>Nothing stands out.</p>",
            wide=True,
        )
    )
    if len(study.verdicts) > 1:
        sections.append(_policies(study.verdicts))
    sections.append(_over_time(study))
    sections.append(_weights(study))
    sections.append(_arms(first))
    if first.by_context and len(first.by_context) > 1:
        sections.append(_contexts(first))
    if study.search:
        sections.append(_search(study))
    if study.onward:
        rows = [(escape(one.policy), escape(onward_line(one))) for one in study.onward]
        note = f"Asked in every row before it may learn from it. {ONE_HISTORY.capitalize()}."
        sections.append(
            _section("Had it gone on learning", note, _table(("policy", "value"), rows), wide=True)
        )
    if over is not None and found is not None:
        sections += [_overlap(found), _estimators(over)]
    sections.append(_facts(study, first, found))
    return sections


def _lifts(study: Study) -> str:
    rows = [
        Interval(verdict.policy, verdict.lift.low, verdict.lift.value, verdict.lift.high, "learned")
        for verdict in study.verdicts[:_SHOWN]
    ]
    wanted = study.best.min_lift
    marks = [(0.0, "no lift"), (wanted, f"{percent(wanted, signed=True)} asked")]
    return _section(
        "Lift over the baseline",
        "Dot: estimate. Bar: the lifts that the log does not rule out. Met where the bar lies right of what "
        "was asked.",
        forest(rows, marks, "Lift over the baseline with its bounds"),
        wide=True,
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text, and whose others are numbers."""
    kinds = ["", *[' class="number"'] * (len(head) - 1)]
    names = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    lines = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{names}</tr>{lines}</table></div>'


def _policies(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (
            f"{escape(v.policy)}<small class={TONES[v.status]}>{escape(v.status)}</small>",
            escape(bound(v.target)),
            escape(lift(v.lift)),
            f"{v.support.ess:,.0f}",
        )
        for v in verdicts
    ]
    return _section(
        "Policies",
        "All judged on the same rows; any wrong claim among them has the stated probability at most.",
        _table(("policy", "value", "lift", "effective rows"), rows),
        wide=True,
    )


def _over_time(study: Study) -> str:
    reward = np.asarray(study.shown.data.reward)
    n = len(reward)
    step = len(study.log) / n
    ends = np.unique(np.linspace(max(1, min(20, n)), n, _POINTS).astype(int))
    total = np.concatenate([[0.0], np.cumsum(reward)])
    window = max(10, n // 10)
    recent = [(step * float(e), float((total[e] - total[max(0, e - window)]) / min(e, window))) for e in ends]
    whole = [(step * float(e), float(total[e] / e)) for e in ends]
    lines = [("all so far", "baseline", whole), (f"last {step * window:,.0f}", "second", recent)]
    name, table = study.best.policy, study.tables.get(study.best.policy)
    if table is not None and not isinstance(table, str):
        weight = weights(study.shown, table)
        top = np.concatenate([[0.0], np.cumsum(weight * reward)])
        bottom = np.concatenate([[0.0], np.cumsum(weight)])
        points = [(step * float(e), float(top[e] / bottom[e])) for e in ends if bottom[e] > 0.0]
        if points:
            lines.append((f"{_brief(name)} so far", "learned", points))
    return _section(
        "Over the log",
        f"Mean {study.log.metric} of what was logged, and the policy's as weighed from it (self-normalised).",
        curve(lines, "Mean value over the rows of the log", "rows of the log"),
    )


def _brief(name: str) -> str:
    return name if len(name) <= 9 else "policy"


def _weights(study: Study) -> str:
    table = study.tables.get(study.best.policy)
    if table is None:
        return _section("Weights", "Two cohorts: each row weighs by its cohort's share.", "<p>–</p>")
    weight = weights(study.shown, table)
    edges = np.array([-np.inf, 0.0, *_BINS, np.inf])
    # Right-closed: a weight of exactly 0 stands alone.
    counts = np.bincount(np.searchsorted(edges[1:-1], weight, side="left"), minlength=len(edges) - 1)
    names = ["0", *(f"≤ {edge:g}" for edge in _BINS), f"> {_BINS[-1]:g}"]
    shares = [(name, float(count) / len(weight)) for name, count in zip(names, counts.tolist(), strict=True)]
    return _section(
        "Weights",
        "How much a logged row counts for the policy: its probability there over the logged one. Many zeros "
        "and a few large ones mean that little speaks for it.",
        histogram(shares, "Shares of rows by weight", "weight of a row"),
    )


def _arms(verdict: Verdict) -> str:
    ranked = sorted(
        verdict.by_arm, key=lambda part: (-max(part.target_share, part.logged_share), part.arm_id)
    )
    shown = [(part.arm_id, part.target_share, part.logged_share) for part in ranked[:_SHOWN]]
    rows = [
        (
            escape(part.arm_id),
            f"{part.rows:,}",
            rate(part.value),
            percent(part.logged_share),
            percent(part.target_share),
        )
        for part in ranked[:_SHOWN]
    ]
    hidden = "" if len(ranked) <= _SHOWN else f" The {_SHOWN} most frequent of {len(ranked)}."
    return _section(
        "Arms",
        f"How often policy and log choose each arm, and what it was worth where it was chosen.{hidden}",
        bars(shown, ("policy", "log"), "Share of each arm under the policy and in the log")
        + _table(("arm", "rows", "mean where chosen", "logged", "policy"), rows),
        wide=True,
    )


def _contexts(verdict: Verdict) -> str:
    told = any(part.contrast.value is not None for part in verdict.by_context)
    rows = [
        (escape(part.context), f"{part.rows:,}", rate(part.target), rate(part.baseline))
        + ((escape(bound(part.contrast)),) if told else ())
        for part in verdict.by_context
    ]
    head = ("context", "rows", "policy", "baseline", *(("difference tested",) if told else ()))
    return _section(
        "Contexts",
        "Where the difference comes from. Not corrected for looking at many contexts: a hint, and no claim.",
        _table(head, rows),
        wide=True,
    )


def _search(study: Study) -> str:
    rows = [
        (escape(one.policy), f"{one.value:.4f} ± {one.standard_error:.4f}") for one in study.search[:_SHOWN]
    ]
    return _section(
        "Search",
        f"Chosen by its value on {study.chose:,} rows that neither taught nor judged. The best of many is "
        "flattered there; the verdict above is not.",
        _table(("policy", "held-out value"), rows),
        wide=True,
    )


def _overlaid(study: Study) -> Overlay | None:
    table = study.tables.get(study.best.policy)
    if table is None or isinstance(table, str):
        return None
    try:
        return overlay(study.shown.data, table[study.shown.cell], outside_max=0.999)
    except NyxError:
        return None


def _estimators(over: Overlay) -> str:
    try:
        found = evaluate(over, ("ips", "snips", "dm", "dr"))
    except NyxError:
        return ""
    rows = [
        (
            _ESTIMATORS[name],
            f"{one.value:.4f}",
            f"{one.standard_error:.4f}",
            f"[{one.interval.low:.4f}, {one.interval.high:.4f}]",
        )
        for name, one in found.items()
    ]
    return _section(
        "Other estimates of the policy's value",
        "With normal 95 % intervals, which claim too much where effective rows are few, and under adaptive "
        "logs. For comparison: the verdict does not rest on them.",
        _table(("estimator", "value", "standard error", "interval"), rows),
    )


def _overlap(found: Diagnostics) -> str:
    cells = sorted(found.cells, key=lambda cell: cell.ess)[:_SHOWN]
    rows = [
        (
            escape(cell.cell),
            f"{cell.rows:,}",
            f"{cell.ess:,.0f}",
            f"{cell.mean_weight:.2f}",
            percent(cell.unseen),
        )
        for cell in cells
    ]
    return _section(
        "Overlap",
        "Contexts with the least support first. Mean weights are 1 but for chance.",
        _table(("context", "rows", "effective", "mean weight", "never tried"), rows),
    )


def _facts(study: Study, verdict: Verdict, found: Diagnostics | None) -> str:
    facts = {
        "question": question(verdict),
        "method": METHODS[verdict.method],
        "logging policy": verdict.logging,
        "rows": f"{verdict.rows:,} judge"
        + (f", {study.taught:,} before them taught" if study.taught else ""),
        "tested": f"policy − {1 + verdict.min_lift:g} × baseline: {bound(verdict.contrast)}",
        "ceiling": f"best arm {verdict.ceiling.best_arm} {verdict.ceiling.best_arm_value:.4f}; best of each "
        f"context {verdict.ceiling.oracle:.4f} (inflated by luck); nothing exceeds "
        f"{verdict.ceiling.highest:.4f}",
    }
    if len(study.shown) < len(study.log):
        facts["plots and diagnostics"] = (
            f"of {len(study.shown):,} evenly spaced rows; all else of all {len(study.log):,}"
        )
    if verdict.beside is not None:
        facts[f"{verdict.beside.metric} beside"] = beside_line(verdict.beside)
    if found is not None:
        facts["arms against propensities"] = _chance(found.arm_ratio.p_value)
        facts["drift inside the log"] = _chance(found.drift.p_value)
        if found.own_weights is not None:
            facts["self-check"] = (
                f"{found.own_weights:,} rows where the logging policy would not weigh exactly 1"
            )
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return _section("How it was judged", "What the verdict rests on.", f"<dl>{rows}</dl>", wide=True)


def _chance(p: float) -> str:
    return "nothing to test" if p != p else f"p = {p:.2g}"
