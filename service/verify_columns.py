"""Stored rows of the log and of decisions as columns: what the compiled checks of ``verify`` read."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..bandit.events import EVENT_KINDS
from ..bandit.log import ABANDONMENT, EXPIRY, REPORT, REPRICING, RETRACTION
from ..errors import ArmUnknown
from ..jit import kernel
from ..persistence.wire import Bytes, Integers, WireRows
from .decision_check import Walk
from .spelling import Flags, Texts, float_texts
from .text_table import TextTable

__all__ = ["DECISION", "FOLDED", "LOG", "DecisionColumns", "LogColumns", "equal"]

LOG = {
    "bandit": "text",
    "seq": "int",
    "decided_on": "date",
    "kind": "text",
    "decision_id": "text",
    "source": "text",
    "identifier": "text",
    "revision": "int",
    "state": "text",
    "arm_id": "text",
    "epoch": "int",
    "encoding": "text",
    "phi": "ints",
    "propensity": "float",
    "units": "int",
    "reward": "float",
    "taken": "int",
    "place": "int",
    "outcome": "text",
    "pricing": "text",
    "priced_by": "text",
    "reported_at": "float",
    "digest": "text",
}
"""Columns of ``wire_rows``."""
FOLDED = {
    name: LOG[name]
    for name in (
        "seq",
        "kind",
        "decision_id",
        "arm_id",
        "epoch",
        "encoding",
        "phi",
        "units",
        "taken",
        "place",
    )
}
"""Columns of ``wire_fold``: what a row changes."""
DECISION = {
    "bandit": "text",
    "decision_id": "text",
    "decided_on": "date",
    "spec_hash": "text",
    "encoding": "text",
    "state_seq": "int",
    "decided_at": "float",
    "context": "text",
    "phi": "ints",
    "eligible": "ints",
    "stages": "text",
    "pmf": "ints",
    "arm_id": "text",
    "propensity": "float",
    "epoch": "int",
    "reason": "text",
    "mode": "text",
    "digest": "text",
}
"""Columns of ``wire_decisions``."""

NOTHING = -1
"""Where a row takes or adds nothing."""
_ROWS_A_CUT = 64  # a part takes some statements of its own


class LogColumns:
    """A page of the log whose numbers follow each other."""

    def __init__(self, rows: WireRows) -> None:
        self.rows = rows
        self.seqs = rows.integers("seq", 0)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def first(self) -> int:
        """Number of the first row."""
        return int(self.seqs[0])

    @property
    def last(self) -> int:
        """Number of the last row."""
        return int(self.seqs[-1])

    def follows(self, seq: int) -> bool:
        """Tell whether these are the rows behind number ``seq``, without a gap."""
        return bool((self.seqs == np.arange(seq + 1, seq + 1 + len(self))).all())

    def between_events(self) -> list[LogColumns]:
        """The page in parts that are all events, or without one; in one part where they are many."""
        events = np.zeros(len(self), np.bool_)
        for kind in EVENT_KINDS:
            events |= equal(self.rows, "kind", kind)
        cuts = np.flatnonzero(np.diff(events)) + 1
        if len(cuts) == 0 or len(cuts) > 2 + len(self) // _ROWS_A_CUT:
            return [self]
        bounds = [0, *cuts.tolist(), len(self)]
        return [LogColumns(self.rows.part(slice(a, b))) for a, b in itertools.pairwise(bounds)]

    @cached_property
    def epochs(self) -> Integers:
        """−1 for none."""
        return self.rows.integers("epoch", NOTHING)

    @cached_property
    def units(self) -> Integers:
        """What joins the sums, −1 for nothing."""
        return self.rows.integers("units", NOTHING)

    @cached_property
    def taken(self) -> Integers:
        """What leaves the sums, −1 for nothing."""
        return self.rows.integers("taken", NOTHING)

    @cached_property
    def places(self) -> Integers:
        """The row in whose bucket a contribution stands."""
        place = self.rows.integers("place", 0)
        return np.where(place == 0, self.seqs, place)

    @cached_property
    def about_decisions(self) -> Flags:
        """Rows of the kinds that concern one decision's reward."""
        found = np.zeros(len(self), np.bool_)
        for kind in (REPORT, EXPIRY, ABANDONMENT, RETRACTION, REPRICING):
            found |= equal(self.rows, "kind", kind)
        return found

    @cached_property
    def without_effect(self) -> Flags:
        """Rows that change no sums and no epoch."""
        return equal(self.rows, "kind", "adoption")

    def of_encoding(self, encoding: str) -> Flags:
        """Rows whose φ is of this encoding."""
        return equal(self.rows, "encoding", encoding)

    def phi(self, dimension: int) -> tuple[Integers, Flags]:
        """φ (rows, dimension), and which rows have one of that length."""
        return self.rows.arrays("phi", np.arange(len(self)), dimension)

    def units_of(self, walk: Walk) -> Integers:
        """For each row, the row of a walk's sums that its arm belongs to; −1 for none."""
        names = TextTable()
        number = names.number(*self.rows.field("arm_id"))
        at = np.zeros(len(names) + 1, np.int64)  # the last one is for rows of no arm
        at[number[::-1]] = np.arange(len(self))[::-1]
        told = [_unit(walk, self.rows.value(i, "arm_id")) for i in at[:-1].tolist()]
        return np.array([*told, -1], np.int64)[number]


class DecisionColumns:
    """Stored decisions, in the order of the rows that they knew."""

    def __init__(self, rows: WireRows) -> None:
        self.rows = rows
        self.states = rows.integers("state_seq", -1)
        self.days = rows.integers("decided_on", 0)
        self.epochs = rows.integers("epoch", NOTHING)

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, rows: Integers) -> DecisionColumns:
        """Some of them, in their order."""
        if len(rows) == len(self):
            return self
        return DecisionColumns(self.rows.part(rows))

    @cached_property
    def chances(self) -> Texts:
        """The propensities as canonical JSON spells them."""
        return float_texts(*self.rows.floats("propensity"))

    @cached_property
    def propensities(self) -> npt.NDArray[np.float64]:
        """As logged."""
        return self.rows.floats("propensity")[0]


def _unit(walk: Walk, arm: str) -> int:
    try:
        return walk.spec.arms.locate(arm)[0]
    except ArmUnknown:
        return -1


def equal(rows: WireRows, name: str, text: str) -> Flags:
    """Which rows have exactly this text in a column; NULL is none."""
    f = rows.at(name)
    out = np.zeros(len(rows), np.bool_)
    _equal(rows.data, rows.place[:, f], rows.length[:, f], np.frombuffer(text.encode(), np.uint8), out)
    return out


@kernel
def _equal(data: Bytes, place: Integers, length: Integers, text: Bytes, out: Flags) -> None:
    for i in range(out.shape[0]):
        if length[i] != text.shape[0]:
            continue
        same = True
        for j in range(text.shape[0]):
            if data[place[i] + j] != text[j]:
                same = False
                break
        out[i] = same
