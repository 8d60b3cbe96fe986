"""References that the expectations propose: a document that a person reads, and adopts or not.

References are the yardstick of rewards. They move by a numbered row that somebody asked for, never because a
model has learned; so what is expected now is set beside what is in force, and nothing is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import ieee
from ..errors import ArmUnknown, ContextInvalid
from ..rewards import Execution, ReferenceTimes, estimate_references
from ..rewards.adoption import ReferenceChange, changes, worth_adopting
from ..rewards.reference import ANY, ReferenceCell, context_key
from .expecting import Expectations

__all__ = ["ReferenceProposal", "expected_references"]

_SOURCE = "expected"


@dataclass(frozen=True, slots=True)
class ReferenceProposal:
    """References as they are expected now, beside those in force.

    Attributes
    ----------
    references : what would be adopted, ``engine.adopt_references(proposal.references)``.
    in_force : version that is in force; None for none.
    changes : cells whose time differs.
    worth_adopting : a cell moves by a quarter or more, or had no time.
    first_seq, state_seq : the rows of the log behind the first and up to the second were known.
    """

    references: ReferenceTimes
    in_force: str | None
    changes: tuple[ReferenceChange, ...]
    worth_adopting: bool
    first_seq: int
    state_seq: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; ``ReferenceTimes.from_dict(document["references"])`` reads the references back."""
        return {
            "references": self.references.to_dict(),
            "in_force": self.in_force,
            "changes": [
                {"key": list(c.key), "before_s": c.before_s, "after_s": c.after_s, "ratio": c.ratio}
                for c in self.changes
            ],
            "worth_adopting": self.worth_adopting,
            "first_seq": self.first_seq,
            "state_seq": self.state_seq,
        }


def expected_references(
    known: Expectations,
    executions: Iterable[Execution],
    in_force: ReferenceTimes | None,
    *,
    by: tuple[str, ...],
    baseline_arm: str | None,
    min_n: int = 10,
) -> ReferenceProposal:
    """Propose the expected time and cost of the baseline arm in the contexts of each cell.

    A cell's value is exp of the mean expected logarithm over the contexts of its executions, whatever arm ran
    them: so it follows a shift within rows, and a changed mix of tasks within a cell moves nothing. Without a
    baseline arm, each execution counts with its own. Tokens, and what nobody reports, stay medians
    (``estimate_references``).

    Parameters
    ----------
    executions : of the rows that ``known`` has taken in, in any order.
    by, baseline_arm, min_n : as ``estimate_references`` takes them.

    Raises
    ------
    SupportMissing : too few executions that reported a time, tokens or a cost.
    """
    rows = sorted(executions, key=lambda row: row.seq)
    medians = estimate_references(rows, by=by, baseline_arm=baseline_arm, min_n=min_n)
    logs: dict[tuple[str, ...], list[tuple[float | None, float | None]]] = {c.key: [] for c in medians.cells}
    for row in rows:
        try:
            expected = known.expected_logs(row.context, baseline_arm or row.arm_id)
        except (ArmUnknown, ContextInvalid):
            continue  # of another spec
        exact = context_key(row.context, by)
        for key, members in logs.items():
            if all(part in {ANY, own} for part, own in zip(key, exact, strict=True)):
                members.append(expected)
    cells = tuple(_expected(cell, logs[cell.key]) for cell in medians.cells)
    proposed = ReferenceTimes(by, cells, medians.first_seq, medians.last_seq)
    return ReferenceProposal(
        proposed,
        None if in_force is None else in_force.version,
        changes(in_force, proposed),
        worth_adopting(in_force, proposed),
        known.first,
        known.seq,
    )


def _expected(cell: ReferenceCell, logs: list[tuple[float | None, float | None]]) -> ReferenceCell:
    """The cell with expected values for what it has medians of."""
    found: Mapping[str, float | None] = {"time_s": cell.time_s, "cost": cell.cost}
    told: dict[str, Any] = {}
    for i, (name, median) in enumerate(found.items()):
        known = [pair[i] for pair in logs]
        values = [value for value in known if value is not None]
        if median is not None and values:
            told[name] = ieee.exp(sum(values) / len(values))
    return replace(cell, **told, source=_SOURCE) if told else cell
