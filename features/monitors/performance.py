"""What one execution reported of its performance, what history lets expect, and what is odd about it.

``detect_performance_anomalies`` compares one execution with a table of earlier ones, without a context or an
order; the monitor of a bandit (``anomalies``) also knows the context and follows moving levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from ... import ieee
from ...errors import InputInvalid, shown
from . import tails

__all__ = [
    "ALERT_Z",
    "METRICS",
    "WARN_Z",
    "Anomaly",
    "BaselineMetrics",
    "Expected",
    "PerformanceMetrics",
    "detect_performance_anomalies",
    "severity_of",
]

METRICS = ("duration_s", "tokens", "cost", "quality", "retries", "errors")
"""All of them are odd on the high side, but quality, which is odd on the low side."""
WARN_Z, ALERT_Z, CRITICAL_Z = 3.0, 3.9, 4.5
RANGE_Z = 1.96
TAIL_PRIOR, TAIL_ROWS = 0.15, 600.0
COUNT_DISPERSION = 1.2
_FLOORS = {"duration_s": 0.001, "tokens": 1.0, "cost": 1e-6}
_LEAST_SCALE = 0.05
_EDGE = 0.001
_UNIT = 1.0 / 65536.0
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class PerformanceMetrics:
    """What one execution reported; None: not reported.

    duration_s : seconds. tokens, retries : counts. cost : money. quality : in [0, 1]. errors : errors met, of
    one execution (a failed one has at least one).

    >>> PerformanceMetrics(duration_s=12.5, retries=1).reported()
    {'duration_s': 12.5, 'retries': 1.0}

    Raises
    ------
    InputInvalid : a value that is negative, no finite number, or a quality above 1.
    """

    duration_s: float | None = None
    tokens: float | None = None
    cost: float | None = None
    quality: float | None = None
    retries: float | None = None
    errors: float | None = None

    def __post_init__(self) -> None:
        for name in METRICS:
            value = getattr(self, name)
            if value is not None and not _usable(name, value):
                raise InputInvalid(
                    f"'{name}' of an execution cannot be judged",
                    expected="a finite number in [0, 1]" if name == "quality" else "a finite number >= 0",
                    found=shown(value),
                    fix="correct it, or leave it out where it was not measured",
                )

    def reported(self) -> dict[str, float]:
        """The metrics that were reported."""
        return {name: float(getattr(self, name)) for name in METRICS if getattr(self, name) is not None}

    @classmethod
    def from_outcome(cls, outcome: Mapping[str, Any] | None) -> PerformanceMetrics:
        """Metrics of an outcome as ``Outcome.to_dict`` writes it; what cannot be used counts as missing."""
        if outcome is None:
            return cls()
        found = {name: outcome.get(name) for name in METRICS}
        both = (outcome.get("input_tokens"), outcome.get("output_tokens"))
        if found["tokens"] is None and None not in both:
            found["tokens"] = sum(both)  # type: ignore[arg-type]
        if isinstance(outcome.get("success"), bool):
            found["errors"] = float(not outcome["success"])
        return cls(**{name: value for name, value in found.items() if _usable(name, value)})

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PerformanceMetrics:
        """The metrics of a mapping.

        Raises
        ------
        InputInvalid : an unknown metric, or an unusable value.
        """
        unknown = sorted(set(map(str, document)) - set(METRICS))
        if unknown:
            raise InputInvalid(
                "an execution reports a metric that is unknown",
                expected=f"some of {', '.join(METRICS)}",
                found=shown(unknown),
                fix="rename it, or leave it out",
            )
        return cls(**document)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one metric: its middle, and the range of 95 % of executions."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An execution that is odd.

    metric : the one that is furthest out. value : what was reported (``errors``, in a stream: failures among
    the last 9). expected : range of 95 % of executions. z : how odd, as standard deviations of a normal that
    are as rare. severity : ``warning`` (z >= 3), ``alert`` (3.9) or ``critical`` (4.5). also : other metrics
    of the same execution that are odd, with their z.
    """

    metric: str
    value: float
    expected: Expected
    z: float
    severity: str
    also: Mapping[str, float]

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        told = f"{self.metric} {self.value:.4g}, expected {self.expected.low:.4g} to {self.expected.high:.4g}"
        others = f"; also {', '.join(self.also)}" if self.also else ""
        return f"{told} ({self.severity}, z {self.z:.1f}{others})"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        document = {f.name: getattr(self, f.name) for f in fields(self)}
        middle = self.expected
        document["expected"] = {"middle": middle.middle, "low": middle.low, "high": middle.high}
        return {**document, "also": dict(self.also), "text": self.text}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Anomaly:
        """The anomaly of a mapping that holds what ``to_dict`` wrote, and perhaps more."""
        own = {f.name: document[f.name] for f in fields(cls)}
        return cls(**{**own, "expected": Expected(**document["expected"])})


