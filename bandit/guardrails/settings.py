"""Which guardrails watch a bandit's outcomes, and when they act: a part of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Self

from ...errors import DocumentInvalid, SpecInvalid, shown

__all__ = ["METRICS", "Breaker", "Budget", "Guardrails", "Service"]

METRICS = ("duration_s", "tokens", "input_tokens", "output_tokens", "cost", "retries", "agents_failed")
"""Fields of an ``Outcome`` that a limit or a budget may be about."""

_MAX_ROWS = 10_000


class _Document:
    """Settings as plain JSON: every field by its name."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_dict`` wrote; ``DocumentInvalid`` for anything else."""
        try:
            return cls(**document)
        except TypeError as error:
            raise DocumentInvalid(
                f"'{cls.__name__}' of the guardrails cannot be read",
                expected=f"an object with {', '.join(f.name for f in fields(cls))}",  # type: ignore[arg-type]
                found=shown(document),
                fix="write the document with the version that reads it",
            ) from error


@dataclass(frozen=True, slots=True)
class Breaker(_Document):
    """A circuit breaker for each arm.

    Parameters
    ----------
    window, failures : it opens when so many of an arm's last ``window`` outcomes failed.
    cooldown_s : the arm is not chosen for so long; then it is half open: probed.
    probe_share : mass of the arm while it is half open, at most.
    probes : so many outcomes in a row that did not fail close it; one that failed opens it again.
    limits : guardrail metrics beside the reward: an outcome that reports more of one than its limit has
        failed, whatever its reward. Names of ``METRICS``.

    Raises
    ------
    SpecInvalid : a value outside its domain.
    """

    window: int = 10
    failures: int = 5
    cooldown_s: float = 60.0
    probe_share: float = 0.05
    probes: int = 3
    limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _whole(self, "window", 1, _MAX_ROWS)
        _whole(self, "failures", 1, self.window)
        _whole(self, "probes", 1, _MAX_ROWS)
        _number(self, "cooldown_s", 0.0, 1e9)
        _number(self, "probe_share", 0.0, 1.0)
        limits = self.limits
        good = isinstance(limits, Mapping) and all(name in METRICS for name in limits)
        if not good or not all(_is_number(limit) and 0.0 <= limit < 1e18 for limit in limits.values()):
            raise _unusable(self, "limits", f"numbers >= 0 for some of {', '.join(METRICS)}", limits)
        ordered = {name: float(limits[name]) for name in sorted(limits)}
        object.__setattr__(self, "limits", MappingProxyType(ordered))

    def __hash__(self) -> int:
        return hash(
            (self.window, self.failures, self.cooldown_s, self.probe_share, tuple(self.limits.items()))
        )


