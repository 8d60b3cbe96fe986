"""A process that decides and reports, notes what it was told, and may be killed at any instant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from nyx_learning import Decision, LearningEngine, Outcome
from nyx_learning.canonical import digest
from nyx_learning.errors import (
    DatabaseUnavailable,
    DecisionConflict,
    DecisionUnknown,
    NyxError,
    OutcomeInvalid,
    RewardConflict,
    RewardTooLate,
)
from nyx_learning.persistence.database import reaching
from nyx_learning.service.warming import warm_up
from tests.crash.journal import Journal
from tests.crash.mutants import MUTANTS
from tests.crash.traffic import SPEC, context, fork_of, outcome, workflow

__all__ = ["Order", "write"]

_TASKS = 6
_AHEAD = 24
_PATIENCE_S = 30.0
_SPOOLED_PAUSE_S = 0.1  # answers from memory come at once: while the server recovers, thousands would
_EXPECTED = (DatabaseUnavailable, DecisionUnknown, OutcomeInvalid, RewardConflict, RewardTooLate)

warm_up([SPEC.policy.name], staged=False)  # once, in the process that the writers are forked from


@dataclass(frozen=True, slots=True)
class Order:
    """What one writer is to do.

    ``stop`` : the file whose appearance ends it in good order. ``fail_open`` : it takes decisions and
    receipts that wait in the spool for an answer; else only what is stored is one.
    """

    dsn: str
    journal: Path
    stop: Path
    hold: Path
    seed: int
    writer: int
    life: int
    mutant: str | None
    fail_open: bool
    spool: Path


def write(order: Order) -> None:
    """The whole life of a writer."""
    logging.disable()  # it would tell of every kill
    asyncio.run(_Writer(order).run())


class _Writer:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._journal = Journal(order.journal)
        self._mine: list[Decision] = []
        self._engine: LearningEngine

    async def run(self) -> None:
        order = self._order
        if order.mutant is not None:
            MUTANTS[order.mutant].apply()
        while True:
            try:
                self._engine = await LearningEngine.open(
                    SPEC,
                    order.dsn,
                    patience_s=_PATIENCE_S,
                    fail_open=order.fail_open,
                    spool=order.spool,
                )
                break
            except DatabaseUnavailable:
                await asyncio.sleep(0.02)
        rngs = [fork_of(order.seed, order.writer, order.life, task) for task in range(_TASKS + 1)]
        async with asyncio.TaskGroup() as group:
            for rng in rngs[:-1]:
                group.create_task(self._work(rng))
            group.create_task(self._show_state(rngs[-1]))
        await self._engine.close()
        self._journal.note("closed")

    async def _goes_on(self) -> bool:
        """Wait while writers are held; tells whether they are not stopped."""
        stop = self._order.stop
        while self._order.hold.exists() and not stop.exists():  # noqa: ASYNC110 (another process holds it)
            await asyncio.sleep(0.01)
        return not stop.exists()

    async def _show_state(self, rng: Random) -> None:
        """Note what this process knows: it must be the fold of exactly the rows that it names."""
        while await self._goes_on():
            sums = self._engine._learner.sums
            self._journal.note("state", seq=sums.seq, totals=digest(sums.totals.tolist()))
            if rng.random() < 0.2:
                await self._try(self._store_sums())
            await asyncio.sleep(0.03)

    async def _store_sums(self) -> None:
        with reaching():
            await self._engine._replica.checkpoint()

    async def _work(self, rng: Random) -> None:
        while await self._goes_on():
            frontier = self._engine.state_seq + _AHEAD
            # Mostly what is recent, sometimes what is long ago.
            number = max(0, frontier - 1 - int(rng.expovariate(1 / (2000 if rng.random() < 0.1 else 12))))
            again = 2 if rng.random() < 0.2 else 1
            action = rng.random()
            if action < 0.45:
                await self._all(self._select(number) for _ in range(again))
            elif action < 0.80:
                await self._all(self._report(number, 0) for _ in range(again))
            elif action < 0.86:
                await self._all(self._report(number, variant) for variant in rng.sample((0, 1), 2))
            elif action < 0.94:
                await self._all(self._report(number, 2, corrects=0) for _ in range(again))
            elif action < 0.97:
                await self._all(self._retract(number) for _ in range(again))
            elif self._mine and not self._order.fail_open:  # of a spooled one nobody hears
                await self._abandon(rng.choice(self._mine))

    async def _all(self, calls: Any) -> None:
        await asyncio.gather(*calls)

    async def _select(self, number: int) -> None:
        key = workflow(number)
        self._journal.note("select", id=key)
        decision = await self._try(self._engine.select_arm(context(number), key))
        if decision is not None:
            if decision.mode == "normal":
                self._journal.acknowledged("decided", id=key, digest=decision.digest)
            elif decision.mode != "memory":  # of that it is said that nothing keeps it
                made = [decision.arm_id, decision.propensity, decision.state_seq]
                self._journal.acknowledged("spooled_decision", id=key, made=made)
                await asyncio.sleep(_SPOOLED_PAUSE_S)
            self._mine = [*self._mine[-50:], decision]

    async def _report(self, number: int, variant: int, corrects: int | None = None) -> None:
        key, told = workflow(number), outcome(number, variant)
        revision = 0 if corrects is None else corrects + 1
        content = {name: _plain(value) for name, value in told.items()}
        self._journal.note("report", id=key, kind="reward", revision=revision, content=content)
        receipt = await self._try(self._engine.update_reward(key, corrects=corrects, **told))
        if receipt is not None:
            self._told(receipt, "reward", content)
            if not receipt.seq:
                await asyncio.sleep(_SPOOLED_PAUSE_S)

    async def _retract(self, number: int) -> None:
        key = workflow(number)
        self._journal.note("report", id=key, kind="retraction", revision=0, content=None)
        receipt = await self._try(self._engine.retract(key))
        if receipt is not None:
            self._told(receipt, "retraction", None)

    async def _abandon(self, decision: Decision) -> None:
        key = decision.decision_id
        self._journal.note("report", id=key, kind="abandonment", revision=0, content=None)
        done = self._try(self._engine.abandon(decision), missing=False)
        if await done is None:
            self._journal.acknowledged("abandoned", id=key)

    def _told(self, receipt: Any, kind: str, content: object) -> None:
        self._journal.acknowledged(
            "told" if receipt.seq else "spooled_report",
            id=receipt.decision_id,
            kind=kind,
            revision=receipt.revision,
            seq=receipt.seq,
            reward=receipt.reward,
            applied=receipt.applied,
            content=content,
        )

    async def _try(self, call: Awaitable[Any], missing: object = None) -> Any:
        """The answer, or ``missing`` where the call was refused or the database stayed away."""
        try:
            return await call
        except _EXPECTED:
            return missing
        except NyxError as error:
            if self._order.fail_open and isinstance(error, DecisionConflict):
                return missing  # its own decision waits in the spool, and another process was first
            self._journal.note("failed", error=str(error))
            return missing


def _plain(value: object) -> object:
    return value.to_dict() if isinstance(value, Outcome) else value
