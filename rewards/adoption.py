"""When a new version of the references holds, and which rewards it re-prices.

Adopting is a numbered row of the bandit's log. A reward is priced with the version that was in force when
its *decision* was made (the decision's ``state_seq``), so the reward does not depend on how long the outcome
took to arrive or on which process computed it. What an adoption does to rewards of earlier decisions is part
of the row: ``keep`` leaves them; ``reprice`` prices them again under the new version, as appended
corrections. Decisions, alarms and the earlier versions themselves stay as they are in either case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import DocumentInvalid, SpecInvalid
from .reference import ReferenceTimes

__all__ = ["Adoption", "ReferenceChange", "changes", "reference_for", "worth_adopting"]


@dataclass(frozen=True, slots=True)
class Adoption:
    """The row: its number in the bandit's sequence, the version adopted, and its rule for earlier rewards."""

    seq: int
    references: ReferenceTimes
    earlier: Literal["keep", "reprice"] = "keep"

    def __post_init__(self) -> None:
        if isinstance(self.seq, bool) or not isinstance(self.seq, int) or self.seq < 0:
            raise SpecInvalid(
                "the number of an adoption is not usable",
                expected="an integer >= 0",
                found=repr(self.seq),
                fix="pass the row's number in the bandit's sequence",
            )
        if self.earlier not in {"keep", "reprice"}:
            raise SpecInvalid(
                "the rule of an adoption is not known",
                expected="'keep' or 'reprice'",
                found=repr(self.earlier),
                fix="choose what happens to rewards of earlier decisions",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict."""
        return {"seq": self.seq, "references": self.references.to_dict(), "earlier": self.earlier}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Adoption:
        """Rebuild what ``to_dict`` wrote.

        Raises
        ------
        DocumentInvalid : a field is missing, or the references are not what their version names.
        """
        if not isinstance(document, Mapping) or set(document) != {"seq", "references", "earlier"}:
            raise DocumentInvalid(
                "the document of an adoption cannot be read",
                expected="an object with seq, references and earlier",
                found=repr(document)[:120],
                fix="read it again from where it was stored",
            )
        return cls(document["seq"], ReferenceTimes.from_dict(document["references"]), document["earlier"])


def reference_for(adoptions: Sequence[Adoption], state_seq: int, *, now_seq: int) -> ReferenceTimes | None:
    """Return the version that prices a decision made at ``state_seq``, while the log stands at ``now_seq``.

    The latest adoption with ``seq <= state_seq``, unless a later one up to ``now_seq`` re-prices what came
    before; None where none was adopted yet.
    """
    in_force: ReferenceTimes | None = None
    for adoption in sorted(adoptions, key=lambda row: row.seq):
        if adoption.seq > now_seq:
            break
        if adoption.seq <= state_seq or adoption.earlier == "reprice":
            in_force = adoption.references
    return in_force


@dataclass(frozen=True, slots=True)
class ReferenceChange:
    """One cell of two versions; a reference time is None where a version has none."""

    key: tuple[str, ...]
    before_s: float | None
    after_s: float | None

    @property
    def ratio(self) -> float | None:
        """After / before; None where one of them is missing."""
        if self.before_s is None or self.after_s is None:
            return None
        return self.after_s / self.before_s


def changes(current: ReferenceTimes | None, proposed: ReferenceTimes) -> tuple[ReferenceChange, ...]:
    """Compare two versions cell by cell, in the order of the keys; unchanged cells are left out."""
    before = {cell.key: cell.time_s for cell in current.cells} if current is not None else {}
    after = {cell.key: cell.time_s for cell in proposed.cells}
    rows = (
        ReferenceChange(key, before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())
    )
    return tuple(row for row in rows if row.before_s != row.after_s)


def worth_adopting(
    current: ReferenceTimes | None, proposed: ReferenceTimes, *, ratio_min: float = 1.25
) -> bool:
    """Tell whether the proposal covers a cell that had no time, or moves one by at least ``ratio_min``.

    Every adoption starts rewards that are not comparable with the earlier ones unless it re-prices them, so
    small movements are not worth one. A cell that the proposal lost is no reason either.
    """
    if current is not None and current.by != proposed.by:
        return True
    for change in changes(current, proposed):
        if change.before_s is None:
            return True
        if change.ratio is not None and not 1.0 / ratio_min < change.ratio < ratio_min:
            return True
    return False
