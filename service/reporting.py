"""What is told of decisions behind their making: outcomes, and executions that were cancelled.

While the database is away, what is told goes to the spool, and the receipt says so: it is learned from when
it has a number. A report on a decision that lost its id to another one is kept, and not learned from.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock

from ..bandit import BanditSpec, Decision, Receipt
from ..bandit.learner import checked_id
from ..bandit.reports import Reported, draft_report, receipt_of
from ..bandit.same import same_choice
from ..errors import DatabaseUnavailable, DecisionConflict, NyxError
from ..persistence.conflicts import Conflicts
from ..persistence.database import reaching, unavailable
from ..persistence.group_commit import GroupCommit, Handed, Written
from ..persistence.store import Store, decision_conflict
from .availability import Availability
from .in_time import Deadlines, in_time
from .letting_go import LettingGo
from .payload import check_report
from .provenance import Provenance
from .remembered import Remembered
from .spooling import Spooling

__all__ = ["CONFLICT", "SPOOLED_REPORT", "Reporting"]

_LOG = logging.getLogger("nyx_learning")

SPOOLED_REPORT, CONFLICT = "spooled", "conflict"
"""States of receipts of reports that are not learned from: not yet, and never."""


class Reporting:
    """Turns reports into rows of the log, each about a decision that this bandit made."""

    def __init__(
        self,
        spec: BanditSpec,
        store: Store,
        commit: GroupCommit,
        remembered: Remembered,
        provenance: Provenance,
        spooling: Spooling,
        availability: Availability,
        *,
        fail_open: bool,
        patience_s: float,
    ) -> None:
        self._spec, self._store, self._commit = spec, store, commit
        self._spec_hash = spec.spec_hash
        self._remembered, self._provenance = remembered, provenance
        self._spooling, self._availability = spooling, availability
        self._conflicts = Conflicts(store)
        self._deadlines = Deadlines()
        self._fail_open, self._patience_s = fail_open, patience_s
        self._letting_go = LettingGo()

    async def report(self, decision: Decision | str, told: Reported) -> Receipt:
        """``LearningEngine.update_reward``."""
        check_report(told)
        time = clock.time()
        key = decision.decision_id if isinstance(decision, Decision) else checked_id(decision)
        lost = self._lost(decision, key)
        if lost is not None and not self._availability.impaired:
            return await self._keep_apart(lost, told, time, None)
        if self._fail_open and (self._availability.impaired or self._spooling.has_reports(key)):
            receipt = self._spooled(key, lost or self._at_hand(decision, key), told, time)
            await self._letting_go.now_and_then()
            return receipt
        deadline = asyncio.get_running_loop().time() + self._patience_s
        try:
            target, carry, encoding = await self._found(decision, key, deadline)
        except DatabaseUnavailable as error:
            if not self._fail_open:
                raise
            self._availability.lost(error.found)
            return self._spooled(key, self._at_hand(decision, key), told, time)
        except DecisionConflict as conflict:
            if isinstance(decision, Decision) and await self._was_made_apart(decision):
                return await self._keep_apart(decision, told, time, conflict)
            raise
        draft = draft_report(self._spec, target, encoding, told, time)
        if self._commit.full and not await self._room(deadline):
            return self._spooled(key, target, told, time)
        # A decision that is known to be stored need not travel again.
        on_its_way = self._commit.hand_in(target, draft, carry=carry)
        try:
            written = await self._stored(on_its_way, deadline, told, time)
        except DecisionConflict as conflict:
            if await self._was_made_apart(target):
                return await self._keep_apart(target, told, time, conflict)
            raise
        if written is None:
            return self._spooled(key, target, told, time, on_its_way)
        self._remembered.mark_stored(key)
        self._remembered.add(target)
        return receipt_of(written.row or draft, applied=written.applied)

    async def _room(self, deadline: float) -> bool:
        """Wait until there is room for a write; tells whether there was in time."""
        try:
            async with asyncio.timeout_at(deadline if self._fail_open else None):
                await self._commit.room()
        except TimeoutError:
            return False
        return True

    def abandon(self, decision: Decision) -> asyncio.Future[Written]:
        """``LearningEngine.abandon_soon``."""
        time = clock.time()
        away = self._fail_open and self._availability.impaired
        if away and self._spooling.keep_abandonment(decision, time):
            noted: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
            noted.set_result(Written(decision, None, applied=False))
            return noted
        noted = self._commit.enqueue(decision, abandoned_at=time)
        noted.add_done_callback(lambda done: self._abandoned(decision, time, done))
        return noted

    def _abandoned(self, decision: Decision, time: float, noted: asyncio.Future[Written]) -> None:
        error = None if noted.cancelled() else noted.exception()
        if error is None:
            return
        unreached = self._fail_open and isinstance(error, DatabaseUnavailable)
        if not (unreached and self._spooling.keep_abandonment(decision, time)):
            _LOG.warning("an abandoned execution was not noted: %s", error)

    async def _found(self, decision: Decision | str, key: str, deadline: float) -> tuple[Decision, bool, str]:
        """The decision that a report is about, whether it may have to be stored too, and its encoding."""
        known = self._known(key)
        if known is not None and known is decision and known.spec_hash == self._spec_hash:
            return known, self._remembered.is_behind(key), self._store.encoding  # the usual case
        if not self._fail_open or (known is not None and known.spec_hash == self._spec_hash):
            return await self._look_up(decision, key)
        looking = asyncio.create_task(self._look_up(decision, key), name="nyx-look-up")
        # A cancelled query can wait for a server that does not answer: it is left to itself.
        looking.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not await in_time(looking, deadline):
            raise unavailable(f"a decision could not be looked up within {self._patience_s:g} s")
        return looking.result()

    async def _look_up(self, decision: Decision | str, key: str) -> tuple[Decision, bool, str]:
        target, carry = await self._target(decision, key)
        return target, carry, await self._provenance.encoding(target)

    async def _target(self, decision: Decision | str, key: str) -> tuple[Decision, bool]:
        known = self._known(key)
        if not isinstance(decision, Decision):
            if known is None:
                with reaching():
                    return await self._store.decision(key), False
            return known, self._remembered.is_behind(key)
        if known is None:
            await self._provenance.check(decision)
            return decision, True
        if not same_choice(known, decision):
            raise decision_conflict(known, decision)
        return decision, self._remembered.is_behind(key)

    def _known(self, key: str) -> Decision | None:
        known = self._remembered.get(key)
        if known is None:
            known = self._spooling.decision(key)
            if known is not None:
                self._remembered.add(known, behind=True)
        return known

    def _at_hand(self, decision: Decision | str, key: str) -> Decision | None:
        """``_target`` without the database; None for an id that this process does not know."""
        known = self._known(key)
        if not isinstance(decision, Decision):
            return known
        if known is None or not same_choice(known, decision):
            self._provenance.check_here(decision)  # which of the two is stored turns out later
        return decision

    def _spooled(
        self,
        key: str,
        decision: Decision | None,
        told: Reported,
        time: float,
        on_its_way: Handed | None = None,
    ) -> Receipt:
        if decision is not None and decision.spec_hash == self._spec.spec_hash:
            # What is wrong with it is said at once, and not when nobody listens any more.
            draft_report(self._spec, decision, self._store.encoding, told, time)
        direct = None if on_its_way is None or on_its_way.ended else on_its_way.listen()
        if not self._spooling.keep_report(key, told, decision, time, direct):
            raise unavailable(
                f"{self._availability.cause}; the spool takes nothing either: {self._spooling.problem}",
                "make room on the disk of the spool, or wait for the database, and send the same call again",
            )
        revision = 0 if told.corrects is None else told.corrects + 1
        return Receipt(key, 0, None, False, {}, (), SPOOLED_REPORT, revision)

    async def _stored(
        self, on_its_way: Handed, deadline: float, told: Reported, time: float
    ) -> Written | None:
        """What the database has; None where it does not have it in time, and what is known of it is noted."""
        waiting = on_its_way.listen()
        if not self._fail_open:
            return await waiting  # type: ignore[no-any-return]
        self._deadlines.add(waiting, deadline)
        try:
            written: Written | None = await waiting
            if written is None and on_its_way.ended:  # at the same moment
                written = await on_its_way.listen()
        except asyncio.CancelledError:
            # Nobody waits for it any more; it is kept all the same where the database does not take it.
            late = on_its_way.listen()
            late.add_done_callback(lambda done: self._keep_unstored(done, on_its_way.decision, told, time))
            raise
        except DatabaseUnavailable as error:
            self._availability.lost(error.found)
            return None
        if written is None:
            self._availability.lost(f"a report was not stored within {self._patience_s:g} s")
        return written

    def _keep_unstored(
        self, late: asyncio.Future[Written], target: Decision, told: Reported, time: float
    ) -> None:
        if not late.cancelled() and isinstance(late.exception(), DatabaseUnavailable):
            self._spooling.keep_report(target.decision_id, told, target, time)

    def _lost(self, decision: Decision | str, key: str) -> Decision | None:
        """The decision that a report is about, where it is known to have lost its id to another one."""
        lost = self._remembered.lost(key)
        if lost is None:
            return None
        if isinstance(decision, Decision):
            return lost if same_choice(lost, decision) else None
        # By its id alone: whoever has not met the other one executed the arm of this one.
        return lost if self._remembered.get(key) is None else None

    async def _was_made_apart(self, decision: Decision) -> bool:
        """Tell whether a decision that is not the stored one was made by an engine all the same."""
        key = decision.decision_id
        # The spool lets go of it only when it is noted as a conflict: it is always found in one of the two.
        ours = (self._remembered.get(key), self._remembered.lost(key), self._spooling.decision(key))
        if any(known is not None and same_choice(known, decision) for known in ours):
            return True
        try:
            self._provenance.check_here(decision)
        except NyxError:
            return False
        with reaching():
            return await self._conflicts.has_decision(decision)

    async def _keep_apart(
        self, decision: Decision, told: Reported, time: float, conflict: DecisionConflict | None
    ) -> Receipt:
        """Store a report where nothing learns from it, beside its decision."""
        key = decision.decision_id
        document = {"decision": decision.to_dict(), "time": time, "told": told.to_dict()}
        with reaching():
            if conflict is None:
                conflict = decision_conflict(await self._store.decision(key), decision)
            await self._conflicts.note_decision(decision)
            await self._conflicts.note_report(key, document, conflict)
        known = self._remembered.get(key)
        if known is None or same_choice(known, decision):  # else the stored one has been met meanwhile
            self._remembered.lose(decision)
        return Receipt(key, 0, None, False, {}, (), CONFLICT)
