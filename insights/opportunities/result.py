"""What could be done better, and what is known of it: values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..columns import Cell

__all__ = ["Change", "Evidence", "Kind", "OptimizationOpportunities", "OptimizationOpportunity", "Risk"]

Kind = Literal["strategy", "parameter", "retire", "failure"]


@dataclass(frozen=True, slots=True)
class Change:
    """A further metric under the change, less what it is now: seconds, cost, or the share of successes."""

    metric: str
    now: float
    then: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Risk:
    """What speaks against it.

    worst : lower end of the interval of the gain. ess : executions that the estimate weighs as much as.
    largest_weight : of one execution. offered : share of the executions in question in which the log could
    have gone the new way; the others are left out. level : ``low`` from 100 effective executions on,
    ``moderate`` from 50 on, ``high`` below.
    """

    worst: float
    ess: float
    largest_weight: float
    offered: float
    level: Literal["low", "moderate", "high"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A filter that finds the executions again that the estimate rests on.

    context : values of features; empty for all. arms : that the change leads to (of ``failure``: none).
    error_codes : of ``failure``, in this order. first_seq, last_seq : rows of the log; None where
    executions did not come from one. rows : executions in question; chosen : of these, the ones that went
    the new way. ``docs/how-to/find-patterns.md`` shows the statement that reads them.
    """

    context: Cell
    arms: tuple[str, ...]
    error_codes: tuple[str, ...]
    first_seq: int | None
    last_seq: int | None
    rows: int
    chosen: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "context": dict(self.context)}


@dataclass(frozen=True, slots=True)
class OptimizationOpportunity:
    """One change, and what it is expected to bring.

    kind : ``strategy``: choose ``arms[0]`` in all executions of ``cell``; ``parameter``: give
    ``parameter`` of ``strategy`` the value ``value`` wherever it has another one; ``retire``: choose no
    longer ``arms[0]``, the other arms in the proportions that they have; ``failure``: get rid of the
    failure ``error_codes``. basis : ``doubly_robust``: what another choice would have brought;
    ``association``: what executions without the failure bring more, in the same cell and of the same
    strategy, which need not be its doing. now : mean reward of the executions that would change. gain,
    low, high : of reward for each of these; relative : of ``now``. share : of all executions that would
    change; total : gain × share, by which the opportunities are ranked. p, q : of no gain; the interval is
    at the level that the selection asks for. taken : share of the newest quarter of the executions in
    question that go the new way already. alternatives : other arms that would be such opportunities too.
    """

    kind: Kind
    basis: Literal["doubly_robust", "association"]
    text: str
    cell: Cell
    strategy: str | None
    parameter: str | None
    value: str | float | bool | None
    arms: tuple[str, ...]
    error_codes: tuple[str, ...]
    now: float
    gain: float
    low: float
    high: float
    relative: float | None
    share: float
    total: float
    p: float
    q: float
    taken: float
    changes: tuple[Change, ...]
    risk: Risk
    evidence: Evidence
    alternatives: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "cell": dict(self.cell),
            "arms": list(self.arms),
            "error_codes": list(self.error_codes),
            "changes": [asdict(change) for change in self.changes],
            "risk": asdict(self.risk),
            "evidence": self.evidence.to_dict(),
            "alternatives": list(self.alternatives),
        }

    def to_text(self) -> str:
        """For people."""
        relative = "" if self.relative is None else f" ({self.relative:+.0%})"
        bounds = f"[{self.low:+.3f}, {self.high:+.3f}]{relative}"
        where = f"in {self.share:.1%} of the executions, q {self.q:.2g}"
        lines = [self.text, f"  reward {self.now:.3f} {self.gain:+.3f} {bounds} {where}"]
        lines += [
            f"  {c.metric} {c.now:.4g} -> {c.then:.4g} [{c.low:+.3g}, {c.high:+.3g}]" for c in self.changes
        ]
        r = self.risk
        lines.append(
            f"  risk {r.level}: {r.ess:.0f} effective executions, worst case {r.worst:+.3f},"
            f" {r.offered:.0%} could have gone this way; {self.taken:.0%} of the newest do"
        )
        if self.basis == "association":
            lines.append("  by association: executions without it may differ in more than that")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class OptimizationOpportunities:
    """What was found, the largest total gain first.

    executions : given; usable : of these, with a reward and a known propensity. asked : changes that had
    enough evidence to be asked about; thin : changes that had not. reason : why there is nothing, where
    there is nothing; notes : what limits the answer.
    """

    opportunities: tuple[OptimizationOpportunity, ...]
    by: tuple[str, ...]
    executions: int
    usable: int
    asked: int
    thin: int
    threshold_improvement: float
    min_count: int
    coverage: float
    false_discovery_rate: float
    reason: str | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "by": list(self.by),
            "notes": list(self.notes),
            "opportunities": [each.to_dict() for each in self.opportunities],
        }

    def to_text(self) -> str:
        """For people."""
        head = (
            f"{self.executions:,} executions, {self.usable:,} of them usable; {self.asked:,} changes asked,"
            f" {self.thin:,} with too little evidence"
        )
        reason = [] if self.reason is None else [self.reason]
        return "\n".join([head, *self.notes, *reason, *(each.to_text() for each in self.opportunities)])
