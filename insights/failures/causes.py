"""What was concluded about the likely root cause of a failure (``blaming``), for documents and for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .factors import Kind

__all__ = ["Cause", "LikelyCause", "Meeting", "all_of"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A factor, with what adjustment leaves of it.

    together : executions with it that have the failure, ``of`` of all with it. crude : difference of the
    failure's share with it and without it. difference, low, high, p : the same among executions that are
    alike in ``alike_in`` (95 % interval, one-sided test); None where no two such executions differ in it.
    """

    kind: Kind
    name: str
    value: str
    together: int
    of: int
    crude: float
    alike_in: tuple[str, ...]
    difference: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def text(self) -> str:
        """Its name and value."""
        return f"{self.name} {self.value}"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "alike_in": list(self.alike_in)}

    def to_text(self) -> str:
        """For people."""
        if self.difference is None or self.low is None or self.high is None:
            return f"{self.text}: no executions alike in {all_of(self.alike_in)} differ in it"
        alike = f" among executions alike in {all_of(self.alike_in)}" if self.alike_in else ""
        value, low, high, crude = (100 * x for x in (self.difference, self.low, self.high, self.crude))
        return f"{self.text}: {value:+.1f} points [{low:+.1f}, {high:+.1f}]{alike} ({crude:+.1f} unadjusted)"


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two causes: failures and executions with both, with the first alone, the second alone, with neither.

    surplus : share where both meet beyond what the two bring one by one, with its 95 % interval. It takes
    the two to meet where ``low`` is above 0.
    """

    both: tuple[int, int]
    first: tuple[int, int]
    second: tuple[int, int]
    neither: tuple[int, int]
    surplus: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        counts = {name: list(getattr(self, name)) for name in ("both", "first", "second", "neither")}
        return {**counts, "surplus": self.surplus, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """What was concluded.

    state : ``likely``, where something is named; ``undecided``, where the data cannot tell candidates apart;
    ``none``, where there is no candidate, or none with enough evidence. causes : what is named. undecided :
    groups of factors of which any could be it. explained : candidates of which adjustment for what is named
    leaves nothing that is told from chance. unclear : of which it leaves too much for that, and too little
    to be named. meeting : of two causes, whether it takes both.
    """

    state: Literal["likely", "undecided", "none"]
    causes: tuple[Cause, ...]
    undecided: tuple[tuple[Cause, ...], ...]
    explained: tuple[Cause, ...]
    unclear: tuple[Cause, ...]
    meeting: Meeting | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "state": self.state,
            "causes": [cause.to_dict() for cause in self.causes],
            "undecided": [[cause.to_dict() for cause in group] for group in self.undecided],
            "explained": [cause.to_dict() for cause in self.explained],
            "unclear": [cause.to_dict() for cause in self.unclear],
            "meeting": None if self.meeting is None else self.meeting.to_dict(),
            "reason": self.reason,
        }

    def to_text(self) -> str:
        """For people."""
        if self.state == "none":
            return f"  likely cause: {self.reason}"
        lines = [f"  likely cause: {self.reason}"]
        lines += [f"    {cause.to_text()}" for cause in self.causes]
        for group in self.undecided:
            lines += [f"    perhaps {cause.to_text()}" for cause in group]
        lines += [f"    unclear: {cause.to_text()}" for cause in self.unclear]
        lines += [f"    explained away: {cause.to_text()}" for cause in self.explained]
        return "\n".join(lines)


def all_of(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(names)
