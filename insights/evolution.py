"""How patterns come and go: what appeared, strengthened, weakened or faded from one stored version to the
next.

A pattern is known by what it says (a strategy that is better at a metric in a cell; a sequence of errors; a
change that would bring more), not by its numbers. *Appeared*: it was not told in the version before;
*faded*: it was, and is not any more; *strengthened* or *weakened*: its strength d differs from the one d' of
the version before by more than the two estimates' errors, at a false discovery rate over all patterns that
both versions tell; *steady* otherwise. The difference's interval is made of the two estimates' own:

    (d − d')  −  √((d − l)² + (u' − d')²)  to  (d − d')  +  √((u − d)² + (d' − l')²)

Versions that share executions are more alike than this reckons with: it errs on the side of *steady*. What
appeared or faded is told with the same difference where both versions have an estimate: one that was near
the border comes and goes without a change.

References
----------
Donner & Zou (2012), Statistical Methods in Medical Research 21(4), for intervals made of intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from ..simulation.offpolicy.intervals import wilson
from .evidence import adjusted

__all__ = ["PatternChange", "PatternEvolution", "TrackedPattern", "pattern_evolution"]

Key = tuple[Any, ...]
State = Literal["appeared", "strengthened", "weakened", "faded", "steady"]
Kind = Literal["strategy", "failure", "opportunity"]

_RATIOS = ("duration_s", "cost")
_DOUBT = 0.05
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A strength with its 95 % interval."""

    strength: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Version:
    """The patterns that a version tells, by key; and estimates of some that it does not tell."""

    told: dict[Key, tuple[Kind, str]]
    estimates: dict[Key, _Estimate]


@dataclass(frozen=True, slots=True)
class PatternChange:
    """A version, what became of the pattern in it, and its strength there; None where it is not told.

    difference, low, high, p : strength less that of the version before, with its 95 % interval; q : p among
    all patterns that both versions tell; of what appeared or faded, None. None where one of them has no
    estimate.
    """

    version: int
    state: State
    strength: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None


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
            + _doubt(p.history[-1])
            for p in self.patterns
        ]
        return "\n".join([head, *reason, *lines])


def pattern_evolution(
    snapshots: Sequence[tuple[int, Mapping[str, Any]]], *, false_discovery_rate: float = 0.05
) -> PatternEvolution:
    """Follow every pattern through stored versions.

    snapshots : version and metadata document (of ``strategy_patterns``, ``failure_patterns`` and
    ``optimization_opportunities``, as their results' ``to_dict`` has them), in their order.
    false_discovery_rate : of patterns that strengthened or weakened, from each version to the next.
    """
    versions = [version for version, _ in snapshots]
    read = [_version(document) for _, document in snapshots]
    history: dict[Key, list[PatternChange]] = {}
    before = _Version({}, {})
    for version, now in zip(versions, read, strict=True):
        for key, change in _changes(version, before, now, false_discovery_rate).items():
            history.setdefault(key, []).append(change)
        before = now
    found = []
    for key, changes in history.items():
        where = [v for v, one in zip(versions, read, strict=True) if key in one.told]
        newest = changes[-1]
        state = newest.state if newest.version == versions[-1] else "faded"
        kind, text = next(one.told[key] for one in read[::-1] if key in one.told)
        found.append(TrackedPattern(kind, text, state, where[0], where[-1], tuple(changes)))
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


def _doubt(change: PatternChange) -> str:
    chance = change.state in ("appeared", "faded") and change.p is not None and change.p > _DOUBT
    return ", by a change that is not told from chance" if chance else ""


def _changes(version: int, before: _Version, now: _Version, rate: float) -> dict[Key, PatternChange]:
    """What became of each pattern that one of two versions tells."""
    found: dict[Key, PatternChange] = {}
    for key in dict.fromkeys((*before.told, *now.told)):
        old, new = before.estimates.get(key), now.estimates.get(key)
        state: State = "faded" if key not in now.told else "steady" if key in before.told else "appeared"
        strength = new.strength if new is not None and key in now.told else None
        change = PatternChange(version, state, strength)
        found[key] = change if old is None or new is None else _compared(change, old, new)
    both = {
        key: change.p for key, change in found.items() if change.state == "steady" and change.p is not None
    }
    for key, q in zip(both, adjusted(list(both.values())), strict=True):
        moved: State = "steady"
        if q <= rate:
            # A larger loss is a stronger pattern, too.
            grown = abs(now.estimates[key].strength) > abs(before.estimates[key].strength)
            moved = "strengthened" if grown else "weakened"
        found[key] = replace(found[key], state=moved, q=q)
    return found


def _compared(change: PatternChange, old: _Estimate, new: _Estimate) -> PatternChange:
    d = new.strength - old.strength
    below = math.hypot(new.strength - new.low, old.high - old.strength)
    above = math.hypot(new.high - new.strength, old.strength - old.low)
    reach = below if d > 0.0 else above
    p = 1.0 if d == 0.0 or reach <= 0.0 else 2.0 * float(ndtr(-_Z * abs(d) / reach))
    return replace(change, difference=d, low=d - below, high=d + above, p=p)


def _version(document: Mapping[str, Any]) -> _Version:
    told: dict[Key, tuple[Kind, str]] = {}
    estimates: dict[Key, _Estimate] = {}
    strategies = document.get("strategy_patterns", {})
    scale = _Z / float(ndtri(0.5 + strategies.get("coverage", 0.95) / 2.0))
    for pattern in strategies.get("patterns", ()):
        cell = pattern["cell"]
        where = ", ".join(f"{name} {value}" for name, value in cell.items())
        for m in pattern["metrics"]:
            if m["effect"] is None:
                continue
            numbers = [m["effect"], m["effect_low"], m["effect_high"]]
            if m["metric"] in _RATIOS:
                numbers = [math.log(max(x, 1e-300)) for x in numbers]
            middle, low, high = numbers
            for finding in ("higher", "lower"):
                key: Key = (
                    "strategy",
                    pattern["strategy"],
                    tuple(sorted(cell.items())),
                    m["metric"],
                    finding,
                )
                estimates[key] = _Estimate(
                    middle, middle + scale * (low - middle), middle + scale * (high - middle)
                )
                if m["finding"] == finding:
                    name = f"{pattern['strategy']}{f', {where}' if where else ''}"
                    told[key] = ("strategy", f"{name}: {m['metric']} {finding}")
    failures = document.get("failure_patterns", {})
    whole = failures.get("executions", 0)
    for pattern in (*failures.get("sequences", ()), *failures.get("codes", ())):
        n = pattern["occurrences"]
        low, high = (float(x[0]) for x in wilson(np.array([float(n)]), np.array([float(max(n, whole))]), _Z))
        key = "failure", tuple(pattern["sequence"])
        told[key] = ("failure", " -> ".join(pattern["sequence"]))
        estimates[key] = _Estimate(pattern["share"], low, high)
    for o in document.get("optimization_opportunities", {}).get("opportunities", ()):
        what = (o["kind"], tuple(sorted(o["cell"].items())), o["strategy"], o["parameter"], str(o["value"]))
        key = ("opportunity", *what, tuple(o["arms"][:1]), tuple(o["error_codes"]))
        told[key] = ("opportunity", o["text"])
        # Its interval holds after a selection and is at least as wide as the one of 95 %.
        estimates[key] = _Estimate(o["gain"], o["low"], o["high"])
    return _Version(told, estimates)
