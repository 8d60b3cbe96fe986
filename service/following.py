"""Keeping the memory of the process at the end of the log: its own commits, and those of other processes."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Coroutine
from typing import Any

from ..persistence.news import News
from ..persistence.replica import Replica
from ..persistence.store import Batch, Store
from .availability import Availability

__all__ = ["Following"]

_LOG = logging.getLogger("nyx_learning")
_POLL_S = 0.2
_APART_S = 0.01
_CHECKPOINT_ROWS = 1000
_PARTITIONS_S = 6 * 3600.0


class Following:
    """Folds what is committed, polls for what others commit, and stores the sums from time to time."""

    def __init__(self, store: Store, replica: Replica, availability: Availability, news: News) -> None:
        self._store, self._replica, self._availability, self._news = store, replica, availability, news
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self.last_seen = 0
        """Number of the last row of the log, when it was last looked at."""
        self.confirmed_at: float | None = None
        """When the memory of the process was last known to be at the end of the log; seconds since 1970."""

    @property
    def alive(self) -> bool:
        """Tell whether the log is being followed."""
        return self._following is not None and not self._following.done()

    def start(self) -> None:
        """Begin to follow, behind the restored prefix of the log."""
        self._confirm(self._replica.seq)
        self._following = self.spawn(self._follow(), "follow")
        self.spawn(self._make_partitions(), "partitions")
        self.spawn(self._news.send(), "tell")
        self.spawn(self._news.listen(), "listen")

    async def stop(self, timeout_s: float = 5.0) -> None:
        """End every task; one that waits for a server which does not answer ends with its connection."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something beside the callers, until it ends or ``stop`` is called."""
        task = asyncio.create_task(work, name=f"nyx-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def committed(self, batch: Batch) -> None:
        """Learn what was just committed; other processes' rows may stand in between."""
        self._availability.regained()
        if not self._replica.fold(batch.appended) or self._replica.seq < batch.last_seq:
            await self._replica.catch_up()
        self._news.tell(self._replica.seq)
        due = self._replica.seq - self._replica.stored_seq >= _CHECKPOINT_ROWS
        if due and not any(task.get_name() == "nyx-checkpoint" for task in self._tasks):
            self.spawn(self.checkpoint(), "checkpoint")

    async def checkpoint(self) -> None:
        """Store the sums; a failure is told in the log."""
        try:
            await self._replica.checkpoint()
        except Exception as error:  # noqa: BLE001 (a cache: the log has everything)
            _LOG.warning("cannot store the sums of bandit '%s': %r", self._store.bandit, error)

    def _confirm(self, last: int) -> None:
        self.last_seen, self.confirmed_at = max(last, self.last_seen), clock.time()

    async def _follow(self) -> None:
        away = False
        while True:
            await self._news.wait(_POLL_S)
            try:
                lost = self._replica.lost_rows
                last = await self._replica.follow()
                if self._replica.lost_rows > lost:
                    self.last_seen = last
                self._confirm(last)
                away = False
            except Exception as error:  # noqa: BLE001 (whatever it is, the next round may pass)
                if not away:
                    _LOG.warning("cannot follow the log of bandit '%s': %r", self._store.bandit, error)
                away = True
            await asyncio.sleep(_APART_S)  # however much is told

    async def _make_partitions(self) -> None:
        """Months go by while a process runs."""
        while True:
            await asyncio.sleep(_PARTITIONS_S)
            try:
                await self._store.make_partitions()
            except Exception as error:  # noqa: BLE001 (the default partition takes what has none)
                _LOG.warning("cannot make partitions for the months ahead: %r", error)
