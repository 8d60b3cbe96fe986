"""Processes that lose and find the database at any moment, all deciding and reporting on the same ids."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, Decision, LearningEngine
from nyx_learning.bandit.same import same_choice
from nyx_learning.errors import DatabaseUnavailable

Contexts = Callable[[int], dict[str, Any]]
IDS = 40


class Process:
    """An engine whose database can be taken away; what it was told is kept."""

    def __init__(self, engine: LearningEngine, seed: int) -> None:
        self.engine, self.rng = engine, random.Random(seed)  # noqa: S311 (what happens when)
        self.flush = engine._parts.flushing.flush
        self.decisions: list[Decision] = []
        self.reported: list[tuple[Decision, str]] = []

    def take_away(self) -> None:
        """From now on nothing is written but what is on its way."""
        self.engine._parts.flushing.flush = self._refused  # type: ignore[method-assign]
        self.engine._parts.availability.lost("a test")

    async def bring_back(self) -> None:
        self.engine._parts.flushing.flush = self.flush  # type: ignore[method-assign]
        await self.engine.flush()

    async def _refused(self) -> int:
        raise DatabaseUnavailable("a test", expected="-", found="a test", fix="-")

    async def act(self, contexts: Contexts) -> None:
        """One of: lose the database, find it, decide, report on something that was decided here."""
        draw = self.rng.random()
        if draw < 0.08:
            self.take_away()
        elif draw < 0.2:
            await self.bring_back()
        elif draw < 0.6 or not self.decisions:
            i = self.rng.randrange(IDS)
            self.decisions.append(await self.engine.select_arm(contexts(i), f"wf-{i}"))
        else:
            decision = self.rng.choice(self.decisions)
            receipt = await self.engine.update_reward(decision, reward=int(decision.decision_id[3:]) % 8 / 8)
            self.reported.append((decision, receipt.state))
        await asyncio.sleep(self.rng.random() * 0.003)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_report_on_a_decision_that_was_returned_is_kept(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, seed: int
) -> None:
    """In the log, where the decision is the stored one; else beside it. None of them is refused."""
    processes = [Process(await open_engine(spec), 100 * seed + number) for number in range(3)]

    async def live(process: Process) -> None:
        for _ in range(100):
            await process.act(contexts)

    await asyncio.gather(*(live(process) for process in processes))
    for process in processes:
        await process.bring_back()
    async with asyncio.timeout(30):
        while any([await p.engine.flush() for p in processes]):  # noqa: ASYNC110 (commits in flight)
            await asyncio.sleep(0.02)
    stored = {
        key: await processes[0].engine._store.decision(key)
        for (key,) in await sql("SELECT decision_id FROM nyx.decision")
    }
    kept = {key for key, _ in await sql("SELECT decision_id, digest FROM nyx.conflict")}
    rewarded = Counter(key for (key,) in await sql("SELECT decision_id FROM nyx.log"))
    unlearned = {key for (key,) in await sql("SELECT decision_id FROM nyx.unlearned")}
    assert max(rewarded.values()) == 1
    for process in processes:
        for decision in process.decisions:
            key = decision.decision_id
            assert same_choice(stored[key], decision) or key in kept
        for decision, state in process.reported:
            key = decision.decision_id
            if same_choice(stored[key], decision):
                assert rewarded[key] == 1
            else:
                assert key in unlearned
                assert state in {"spooled", "conflict"}
    assert kept  # else nothing was tried
    report = await processes[0].engine.verify()
    assert report.ok, report.first_divergence
