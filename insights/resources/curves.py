"""Curves of resources and their knees, as ``analyze_resource_patterns`` finds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Beyond", "Level", "ResourcePattern", "ResourcePatterns"]


@dataclass(frozen=True, slots=True)
class Level:
    """A value of the resource: ``n`` executions, and success or reward there with its interval."""

    value: float
    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Beyond:
    """What going from the knee to the largest value brings and takes, for each execution, with intervals.

    metric : ``duration_s``, ``cost``, or what the curve is of.
    """

    metric: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ResourcePattern:
    """One curve and its knee.

    kind : ``chosen`` or ``reached``. name : of the parameter, or ``duration_s`` or ``retries``. metric :
    ``success`` or ``reward``. levels : the curve; of a long one some of its steps. knee : smallest value
    within ``margin`` of the best, between knee_low and knee_high; None where nothing says that values
    differ. best : mean at the best value. p, q : of no difference between the values; None for ``reached``
    curves, which always rise. censored : executions that a timeout or a limit cut. adjusted : weighted by
    known propensities. beyond : what more than the knee costs. reason : why there is no knee.
    """

    kind: Literal["chosen", "reached"]
    strategy: str
    name: str
    metric: Literal["success", "reward"]
    n: int
    levels: tuple[Level, ...]
    knee: float | None
    knee_low: float | None
    knee_high: float | None
    best: float
    margin: float
    p: float | None
    q: float | None
    censored: int
    adjusted: bool
    beyond: tuple[Beyond, ...]
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "levels": [asdict(level) for level in self.levels],
            "beyond": [asdict(each) for each in self.beyond],
        }

    def to_text(self) -> str:
        """For people."""
        what = f"{self.strategy}, {self.metric} by {self.name}"
        if self.kind == "reached":
            what = f"{self.strategy}, {self.metric} within {self.name}"
        if self.knee is None:
            return f"{what}: {self.reason}"
        line = (
            f"{what}: knee at {self.knee:.4g} [{self.knee_low:.4g}, {self.knee_high:.4g}], within"
            f" {self.margin:g} of the best ({self.best:.3f})"
        )
        lines = [line]
        lines += [
            f"  beyond it: {b.metric} {b.difference:+.4g} [{b.low:+.4g}, {b.high:+.4g}]" for b in self.beyond
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ResourcePatterns:
    """All curves, by strategy and name. thin : those with too few executions. reason : why there are none."""

    patterns: tuple[ResourcePattern, ...]
    executions: int
    thin: int
    margin: float
    min_count: int
    coverage: float
    false_discovery_rate: float
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "patterns": [pattern.to_dict() for pattern in self.patterns],
        }

    def to_text(self) -> str:
        """For people."""
        head = f"{self.executions:,} executions, {len(self.patterns)} curves of resources"
        reason = [] if self.reason is None else [self.reason]
        return "\n".join([head, *reason, *(pattern.to_text() for pattern in self.patterns)])
