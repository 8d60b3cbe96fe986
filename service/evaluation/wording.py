"""The verdict in words: lines for a terminal, and the phrases that the report shares with them."""

from __future__ import annotations

from ...simulation.verdict import Beside, Bound, MoreData, Verdict
from .onward import Onward
from .study import Study

__all__ = [
    "METHODS",
    "ONE_HISTORY",
    "beside_line",
    "bound",
    "lift",
    "lines_of",
    "more_line",
    "onward_line",
    "percent",
    "question",
]

METHODS = {
    "mover_wilson": "MOVER–Wilson on cells of context and arm: a fixed logging policy, looked at once",
    "betting": "betting on rows: a fixed logging policy, looked at once",
    "empirical_bernstein_sequence": "an empirical-Bernstein confidence sequence: any logging policy, "
    "whenever it is looked at; values are running averages",
}


ONE_HISTORY = "an estimate and no verdict: one history of each, and the error does not cover the others"


def percent(value: float | None, *, signed: bool = False) -> str:
    """A share in percent."""
    if value is None:
        return "–"
    share = _rounded(100.0 * value, 1)
    return f"{share:+.1f} %" if signed else f"{share:.1f} %"


def _rounded(value: float, places: int) -> float:
    """Rounded, and 0 rather than -0."""
    return round(value, places) + 0.0


def bound(one: Bound) -> str:
    """An estimate with its two bounds."""
    value = "–" if one.value is None else f"{_rounded(one.value, 4):.4f}"
    low = "–" if one.low is None else f"{_rounded(one.low, 4):.4f}"
    high = "–" if one.high is None else f"{_rounded(one.high, 4):.4f}"
    return f"{value} [{low}, {high}]"


def lift(one: Bound) -> str:
    """A lift with its two bounds, in percent."""
    high = "unbounded" if one.high is None else percent(one.high, signed=True)
    return f"{percent(one.value, signed=True)} [{percent(one.low, signed=True)}, {high}]"


def question(verdict: Verdict) -> str:
    """What was asked."""
    against = "the logging policy" if verdict.baseline == "logged" else verdict.baseline
    return f"Is {verdict.policy} at least {100 * verdict.min_lift:g} % better than {against}?"


def beside_line(one: Beside) -> str:
    """The other metric, which is no part of the claim."""
    values = f"{bound(one.target)} against {bound(one.reference)}"
    return f"{one.metric} {values}, lift {lift(one.lift)}; shown only"


def more_line(more: MoreData) -> str:
    """What would settle it."""
    arms = ", ".join(f"{arm} {100 * share:.0f} %" for arm, share in more.arms)
    where = f" The uncertainty comes from {arms}." if arms else ""
    if more.decisions is None:
        return f"If the estimates are right, no practical number of decisions would settle it.{where}"
    text = f"If the estimates are right, about {more.decisions:,} further decisions would settle it."
    if more.best_decisions is not None:
        text += f" Logged as suits this question best, {more.best_decisions:,} in all would do."
    return text + where


def onward_line(one: Onward) -> str:
    """What came of a policy that kept learning."""
    text = (
        f"{one.value:.4f} ± {one.standard_error:.4f}, learned from {one.learned_from:,} of {one.rows:,} rows"
    )
    return f"{text}; {percent(one.clipped)} of the weights were cut" if one.clipped else text


def lines_of(study: Study) -> list[str]:
    """What ``evaluate`` prints."""
    lines: list[str] = []
    for verdict in study.verdicts:
        lines += ["", *_lines(verdict)] if lines else _lines(verdict)
    if study.search:
        lines += ["", f"chosen among {len(study.search)} by {study.chose:,} rows of their own:"]
        lines += [f"  {one.policy}  {one.value:.4f} ± {one.standard_error:.4f}" for one in study.search[:10]]
    if study.onward:
        lines += ["", f"had they gone on learning over the log ({ONE_HISTORY}):"]
        lines += [f"  {one.policy}  {onward_line(one)}" for one in study.onward]
    if study.taught:
        lines += [
            "",
            f"the first {study.taught:,} rows taught what learns; the {len(study.log):,} others judged",
        ]
    return lines


def _lines(verdict: Verdict) -> list[str]:
    shared = f", shared by {verdict.candidates} policies" if verdict.candidates > 1 else ""
    support = verdict.support
    ceiling, weight = verdict.ceiling, f"largest weight {support.largest_weight:.1f}"
    best = f"best arm {ceiling.best_arm} {ceiling.best_arm_value:.4f}"
    reachable = f"best of each context {ceiling.oracle:.4f}: {_REACHABLE[ceiling.reachable]}"
    values = f"{verdict.policy} {bound(verdict.target)}; baseline {bound(verdict.reference)}"
    holds = f"each bound holds with {100 * verdict.confidence:g} %{shared}"
    rows = f"{verdict.rows:,} rows, {verdict.contexts:,} contexts"
    beside = verdict.beside
    found = [
        f"{verdict.status.upper()}: {question(verdict)}",
        f"  {verdict.reason}",
        f"  {verdict.metric:10} {values}",
        f"  lift       {lift(verdict.lift)}; {holds}",
        *([] if beside is None else [f"  beside     {beside_line(beside)}"]),
        f"  method     {METHODS[verdict.method]}",
        f"  support    {rows}; weigh as much as {support.ess:,.0f}; {weight}",
        f"  ceiling    {ceiling.needed:.4f} needed; {best}, {reachable}",
    ]
    if verdict.more is not None:
        found.append(f"  {more_line(verdict.more)}")
    return [*found, *(f"  ! {warning}" for warning in verdict.warnings)]


_REACHABLE = {"yes": "within reach", "doubtful": "doubtful", "no": "out of reach"}
