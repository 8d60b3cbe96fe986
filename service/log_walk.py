"""Check a stored log row by row.

Rows and decisions are walked together: behind row s stand all decisions that knew the rows up to s. What
a row says of its decision is looked up among the decisions that came by lately, and in the database where it
is not there: an outcome may come long after.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..bandit import BanditSpec
from ..bandit.decision import IMPORTED
from ..bandit.events import EVENT_KINDS, EventRow
from ..errors import NyxError
from ..persistence.queries import Connection, query
from ..persistence.rows import Row, any_row_from
from ..persistence.store import StoredBlock
from .decision_check import Walk
from .event_check import EventCheck
from .row_check import RowCheck

__all__ = ["Base", "Finding", "Found", "Section", "StoredSums", "Walking", "look_up"]

_RECENT = 10_000
_UNFOLDABLE = (NyxError, TypeError, ValueError, KeyError, OverflowError)
EVERYTHING = (1 << 62) - 1
"""Beyond every number of a row."""
SPECS, LOG, ADOPTIONS, DECISIONS, COUNTED, SUMS = range(6)

Finding: TypeAlias = tuple[int, int, str, str]
"""(what is looked at first, row, decision, what is wrong): the smallest is the first divergence."""
StoredSums: TypeAlias = tuple[BanditSpec, int, list[StoredBlock]]
"""A spec of an encoding, the row that its stored sums go up to, and the sums."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows ``first`` to ``last`` of a log, and the decisions that knew rows ``first − 1`` to ``known``.

    A ``known`` beyond ``last`` says that no section comes behind this one, and nothing should be there.
    """

    first: int
    last: int
    known: int = EVERYTHING


@dataclass(frozen=True, slots=True)
class Base:
    """Sums of the rows 1 to ``seq``, by encoding and bucket length: where those rows are gone, a fold begins
    behind them. ``guardrails`` : their rows up to ``seq``, which are never dropped.
    """

    seq: int = 0
    sums: Mapping[tuple[str, int], Sequence[StoredBlock]] = field(default_factory=dict)
    guardrails: Sequence[EventRow] = ()


@dataclass
class Found:
    """What was seen in a section."""

    decisions: int = 0
    matched: int = 0
    imported: int = 0
    rows: int = 0
    sums_match: bool = True
    first: Finding | None = None
    adopted: int = 0

    def add(self, rank: int, row: int, decision: str, what: str) -> None:
        """Note a divergence; the first one stays."""
        finding = rank, row, decision, what
        if self.first is None or finding < self.first:
            self.first = finding

    def join(self, other: Found) -> None:
        """Take in what was seen in another section."""
        self.decisions += other.decisions
        self.matched += other.matched
        self.imported += other.imported
        self.rows += other.rows
        self.sums_match = self.sums_match and other.sums_match
        self.adopted = max(self.adopted, other.adopted)
        if other.first is not None:
            self.add(*other.first)


async def look_up(connection: Connection, bandit: str, check: RowCheck, rows: Sequence[Row]) -> None:
    """Put the decisions that the rows are about, and the earlier rows about them, where the check looks."""
    ids = sorted({row["decision_id"] for row in rows if row["decision_id"] is not None})
    missing = [key for key in ids if key not in check.decisions]
    if missing:
        for row in await connection.fetch(query("decisions_by_id"), bandit, missing):
            check.decisions[row["decision_id"]] = row
    check.begin(await connection.fetch(query("verify_earlier"), bandit, ids, rows[0]["seq"]))


class Walking:
    """The learners of all specs at one row, and what was found so far."""

    def __init__(
        self, specs: Mapping[str, BanditSpec], section: Section, sums: Sequence[StoredSums], base: Base
    ) -> None:
        self.rows, self._specs = RowCheck(specs), specs
        self.walks = {
            key: Walk(spec, base.seq, base.sums.get((spec.encoding, spec.bucket_rows), ()), base.guardrails)
            for key, spec in specs.items()
            if base.seq == 0 or (spec.encoding, spec.bucket_rows) in base.sums
        }
        # From the first row on only: what monitors remember of rows that were dropped cannot be told.
        self._events = EventCheck(specs) if base.seq == 0 else None
        self._watched = base.seq
        self._refused: Exception | None = None  # what monitors say of the row behind the last watched one
        self._first = section.first
        self.found = Found()
        self._seq = base.seq
        self._at = 0  # how many rows of the present page are folded
        self._checked = section.first - 1
        self._broken = self._gap = False
        self.due: dict[int, list[StoredSums]] = {}
        for spec, seq, blocks in sums:
            if section.first <= seq <= section.last or seq > section.last < section.known:
                self.due.setdefault(seq, []).append((spec, seq, blocks))
            elif section.first == base.seq + 1 and seq == base.seq:
                self._compare(spec, blocks)

    def fold_only(self, rows: Sequence[Row]) -> None:
        """Fold rows of earlier sections, which check them."""
        self._fold_to(rows[-1]["seq"], rows)
        self._at = 0

    def check_decisions(self, decisions: Sequence[Row], rows: Sequence[Row]) -> None:
        """Derive decisions anew, each behind the row that it knew; ``rows`` : the present page of the log."""
        for row in decisions:
            self._fold_to(row["state_seq"], rows)
            walk = self.walks.get(row["spec_hash"])
            self.judge(row, walk.problem(row) if walk else self.unknown(row["spec_hash"]))
            self.rows.decisions[row["decision_id"]] = row
        self.found.decisions += len(decisions)
        self._forget()

    def judge(self, row: Row, problem: str | None) -> None:
        """Note what is wrong with a decision, None for nothing."""
        key, seq = row["decision_id"], row["state_seq"]
        if problem is not None:
            self.found.add(DECISIONS, seq, key, f"decision '{key}' (state_seq {seq}): {problem}")
        elif row["mode"] == IMPORTED:
            self.found.imported += 1
        else:
            self.found.matched += 1

    def fold_rest(self, rows: Sequence[Row]) -> None:
        """Fold what is left of a page."""
        self._fold_to(rows[-1]["seq"], rows)
        self._at = 0

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Check the rows of a page themselves; nothing behind a gap is looked at."""
        self.found.rows += len(rows)
        for row in rows:
            number = self._checked + 1
            if self._gap or row["seq"] != number:
                if not self._gap:
                    told = f"log row {number}: missing (row {row['seq']} follows row {number - 1})"
                    self.found.add(LOG, number, "", told)
                self._gap = True
                break
            self.check_some([row])
            self._checked = number
        self._forget()

    def check_some(self, rows: Sequence[Row]) -> None:
        """Check some rows of the present page, in their order."""
        for row in rows:
            problem = self.rows.problem(row)
            if problem is not None:
                number = row["seq"]
                whose = "" if row["decision_id"] is None else f" (decision '{row['decision_id']}')"
                self.found.add(LOG, number, "", f"log row {number}{whose}: {problem}")

    @property
    def watching(self) -> bool:
        """True where monitors or guardrails have to see every row."""
        return self._events is not None and self._events.watching

    def watch(self, rows: Iterable[Row]) -> None:
        """Have monitors see the next rows before they are folded; they are all of the specs' encoding."""
        for row in rows:
            if self._refused is not None:
                return
            try:
                self._note_events(row, None)
            except _UNFOLDABLE as error:
                self._refused = error

    def foldable(self, first: int) -> bool:
        """Tell whether rows from ``first`` on can be folded and checked without this walk's doing."""
        return not (self._broken or self._gap or self._refused) and self._seq == first - 1

    def folded(self, last: int) -> None:
        """Take note that all learners are at row ``last``."""
        self._seq = last
        for spec, _, blocks in self.due.pop(last, ()):
            self._compare(spec, blocks)

    def checked(self, count: int) -> None:
        """Take note that the next ``count`` rows were looked at."""
        self.found.rows += count
        self._checked += count
        self._forget()

    def finished(self) -> Found:
        """What was found, when all pages are through."""
        for seq in self.due:
            self._differ(f"the stored sums go up to row {seq}, which the log does not reach")
        self.found.adopted = self.rows.adopted_seq
        return self.found

    def unknown(self, spec_hash: str) -> str:
        """Why no walk can derive a decision of this spec."""
        known = spec_hash in self._specs
        return "rows were dropped that its encoding would need" if known else "its spec is not stored"

    def _forget(self) -> None:
        """Leave out all but the recent decisions; any number may have known one row, as in an import."""
        recent = self.rows.decisions
        if len(recent) > 2 * _RECENT:
            for key in list(recent)[:-_RECENT]:
                del recent[key]

    def _fold_to(self, seq: int, rows: Sequence[Row]) -> None:
        while not self._broken and self._seq < seq and self._at < len(rows):
            self._fold(rows[self._at])
            self._at += 1

    def _fold(self, row: Row) -> None:
        number = row["seq"]
        if number != self._seq + 1:
            self._broken = True
            return
        context = None if row["context"] is None else json.loads(row["context"])
        try:
            for walk in self.walks.values():
                walk.absorb(row, context)
            self._note_events(row, context)
        except _UNFOLDABLE as error:
            self._broken = True
            self.found.add(
                LOG, number, "~", f"log row {number}: it cannot be folded ({type(error).__name__})"
            )
            return
        self._seq = number
        for spec, _, blocks in self.due.pop(number, ()):
            self._compare(spec, blocks)

    def _note_events(self, row: Row, context: Mapping[str, Any] | None) -> None:
        """Have monitors see a row, unless they have; note an event that none of them concludes."""
        events, number = self._events, row["seq"]
        if events is None or number <= self._watched:
            return
        if self._refused is not None:
            raise self._refused
        problem = None
        if events.watching or row["kind"] in EVENT_KINDS:
            problem = events.problem(any_row_from(row), context)
        self._watched = number
        if problem is not None and number >= self._first:
            self.found.add(LOG, number, "", f"log row {number}: {problem}")

    def _compare(self, spec: BanditSpec, blocks: Sequence[StoredBlock]) -> None:
        walk = self.walks.get(spec.spec_hash)
        if walk is None:
            return  # rows were dropped before its encoding was used: nobody restores these sums
        fold = walk.fold
        folded = {name: fold.statistics(name) for name in fold.names()}
        found = {(arm, epoch, bucket): list(numbers) for arm, epoch, bucket, numbers in blocks}
        for key in sorted(folded.keys() | found.keys()):
            if folded.get(key) != found.get(key):
                arm, epoch, bucket = key
                self._differ(
                    f"the stored sums of arm '{arm}', epoch {epoch}, bucket {bucket} differ from the log"
                )
                return

    def _differ(self, told: str) -> None:
        self.found.sums_match = False
        self.found.add(SUMS, 0, "", told)