@dataclass(frozen=True, slots=True)
class Service(_Document):
    """The baseline arm is served while the learner is not credibly at least as good; see ``comparison``.

    Parameters
    ----------
    shares : of decisions that the learner serves, step by step; the rest are the baseline arm's. Two steps
        compare with the baseline and switch over, more let an apprentice take over by degrees.
    delta : probability of ever leaving a step upward while the learner is worse than the baseline arm.
    back : 1/back rewards lie between two steps back, on average at least, while it is not worse.
    tolerance : what the learner's own reward may lack for "at least as good", for each decision.
    agreement : an apprentice's: the first step is left also once the learner would itself have earned this
        share of what the baseline arm earned, by choosing it. None: only by the comparison.
    rows : rewards that a step lasts at least.

    Raises
    ------
    SpecInvalid : a value outside its domain.
    """

    shares: tuple[float, ...] = (0.2, 0.9)
    delta: float = 0.05
    back: float = 0.005
    tolerance: float = 0.01
    agreement: float | None = None
    rows: int = 20

    def __post_init__(self) -> None:
        shares = self.shares
        good = isinstance(shares, (tuple, list)) and len(shares) > 1
        if not good or not all(_is_number(share) and 0.0 < share < 1.0 for share in shares):
            raise _unusable(self, "shares", "at least two numbers above 0 and below 1", shares)
        if any(a >= b for a, b in pairwise(shares)):
            raise _unusable(self, "shares", "numbers that grow", shares)
        object.__setattr__(self, "shares", tuple(map(float, shares)))
        _number(self, "delta", 1e-9, 0.5)
        _number(self, "back", 1e-9, 0.5)
        _number(self, "tolerance", 0.0, 0.5)
        _whole(self, "rows", 1, _MAX_ROWS)
        if self.agreement is not None:
            _number(self, "agreement", 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Budget(_Document):
    """So much of a metric may be used in each window of time, of all arms but the baseline arm.

    Parameters
    ----------
    name : of the budget. metric : one of ``METRICS``.
    limit : in the metric's unit, for each window of ``window_s`` seconds, counted from 1970.
    hard : False: what outcomes report is counted, and when the limit is reached, the arms are not chosen
        until the window ends. What runs then still ends: the limit may be passed by that much. True: an
        execution reserves its maximum before it starts (``engine.reserve``): held and spent together never
        pass the limit.

    Raises
    ------
    SpecInvalid : a value outside its domain.
    """

    name: str
    metric: str = "cost"
    limit: float = 1.0
    window_s: float = 86_400.0
    hard: bool = False

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
            raise _unusable(self, "name", "a printable text of 1 to 100 characters", name)
        if self.metric not in METRICS:
            raise _unusable(self, "metric", f"one of {', '.join(METRICS)}", self.metric)
        if type(self.hard) is not bool:
            raise _unusable(self, "hard", "True or False", self.hard)
        _number(self, "limit", 0.0, 1e12)
        _number(self, "window_s", 1e-3, 1e12)

    def window(self, time: float) -> tuple[float, float]:
        """Begin and end of the window that a time lies in."""
        begin = time // self.window_s * self.window_s
        return begin, begin + self.window_s


@dataclass(frozen=True, slots=True)
class Guardrails:
    """What watches a bandit's outcomes and limits its choices.

    >>> Guardrails(breaker=Breaker(window=4, failures=3)).to_dict()["breaker"]["failures"]
    3

    Raises
    ------
    SpecInvalid : nothing is to watch, or two budgets have one name.
    """

    breaker: Breaker | None = None
    service: Service | None = None
    budgets: tuple[Budget, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "budgets", tuple(self.budgets))
        kinds = (
            (self.breaker, Breaker),
            (self.service, Service),
            *((budget, Budget) for budget in self.budgets),
        )
        good = all(part is None or isinstance(part, kind) for part, kind in kinds)
        good = good and None not in self.budgets
        if not good or (self.breaker is None and self.service is None and not self.budgets):
            raise _unusable(self, "parts", "a Breaker, a Service, or some Budget", kinds)
        names = [budget.name for budget in self.budgets]
        if len(set(names)) < len(names):
            raise _unusable(self, "budgets", "names that differ", names)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "breaker": None if self.breaker is None else self.breaker.to_dict(),
            "service": None if self.service is None else self.service.to_dict(),
            "budgets": [budget.to_dict() for budget in self.budgets],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Guardrails:
        """What ``to_dict`` wrote."""
        breaker, service = document["breaker"], document["service"]
        return cls(
            None if breaker is None else Breaker.from_dict(breaker),
            None if service is None else Service.from_dict(service),
            tuple(Budget.from_dict(budget) for budget in document["budgets"]),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(settings: object, name: str, low: int, high: int) -> None:
    value = getattr(settings, name)
    if type(value) is not int or not low <= value <= high:
        raise _unusable(settings, name, f"a whole number from {low} to {high}", value)


def _number(settings: object, name: str, low: float, high: float) -> None:
    value = getattr(settings, name)
    if not _is_number(value) or not low <= value <= high:
        raise _unusable(settings, name, f"a number from {low:g} to {high:g}", value)
    object.__setattr__(settings, name, float(value))


def _unusable(settings: object, name: str, expected: str, found: object) -> SpecInvalid:
    return SpecInvalid(
        f"'{name}' of {type(settings).__name__} is unusable",
        expected=expected,
        found=shown(found, 100),
        fix=f"correct {name}",
    )
