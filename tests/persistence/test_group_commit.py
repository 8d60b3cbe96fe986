"""Many writes, one transaction; one that spoils it does not spoil the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Decision, PolicySpec, Strategy
from nyx_learning.bandit.log import RewardRow
from nyx_learning.errors import DatabaseRefused, DatabaseUnavailable, DecisionConflict, RewardConflict
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.group_commit import GroupCommit, Written
from nyx_learning.persistence.store import Batch, Store
from nyx_learning.rewards import Reward

SPEC = BanditSpec(
    name="grouped",
    strategies=[Strategy("a"), Strategy("b")],
    context=ContextSchema(task=Categorical(["x", "y"])),
    policy=PolicySpec("uniform"),
)


@pytest.fixture
async def store(database_dsn: str) -> AsyncIterator[Store]:
    pool = await connect(database_dsn)
    made = Store(pool, SPEC)
    await made.register()
    yield made
    await close_pool(pool)


class Commits:
    """A writer, and the batches that it committed."""

    def __init__(self, store: Store, **options: float) -> None:
        self.batches: list[Batch] = []
        self.writer = GroupCommit(store, self._committed, **options)

    async def _committed(self, batch: Batch) -> None:
        self.batches.append(batch)


@pytest.fixture
async def commits(store: Store) -> AsyncIterator[Commits]:
    made = Commits(store, patience_s=0.3)
    yield made
    await made.writer.close()


def decision(number: int) -> Decision:
    return Bandit(SPEC).select_arm({"task": "x"}, f"d-{number}")


def report(of: Decision, value: float) -> RewardRow:
    return RewardRow.of(of, SPEC.context.version, Reward(value, {}, (), "v"), None, 1.0)


async def results(*writes: Any) -> list[Any]:
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_what_arrives_during_a_commit_is_one_batch(commits: Commits) -> None:
    decisions = [decision(i) for i in range(100)]
    await results(*(commits.writer.write(d) for d in decisions))
    written = await results(*(commits.writer.write(d, report(d, 0.5), carry=False) for d in decisions))
    assert all(isinstance(w, Written) and w.applied for w in written)
    assert len(commits.batches) <= 4
    rows = [row for batch in commits.batches for row in batch.appended]
    assert [row.seq for row in rows] == list(range(1, 101))
    assert {w.row.seq for w in written} == set(range(1, 101))


async def test_one_poisonous_row_fails_alone(commits: Commits) -> None:
    """NUL cannot be stored: the engine refuses it before, so here it stands for the unforeseen."""
    decisions = [decision(i) for i in range(9)]
    poison = decision(9)._replace(mode="\x00")
    missing = decision(10)  # said to be stored, and not: it is brought along
    written = await results(
        *(commits.writer.write(d, report(d, 0.5)) for d in decisions[:5]),
        commits.writer.write(poison, report(poison, 0.5)),
        commits.writer.write(missing, report(missing, 0.5), carry=False),
        *(commits.writer.write(d, report(d, 0.5)) for d in decisions[5:]),
    )
    assert isinstance(written[5], DatabaseRefused)
    assert sorted(w.row.seq for w in written if isinstance(w, Written) and w.row) == list(range(1, 11))
    assert (await commits.writer.write(decision(20))).decision == decision(20)


async def test_refusals_inside_a_batch(commits: Commits) -> None:
    first, second, third = (decision(i) for i in range(3))
    await commits.writer.write(first, report(first, 0.5))
    await commits.writer.write(second)
    forged = second._replace(time=1.0)
    written = await results(
        commits.writer.write(first, report(first, 0.75)),
        commits.writer.write(forged, report(forged, 0.5)),
        commits.writer.write(third, report(third, 0.5)),
    )
    assert [type(w) for w in written] == [RewardConflict, DecisionConflict, Written]
    assert written[2].row.seq == 2
    (abandoning,) = await results(commits.writer.write(forged, abandoned_at=1.0))
    assert isinstance(abandoning, DecisionConflict)


async def test_the_same_report_twice_in_one_go(commits: Commits) -> None:
    one = decision(1)
    written = await results(*(commits.writer.write(one, report(one, value)) for value in (0.5, 0.5, 0.75)))
    assert [w.applied for w in written[:2]] == [True, False]
    assert isinstance(written[2], RewardConflict)


async def test_unforeseen_errors_reach_the_caller_and_the_writer_lives(
    commits: Commits, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", lambda _batch: 1 / 0)
        written = await results(*(commits.writer.write(decision(i)) for i in range(3)))
    assert [type(w) for w in written] == [ZeroDivisionError] * 3
    assert (await commits.writer.write(decision(0))).decision == decision(0)


async def test_those_behind_do_not_wait_their_turn_to_fail(
    store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many batches are waiting while the database is away: all hear of it with the first."""

    async def away(_batch: Batch) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(store, "commit", away)
    monkeypatch.setattr("nyx_learning.persistence.group_commit._BATCH", 2)
    async with asyncio.timeout(2):
        written = await results(*(commits.writer.write(decision(i)) for i in range(40)))
    assert {type(w) for w in written} == {DatabaseUnavailable}


async def test_closing_fails_what_cannot_be_written_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hangs(_batch: Batch) -> None:
        await never.wait()

    monkeypatch.setattr(store, "commit", hangs)
    monkeypatch.setattr("nyx_learning.persistence.group_commit._CLOSE_S", 0.1)
    writer = Commits(store).writer
    waiting = [asyncio.ensure_future(writer.write(decision(i))) for i in range(2)]
    await asyncio.sleep(0.01)
    waiting.append(asyncio.ensure_future(writer.write(decision(2))))
    await asyncio.sleep(0.01)
    await writer.close()
    assert [type(w) for w in await results(*waiting)] == [DatabaseUnavailable] * 3
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        writer.enqueue(decision(3))
    await writer.close()


async def test_a_cancelled_writer_leaves_nobody_waiting(store: Store) -> None:
    """As when the event loop is shut down under the engine."""
    writer = Commits(store).writer
    waiting = asyncio.ensure_future(writer.write(decision(0)))
    await asyncio.sleep(0)
    writer._task.cancel()
    (outcome,) = await results(waiting)
    assert isinstance(outcome, DatabaseUnavailable | Written)
    with pytest.raises(DatabaseUnavailable):
        await writer.write(decision(1))
    await writer.close()


async def test_deadlocks_are_tried_again(
    store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, failures = store.commit, [asyncpg.DeadlockDetectedError("x"), asyncpg.SerializationError("y")]

    async def failing(batch: Batch) -> None:
        if failures:
            raise failures.pop()
        await commit(batch)

    monkeypatch.setattr(store, "commit", failing)
    one = decision(0)
    assert (await commits.writer.write(one, report(one, 0.5))).applied
