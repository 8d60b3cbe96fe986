"""Rows of history that a bandit learns without having decided them: a warm start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import DocumentInvalid, InputInvalid, shown
from ..features import Encoder, Value
from .arms import ArmTable
from .fixed_point import reward_to_fixed
from .space import ArmSpace

__all__ = ["HistoryRow", "Triple", "history_row", "read_history"]

Triple = tuple[Mapping[str, Value], str, float]
"""(context, arm id, reward in [0, 1])."""


class HistoryRow(NamedTuple):
    """One learned row whose decision was made elsewhere: its propensity is unknown.

    ``seq``: its number in the sequence, 0 until it has one. ``unit``: row of the sums. ``phi``: the encoded
    context (and, in a space of parameters, the arm's), in units of 2⁻¹⁶. ``epoch``: that of the arm when the
    row was learned.
    """

    context: Mapping[str, Value]
    arm_id: str
    reward: float
    unit: int
    phi: tuple[int, ...]
    epoch: int
    seq: int = 0

    @property
    def units(self) -> int:
        """The reward in units of 2⁻¹⁶."""
        return reward_to_fixed(self.reward)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; what follows from the spec is left out."""
        return {"context": dict(self.context), "arm": self.arm_id, "reward": self.reward, "epoch": self.epoch}


def read_history(
    rows: Iterable[Triple], arms: ArmTable | ArmSpace, encoder: Encoder, epochs: list[int]
) -> list[HistoryRow]:
    """Check and encode (context, arm id, reward) rows; nothing is learned yet.

    Raises
    ------
    InputInvalid : not such rows. ContextInvalid, ArmUnknown, OutcomeInvalid : a row does not fit the spec.
    """
    found: list[HistoryRow] = []
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise _no_row(rows)
    for row in rows:
        if not isinstance(row, (tuple, list)) or len(row) != 3 or not isinstance(row[1], str):
            raise _no_row(row)
        context, arm_id, reward = row
        clean, phi = encoder.encode(context)
        unit, arm = arms.follow(arm_id)
        reward_to_fixed(reward)
        encoded = (*phi, *arms.encode(unit, arm.parameters))
        found.append(HistoryRow(clean, arm.arm_id, float(reward), unit, encoded, epochs[unit]))
    return found


def history_row(
    document: Mapping[str, Any], arms: ArmTable | ArmSpace, encoder: Encoder, epochs: list[int]
) -> HistoryRow:
    """The row that ``to_dict`` wrote, for a bandit whose arms have come to ``epochs``."""
    (row,) = read_history([(document["context"], document["arm"], document["reward"])], arms, encoder, epochs)
    epoch = document["epoch"]
    row = row._replace(epoch=epoch)
    if type(epoch) is not int or not 0 <= epoch <= epochs[row.unit] or row.to_dict() != dict(document):
        raise DocumentInvalid(
            "a row of history in the document is damaged",
            expected="a row as Bandit.to_json() wrote it",
            found=shown(document),
            fix="restore the document from a copy",
        )
    return row


def _no_row(found: object) -> InputInvalid:
    return InputInvalid(
        "the history is not a list of rewarded choices",
        expected="rows (context, arm_id, reward)",
        found=shown(found),
        fix='for example [({"task_type": "coding"}, "direct", 0.8)]',
    )
