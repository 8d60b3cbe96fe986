"""What pages show, read from the engine, the log and the analyses: bounded, kept, asked once at a time."""

from __future__ import annotations

import asyncio
import time as clock
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from ....bandit.events import EventRow
from ....bandit.guardrails import GuardState, Override
from ....bandit.guardrails.state import Tripped
from ....persistence.budgets import BudgetLeft
from ....persistence.dashboard import (
    ArmRecord,
    BanditRecord,
    DecisionRecord,
    Stretch,
    arm_records,
    bandit_records,
    chosen_arms,
    decided,
    newest_contexts,
    newest_decisions,
    newest_events,
    stretches,
)
from ....persistence.database import reaching
from ....persistence.guardrails import guardrail_events
from ...engine import LearningEngine
from .choices import CONTEXTS, ChoiceMap, choice_map
from .kept import Answer, Kept

__all__ = ["Arms", "Guards", "Reading", "Waiting", "together"]

_CHEAP_S = 2.0
_DEAR_S = 60.0
_DEAR_WAIT_S = 2.5
_LOOKED_AT = 1000
_EVENTS = 200
_DEFAULTED = ("late", "defaulted", "abandoned", "corrected", "retracted")


@dataclass(frozen=True, slots=True)
class Guards:
    """Guardrails as the log says them: overrides in force, breakers, used-up budgets, the learner's share."""

    overrides: tuple[Override, ...]
    expired: int
    tripped: Mapping[str, Tripped]
    spent: Mapping[str, tuple[tuple[str, ...], float | None]]
    share: float | None
    budgets: tuple[BudgetLeft, ...]
    now: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The newest decisions, and how many of them stand where: ``pending`` and the states of rewards."""

    decisions: tuple[DecisionRecord, ...]
    counts: Mapping[str, int]
    oldest: tuple[DecisionRecord, ...]
    unusual: tuple[DecisionRecord, ...]


@dataclass(frozen=True, slots=True)
class Arms:
    """How often arms were chosen lately, and what they were worth."""

    chosen: Mapping[str, int]
    worth: Mapping[str, ArmRecord]


class Reading:
    """Answers about all bandits of a server."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._kept = pool, Kept()
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """End what is still being asked."""
        await self._kept.close()

    async def bandits(self) -> Answer[list[BanditRecord]]:
        """Every bandit of the database, or the first 200."""
        return await self._kept.get("bandits", self._reached(bandit_records), fresh_s=1.0)

    async def stretches(self, engine: LearningEngine) -> Answer[list[Stretch]]:
        """Rewards over time."""
        return await self._cheap(engine, "stretches", self._of(engine, stretches))

    async def arms(self, engine: LearningEngine) -> Answer[Arms]:
        """Shares and worth of arms."""

        async def ask() -> Arms:
            with reaching():
                name = engine.spec.name
                return Arms(await chosen_arms(self._pool, name), await arm_records(self._pool, name))

        return await self._cheap(engine, "arms", ask)

    async def choices(self, engine: LearningEngine) -> Answer[ChoiceMap | None]:
        """What would be chosen now."""

        async def ask() -> ChoiceMap | None:
            with reaching():
                contexts = await newest_contexts(self._pool, engine.spec.name, CONTEXTS)
            return await choice_map(engine, contexts)

        return await self._cheap(engine, "choices", ask)

    async def decided(self, engine: LearningEngine) -> Answer[int]:
        """How many decisions are stored."""
        return await self._cheap(engine, "decided", self._of(engine, decided))

    async def waiting(self, engine: LearningEngine) -> Answer[Waiting]:
        """The newest decisions, and where their rewards stand."""

        async def ask() -> Waiting:
            with reaching():
                found = await newest_decisions(self._pool, engine.spec.name, _LOOKED_AT)
            counts = Counter(record.state or "pending" for record in found)
            pending = [r for r in found if (r.state or "pending") == "pending" and r.mode != "imported"]
            unusual = tuple(r for r in found if r.state in _DEFAULTED)[:20]
            return Waiting(tuple(found[:40]), counts, tuple(pending[::-1][:20]), unusual)

        return await self._cheap(engine, "waiting", ask)

    async def events(self, engine: LearningEngine) -> Answer[list[EventRow]]:
        """The newest 200 epochs, alarms and guardrails, the latest first."""

        async def ask() -> list[EventRow]:
            with reaching():
                return await newest_events(self._pool, engine.spec.name, _EVENTS)

        return await self._cheap(engine, "events", ask, exact=True)

    async def guards(self, engine: LearningEngine) -> Answer[Guards]:
        """Overrides, breakers and budgets: never older than the last row of the log that is known here."""

        async def ask() -> Guards:
            spec, rails = engine.spec, engine.spec.guardrails
            service = None if rails is None else rails.service
            state = GuardState(spec.arms, spec.baseline, None if service is None else service.shares[0])
            with reaching():
                state.restore(await guardrail_events(self._pool, spec.name))
            now = clock.time()
            force = tuple(state.in_force(now))
            hard = tuple(await engine.budgets()) if rails is not None and rails.budgets else ()
            expired = len(state.overrides) - len(force)
            spent = {name: told for name, told in state.spent.items() if told[1] is None or told[1] > now}
            return Guards(force, expired, dict(state.tripped), spent, state.share, hard, now)

        return await self._cheap(engine, "guards", ask, exact=True)

    async def analysis(
        self, engine: LearningEngine, name: str, ask: Callable[[], Awaitable[Any]]
    ) -> Answer[Any]:
        """An analysis of the log, at most a minute old; the page does not wait long for it.

        One at a time in this process: each reads many rows, and decisions share the processor with it.
        """

        async def asked() -> Any:
            async with self._turn:
                return await ask()

        key = (engine.spec.name, engine.spec.spec_hash, name)
        return await self._kept.get(key, asked, fresh_s=_DEAR_S, wait_s=_DEAR_WAIT_S)

    async def _cheap(
        self,
        engine: LearningEngine,
        question: str,
        ask: Callable[[], Awaitable[Any]],
        *,
        exact: bool = False,
    ) -> Answer[Any]:
        stamp: Hashable = engine.state_seq if exact else None
        key = (engine.spec.name, engine.spec.spec_hash, question)
        return await self._kept.get(key, ask, stamp=stamp, fresh_s=_CHEAP_S / 2 if not exact else _CHEAP_S)

    def _reached(self, ask: Callable[[asyncpg.Pool], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def asked() -> Any:
            with reaching():
                return await ask(self._pool)

        return asked

    def _of(
        self, engine: LearningEngine, ask: Callable[[asyncpg.Pool, str], Awaitable[Any]]
    ) -> Callable[[], Awaitable[Any]]:
        async def asked() -> Any:
            with reaching():
                return await ask(self._pool, engine.spec.name)

        return asked


async def together(*asked: Awaitable[Any]) -> list[Any]:
    """Wait for several answers at once."""
    return list(await asyncio.gather(*asked))
