"""Selecting an arm: encode, choose, persist; what was decided under an id before is the answer.

A decision is made once. Where the database does not take it in time, that decision goes to the spool and is
returned; while it is away, decisions go there at once. Whatever comes again under its id finds it.
"""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Iterable, Mapping

from ..bandit import Decision, Learner
from ..bandit.learner import checked_id
from ..bandit.same import same_choice, same_request
from ..errors import NyxError, RewardTooLate
from ..features import Value
from ..persistence.group_commit import GroupCommit, Handed, Written
from .availability import Availability
from .in_time import Deadlines
from .letting_go import LettingGo
from .random_ids import random_id
from .remembered import Remembered
from .spooling import SPOOLED, WRITE_BEHIND, Spooling

__all__ = ["Selecting"]

_LOG = logging.getLogger("nyx_learning")


class Selecting:
    """Decides by a learner, and stores what was decided."""

    def __init__(
        self,
        learner: Learner,
        commit: GroupCommit,
        remembered: Remembered,
        spooling: Spooling,
        availability: Availability,
        *,
        fail_open: bool,
        deadline_s: float,
    ) -> None:
        self._learner, self._commit, self._remembered = learner, commit, remembered
        self._spooling, self._availability = spooling, availability
        self._fail_open, self._letting_go = fail_open, LettingGo()
        self.deadline_s = deadline_s
        """For so long a decision waits until it is stored, where nothing else is said."""
        self._deadlines = Deadlines()
        self._on_their_way: dict[str, Handed] = {}

    async def select(
        self,
        context: Mapping[str, Value],
        decision_id: str | None,
        *,
        eligible: Iterable[str] | None,
        exclude: Iterable[str] | None,
        durable: bool,
        deadline_s: float | None,
    ) -> Decision:
        """``LearningEngine.select_arm``."""
        key = checked_id(decision_id) if decision_id is not None else random_id()
        allowed_s = self.deadline_s if deadline_s is None else deadline_s
        deadline = asyncio.get_running_loop().time() + allowed_s
        learner, remembered = self._learner, self._remembered
        clean, phi = learner.encoder.encode(context)
        allowed = learner.arms.eligible(eligible, exclude)
        known = None if decision_id is None else self._known(key)
        spool_at_once = self._fail_open and self._availability.impaired
        if known is not None:
            decision = same_request(known, clean, allowed, learner.arms.units)
            unsettled = remembered.is_behind(key) or remembered.get(key) is None
            if spool_at_once or not durable or not unsettled:
                return self._kept(decision)
        else:
            mode = "normal" if durable else WRITE_BEHIND
            decision = learner.choose(clean, phi, key, allowed, time=clock.time(), mode=mode)
        if not durable:
            return self._write_behind(decision)
        if spool_at_once:
            kept = self._spooled(decision, None)
            await self._letting_go.now_and_then()
            return kept
        if self._commit.full and not await self._room(deadline):
            return self._spooled(decision, None)
        # Nobody else can ask for a random id before it is told.
        on_its_way = self._commit.hand_in(decision) if decision_id is None else self._sent(decision)
        written = await self._stored(on_its_way, deadline)
        if written is None:
            return self._spooled(on_its_way.decision, on_its_way)
        if known is None and written.decision is decision:
            remembered.add_stored(decision)
            return decision
        decision = same_request(written.decision or decision, clean, allowed, learner.arms.units)
        if known is not None and same_choice(decision, known):
            decision = known  # as it was returned before
        remembered.add_stored(decision)
        return decision

    async def _room(self, deadline: float) -> bool:
        """Wait until there is room for a write; tells whether there was in time."""
        try:
            async with asyncio.timeout_at(deadline if self._fail_open else None):
                await self._commit.room()
        except TimeoutError:
            return False
        return True

    def _known(self, key: str) -> Decision | None:
        """What was decided under an id, as far as this process can tell without the database."""
        known = self._remembered.get(key)
        if known is None and key in self._on_their_way:
            known = self._on_their_way[key].decision
        if known is None:
            known = self._spooling.decision(key)
            if known is not None:
                self._remembered.add(known, behind=True)
        return known

    def _kept(self, decision: Decision) -> Decision:
        """A decision that is known; one that is only on its way is spooled before it is an answer."""
        on_its_way = self._on_their_way.get(decision.decision_id)
        if on_its_way is None or self._remembered.get(decision.decision_id) is not None:
            return decision
        return self._spooled(decision, on_its_way)

    def _sent(self, decision: Decision) -> Handed:
        """Send a decision to the database, once however many ask for it meanwhile."""
        on_its_way = self._on_their_way.get(decision.decision_id)
        if on_its_way is None:
            on_its_way = self._commit.hand_in(decision)
            on_its_way.then = self._arrived
            self._on_their_way[decision.decision_id] = on_its_way
        return on_its_way

    def _arrived(self, on_its_way: Handed) -> None:
        del self._on_their_way[on_its_way.key]

    async def _stored(self, on_its_way: Handed, deadline: float) -> Written | None:
        """What the database has; None where it does not have it in time, and what is known of it is noted."""
        waiting = on_its_way.listen()
        if not self._fail_open:
            return await waiting  # type: ignore[no-any-return]
        self._deadlines.add(waiting, deadline)
        try:
            written: Written | None = await waiting
            if written is None and on_its_way.ended:  # at the same moment
                written = await on_its_way.listen()
        except RewardTooLate:
            raise  # the id belongs to a decision that retention dropped: the caller's, and no outage
        except Exception as error:  # noqa: BLE001 (whatever it is, the learner has failed, and not its caller)
            self._availability.lost(error.found if isinstance(error, NyxError) else f"{error!r:.200}")
            return None
        if written is None:
            self._availability.lost("the database did not answer within the deadline of a decision")
        return written

    def _spooled(self, decision: Decision, on_its_way: Handed | None) -> Decision:
        key = decision.decision_id
        known = self._remembered.get(key)  # several may have waited for it: it is spooled once
        if known is not None:
            return known
        stored = None if on_its_way is None else on_its_way.listen()
        kept = self._spooling.keep_decision(decision, SPOOLED, stored)
        self._remembered.add(kept, behind=True)
        return kept

    def _write_behind(self, decision: Decision) -> Decision:
        away = self._availability.impaired
        mode = SPOOLED if away else WRITE_BEHIND
        if decision.mode != mode:
            decision = decision._replace(mode=mode)
        text = decision.spelled()
        stored = None if away or self._commit.full else self._commit.hand_in(decision, text=text).listen()
        kept = self._spooling.keep_decision(decision, mode, stored, text)
        self._remembered.add(kept, behind=True)
        if stored is not None:
            stored.add_done_callback(lambda done: self._stored_behind(kept, done))
        return kept

    def _stored_behind(self, decision: Decision, done: asyncio.Future[Written]) -> None:
        key = decision.decision_id
        if done.cancelled() or done.exception() is not None:
            told = "the spool has it" if self._spooling.usable else "its outcome will bring it along"
            _LOG.warning("write-behind decision '%s' was not stored yet: %s", key, told)
            return
        self._remembered.mark_stored(key)
        stored = done.result().decision
        if stored is not None and not same_choice(stored, decision):
            _LOG.warning("write-behind decision '%s' was decided before by another process", key)
            self._remembered.lose(decision)
