"""From what was read to what templates show: plots, tables, and the words between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ....bandit import BanditSpec
from ....bandit.events import ALARM, EPOCH, EventRow
from ....features.kinds import Categorical, Flag, Numeric, Ordinal
from ....persistence.dashboard import Stretch
from .choices import ChoiceMap
from .estimates import Estimate, mean_of, share_of
from .reading import Arms
from .render import short_stamp
from .svg import Mark, Point, over_time, timeline

__all__ = [
    "ArmLine",
    "Curve",
    "EventLine",
    "arm_lines",
    "event_lines",
    "events_plot",
    "example_context",
    "reward_curve",
    "success_curve",
]

_ARMS_MAX = 30
_NEWEST = 1000


@dataclass(frozen=True, slots=True)
class Curve:
    """A plot, the table behind it, and the newest stretch's value and that of all together."""

    plot: Markup
    rows: Sequence[tuple[Stretch, Estimate]]
    last: Estimate
    whole: Estimate


@dataclass(frozen=True, slots=True)
class ArmLine:
    """An arm: share of the newest decisions, worth, and what is held of it."""

    arm_id: str
    decisions: int
    share: float
    reward: Estimate | None
    success: Estimate | None
    mean: float | None
    sd: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that monitors or people did: ``kind`` is a class of the style sheet."""

    seq: int
    at: float | None
    lane: str
    kind: str
    subject: str
    text: str


def reward_curve(found: Sequence[Stretch]) -> Curve | None:
    """Mean reward of each stretch."""
    rows = [(s, mean_of(s.n, s.mean, s.sd)) for s in found]
    n = sum(s.n for s in found)
    if not n:
        return None
    mean = sum(s.n * s.mean for s in found) / n
    square = sum((s.n - 1) * s.sd**2 + s.n * (s.mean - mean) ** 2 for s in found)
    whole = mean_of(n, mean, (square / max(1, n - 1)) ** 0.5)
    return _curve("reward", "Mean reward", rows, whole, "learned")


def success_curve(found: Sequence[Stretch]) -> Curve | None:
    """Share of executions that succeeded in each stretch, of those that said so."""
    rows = [(s, e) for s in found if (e := share_of(s.succeeded, s.known)) is not None]
    whole = share_of(sum(s.succeeded for s in found), sum(s.known for s in found))
    return None if whole is None else _curve("success", "Success rate", rows, whole, "second")


def _curve(
    name: str, title: str, rows: Sequence[tuple[Stretch, Estimate]], whole: Estimate, tone: str
) -> Curve:
    first, last = rows[0], rows[-1]
    points = []
    for i, (_, found) in enumerate(rows):
        low, high = found.bounds
        points.append(Point(i / max(1, len(rows) - 1), low, found.value, high))
    if len(points) == 1:
        points = [Point(0.5, points[0].low, points[0].value, points[0].high)]
    told = (
        f"{title} of {sum(e.n for _, e in rows):,} rewards in {len(rows)} stretches, with 95 % intervals: "
        f"{first[1].value:.3f} in the first, {last[1].value:.3f} in the last."
    )
    ends = (
        _end(first[0].first_at, first[0].first_seq),
        _end(last[0].last_at, last[0].last_seq),
    )
    return Curve(over_time(name, f"{title} over time", told, points, ends, tone), rows[::-1], last[1], whole)


def _end(at: float | None, seq: int) -> str:
    """A time, or the number of a row where nobody told one."""
    return f"row {seq:,}" if at is None else short_stamp(at)


def arm_lines(spec: BanditSpec, arms: Arms | None, choices: ChoiceMap | None) -> tuple[list[ArmLine], int]:
    """The arms that matter most, at most 30, and how many there are in all."""
    chosen: Mapping[str, int] = {} if arms is None else arms.chosen
    worth = {} if arms is None else arms.worth
    held = {} if choices is None else choices.held
    names = list(dict.fromkeys([*([] if spec.arms.staged else spec.arms.units), *chosen, *worth, *held]))
    decisions = sum(chosen.values())
    lines = []
    for name in names:
        known, belief = worth.get(name), held.get(name)
        lines.append(
            ArmLine(
                name,
                chosen.get(name, 0),
                chosen.get(name, 0) / decisions if decisions else 0.0,
                None if known is None else mean_of(known.n, known.mean, known.sd),
                None if known is None else share_of(known.succeeded, known.known),
                None if belief is None else belief.mean,
                None if belief is None else belief.sd,
                None if belief is None else belief.probability,
            )
        )
    lines.sort(key=lambda line: (-(line.probability or 0.0), -line.share, line.arm_id))
    return lines[:_ARMS_MAX], len(lines)


def event_lines(found: Sequence[EventRow]) -> list[EventLine]:
    """Events in words, the latest first."""
    lines = []
    for event in found:
        if event.kind == EPOCH:
            lane, kind = "Drift: learning began anew", "drift"
        elif event.kind == ALARM and event.monitor == "anomaly":
            lane, kind = "Anomalies", "odd" if event.consequence.get("alert") == "sent" else "odd soft"
        elif event.kind == ALARM:
            lane, kind = "Shifts of times and contexts", "shift"
        else:
            lane, kind = "Guardrails", "guard"
        lines.append(EventLine(event.seq, event.reported_at, lane, kind, event.subject, _words(event)))
    return lines


def _words(event: EventRow) -> str:
    told, rule = event.evidence, event.consequence.get("guardrail")
    if event.monitor == "person" and isinstance(rule, Mapping):
        if rule.get("act") == "revoke":
            return f"{told.get('author')} revoked override {rule.get('override')}: {told.get('reason')}"
        arms = ", ".join(map(str, rule.get("arms", ()))) or "the whole bandit"
        return f"{told.get('author')} ordered {rule.get('rule')} of {arms}: {told.get('reason')}"
    if isinstance(rule, Mapping):
        return {
            "trip": f"the breaker of {event.subject} opened",
            "close": f"the breaker of {event.subject} closed",
            "serve": f"the learner's share of service is {rule.get('share')} from here on",
            "spent": f"the budget {event.subject} is used up",
        }.get(str(rule.get("act")), event.describe())
    return event.describe()


def events_plot(lines: Sequence[EventLine]) -> Markup | None:
    """The events in their order, a lane for each kind; None without any."""
    if not lines:
        return None
    lanes = list(dict.fromkeys(line.lane for line in sorted(lines, key=lambda x: x.lane)))
    times = [line.at for line in lines]
    known = [at for at in times if at is not None]
    by_time = len(known) == len(times) and max(known) > min(known)
    places = [at or 0.0 for at in times] if by_time else [float(line.seq) for line in lines]
    least, span = min(places), (max(places) - min(places)) or 1.0
    marks = [
        Mark((place - least) / span, lanes.index(line.lane), line.kind, f"row {line.seq:,}: {line.text}")
        for place, line in zip(places, lines, strict=True)
    ]
    first, last = lines[-1], lines[0]
    ends = (_end(first.at, first.seq), _end(last.at, last.seq))
    told = f"{len(lines)} events in {len(lanes)} lanes: {', '.join(lanes)}. The table below lists them."
    return timeline("events", "Drift, anomalies and guardrails over time", told, lanes, marks, ends)


def example_context(spec: BanditSpec) -> str:
    """A context that the spec takes, as JSON: for who has not decided anything yet."""
    values: dict[str, Any] = {}
    for name, feature in spec.context.items():
        if isinstance(feature, (Categorical, Ordinal)):
            values[name] = feature.levels[0]
        elif isinstance(feature, Flag):
            values[name] = False
        elif isinstance(feature, Numeric):
            values[name] = feature.low
    return json.dumps(values, ensure_ascii=False)
