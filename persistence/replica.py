"""A process's memory of the log: always an exact prefix of it, and ``seq`` names which."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from ..bandit import Learner
from ..bandit.events import EventRow
from ..bandit.log import LogRow, RewardRow
from .fold import BlockName, Fold
from .guardrails import guardrail_events
from .history import History
from .pages import LogPage, page_of
from .store import Store, StoredBlock

__all__ = ["Replica"]

_LOG = logging.getLogger("nyx_learning")
_PAGE = 20_000
_HISTORY_S = 0.2
_ROW_BY_ROW = 8  # so few rows are folded sooner than columns are made of them


class Replica:
    """Keeps a learner at a prefix of the stored log."""

    def __init__(self, learner: Learner, store: Store) -> None:
        self._fold, self._store = Fold(learner), store
        self._history = History(store.pool)
        self._left_at: int | None = None  # the last row of a history that is not the database's any more
        self._changed: dict[BlockName, int] = {}
        self.stored_seq = 0
        """Row that the stored sums go up to, as far as this process knows."""
        self.lost_rows = 0
        """How many rows that this process had folded the database has lost since, at least."""

    @property
    def seq(self) -> int:
        """Last row that was folded."""
        return self._fold.seq

    async def restore(self) -> None:
        """Load the stored sums, then fold the rows behind them; fold everything where they cannot be used.

        In place of whatever was folded before.
        """
        await self._history.is_another()  # from here on
        last, seq, blocks = await self._store.sums.load()
        size = self._fold.learner.sums.width
        if seq > last or any(len(block[3]) != size for block in blocks):
            _LOG.warning(
                "the stored sums of bandit '%s' are damaged: folding its whole log", self._store.bandit
            )
            seq, blocks = 0, []
        events = await guardrail_events(self._store.pool, self._store.bandit, seq) if seq else ()
        self._fold.restore(seq, blocks, events)
        self._changed.clear()
        self.stored_seq = seq
        await self.catch_up()

    async def follow(self) -> int:
        """Fold what is new; returns the number of the log's last row.

        Where the database went on from an earlier moment, begin anew from its log: rows that were lost there
        are forgotten here too.
        """
        await self._keep_to_history(_HISTORY_S)
        last = await self._store.log.last_seq()
        if last > self.seq:
            await self.catch_up()
        return last

    async def _keep_to_history(self, within_s: float) -> None:
        if await self._history.is_another(within_s=within_s) and self._left_at is None:
            self._left_at = self.seq
        if self._left_at is None:
            return
        await self.restore()  # where it fails, the next look tries again
        if self._left_at is None:
            return  # another task was faster
        before, self._left_at = self._left_at, None
        _LOG.warning(
            "the database of bandit '%s' failed over, or was restored: row %d was the last, now row %d is",
            self._store.bandit,
            before,
            self.seq,
        )
        self.lost_rows += max(0, before - self.seq)

    async def _rebase(self) -> bool:
        """Start from the base where rows behind our prefix were dropped; False where none were."""
        base = await self._store.sums.load_base()
        if base.seq <= self.seq:
            return False
        events = await guardrail_events(self._store.pool, self._store.bandit, base.seq)
        self._fold.restore(base.seq, base.blocks, events)
        self._changed = dict.fromkeys(self._fold.names(), base.seq)
        return True

    def fold(self, rows: Sequence[RewardRow]) -> bool:
        """Fold rows of this process's own commit if they are the next ones; otherwise False, and nothing."""
        encoding = self._store.encoding
        if rows and (rows[0].seq != self.seq + 1 or any(row.encoding != encoding for row in rows)):
            return False
        if (
            len(rows) > _ROW_BY_ROW
            and self._fold.by_pages
            and all(len(r.phi) == self._dimension for r in rows)
        ):
            self._absorb_part(page_of(rows))
        else:
            for row in rows:
                self._absorb(row, None)
        return True

    async def catch_up(self) -> None:
        """Fold what stands in the log behind our prefix, page by page."""
        while True:
            begin = self.seq
            if self._fold.by_pages:
                page = await self._store.log.page(begin, _PAGE, self._dimension)
                self._absorb_page(page, await self._store.log.rows(page.others))
                count, reached = page.size, page.last
            else:
                rows = await self._store.log.after(begin, _PAGE)
                self._absorb_rows(rows)
                count, reached = len(rows), rows[-1][0].seq if rows else 0
            if not count:
                reached = await self._store.log.last_seq()
            if reached > self.seq:  # there is a gap
                if not await self._rebase():
                    return
            elif count < _PAGE:
                return

    async def checkpoint(self) -> None:
        """Store the sums; not those of rows that the database has lost."""
        await self._keep_to_history(0.0)
        if self.seq > self.stored_seq:
            self.stored_seq = await self._store.sums.save(self._take)
            self._changed = {name: seq for name, seq in self._changed.items() if seq > self.stored_seq}

    def _take(self, stored: int) -> tuple[int, Iterator[StoredBlock]]:
        # Where the stored sums are older than what we once read or wrote, somebody removed them: store all.
        whole = stored < self.stored_seq
        names = self._fold.names() if whole else sorted(n for n, seq in self._changed.items() if seq > stored)
        return self.seq, ((*name, self._fold.statistics(name)) for name in names)

    @property
    def _dimension(self) -> int:
        return self._fold.learner.sums.dimension

    def _absorb_page(self, page: LogPage, others: Sequence[tuple[LogRow, dict[str, object] | None]]) -> None:
        """Fold what of a page comes next: another task may have folded some of it while it was read."""
        begin = int(np.searchsorted(page.seqs, self.seq, "right"))
        for row, context in others:
            end = int(np.searchsorted(page.seqs, row.seq))
            self._absorb_run(page, begin, end)
            self._absorb_rows([(row, context)])
            begin = max(begin, end)
        self._absorb_run(page, begin, len(page.seqs))

    def _absorb_run(self, page: LogPage, begin: int, end: int) -> None:
        # Without gaps: a row that somebody removed from the log must not be passed over.
        if begin < end:
            gaps = page.seqs[begin:end] != np.arange(self.seq + 1, self.seq + 1 + end - begin)
            length = int(gaps.argmax()) if gaps.any() else end - begin
            if length:
                self._absorb_part(page.part(begin, begin + length))

    def _absorb_part(self, page: LogPage) -> None:
        seq = int(page.seqs[-1])
        for name in self._fold.absorb_page(page):
            self._changed[name] = seq

    def _absorb_rows(self, rows: Sequence[tuple[LogRow, dict[str, object] | None]]) -> None:
        for row, context in rows:
            if row.seq == self.seq + 1:  # another task may have folded it while we were reading
                self._absorb(row, context)

    def _absorb(self, row: LogRow, context: dict[str, object] | None) -> None:
        name = self._fold.absorb(row, context)
        if name is not None:
            self._changed[name] = row.seq
        if isinstance(row, EventRow):
            self._changed.update((block, row.seq) for block in self._fold.begun(row))
