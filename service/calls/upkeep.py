"""The log as a whole: in and out, checked, shortened; and how the engine is."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Literal

from ...bandit import VerifyReport
from ...persistence.conflicts import Conflicts, Unlearned
from ...persistence.database import reaching
from ...persistence.retention import Retained
from ..exporting import ExportReport, export_log
from ..health import Health, health_of
from ..importing import ImportReport, import_log
from ..retaining import expire_and_retain
from .base import OpenParts

__all__ = ["UpkeepCalls"]

_DRAIN_S = 5.0


class UpkeepCalls(OpenParts):
    """The engine's calls for who operates it."""

    async def import_log(
        self, path: str | Path, *, form: str | None = None, skip_bad: bool = False
    ) -> ImportReport:
        """Import decisions and rewards from a file (JSONL, CSV or Parquet), and learn from them.

        They count as made elsewhere (mode ``imported``); what they were worth joins the sums as any reward
        does. All lines are imported, in one transaction, or none; a file that was imported before changes
        nothing. See ``docs/how-to/import-a-history.md``.

        Parameters
        ----------
        form : ``jsonl``, ``csv`` or ``parquet``; by default what the file's name says, or its beginning.
        skip_bad : import the lines that fit, and list the others in the report.

        Raises
        ------
        ImportRejected : a line does not fit; its ``report`` lists them all, and nothing was written.
        LogUnreadable, PackageMissing : the file cannot be read to its end; nothing was written.
        DatabaseUnavailable, DatabaseRefused : nothing was written.
        """
        self._check_open()
        epochs = tuple(self._learner.sums.epochs)
        report = await import_log(self._store, epochs, path, form=form, skip_bad=skip_bad, time=clock.time())
        with reaching():
            await self._replica.catch_up()
        return report

    async def export_log(
        self,
        path: str | Path,
        *,
        form: str | None = None,
        context_columns: Literal["dotted", "json"] = "dotted",
    ) -> ExportReport:
        """Write a line for each stored decision, with the reward that counts now; streamed, of one moment.

        form : as ``import_log`` takes it. context_columns : of a CSV: a column for each feature, or JSON.

        Raises
        ------
        LogUnwritable, PackageMissing : the file cannot be written as asked; an old one stays as it was.
        """
        self._check_open()
        return await export_log(self._store, path, form=form, context_columns=context_columns)

    async def verify(self) -> VerifyReport:
        """Fold the stored log, re-derive every stored decision, and name the first row that differs."""
        from ..verification import verify_log  # noqa: PLC0415 - loads its compiled loops

        self._check_open()
        await self._parts.flushing.drain(_DRAIN_S)
        with reaching():
            await self._replica.checkpoint()
            return await verify_log(self._store)

    async def retain(self, older_than_s: float, *, dry_run: bool = False) -> Retained:
        """Drop decisions that are older, with their rows of the log; what they taught stays, exactly.

        Their sums are stored first, and ``verify`` and restarts begin there. Kept is what is still needed;
        the report says what holds it. Windows that have passed are closed before, as by ``expire``. Needs
        the rights of the schema's owner. Executions that agents reported and advice on running executions go
        by their age alone. ``older_than_s`` : seconds. ``dry_run`` : only say what would go.

        Raises
        ------
        InputInvalid : an age that is none.
        """
        self._check_open()
        now = clock.time()
        with reaching():
            (found,) = await expire_and_retain([self._store], older_than_s, now=now, dry_run=dry_run)
            await self._replica.catch_up()
        return found

    async def counts(self) -> dict[str, int]:
        """How many decisions, rewards and abandoned executions are stored for this bandit."""
        self._check_open()
        with reaching():
            return await self._store.log.counts()

    async def flush(self) -> int:
        """Send what waits on the local disk now; returns how many records still wait there.

        That happens by itself too, as soon as the database answers.

        Raises
        ------
        DatabaseUnavailable, DatabaseRefused : the database does not take it; everything is kept.
        """
        self._check_open()
        return await self._parts.flushing.flush()

    def health(self) -> Health:
        """Whether the engine is live, ready and learning, and where not, why, and what to do.

        Told from memory at once, whatever the database does; also behind ``close``.
        """
        return health_of(self._parts, closed=self._closing is not None)

    async def unlearned(self, limit: int = 1000) -> list[Unlearned]:
        """The reports that are stored and not learned from, the latest first: each with the reason.

        Reports that waited for the database, and that the log then refused; and those on decisions that lost
        their id to another process's.
        """
        self._check_open()
        with reaching():
            return await Conflicts(self._store).reports(limit)