@dataclass(frozen=True, slots=True)
class BaselineMetrics:
    """What history lets expect of each metric: quantiles of what was reported.

    quantiles : by metric, (2 %, 5 %, 25 %, 50 %, 75 %) from its good side, on the scale on which it is judged
    (logarithms; the logit of a quality, negated); of counts, (mean, variance over mean). rows : how many
    executions reported it.
    """

    quantiles: Mapping[str, tuple[float, ...]]
    rows: Mapping[str, int]

    @classmethod
    def from_history(cls, history: Iterable[PerformanceMetrics]) -> BaselineMetrics:
        """Summarise earlier executions. A metric that fewer than 20 reported has no baseline."""
        columns: dict[str, list[float]] = {name: [] for name in METRICS}
        for metrics in history:
            for name, value in metrics.reported().items():
                columns[name].append(value if name in ("retries", "errors") else scaled(name, value))
        kept = {name: values for name, values in columns.items() if len(values) >= _FEWEST}
        quantiles = {
            name: _count_moments(values) if name in ("retries", "errors") else _quantiles(sorted(values))
            for name, values in kept.items()
        }
        return cls(quantiles, {name: len(values) for name, values in kept.items()})

    def expecting(self, name: str, expected: Expected, rows: int) -> BaselineMetrics:
        """The same baseline, but for one metric that is expected in a range of nine executions of ten.

        ``name`` : duration_s, tokens or cost. ``rows`` : executions that the range rests on. Between the
        range's ends and its middle, values are taken to be normal.
        """
        low, middle, high = (scaled(name, v) for v in (expected.low, expected.middle, expected.high))
        below, above = ((end - middle) / 1.6449 for end in (low, high))
        quantiles = (
            middle + 2.0537 * below,
            low,
            middle + 0.6745 * below,
            middle,
            middle + 0.6745 * above,
        )
        return BaselineMetrics({**self.quantiles, name: quantiles}, {**self.rows, name: rows})


def detect_performance_anomalies(
    current_metrics: PerformanceMetrics, historical_baseline: BaselineMetrics
) -> list[Anomaly]:
    """What is odd about an execution beside earlier ones: an anomaly a metric with z >= 3, oddest first.

    Metrics that were not reported, or of which fewer than 20 earlier executions tell, are not judged.

    >>> history = [PerformanceMetrics(duration_s=10.0 + i % 7) for i in range(60)]
    >>> baseline = BaselineMetrics.from_history(history)
    >>> [a.text for a in detect_performance_anomalies(PerformanceMetrics(duration_s=300.0), baseline)]
    ['duration_s 300, expected 7.147 to 23.65 (critical, z 4.6)']
    """
    found = []
    for name, value in current_metrics.reported().items():
        if name not in historical_baseline.quantiles:
            continue
        summary, rows = historical_baseline.quantiles[name], historical_baseline.rows[name]
        if name in ("retries", "errors"):
            z, expected = count_anomaly(round(value), summary[0], summary[1])
        else:
            two, five, quarter, middle, three = summary
            low, high = middle - quarter, three - middle
            scale = max(low, 0.5 * (low + high), 0.9 * high) / 0.6745
            scale = max(scale, _LEAST_SCALE) * (1.0 + 5.0 / rows)
            reach = 0.205 * (middle - five) + 0.1642 * (middle - two)
            reach = 2.0 * reach / max(low + high, 1.349 * _LEAST_SCALE)
            inverse = tails.degrees(reach, rows, TAIL_PRIOR, TAIL_ROWS)
            z = tails.student_z(scaled(name, value) - middle, scale, inverse)
            expected = expected_range(name, middle, scale, inverse)
        if z >= WARN_Z:
            found.append(Anomaly(name, value, expected, z, severity_of(z), {}))
    return sorted(found, key=lambda anomaly: -anomaly.z)


def severity_of(z: float) -> str:
    """``warning``, ``alert`` or ``critical``."""
    return "critical" if z >= CRITICAL_Z else "alert" if z >= ALERT_Z else "warning"


def expected_range(name: str, middle: float, scale: float, inverse: float) -> Expected:
    """The range of 95 %, from a middle and a spread on the scale on which a metric is judged."""
    half = tails.student_t(RANGE_Z, scale, inverse)
    low, high = unscaled(name, middle - half), unscaled(name, middle + half)
    return Expected(unscaled(name, middle), min(low, high), max(low, high))


def count_anomaly(count: int, mean: float, dispersion: float) -> tuple[float, Expected]:
    """Normal-equivalent of a count, and the range that is expected."""
    high = 0
    while high < 1000 and tails.count_z(high + 1, mean, dispersion) < RANGE_Z:
        high += 1
    z = tails.count_z(count, mean, dispersion) if count > mean else 0.0
    return z, Expected(mean, 0.0, float(high))


def scaled(name: str, value: float) -> float:
    """A metric as it is judged: high is bad; in multiples of 2⁻¹⁶."""
    if name == "quality":
        clipped = min(max(value, _EDGE), 1.0 - _EDGE)
        y = ieee.log((1.0 - clipped) / clipped)
    else:
        y = ieee.log(max(value, _FLOORS[name]))
    return round(y * 65536.0) * _UNIT


def unscaled(name: str, y: float) -> float:
    """The metric that ``scaled`` takes to ``y``."""
    e = ieee.exp(min(max(y, -60.0), 60.0))
    return 1.0 / (1.0 + e) if name == "quality" else e


def _usable(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isfinite(value) and 0.0 <= value <= (1.0 if name == "quality" else 1e15)


def _quantiles(ordered: list[float]) -> tuple[float, ...]:
    def at(q: float) -> float:
        f = q * (len(ordered) - 1)
        i = min(int(f), len(ordered) - 2)
        return ordered[i] + (f - i) * (ordered[i + 1] - ordered[i])

    return tuple(at(q) for q in (0.02, 0.05, 0.25, 0.5, 0.75))


def _count_moments(values: list[float]) -> tuple[float, float]:
    n = len(values)
    mean = max(sum(values) / n, 0.05)
    squares = sum(min(16.0, (v - mean) * (v - mean) / mean) for v in values)
    return mean, max(1.05, (squares + 20.0 * COUNT_DISPERSION) / (n + 20.0))
