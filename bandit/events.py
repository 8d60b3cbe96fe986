"""Rows of the log that a monitor concluded, or a guardrail, or a person ordered: what follows from them.

An event has its own number in the bandit's sequence and takes effect there. ``cause`` is the row behind which
the monitor found it; rows may stand between the two, because monitors run behind the commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..canonical import digest
from ..errors import DocumentInvalid, shown

__all__ = ["ALARM", "EPOCH", "EVENT_KINDS", "GUARDRAIL", "EventRow"]

EPOCH, ALARM, GUARDRAIL = "epoch", "alarm", "guardrail"
EVENT_KINDS = (EPOCH, ALARM, GUARDRAIL)
"""An epoch starts anew what is known of some arms; an alarm changes no sums; a guardrail acts on choices."""

_FIELDS = ("kind", "monitor", "subject", "cause", "evidence", "consequence", "spec_hash")


@dataclass(frozen=True, slots=True)
class EventRow:
    """What a monitor concluded; ``seq`` is 0 until it has a number.

    Attributes
    ----------
    kind : ``epoch``, ``alarm`` or ``guardrail``.
    monitor : which one: ``reward``, ``duration`` or ``context``; of a guardrail: ``breaker``, …,
        or ``person``.
    subject : what it is about: an arm id, a strategy, a column of the context, or a rule.
    cause : number of the row that completed the evidence; 0 for what a person ordered.
    evidence : what was found, in numbers.
    consequence : what follows: ``{"epochs": {unit: number of its new epoch}}``,
        ``{"expectation": "restarted"}``, ``{"guardrail": {…}}``, or nothing.
    spec_hash : the spec whose monitors concluded it.
    reported_at : when it was appended, in seconds since 1970; None without a clock.
    """

    bandit: str
    seq: int
    kind: str
    monitor: str
    subject: str
    cause: int
    evidence: Mapping[str, Any]
    consequence: Mapping[str, Any]
    spec_hash: str
    reported_at: float | None = None

    @property
    def epochs(self) -> Mapping[str, int]:
        """The arms (strategies, in a space of parameters) that start anew, and their epochs' numbers."""
        epochs: Mapping[str, int] = self.consequence.get("epochs", {})
        return epochs

    @property
    def key(self) -> tuple[int, str, str]:
        """What makes it this event, wherever in the sequence it stands."""
        return self.cause, self.monitor, self.subject

    @property
    def digest(self) -> str:
        """Hash of the whole row."""
        return digest(
            {"bandit": self.bandit, "seq": self.seq, "reported_at": self.reported_at, "event": self.to_dict()}
        )

    def numbered(self, seq: int, reported_at: float | None = None) -> EventRow:
        """Return the same row with its number and time."""
        return replace(self, seq=seq, reported_at=reported_at)

    def same(self, other: EventRow) -> bool:
        """Tell whether two rows conclude the same."""
        return self.to_dict() == other.to_dict()

    def describe(self) -> str:
        """Say in a sentence what happened, and what follows."""
        if self.monitor == "anomaly":
            told, alert = self.evidence.get("text"), self.consequence.get("alert")
            return f"an execution of '{self.subject}' is odd at row {self.cause}: {told}; alert {alert}"
        told = ", ".join(f"{name} {_number(value)}" for name, value in self.evidence.items())
        if self.kind == GUARDRAIL:
            rule = dict(self.consequence.get("guardrail", {}))
            does = ", ".join(f"{name} {value}" for name, value in rule.items())
            return f"{self.monitor}: '{self.subject}' at row {self.cause} ({told}): {does}"
        follows = ", ".join(f"{unit} → epoch {epoch}" for unit, epoch in self.epochs.items())
        if not follows:
            follows = ", ".join(f"{name} {value}" for name, value in self.consequence.items()) or "a warning"
        return f"{self.monitor} of '{self.subject}' shifted at row {self.cause} ({told}): {follows}"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, without the bandit, its number and its time."""
        document = {name: getattr(self, name) for name in _FIELDS}
        return {**document, "evidence": dict(self.evidence), "consequence": dict(self.consequence)}

    @classmethod
    def from_dict(
        cls, bandit: str, seq: int, document: Mapping[str, Any], reported_at: float | None = None
    ) -> EventRow:
        """The row that ``to_dict`` wrote.

        Raises
        ------
        DocumentInvalid : it is none.
        """
        if not isinstance(document, Mapping) or set(document) != set(_FIELDS):
            raise _damaged(document)
        texts = ("kind", "monitor", "subject", "spec_hash")
        good = all(isinstance(document[name], str) for name in texts) and document["kind"] in EVENT_KINDS
        good = good and all(isinstance(document[name], Mapping) for name in ("evidence", "consequence"))
        least = 0 if document["kind"] == GUARDRAIL else 1
        if not good or type(document["cause"]) is not int or document["cause"] < least:
            raise _damaged(document)
        epochs = document["consequence"].get("epochs", {})
        whole = isinstance(epochs, Mapping) and all(
            type(e) is int and 0 < e < 1 << 31 for e in epochs.values()
        )
        if not whole or bool(epochs) != (document["kind"] == EPOCH):
            raise _damaged(document)
        return cls(bandit, seq, **document, reported_at=reported_at)


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _damaged(found: object) -> DocumentInvalid:
    return DocumentInvalid(
        "an event of the log cannot be read",
        expected=f"an object with {', '.join(_FIELDS)}",
        found=shown(found),
        fix="restore the row from a backup",
    )
