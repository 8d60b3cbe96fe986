"""Bringing what the spool holds to the database: in order, as often as it takes, and nothing twice.

A record that the log refuses for good (another outcome came first, its decision lost its id) is stored where
nothing learns from it: ``nyx.unlearned`` keeps the report and why, ``nyx.conflict`` the decision.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

import asyncpg

from ..bandit import BanditSpec, Decision
from ..bandit.document import read_decision
from ..bandit.reports import Reported, draft_report
from ..bandit.same import same_choice
from ..errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    DecisionConflict,
    DecisionUnknown,
    DocumentInvalid,
    NyxError,
)
from ..persistence.conflicts import Conflicts
from ..persistence.database import reaching, refused
from ..persistence.group_commit import GroupCommit, Written
from ..persistence.queries import query
from ..persistence.spool_file import Entry
from ..persistence.store import Store
from .availability import Availability
from .provenance import Provenance
from .remembered import Remembered
from .spooling import ABANDONMENT, DECISION, Spooling

__all__ = ["Flushing"]

_LOG = logging.getLogger("nyx_learning")
_PAGE = 500
_PAUSE_S = 0.005
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 1.0
_ADOPT_S = 5.0
_RETRY_S = 5.0
_UNKNOWN_S = 86_400.0


class Flushing:
    """Flushes one engine's spool, and those of processes that have ended.

    ``arrive`` : makes the database ready for this engine where it was not; called before anything is sent.
    ``conflicts``, ``unlearned`` : how many decisions and reports the database keeps apart, as last seen.
    """

    def __init__(
        self,
        spec: BanditSpec,
        store: Store,
        commit: GroupCommit,
        remembered: Remembered,
        provenance: Provenance,
        spooling: Spooling,
        availability: Availability,
        arrive: Callable[[], Awaitable[None]],
    ) -> None:
        self._spec, self._store, self._commit = spec, store, commit
        self._remembered, self._provenance = remembered, provenance
        self._spooling, self._availability, self._arrive = spooling, availability, arrive
        self._kept_apart = Conflicts(store)
        self._one_at_a_time, self._adopting = asyncio.Lock(), asyncio.Lock()
        self.conflicts = self.unlearned = 0
        self.problem: str | None = None
        """Why records are kept back though the database answers; None where none are."""
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Tell whether what is spooled is being flushed."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Flush from now on whenever there is something, and adopt what others left."""
        self._task = asyncio.create_task(self._run(), name=f"nyx-flush-{self._spec.name}")

    async def stop(self, timeout_s: float = 5.0) -> None:
        """End that; where it waits for a server that does not answer, it ends with its connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=timeout_s)

    async def _run(self) -> None:
        delay, adopt_at = _FIRST_DELAY_S, 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                if loop.time() >= adopt_at:
                    adopt_at = loop.time() + _ADOPT_S
                    await self.adopt()
                if self._due(loop.time()) or self._availability.impaired:
                    await self.flush()
                delay = _FIRST_DELAY_S
                await self._pause(_LONGEST_DELAY_S if self._availability.impaired else _ADOPT_S)
            except DatabaseUnavailable as error:
                self._availability.lost(error.found)
                await asyncio.sleep(delay)
                delay = min(2.0 * delay, _LONGEST_DELAY_S)
            except Exception as error:  # noqa: BLE001 (whatever it is, the next round may pass)
                told = error.found if isinstance(error, NyxError) else f"{error!r:.200}"
                if told != self.problem:
                    _LOG.error("the spool of bandit '%s' cannot be flushed: %s", self._spec.name, told)
                self.problem = told
                await asyncio.sleep(_LONGEST_DELAY_S)

    async def adopt(self) -> None:
        """Take over the files of processes that have ended."""
        spool = self._spooling.spool
        if spool is None:
            return
        async with self._adopting:  # a file that was found is adopted when the next look ends
            for file in await asyncio.to_thread(spool.find):
                spool.adopt(file)
                count = len(file.entries)
                _LOG.warning("%d records of a process that has ended: adopted %s", count, file.path)

    async def flush(self) -> int:
        """Send what is not on its way already; returns how many records are still in the spool.

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused : the database does not take it now; everything is kept.
        """
        async with self._one_at_a_time:
            await self._arrive()
            spool = self._spooling.spool
            sent = False
            while spool is not None:
                now = asyncio.get_running_loop().time()
                page = list(islice((e for e in spool.entries() if not e.direct and e.retry_at <= now), _PAGE))
                if not page:
                    break
                await self._flush_page(page)
                sent = True
            if not sent and self._availability.impaired:
                await self._probe()
            if sent:
                with reaching():
                    self.conflicts, self.unlearned = await self._kept_apart.counts()
            self._availability.regained()
            self.problem = None
            return 0 if spool is None else len(spool)

    async def drain(self, timeout_s: float) -> None:
        """Flush, and wait for what is on its way already; what cannot be written by then stays."""
        spool = self._spooling.spool
        if spool is None or not len(spool):
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self.flush()
                while any(entry.direct for entry in spool.entries()):  # noqa: ASYNC110 (many writes end it)
                    await asyncio.sleep(_PAUSE_S)
        except (DatabaseUnavailable, DatabaseRefused, TimeoutError) as error:
            _LOG.warning("%d records still wait in the spool: %r", len(spool), error)

    def _due(self, now: float) -> bool:
        spool = self._spooling.spool
        return spool is not None and any(not e.direct and e.retry_at <= now for e in spool.entries())

    async def _pause(self, longest_s: float) -> None:
        wake = self._spooling.wake
        try:
            await asyncio.wait_for(wake.wait(), longest_s)
        except TimeoutError:
            return
        wake.clear()

    async def _probe(self) -> None:
        """Whether the database takes writes, where there is nothing to write."""
        with reaching():
            if not await self._store.pool.fetchval(query("takes_writes")):
                raise asyncpg.ReadOnlySQLTransactionError("it is read-only")

    async def _flush_page(self, page: list[Entry]) -> None:
        sent = []
        for entry in page:
            sent.append(await self._send(entry))
            await asyncio.sleep(0)  # callers do not wait until a whole page is read
        futures = [what for _, _, what in sent if isinstance(what, asyncio.Future)]
        # Not cancelled where this is: the commit goes on, and what it stores is found stored the next time.
        if futures:
            await asyncio.wait(futures)
        unsettled: NyxError | None = None
        for entry, (document, decision, what) in zip(page, sent, strict=True):
            result = _result(what)
            try:
                with reaching():
                    if await self._is_done(entry, document, decision, result) and self._spooling.spool:
                        self._spooling.spool.settle(entry)
            except (DatabaseUnavailable, DatabaseRefused) as error:
                unsettled = error
        if unsettled is not None:
            raise unsettled

    async def _send(
        self, entry: Entry
    ) -> tuple[dict[str, Any], Decision | None, asyncio.Future[Written] | Exception]:
        """Hand a record to the commit; its document, its decision, and what is to come or came instead."""
        document: dict[str, Any] = {}
        decision: Decision | None = None
        try:
            document = entry.read()
            decision = await self._decision(entry, document)
            if entry.kind == DECISION:
                return document, decision, self._commit.enqueue(decision)
            if entry.kind == ABANDONMENT:
                return document, decision, self._commit.enqueue(decision, abandoned_at=document["time"])
            told = Reported.from_dict(document["told"])
            encoding = await self._provenance.encoding(decision)
            draft = draft_report(self._spec, decision, encoding, told, document["time"])
            return document, decision, self._commit.enqueue(decision, draft)
        except (NyxError, OSError, LookupError, TypeError, ValueError) as error:
            return document, decision, error

    async def _decision(self, entry: Entry, document: dict[str, Any]) -> Decision:
        told = document["decision"]
        if told is None:
            with reaching():
                return await self._store.decision(entry.key)
        spec = self._spooling.spec_of(entry.file, told["spec_hash"])
        if spec is not None:
            await self._kept_apart.know(spec)
        else:
            with reaching():
                spec = await self._store.spec(told["spec_hash"])
        if spec is None:
            raise DocumentInvalid(
                "a decision in the spool cannot be read",
                expected="a spec that is stored, or stands in the spool",
                found=f"spec {told['spec_hash']}",
                fix="see nyx.unlearned, which keeps the record",
            )
        decision = read_decision(told, spec)
        if decision.state_seq > self._provenance.state_seq:
            await self._provenance.check(decision)
        return decision

    async def _is_done(
        self,
        entry: Entry,
        document: dict[str, Any],
        decision: Decision | None,
        result: Written | Exception,
    ) -> bool:
        """Tell whether a record needs to be kept no longer; what the log refused is stored apart before."""
        if isinstance(result, Written):
            if entry.kind == DECISION and decision is not None:
                await self._compare(decision, result.decision)
            return True
        if isinstance(result, DatabaseUnavailable):
            raise result
        if isinstance(result, DecisionUnknown) and clock.time() - document.get("time", 0.0) < _UNKNOWN_S:
            entry.retry_at = asyncio.get_running_loop().time() + _RETRY_S  # it may be in another's spool
            return False
        if isinstance(result, DatabaseRefused) and not isinstance(
            result.__cause__, (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
        ):
            entry.retry_at = asyncio.get_running_loop().time() + _RETRY_S  # rights may come back
            raise result
        if isinstance(result, DecisionConflict) and decision is not None:
            await self._kept_apart.note_decision(decision)
            self._remembered.lose(decision)
        error = result if isinstance(result, NyxError) else _unreadable(entry, result)
        await self._kept_apart.note_report(entry.key, document, error)
        _LOG.warning("a record about decision '%s' is kept and not learned from: %s", entry.key, error.what)
        return True

    async def _compare(self, decision: Decision, stored: Decision | None) -> None:
        if stored is None or same_choice(stored, decision):
            self._remembered.mark_stored(decision.decision_id)
            return
        await self._kept_apart.note_decision(decision)
        known = self._remembered.get(decision.decision_id)
        if known is not None and same_choice(known, decision):
            self._remembered.lose(decision)
        _LOG.warning("decision '%s' was decided apart: another one is stored", decision.decision_id)


def _result(what: asyncio.Future[Written] | Exception) -> Written | Exception:
    if isinstance(what, Exception):
        return refused(what) if isinstance(what, asyncpg.PostgresError) else what
    if what.cancelled():
        return DatabaseUnavailable(
            "a write was cancelled", expected="its end", found="a closing engine", fix="open the engine again"
        )
    error = what.exception()
    if isinstance(error, Exception):
        return error
    return what.result()


def _unreadable(entry: Entry, error: Exception) -> NyxError:
    return DocumentInvalid(
        "a record of the spool cannot be read",
        expected="what an engine of this bandit wrote",
        found=f"{type(error).__name__}: {error!s:.200}",
        fix=f"see nyx.unlearned for decision {entry.key!r:.80}",
    )
