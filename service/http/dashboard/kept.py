"""Answers that are kept for a while: each question is asked once at a time, however many look.

An answer is as good as new while nothing has changed that it rests on (``stamp``), for a bounded time. Where
a new one takes long, the old one is shown meanwhile, with its age.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ....errors import NyxError

__all__ = ["Answer", "Kept"]

_LOG = logging.getLogger("nyx_learning")
T = TypeVar("T")
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """``value`` None: there is none (yet). error : why the last asking failed. at : seconds since 1970."""

    value: T | None
    error: NyxError | None
    at: float
    pending: bool


class _Entry:
    __slots__ = ("asked", "at", "error", "stamp", "task", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: NyxError | None = None
        self.stamp: Hashable = None
        self.asked = -1e9
        self.at = 0.0
        self.task: asyncio.Task[None] | None = None


class Kept:
    """Questions by their keys; those that nobody asked for longest are forgotten first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._closed = False

    async def get(
        self,
        key: Hashable,
        ask: Callable[[], Awaitable[T]],
        *,
        stamp: Hashable = None,
        fresh_s: float,
        wait_s: float = 5.0,
    ) -> Answer[T]:
        """Return the answer of ``ask``, at most ``fresh_s`` old and of this ``stamp``, or what there is.

        wait_s : for so long it is waited for a new one; it is asked on behind that.
        """
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        self._forget()
        old = clock.monotonic() - entry.asked > fresh_s or entry.stamp != stamp or entry.task is not None
        while old and not self._closed:
            joined = entry.task is not None and entry.stamp != stamp
            if entry.task is None:
                entry.stamp, entry.asked = stamp, clock.monotonic()
                entry.task = asyncio.create_task(self._ask(entry, ask), name="nyx-dashboard")
            done, _ = await asyncio.wait([entry.task], timeout=wait_s)
            # Who joined an asking that began before the change needs another one.
            old = joined and bool(done) and entry.stamp != stamp
        pending = entry.task is not None
        return Answer(entry.value, entry.error, entry.at, pending)

    async def close(self) -> None:
        """End what is still being asked."""
        self._closed = True
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, entry: _Entry, ask: Callable[[], Awaitable[Any]]) -> None:
        try:
            entry.value = await ask()
            entry.error, entry.at = None, clock.time()
        except NyxError as error:
            entry.error = error
        except Exception as error:  # noqa: BLE001 (one part must not take the page down)
            _LOG.error("a part of the dashboard failed", exc_info=error)
            entry.error = NyxError(
                "this part could not be made",
                expected="an answer",
                found=type(error).__name__,
                fix="see the server's log, and report it",
            )
        finally:
            entry.task = None

    def _forget(self) -> None:
        for key in list(self._entries):
            if len(self._entries) <= _MOST:
                return
            if self._entries[key].task is None:
                del self._entries[key]
