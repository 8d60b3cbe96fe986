"""What a check is, and what it finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

__all__ = ["Check", "Effort", "Finding", "Status"]

Status = Literal["pass", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is simulated (replications, rounds, draws): in the quick run, and in the full one.

    ``quick`` 0: the check is part of the full run only.
    """

    quick: int
    full: int

    def of(self, *, full: bool) -> int:
        """The one that is asked for."""
        return self.full if full else self.quick


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : kind of check. policy, world, quantity : of what, where, and what was measured.
    measured, standard_error : the value; the latter None where nothing was sampled.
    reference, reference_text : the number that it is compared with, and what that number is.
    judged : the rule. false_alarm : probability that the rule fails a policy that is right: exact or nominal
        for anchors, tail bounds and tests; for bounds and slopes at the measured mean and standard error.
    source : where the reference comes from. size : replications, rounds or draws.
    """

    check: str
    policy: str
    world: str
    quantity: str
    status: Status
    measured: float | None
    standard_error: float | None
    reference: float | None
    reference_text: str
    judged: str
    false_alarm: float
    source: str
    size: int = 0
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over reference; None where one of them is missing or the reference is 0."""
        if self.measured is None or not self.reference:
            return None
        return self.measured / self.reference

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "ratio": self.ratio}


class Check(Protocol):
    """One subject that is checked: a value that can be sent to a worker, and always finds the same."""

    @property
    def kind(self) -> str:
        """What ``Finding.check`` says."""

    @property
    def title(self) -> str:
        """Kind, policy, world and quantity in a line: what ``--only`` searches."""

    @property
    def effort(self) -> Effort:
        """How much is simulated."""

    def run(self, *, full: bool) -> Finding:
        """Measure and judge; a pure function of the check and ``full``."""
