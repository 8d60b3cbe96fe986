"""How patterns come and go: what appeared, strengthened, weakened or faded from one stored version to the
next.

A pattern is known by what it says (a strategy that is better at a metric in a cell; a sequence of errors; a
change that would bring more), not by its numbers. *Appeared*: it was not told in the version before;
*faded*: it was, and is not any more; *strengthened* or *weakened*: its strength left the interval that it
had in the version before; *steady* otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..simulation.offpolicy.intervals import wilson

__all__ = ["PatternChange", "PatternEvolution", "TrackedPattern", "pattern_evolution"]

State = Literal["appeared", "strengthened", "weakened", "faded", "steady"]
Kind = Literal["strategy", "failure", "opportunity"]

_RATIOS = ("duration_s", "cost")
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class _Told:
    kind: Kind
    text: str
    strength: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PatternChange:
    """A version, what became of the pattern in it, and its strength there; None where it is not told."""

    version: int
    state: State
    strength: float | None


@dataclass(frozen=True, slots=True)
class TrackedPattern:
    """One pattern through the versions, from the first that told it.

    strength : of a strategy its effect (of seconds and costs the ratio's logarithm), of a failure its
    share of executions, of an opportunity its gain. state : in the newest version. first, last : versions
    that told it first and last.
    """

    kind: Kind
    text: str
    state: State
    first: int
    last: int
    history: tuple[PatternChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "history": [asdict(change) for change in self.history]}


@dataclass(frozen=True, slots=True)
class PatternEvolution:
    """All patterns that any of the versions told; those that moved in the newest one first."""

    versions: tuple[int, ...]
    patterns: tuple[TrackedPattern, ...]
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "versions": list(self.versions),
            "patterns": [pattern.to_dict() for pattern in self.patterns],
            "reason": self.reason,
        }

    def to_text(self) -> str:
        """For people."""
        head = f"{len(self.versions)} stored versions, {len(self.patterns)} patterns"
        reason = [] if self.reason is None else [self.reason]
        lines = [
            f"{p.state}: {p.text} (versions {p.first} to {p.last}: "
            + ", ".join("-" if c.strength is None else f"{c.strength:.3g}" for c in p.history)
            + ")"
            for p in self.patterns
        ]
        return "\n".join([head, *reason, *lines])


def pattern_evolution(snapshots: Sequence[tuple[int, Mapping[str, Any]]]) -> PatternEvolution:
    """Follow every pattern through stored versions.

    snapshots : version and metadata document (of ``strategy_patterns``, ``failure_patterns`` and
    ``optimization_opportunities``, as their results' ``to_dict`` has them), in their order.
    """
    versions = [version for version, _ in snapshots]
    told = [_all(document) for _, document in snapshots]
    found = []
    for key in dict.fromkeys(key for one in told for key in one):
        begin = next(i for i, one in enumerate(told) if key in one)
        before: _Told | None = None
        history = []
        for version, one in zip(versions[begin:], told[begin:], strict=True):
            now = one.get(key)
            state = _state(before, now)
            if state is not None:
                history.append(PatternChange(version, state, None if now is None else now.strength))
            before = now
        where = [v for v, one in zip(versions, told, strict=True) if key in one]
        newest = history[-1]
        state = newest.state if newest.version == versions[-1] else "faded"
        last = next(one[key] for one in told[::-1] if key in one)
        found.append(TrackedPattern(last.kind, last.text, state, where[0], where[-1], tuple(history)))
    order = ("appeared", "strengthened", "weakened", "faded", "steady")
    found.sort(
        key=lambda p: (
            p.last < versions[-1] and p.history[-1].version < versions[-1],
            order.index(p.state),
            p.kind,
            p.text,
        )
    )
    reason = None if len(versions) > 1 else "not enough evidence: it takes two stored versions"
    return PatternEvolution(tuple(versions), tuple(found), reason)


def _state(before: _Told | None, now: _Told | None) -> State | None:
    """None where it is told neither now nor before."""
    if now is None:
        return None if before is None else "faded"
    if before is None:
        return "appeared"
    # A larger loss is a stronger pattern, too.
    if before.low <= now.strength <= before.high:
        return "steady"
    return "strengthened" if abs(now.strength) > abs(before.strength) else "weakened"


def _all(document: Mapping[str, Any]) -> dict[tuple[Any, ...], _Told]:
    found: dict[tuple[Any, ...], _Told] = {}
    for pattern in document.get("strategy_patterns", {}).get("patterns", ()):
        cell = pattern["cell"]
        where = ", ".join(f"{name} {value}" for name, value in cell.items())
        for m in pattern["metrics"]:
            if m["finding"] is None:
                continue
            key: tuple[Any, ...] = (
                "strategy",
                pattern["strategy"],
                tuple(sorted(cell.items())),
                m["metric"],
                m["finding"],
            )
            text = f"{pattern['strategy']}{f', {where}' if where else ''}: {m['metric']} {m['finding']}"
            numbers = [m["effect"], m["effect_low"], m["effect_high"]]
            if m["metric"] in _RATIOS:
                numbers = [math.log(max(x, 1e-300)) for x in numbers]
            found[key] = _Told("strategy", text, *numbers)
    failures = document.get("failure_patterns", {})
    whole = failures.get("executions", 0)
    for pattern in (*failures.get("sequences", ()), *failures.get("codes", ())):
        n = pattern["occurrences"]
        low, high = wilson(np.array([float(n)]), np.array([float(max(n, whole))]), _Z)
        key = "failure", tuple(pattern["sequence"])
        text = " -> ".join(pattern["sequence"])
        found[key] = _Told("failure", text, pattern["share"], float(low[0]), float(high[0]))
    for o in document.get("optimization_opportunities", {}).get("opportunities", ()):
        told = (o["kind"], tuple(sorted(o["cell"].items())), o["strategy"], o["parameter"], str(o["value"]))
        key = ("opportunity", *told, tuple(o["arms"][:1]), tuple(o["error_codes"]))
        found[key] = _Told("opportunity", o["text"], o["gain"], o["low"], o["high"])
    return found
