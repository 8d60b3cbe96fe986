"""The watching guardrails of one bandit, fed with its rows in the order of the sequence.

    breaker   an arm whose last outcomes failed       → it is out for a while, then probed, then back
    service   the learner against the baseline arm    → a step up or back in its share of service
    budgets   what outcomes report to have used       → the arms are out until the window ends

What is concluded is an event of the log, and acts from its own number on (``state``). Only a decision's first
contribution is looked at, and nothing but the rows: where the events stand among them changes no conclusion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ...errors import ArmUnknown, DocumentInvalid, InputInvalid, shown
from ...features import ONE
from ..choice import TOTAL
from ..events import GUARDRAIL, EventRow
from ..log import LogRow, RewardRow, check_turn
from ..spec import BanditSpec
from .comparison import Comparison
from .settings import Breaker, Budget, Guardrails

__all__ = ["Sentry"]


class _Arm:
    """What a breaker remembers of one arm."""

    __slots__ = ("last", "open", "streak", "until")

    def __init__(self, window: int) -> None:
        self.last: deque[bool] = deque(maxlen=window)
        self.open = False
        self.until: float | None = None
        self.streak = 0

    def to_dict(self) -> dict[str, Any]:
        return {"last": list(self.last), "open": self.open, "until": self.until, "streak": self.streak}

    def restore(self, document: Mapping[str, Any]) -> None:
        self.last.extend(bool(failed) for failed in document["last"])
        self.open, self.until, self.streak = document["open"], document["until"], document["streak"]


class Sentry:
    """Feeds a spec's guardrails with rewards, and turns what they conclude into events."""

    def __init__(self, spec: BanditSpec) -> None:
        if spec.guardrails is None:
            raise InputInvalid(
                f"no guardrail watches bandit '{spec.name}'",
                expected="a spec with guardrails",
                found="guardrails=None",
                fix="BanditSpec(…, guardrails=Guardrails(breaker=Breaker()))",
            )
        self._spec, self._arms = spec, spec.arms
        self._baseline = None if spec.baseline < 0 else spec.arms.units[spec.baseline]
        self._settings: Guardrails = spec.guardrails
        self._breakers: dict[str, _Arm] = {}
        service = self._settings.service
        self._comparison = None if service is None else Comparison(service)
        # Compared is what happens in the learner's cohort: the chance of being in it is divided out.
        self._cohort = (TOTAL - round(spec.holdout * TOTAL)) / TOTAL
        self._used: dict[str, tuple[float, float]] = {}  # by budget: begin of the window, and how much
        self.seq = 0
        """Last row that was taken in."""

    def absorb(self, row: LogRow) -> list[EventRow]:
        """Take the next row of the log in; returns what is concluded behind it, without numbers.

        Raises
        ------
        InputInvalid : the row is not the next one; nothing has changed.
        """
        check_turn(row.seq, self.seq, "guardrails")
        self.seq = row.seq
        if not isinstance(row, RewardRow) or row.units is None or row.taken is not None:
            return []
        try:
            unit = self._arms.units[self._arms.follow(row.arm_id)[0]]
        except ArmUnknown:
            return []  # another spec's
        found: list[EventRow] = []
        if self._settings.breaker is not None:
            found += self._broken(unit, row, self._settings.breaker)
        if self._comparison is not None:
            found += self._compared(unit, row, self._comparison)
        for budget in self._settings.budgets:
            found += self._counted(unit, row, budget)
        return found

    def progress(self) -> dict[str, Any]:
        """All that is needed to go on behind row ``seq``, as plain JSON: a cache of the fold."""
        return {
            "seq": self.seq,
            "breakers": {unit: arm.to_dict() for unit, arm in sorted(self._breakers.items())},
            "service": None if self._comparison is None else self._comparison.to_dict(),
            "used": {name: list(used) for name, used in sorted(self._used.items())},
        }

    @classmethod
    def restored(cls, spec: BanditSpec, document: Mapping[str, Any]) -> Sentry:
        """The sentry that wrote ``progress``.

        Raises
        ------
        DocumentInvalid : it is damaged, or of another spec.
        """
        sentry = cls(spec)
        try:
            sentry.seq = int(document["seq"])
            for unit, told in document["breakers"].items():
                sentry._breaker(unit).restore(told)
            if sentry._comparison is not None:
                sentry._comparison.restore(document["service"])
            sentry._used = {name: (float(a), float(b)) for name, (a, b) in document["used"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DocumentInvalid(
                "the progress of the guardrails cannot be read",
                expected="what Sentry.progress() wrote",
                found=shown(document),
                fix="remove it: the guardrails are computed again from the log",
            ) from error
        return sentry

    def _breaker(self, unit: str) -> _Arm:
        window = 1 if self._settings.breaker is None else self._settings.breaker.window
        return self._breakers.setdefault(unit, _Arm(window))

    def _broken(self, unit: str, row: RewardRow, breaker: Breaker) -> list[EventRow]:
        arm, at, failed = self._breaker(unit), row.reported_at, _failed(row, breaker)
        if arm.open:
            if arm.until is not None and at is not None and at < arm.until:
                return []  # it was under way when the breaker opened
            arm.streak = 0 if failed else arm.streak + 1
            if failed:
                return [self._tripped(arm, unit, row, breaker, 1)]
            if arm.streak < breaker.probes:
                return []
            arm.open, arm.until, arm.streak = False, None, 0
            return [self._event("breaker", unit, row, {"probes": breaker.probes}, {"act": "close"})]
        arm.last.append(failed)
        if sum(arm.last) < breaker.failures:
            return []
        return [self._tripped(arm, unit, row, breaker, sum(arm.last))]

    def _tripped(self, arm: _Arm, unit: str, row: RewardRow, breaker: Breaker, failed: int) -> EventRow:
        arm.last.clear()
        arm.open, arm.streak = True, 0
        arm.until = None if row.reported_at is None else row.reported_at + breaker.cooldown_s
        does = {"act": "trip", "until": arm.until, "share": breaker.probe_share}
        return self._event("breaker", unit, row, {"failed": failed}, does)

    def _compared(self, unit: str, row: RewardRow, comparison: Comparison) -> list[EventRow]:
        reward = (row.units or 0) / ONE
        told = comparison.add(reward, row.propensity / self._cohort, of_baseline=unit == self._baseline)
        if told is None:
            return []
        does = {"act": "serve", "share": comparison.share}
        return [self._event("service", str(self._baseline), row, told, does)]

    def _counted(self, unit: str, row: RewardRow, budget: Budget) -> list[EventRow]:
        used = _reported(row, budget.metric)
        if budget.hard or used is None or row.reported_at is None or unit == self._baseline:
            return []
        begin, end = budget.window(row.reported_at)
        window, before = self._used.get(budget.name, (begin, 0.0))
        if begin < window:
            return []  # reported late: its window is over
        before = before if begin == window else 0.0
        self._used[budget.name] = (begin, before + used)
        if not before < budget.limit <= before + used:
            return []
        told = {"used": before + used, "limit": budget.limit}
        arms = [name for name in self._arms.units if name != self._baseline]
        return [self._event("budget", budget.name, row, told, {"act": "spent", "arms": arms, "until": end})]

    def _event(
        self, monitor: str, subject: str, row: RewardRow, told: Mapping[str, Any], does: Mapping[str, Any]
    ) -> EventRow:
        name, spec_hash = self._spec.name, self._spec.spec_hash
        consequence = {"guardrail": dict(does)}
        return EventRow(name, 0, GUARDRAIL, monitor, subject, row.seq, dict(told), consequence, spec_hash)


def _failed(row: RewardRow, breaker: Breaker) -> bool:
    """An outcome without success, or beyond a limit; a bare reward of 0."""
    if row.outcome is None:
        return row.units == 0
    return row.outcome.get("success") is False or any(
        (_reported(row, name) or 0.0) > limit for name, limit in breaker.limits.items()
    )


def _reported(row: RewardRow, metric: str) -> float | None:
    value = None if row.outcome is None else row.outcome.get(metric)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
