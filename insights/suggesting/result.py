"""What a suggestion consists of: values, as plain JSON, and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...bandit import BanditSpec

__all__ = ["ColumnFinding", "Role", "Suggestion"]

Role = Literal["strategy", "parameter", "outcome", "context", "no signal", "after the run", "left out"]


@dataclass(frozen=True, slots=True)
class ColumnFinding:
    """What was found out about a column.

    role : what the spec makes of it. kind : what its values are. missing : share without a value. distinct :
    different values. p_value, p_interaction : see ``signal``; None where it was not tested. explained : share
    of the rewards' variance within strategies that it explains, net of chance. changes_best : it was found to
    change which strategy is best. reason : why it has its role.
    """

    name: str
    role: Role
    kind: str
    missing: float
    distinct: int
    reason: str
    p_value: float | None = None
    p_interaction: float | None = None
    explained: float | None = None
    changes_best: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A spec and what speaks for it.

    spec : None where there is not enough evidence to suggest one. rows : read. used : with a strategy and an
    outcome. warnings : what should be looked at before the spec is used. reasons : why strategies,
    parameters, reward and context are as they are. tasks : how many recurring tasks there are, None where no
    column names any.
    """

    spec: BanditSpec | None
    columns: tuple[ColumnFinding, ...]
    warnings: tuple[str, ...]
    reasons: tuple[str, ...]
    rows: int
    used: int
    tasks: int | None
    false_discovery_rate: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "spec": None if self.spec is None else self.spec.to_dict(),
            "columns": [asdict(column) for column in self.columns],
            "warnings": list(self.warnings),
            "reasons": list(self.reasons),
            "rows": self.rows,
            "used": self.used,
            "tasks": self.tasks,
            "false_discovery_rate": self.false_discovery_rate,
            "seed": self.seed,
        }

    def to_text(self) -> str:
        """For people: reasons, warnings, and a line for each column."""
        lines = [f"{self.used:,} of {self.rows:,} executions have a strategy and an outcome."]
        lines += [f"- {reason}" for reason in self.reasons]
        if self.warnings:
            lines += ["", "Look at this first:", *(f"- {warning}" for warning in self.warnings)]
        lines += ["", f"{'column':<28} {'role':<14} {'explains':>8} {'p':>8} {'p best':>8}  why"]
        for c in self.columns:
            explained = "" if c.explained is None else f"{c.explained:.1%}"
            lines.append(
                f"{c.name[:28]:<28} {c.role:<14} {explained:>8} {_p(c.p_value):>8} {_p(c.p_interaction):>8}"
                f"  {c.reason}"
            )
        return "\n".join(lines)


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
