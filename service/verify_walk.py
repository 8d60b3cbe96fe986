"""Walk a section of a stored log by columns, and row by row where anything is not as usual.

A page whose rows can all be folded by a compiled loop is checked so: each decision and each row is compared
with what it should be, and the few that are not the usual ones go, with the learner at the same row, to the
walk that looks at them one by one and says what is wrong. A page is cut where an event stands (a new epoch,
an alarm, a guardrail), which is walked row by row; so is a page of another encoding, or under a guardrail,
as a whole, and all that lies behind a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..bandit import BanditSpec
from ..persistence.queries import Connection, query
from ..persistence.rows import Row
from ..persistence.wire import WireRows, copied, copy_out
from .log_walk import EVERYTHING, Base, Found, Section, StoredSums, Walking, look_up
from .verify_arranging import Prepared
from .verify_columns import DECISION, FOLDED, LOG, DecisionColumns, LogColumns, equal
from .verify_decisions import DecisionsAgain
from .verify_fold import PageFold
from .verify_rows import Recent, RowsAgain, Seen

__all__ = ["walk_section"]

_PAGE = 8192
_MOST_AHEAD = 4 * _PAGE
"""Decisions that are read before their page is due."""
_SLOW_PAGE = 2000

_Made: TypeAlias = tuple[DecisionColumns, Mapping[str, Prepared | None]]
"""Stored decisions, and by spec what can be told of them without the sums."""


class _Read(NamedTuple):
    """The log up to row ``last``; ``decisions`` : None where they are still to be read."""

    last: int
    pieces: Sequence[LogColumns]
    decisions: Sequence[_Made] | None


async def walk_section(
    connection: Connection,
    bandit: str,
    specs: Mapping[str, BanditSpec],
    section: Section,
    sums: Sequence[StoredSums],
    base: Base | None = None,
    *,
    by_columns: bool = True,
) -> Found:
    """Check a section, on a connection inside a transaction whose reads agree with each other.

    base : where the fold begins, if the rows before are gone; the section begins behind it.
    by_columns : whether to go by columns where that is possible; what is found does not depend on it.
    """
    walk = _SectionWalk(connection, bandit, specs, section, Walking(specs, section, sums, base or Base()))
    return await walk.run((base or Base()).seq + 1, by_columns=by_columns)


class _SectionWalk:
    def __init__(
        self,
        connection: Connection,
        bandit: str,
        specs: Mapping[str, BanditSpec],
        section: Section,
        walking: Walking,
    ) -> None:
        self._connection, self._bandit, self._section = connection, bandit, section
        self._walking = walking
        self._several = len({spec.encoding for spec in specs.values()}) > 1
        self._deciders = {key: DecisionsAgain(walk) for key, walk in walking.walks.items()}
        self._recent = Recent(specs)
        self._seen = Seen(section.last)
        self._rows = RowsAgain(specs, bandit, self._recent, self._seen)
        self._folds: dict[str, PageFold] = {}
        self._reading, self._preparing = asyncio.Lock(), asyncio.Lock()

    async def run(self, begin: int, *, by_columns: bool) -> Found:
        """Check the section; the fold begins at row ``begin``."""
        section, walking = self._section, self._walking
        for row in await self._connection.fetch(query("verify_adoptions"), self._bandit, section.first):
            walking.rows.problem(row)
        if by_columns and begin > 1:
            for rows in await self._copied("wire_ids", {"decision_id": "text"}, begin):
                self._seen.add(rows)
        at, lowest = begin, -EVERYTHING if section.first <= begin else section.first - 1
        while by_columns and at < section.first:
            end = min(at + _PAGE, section.first) - 1
            if not await self._fold(at, end):
                break
            at = end + 1
        if at < section.first:
            await self._fold_plainly(at)
            at = section.first
        if by_columns and at <= section.last:
            at, lowest = await self._by_columns(at, lowest)
        if at <= section.last:
            await self._check_plainly(at, section.last, lowest, section.known)
        elif by_columns:
            await self._decisions(lowest, section.known)
        else:
            await self._check_plainly(1, 0, lowest, section.known)
        return walking.finished()

    async def _by_columns(self, at: int, lowest: int) -> tuple[int, int]:
        """Check pages from row ``at`` on, and decisions that knew rows from ``lowest`` on; returns where the
        rest begins, that is to be walked row by row. While a page is checked, the next one is read.
        """
        section = self._section
        ahead = asyncio.create_task(self._read(at, self._page_end(at), lowest))
        try:
            while True:
                read = await ahead
                end = read.last
                if not _follow(read.pieces, at, end):
                    return at, lowest  # what is missing is said there
                if end < section.last:
                    ahead = asyncio.create_task(self._read(end + 1, self._page_end(end + 1), end))
                for piece in read.pieces:
                    pages = piece.between_events()
                    for page in pages:
                        await self._check(page, lowest, read.decisions if len(pages) == 1 else None)
                        lowest = page.last
                at = end + 1
                if at > section.last:
                    return at, lowest
        finally:
            ahead.cancel()
            await asyncio.wait([ahead])

    async def _read(self, first: int, last: int, lowest: int) -> _Read:
        """Read a page of the log and, unless there are very many, the decisions that it is the place for."""
        pieces = [LogColumns(rows) for rows in await self._copied("wire_rows", LOG, first, last)]
        if len(pieces) != 1:
            return _Read(last, pieces, None)
        arguments = lowest, last - 1, _MOST_AHEAD
        made = [DecisionColumns(r) for r in await self._copied("wire_decisions_first", DECISION, *arguments)]
        if sum(map(len, made)) == _MOST_AHEAD:
            return _Read(last, pieces, None)
        return _Read(last, pieces, [await self._prepared(decisions) for decisions in made])

    async def _prepared(self, decisions: DecisionColumns) -> _Made:
        async with self._preparing:
            return await asyncio.to_thread(self._prepare, decisions)

    def _prepare(self, decisions: DecisionColumns) -> _Made:
        return decisions, {key: decider.arranged(decisions) for key, decider in self._deciders.items()}

    def _page_end(self, first: int) -> int:
        """Stored sums are compared between pages."""
        due = [seq for seq in self._walking.due if seq >= first]
        return min([first + _PAGE - 1, self._section.last, *due])

    async def _copied(self, name: str, columns: Mapping[str, str], *args: object) -> list[WireRows]:
        async with self._reading:
            return await copied(self._connection, name, columns, self._bandit, *args)

    async def _fold(self, first: int, last: int) -> bool:
        """Fold rows of earlier sections, which check them; false where a row is missing."""
        # Monitors see whole rows.
        kind = ("wire_rows", LOG) if self._walking.watching else ("wire_fold", FOLDED)
        pieces = [LogColumns(rows) for rows in await self._copied(*kind, first, last)]
        if not _follow(pieces, first, last):
            return False
        for page in [part for piece in pieces for part in piece.between_events()]:
            self._seen.add(page.rows)
            folds = await asyncio.to_thread(self._opened, page)
            if folds is None:
                self._give_way()
                arguments = (self._bandit, page.first, page.last, self._several)
                rows = await self._connection.fetch(query("verify_rows"), *arguments)
                await asyncio.to_thread(self._walking.fold_only, rows)
            else:
                self._close(folds, page.last)
        return True

    async def _fold_plainly(self, first: int) -> None:
        arguments = (self._bandit, first, self._section.first - 1, self._several)
        before = await self._connection.cursor(query("verify_rows"), *arguments)
        self._give_way()
        while rows := await before.fetch(_SLOW_PAGE):
            await asyncio.to_thread(self._walking.fold_only, rows)

    async def _check(self, page: LogColumns, lowest: int, made: Sequence[_Made] | None) -> None:
        """Check a page of the log and the decisions that knew rows from ``lowest`` to before its end, which
        are read unless ``made`` holds them.
        """
        folds = await asyncio.to_thread(self._opened, page)
        if folds is None:
            self._seen.add(page.rows)
            await self._check_plainly(page.first, page.last, lowest, page.last - 1)
            return
        self._folds = folds
        if made is None:
            await self._decisions(lowest, page.last - 1)
        else:
            for decisions in made:
                await asyncio.to_thread(self._derive, *decisions)
        self._folds = {}
        await asyncio.to_thread(self._close, folds, page.last)
        if missing := self._rows.missing(page):
            for rows in await self._copied("wire_decisions_by_id", DECISION, missing):
                self._recent.add(DecisionColumns(rows))
        others = await asyncio.to_thread(self._rows.others, page)
        if self._walking.rows.adopted_seq or page.without_effect.any():
            others = list(range(len(page)))
        self._walking.checked(len(page))
        if others:
            await self._check_rows([page.rows.row(i) for i in others])

    async def _check_rows(self, rows: Sequence[Row]) -> None:
        check = self._walking.rows
        for key in {row["decision_id"] for row in rows} - {None}:
            if (known := self._recent.row(key)) is not None:
                check.decisions[key] = known
        async with self._reading:
            await look_up(self._connection, self._bandit, check, rows)
        await asyncio.to_thread(self._walking.check_some, rows)

    async def _decisions(self, lowest: int, highest: int) -> None:
        """Derive anew the decisions that knew rows ``lowest`` to ``highest``."""

        async def take(rows: WireRows) -> None:
            await asyncio.to_thread(self._derive, *await self._prepared(DecisionColumns(rows)))

        bounds = self._bandit, lowest, highest
        async with self._reading:
            await copy_out(self._connection, "wire_decisions", DECISION, bounds, take)

    def _derive(self, decisions: DecisionColumns, made: Mapping[str, Prepared | None]) -> None:
        walking, found = self._walking, self._walking.found
        left = np.ones(len(decisions), np.bool_)
        for key, decider in self._deciders.items():
            left &= ~equal(decisions.rows, "spec_hash", key)
            sound, told = decider.again(decisions, made[key], self._folds.get(key))
            found.matched += sound
            for i, problem in told:
                walking.judge(decisions.rows.row(i), problem)
        for i in np.flatnonzero(left).tolist():
            row = decisions.rows.row(i)
            walking.judge(row, walking.unknown(row["spec_hash"]))
        found.decisions += len(decisions)
        self._recent.add(decisions)

    def _opened(self, page: LogColumns) -> dict[str, PageFold] | None:
        """The learners of all specs before a page, or None where it cannot be folded by columns."""
        if not self._walking.foldable(page.first):
            return None
        folds = {key: PageFold(walk, page) for key, walk in self._walking.walks.items()}
        if not all(fold.fits for fold in folds.values()):
            return None
        if self._walking.watching:
            self._walking.watch(page.rows.fetched())
            if not self._walking.foldable(page.first):
                return None
        for fold in folds.values():
            fold.open()
        return folds

    def _close(self, folds: Mapping[str, PageFold], last: int) -> None:
        for fold in folds.values():
            fold.close()
        self._walking.folded(last)

    def _give_way(self) -> None:
        for decider in self._deciders.values():
            decider.give_way()

    async def _check_plainly(self, first: int, last: int, lowest: int, known: int) -> None:
        """Check rows ``first`` to ``last``, and decisions that knew ``lowest`` to ``known``, row by row."""
        self._give_way()
        async with self._reading:
            await self._walk_plainly(first, last, lowest, known)

    async def _walk_plainly(self, first: int, last: int, lowest: int, known: int) -> None:
        walking, connection = self._walking, self._connection
        log = await connection.cursor(query("verify_rows"), self._bandit, first, last, self._several)
        made = await connection.cursor(query("verify_decisions"), self._bandit, lowest, known)
        decisions: list[Row] = []
        while rows := await log.fetch(_SLOW_PAGE):
            while True:
                decisions = decisions or list(await made.fetch(_SLOW_PAGE))
                here = [row for row in decisions if row["state_seq"] < rows[-1]["seq"]]
                await asyncio.to_thread(walking.check_decisions, here, rows)
                some_left = len(here) < len(decisions)
                decisions = decisions[len(here) :]
                if some_left or not here:
                    break
            await asyncio.to_thread(walking.fold_rest, rows)
            await look_up(connection, self._bandit, walking.rows, rows)
            await asyncio.to_thread(walking.check_rows, rows)
        while decisions or (decisions := list(await made.fetch(_SLOW_PAGE))):
            await asyncio.to_thread(walking.check_decisions, decisions, [])
            decisions = []


def _follow(pieces: Sequence[LogColumns], first: int, last: int) -> bool:
    """Tell whether these are all rows from ``first`` to ``last``."""
    for page in pieces:
        if not page.follows(first - 1):
            return False
        first += len(page)
    return first == last + 1
