"""What is put into the spool, and how it is read again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from ..bandit import BanditSpec, Decision
from ..bandit.decision import DecisionText
from ..bandit.document import read_decision
from ..bandit.reports import Reported
from ..bandit.same import same_choice
from ..errors import NyxError
from ..persistence.group_commit import Written
from ..persistence.spool import Spool
from ..persistence.spool_file import Entry, SpoolFile

__all__ = ["ABANDONMENT", "DECISION", "MEMORY", "REPORT", "SPOOLED", "WRITE_BEHIND", "Spooling"]

_LOG = logging.getLogger("nyx_learning")

DECISION, REPORT, ABANDONMENT = "decision", "report", "abandonment"
"""Kinds of records."""

WRITE_BEHIND, SPOOLED, MEMORY = "write_behind", "spooled", "memory"
"""Modes of decisions that were answered before the database had them: asked for without waiting; because the
database was away or late; and where the spool took nothing either."""


class Spooling:
    """Records of one engine. Where there is no usable spool, ``problem`` says why, and nothing is kept."""

    def __init__(self, spec: BanditSpec, spool: Spool | None, problem: str | None = None) -> None:
        self._spec, self.spool, self.problem = spec, spool, problem
        self._specs: dict[str, BanditSpec] = {spec.spec_hash: spec}
        self.wake = asyncio.Event()
        """Set where there is something to flush."""

    @property
    def usable(self) -> bool:
        """Tell whether the last record could be written."""
        return self.problem is None

    @property
    def waits(self) -> bool:
        """Tell whether there are records."""
        return self.spool is not None and len(self.spool) > 0

    def keep_decision(
        self,
        decision: Decision,
        mode: str,
        direct: asyncio.Future[Written] | None = None,
        text: DecisionText | None = None,
    ) -> Decision:
        """Put a decision into the spool; returns it with its mode: ``MEMORY`` where that was not possible.

        ``direct`` : the same decision on its way to the database; only if that fails it is flushed from here.
        ``text`` : as it is spelled with this mode, where that is known.
        """
        if decision.mode != mode:
            decision, text = decision._replace(mode=mode), None
        text = text or decision.spelled()
        entry = self._append(DECISION, decision.decision_id, f'"decision":{text.whole}')
        if entry is None:
            return decision._replace(mode=MEMORY)
        self._await_direct(entry, direct, decision)
        return decision

    def keep_report(
        self,
        key: str,
        told: Reported,
        decision: Decision | None,
        time: float,
        direct: asyncio.Future[Written] | None = None,
    ) -> bool:
        """Put a report into the spool; False where that was not possible."""
        document = {"decision": None if decision is None else decision.to_dict(), "time": time}
        entry = self._append(REPORT, key, {**document, "told": told.to_dict()})
        if entry is not None:
            self._await_direct(entry, direct, decision)
        return entry is not None

    def keep_abandonment(self, decision: Decision, time: float) -> bool:
        """Put the end of a cancelled execution into the spool; False where that was not possible."""
        document = {"decision": decision.to_dict(), "time": time}
        entry = self._append(ABANDONMENT, decision.decision_id, document)
        self.wake.set()
        return entry is not None

    def decision(self, key: str) -> Decision | None:
        """The decision of that id that waits in the spool; None where there is none that can be read."""
        entry = None if self.spool is None else self.spool.decision(key)
        if entry is None:
            return None
        try:
            document = entry.read()["decision"]
            spec = self.spec_of(entry.file, document["spec_hash"])
            return None if spec is None else read_decision(document, spec)
        except (NyxError, OSError, LookupError, TypeError) as error:
            _LOG.error("decision '%s' cannot be read from the spool: %r", key, error)
            return None

    def has_reports(self, key: str) -> bool:
        """Tell whether reports on this decision wait in the spool: further ones have to wait behind them."""
        return self.spool is not None and self.spool.reports(key) > 0

    def spec_of(self, file: SpoolFile, spec_hash: str) -> BanditSpec | None:
        """The spec of that hash: this engine's, or the one in the file's header."""
        if spec_hash not in self._specs:
            document = file.header.get("spec")
            spec = None if document is None else BanditSpec.from_dict(document)
            if spec is None or spec.spec_hash != spec_hash:
                return None
            self._specs[spec_hash] = spec
        return self._specs[spec_hash]

    def close(self) -> None:
        """Give the files up; what is not flushed stays in them."""
        if self.spool is not None:
            self.spool.close()

    def _append(self, kind: str, key: str, document: Mapping[str, Any] | str) -> Entry | None:
        if self.spool is None:
            return None
        try:
            entry = self.spool.append(kind, key, document)
        except (OSError, ValueError) as error:
            if self.problem is None:
                _LOG.error("the spool %s takes no records: %s", self.spool.folder, error)
            self.problem = f"{type(error).__name__}: {error}"
            return None
        self.problem = None
        return entry

    def _await_direct(
        self, entry: Entry, direct: asyncio.Future[Written] | None, decision: Decision | None
    ) -> None:
        if direct is None:
            self.wake.set()
            return
        entry.direct = True
        direct.add_done_callback(lambda done: self._direct_done(entry, decision, done))

    def _direct_done(self, entry: Entry, decision: Decision | None, done: asyncio.Future[Written]) -> None:
        entry.direct = False
        if not done.cancelled() and done.exception() is None and self.spool is not None:
            stored = done.result().decision
            if entry.kind != DECISION or stored is None or decision is None or same_choice(stored, decision):
                self.spool.settle(entry)
                return
        self.wake.set()  # flushing finds out what is the matter
