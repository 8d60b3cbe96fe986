"""The monitors of one bandit, fed with its rows in the order of the sequence.

    rewards    shifts given the context, of an arm or of all arms of a strategy → new epochs of these arms
    durations  shifts given the context, of an arm                              → what is expected starts anew
    contexts   new categories, moved features                                   → a warning
    anomalies  single executions that are odd given the context                 → an alert, or held back

Only a decision's first contribution is watched: corrections and retractions change the sums from their own
number on, never past alarms. Behind an alarm the rows of the present epoch say nothing new; the monitor goes
on with the first row of the epoch that the alarm's event begins. So what it finds depends on nothing but the
rows of the log, wherever the events of its alarms stand among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from ..errors import DocumentInvalid, InputInvalid, shown
from ..features import Encoder
from ..features.monitors import (
    AlertBudget,
    Anomaly,
    AnomalyMonitor,
    ContextMonitor,
    DurationMonitor,
    Monitors,
    PerformanceMetrics,
    Shift,
    ShiftMonitor,
)
from .contribution import first_contribution
from .events import ALARM, EPOCH, EventRow
from .log import LogRow, RewardRow, check_turn
from .space import ArmSpace
from .spec import BanditSpec

__all__ = ["Observation", "Watch"]

_REMEMBERING = ("reward", "duration", "anomaly")


class Observation(NamedTuple):
    """A first contribution, as monitors see it: ``unit`` is its row of the sums, ``reward`` in units of 2⁻¹⁶.

    ``duration_s``, ``outcome`` : None where they were not reported.
    ``time`` : of the row, in seconds since 1970; None where nobody told it.
    """

    seq: int
    unit: int
    epoch: int
    phi: Sequence[int]
    reward: int
    duration_s: float | None
    outcome: Mapping[str, Any] | None = None
    time: float | None = None


class Watch:
    """Feeds a spec's monitors, and turns what they find into events."""

    def __init__(self, spec: BanditSpec) -> None:
        if spec.monitors is None:
            raise InputInvalid(
                f"nothing watches bandit '{spec.name}'",
                expected="a spec with monitors",
                found="monitors=None",
                fix="BanditSpec(…, monitors=Monitors())",
            )
        self._spec, self._arms = spec, spec.arms
        self._settings: Monitors = spec.monitors
        self._encoder = Encoder(spec.context)
        dimension = self._encoder.dimension + self._arms.extra
        self._dimension = dimension
        spans = (
            [range(unit, unit + 1) for unit in range(len(self._arms))]
            if isinstance(self._arms, ArmSpace)
            else list(self._arms.spans.values())
        )
        self._spans = spans
        self._strategy_of = [i for i, span in enumerate(spans) for _ in span]
        self._shifts: dict[int, ShiftMonitor] = {}
        self._durations: dict[int, DurationMonitor] = {}
        self._contexts = ContextMonitor(self._encoder.column_names)
        self._anomalies: dict[int, AnomalyMonitor] = {}
        self._budget = AlertBudget(self._settings.alerts_a_day)
        self._epochs = [0] * len(self._arms)
        self._renamed = frozenset(self._arms.former.values())
        self._waiting: set[int] = set()  # units with an alarm whose epoch has not begun
        self._starts: Mapping[str, Mapping[int, int]] = {name: {} for name in _REMEMBERING}
        self.seq = 0
        """Last row that was taken in."""

    @property
    def epochs(self) -> tuple[int, ...]:
        """Number of each unit's present epoch."""
        return tuple(self._epochs)

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> list[EventRow]:
        """Take the next row of the log in; returns what is concluded behind it, without numbers.

        ``context`` : the decision's, needed where φ was made by another encoding.

        Raises
        ------
        InputInvalid : the row is not the next one; nothing has changed.
        """
        check_turn(row.seq, self.seq, "monitors")
        if isinstance(row, EventRow):
            self.note(row)
            return []
        seen = self._seen(row, context)
        self.seq = row.seq
        return [] if seen is None else self._judged(seen)

    def observe(self, seen: Observation) -> list[EventRow]:
        """``absorb`` for a first contribution that needs no decoding."""
        check_turn(seen.seq, self.seq, "monitors")
        self.seq = seen.seq
        return self._judged(seen)

    def skip(self, seq: int) -> None:
        """Take in a row that no monitor looks at."""
        check_turn(seq, self.seq, "monitors")
        self.seq = seq

    def note(self, event: EventRow) -> None:
        """Take in an event of the log: the epochs that it begins."""
        check_turn(event.seq, self.seq, "monitors")
        for name, epoch in event.epochs.items():
            unit = self._unit(name)
            if unit is None:
                continue
            if unit not in self._waiting and self._settings.reward:  # somebody else's conclusion
                self._forget(unit)
            self._waiting.discard(unit)
            # A process with the arm's former name may count behind: an epoch that is over does not come back.
            renamed = unit in self._renamed
            self._epochs[unit] = max(epoch, self._epochs[unit]) if renamed else epoch
        self.seq = event.seq

    def recall(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Remember a row that was taken in before ``progress`` was written, which stands behind ``first``."""
        seen = None if isinstance(row, EventRow) else self._seen(row, context)
        if seen is None:
            return
        start = self._starts["reward"].get(self._strategy_of[seen.unit])
        if start is not None and seen.seq >= start and self._counts(seen):
            self._shift(seen.unit).add(seen.seq, self._place(seen.unit), seen.phi, seen.reward)
        start = self._starts["duration"].get(seen.unit)
        if start is not None and seen.seq >= start and seen.duration_s is not None:
            self._duration(seen.unit).add(seen.seq, seen.phi, seen.duration_s, judge=False)
        start = self._starts["anomaly"].get(self._strategy_of[seen.unit])
        if start is not None and seen.seq >= start:
            self._odd(seen)

    def progress(self) -> dict[str, Any]:
        """All that is needed, beside the rows from ``first_needed`` on, to continue: plain JSON.

        A cache: a fresh ``Watch`` that is fed the whole log comes to the same state.
        """
        shifts = {str(i): m.start for i, m in self._shifts.items() if m.start is not None}
        durations = {str(i): m.start for i, m in self._durations.items() if m.start is not None}
        anomalies = {str(i): m.start for i, m in self._anomalies.items() if m.start is not None}
        return {
            "seq": self.seq,
            "epochs": list(self._epochs),
            "waiting": sorted(self._waiting),
            "reward": dict(sorted(shifts.items())),
            "duration": dict(sorted(durations.items())),
            "anomaly": dict(sorted(anomalies.items())),
            "alerts": list(self._budget.sent),
            "context": self._contexts.to_dict(),
        }

    @property
    def first_needed(self) -> int:
        """The oldest row that is needed, beside ``progress``, to continue."""
        starts = [m.start for m in self._shifts.values()] + [m.start for m in self._durations.values()]
        starts += [m.start for m in self._anomalies.values()]
        return min([start for start in starts if start is not None], default=self.seq + 1)

    def begin_at(self, seq: int, events: Sequence[EventRow]) -> None:
        """Start behind row ``seq`` without the rows before it; ``events`` are those among them."""
        for event in events:
            for name, epoch in event.epochs.items():
                unit = self._unit(name)
                if unit is not None:
                    self._epochs[unit] = epoch
            if event.consequence.get("alert") == "sent":
                self._budget.take(event.evidence.get("time"))
        self.seq = seq

    def restore(self, document: Mapping[str, Any]) -> int:
        """Continue from what ``progress`` wrote; returns the first row to ``recall``, up to its ``seq``.

        Raises
        ------
        DocumentInvalid : it is damaged, or of another spec; nothing has changed.
        """
        try:
            document = {"anomaly": {}, "alerts": [], **document}  # older progress does not name them
            seq, epochs = document["seq"], list(document["epochs"])
            waiting = set(document["waiting"])
            starts = {
                name: {int(key): start for key, start in document[name].items()} for name in _REMEMBERING
            }
            rows: list[int] = [row for by_unit in starts.values() for row in by_unit.values()]
            units = len(self._arms)
            good = len(epochs) == units and all(type(e) is int and e >= 0 for e in epochs)
            good = good and all(type(w) is int and 0 <= w < units for w in waiting)
            good = good and type(seq) is int and all(type(row) is int and 0 < row <= seq for row in rows)
            good = good and all(0 <= i < len(self._spans) for i in starts["reward"])
            good = good and all(0 <= i < len(self._spans) for i in starts["anomaly"])
            good = good and all(0 <= i < units for i in starts["duration"])
            alerts, contexts = [float(time) for time in document["alerts"]], document["context"]
            good = good and all(isfinite(time) for time in alerts)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            good = False
        if not good:
            raise DocumentInvalid(
                "the progress of the monitors cannot be read",
                expected=f"what Watch.progress() wrote for {len(self._arms)} arms",
                found=shown(document),
                fix="remove it: the monitors are computed again from the log",
            )
        self._contexts.restore(contexts)
        self._epochs, self._waiting, self._starts = epochs, waiting, starts
        self._shifts, self._durations, self._anomalies, self.seq = {}, {}, {}, seq
        self._budget = AlertBudget(self._settings.alerts_a_day, alerts)
        return min([*rows, self.seq + 1])

    def _seen(self, row: LogRow, context: Mapping[str, Any] | None) -> Observation | None:
        seen = first_contribution(row, context, self._spec, self._encoder)
        if seen is None or not isinstance(row, RewardRow) or row.units is None:
            return None
        unit, phi = seen
        duration_s = _duration(row.outcome)
        return Observation(row.seq, unit, row.epoch, phi, row.units, duration_s, row.outcome, row.reported_at)

    def _judged(self, seen: Observation) -> list[EventRow]:
        found = []
        if self._settings.reward and self._counts(seen):
            monitor = self._shift(seen.unit)
            monitor.add(seen.seq, self._place(seen.unit), seen.phi, seen.reward)
            shift = monitor.judge()
            if shift is not None:
                found.append(self._new_epochs(seen, shift))
        if self._settings.duration and seen.duration_s is not None:
            slower = self._duration(seen.unit).add(seen.seq, seen.phi, seen.duration_s)
            if slower is not None:
                evidence = slower._asdict()
                consequence = {"expectation": "restarted"}
                found.append(
                    self._event(ALARM, "duration", self._arms.units[seen.unit], seen, evidence, consequence)
                )
        if self._settings.context:
            for moved in self._contexts.add(seen.phi[: self._encoder.dimension]):
                evidence = moved._asdict()
                column = evidence.pop("column")
                found.append(self._event(ALARM, "context", column, seen, evidence, {}))
        if self._settings.anomaly:
            odd = self._odd(seen)
            if odd is not None:
                evidence = odd.to_dict()
                if seen.time is not None:
                    evidence["time"] = seen.time
                consequence = {"alert": "sent" if self._budget.take(seen.time) else "held back"}
                subject = self._arms.units[seen.unit]
                found.append(self._event(ALARM, "anomaly", subject, seen, evidence, consequence))
        return found

    def _odd(self, seen: Observation) -> Anomaly | None:
        if seen.outcome is None:
            return None
        strategy = self._strategy_of[seen.unit]
        if strategy not in self._anomalies:
            self._anomalies[strategy] = AnomalyMonitor(self._dimension, len(self._spans[strategy]))
        metrics = PerformanceMetrics.from_outcome(seen.outcome)
        return self._anomalies[strategy].add(seen.seq, self._place(seen.unit), seen.phi, metrics)

    def _new_epochs(self, seen: Observation, shift: Shift) -> EventRow:
        span = self._spans[self._strategy_of[seen.unit]]
        units = list(span) if shift.arm is None else [span[shift.arm]]
        subject = self._arms.units[seen.unit]
        if shift.arm is None:
            subject = self._arms.strategies[self._strategy_of[seen.unit]].name
        self._shifts[self._strategy_of[seen.unit]].forget(shift.arm)
        self._waiting.update(units)
        evidence = {name: getattr(shift, name) for name in ("since", "rows", "change", "evidence")}
        epochs = {self._arms.units[unit]: self._epochs[unit] + 1 for unit in units}
        return self._event(EPOCH, "reward", subject, seen, evidence, {"epochs": epochs})

    def _event(
        self,
        kind: str,
        monitor: str,
        subject: str,
        seen: Observation,
        evidence: Mapping[str, Any],
        consequence: Mapping[str, Any],
    ) -> EventRow:
        name, spec_hash = self._spec.name, self._spec.spec_hash
        return EventRow(name, 0, kind, monitor, subject, seen.seq, evidence, consequence, spec_hash)

    def _counts(self, seen: Observation) -> bool:
        """A row tells of its arm's present epoch, and no alarm is known that this epoch has not survived."""
        return seen.unit not in self._waiting and seen.epoch == self._epochs[seen.unit]

    def _place(self, unit: int) -> int:
        return unit - self._spans[self._strategy_of[unit]].start

    def _forget(self, unit: int) -> None:
        monitor = self._shifts.get(self._strategy_of[unit])
        if monitor is not None:
            monitor.forget(self._place(unit))

    def _shift(self, unit: int) -> ShiftMonitor:
        strategy = self._strategy_of[unit]
        if strategy not in self._shifts:
            arms = len(self._spans[strategy])
            self._shifts[strategy] = ShiftMonitor(self._dimension, arms, self._settings.evidence)
        return self._shifts[strategy]

    def _duration(self, unit: int) -> DurationMonitor:
        if unit not in self._durations:
            self._durations[unit] = DurationMonitor(self._dimension)
        return self._durations[unit]

    def _unit(self, name: str) -> int | None:
        unit = self._arms.unit_of(name)
        return None if unit < 0 else unit


def _duration(outcome: Mapping[str, Any] | None) -> float | None:
    duration = None if outcome is None else outcome.get("duration_s")
    if not isinstance(duration, (int, float)) or isinstance(duration, bool):
        return None
    return float(duration) if 0.0 <= duration < 1e12 else None
