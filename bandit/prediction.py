"""``PerformancePrediction``: what an execution is expected to do, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from .. import ieee
from ..features import Value
from ..features.expectations import COVERAGE, AdaptiveScores, Chance, Outlook
from ..features.monitors import BaselineMetrics
from ..features.monitors.performance import Expected as Range

__all__ = [
    "Expected",
    "PerformancePrediction",
    "WorkflowInput",
    "mixed_amount",
    "mixed_success",
    "notes_on",
]

WorkflowInput: TypeAlias = Mapping[str, Value]
"""What is known of a workflow before it runs: a context of the spec's schema."""

_COLD_ROWS, _COLD_SCORES = 10, 20


@dataclass(frozen=True, slots=True)
class Expected:
    """One expected number and its interval; all None where no execution has reported it.

    rows : executions behind it of the arms that are asked about; the rest is lent by other arms.
    scores : recent executions, of any arm, that the interval was calibrated on; 0 for a probability.
    cold : it rests on too little: the interval is wide, and its coverage is the prior's.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int
    scores: int
    cold: bool


@dataclass(frozen=True, slots=True)
class PerformancePrediction:
    """What an execution of ``strategy`` is expected to do.

    Attributes
    ----------
    success : probability of success, and a credible interval for the probability.
    duration_s, cost : seconds and money of one execution, failures and timeouts included: half of the
        executions take more than ``value``; the share ``coverage`` of them lies between ``low`` and ``high``.
    first_seq, state_seq : the rows of the log behind the first and up to the second were known.
    notes : what to keep in mind, in sentences; empty where nothing is missing.
    coverage : nominal share of all three intervals.
    """

    strategy: str
    success: Expected
    duration_s: Expected
    cost: Expected
    first_seq: int
    state_seq: int
    notes: tuple[str, ...]
    coverage: float = COVERAGE

    @property
    def success_probability(self) -> float:
        """Probability of success."""
        return 0.5 if self.success.value is None else self.success.value

    @property
    def cold(self) -> bool:
        """Tell whether any of the three rests on too little."""
        return self.success.cold or self.duration_s.cold or self.cost.cold

    def baseline(self, beside: BaselineMetrics | None = None) -> BaselineMetrics:
        """What ``detect_performance_anomalies`` judges an execution by, where this was predicted of it.

        Seconds and cost as predicted, unless cold; all else from ``beside``, else unknown.
        """
        found = BaselineMetrics({}, {}) if beside is None else beside
        for name, told in (("duration_s", self.duration_s), ("cost", self.cost)):
            if told.value is not None and told.low is not None and told.high is not None and not told.cold:
                found = found.expecting(name, Range(told.value, told.low, told.high), told.scores)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "notes": list(self.notes), "cold": self.cold}


def mixed_success(chances: Sequence[tuple[Chance, float]], rows: int) -> Expected:
    """Probability of success of arms that are used with these weights, which sum to 1."""
    value, low, high = (sum(w * bound[i] for bound, w in chances) for i in range(3))
    return Expected(value, low, high, rows, 0, rows < _COLD_ROWS)


def mixed_amount(
    outlooks: Sequence[tuple[Outlook, float]], scores: AdaptiveScores, smallest: float
) -> Expected:
    """Amount of arms that are used with these weights; amounts up to ``smallest`` are told as 0."""
    if not outlooks:
        return Expected(None, None, None, 0, 0, cold=True)
    below, above = scores.bounds
    if len(outlooks) == 1:
        (only, _), *_ = outlooks
        middle = only.middle
        low, high = middle + below * only.scale, middle + above * only.scale
    else:
        middle, low, high = _mixture(outlooks, scores)
    rows = sum(outlook.rows for outlook, _ in outlooks)
    cold = rows < _COLD_ROWS or scores.scores < _COLD_SCORES

    def amount(log: float) -> float:
        told = ieee.exp(min(log, 100.0))
        return told if told > smallest else 0.0

    return Expected(
        amount(middle), amount(min(low, middle)), amount(max(high, middle)), rows, scores.scores, cold
    )


def _mixture(outlooks: Sequence[tuple[Outlook, float]], scores: AdaptiveScores) -> tuple[float, float, float]:
    """Middle and bounds of a mixture: each arm's scores around its own expectation."""
    sample = scores.sample()
    points = sorted((o.middle + o.scale * z, w / len(sample)) for o, w in outlooks for z in sample)

    def quantile(share: float) -> float:
        total = 0.0
        for point, weight in points:
            total += weight
            if total >= share:
                return point
        return points[-1][0]

    below, above = scores.bounds
    low_level, high_level = scores.levels
    fewest = 1.0 / (len(sample) + 1)
    low = quantile(low_level) if low_level > fewest else min(o.middle + below * o.scale for o, _ in outlooks)
    high = (
        quantile(1.0 - high_level)
        if high_level > fewest
        else max(o.middle + above * o.scale for o, _ in outlooks)
    )
    return quantile(0.5), low, high


def notes_on(strategy: str, success: Expected, duration: Expected, cost: Expected) -> tuple[str, ...]:
    """What to keep in mind about a prediction."""
    notes = []
    if success.rows == 0:
        notes.append(f"no execution of '{strategy}' is known: what is expected is lent by other arms")
    elif success.rows < _COLD_ROWS:
        notes.append(f"only {success.rows} executions of '{strategy}' are known")
    for name, expected in (("duration", duration), ("cost", cost)):
        if expected.value is None:
            notes.append(f"no execution has reported a {name}")
        elif expected.cold:
            notes.append(
                f"the interval of the {name} is wide: it rests on {expected.rows} executions of "
                f"'{strategy}', and {expected.scores} recent ones in all"
            )
    return tuple(notes)
