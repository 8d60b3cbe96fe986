"""Many writes, one transaction; one that spoils it does not spoil the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Decision, PolicySpec, Strategy
from nyx_learning.bandit.log import RewardRow
from nyx_learning.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    DecisionConflict,
    Overloaded,
    RewardConflict,
)
from nyx_learning.persistence import log_reader
from nyx_learning.persistence import store as store_module
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.group_commit import GroupCommit, Written
from nyx_learning.persistence.queries import query
from nyx_learning.persistence.store import Batch, Store
from nyx_learning.rewards import Reward

SPEC = BanditSpec(
    name="grouped",
    strategies=[Strategy("a"), Strategy("b")],
    context=ContextSchema(task=Categorical(["x", "y"])),
    policy=PolicySpec("uniform"),
)


@pytest.fixture
async def store(migrated_dsn: str) -> AsyncIterator[Store]:
    pool = await connect(migrated_dsn)
    made = Store(pool, SPEC)
    await made.register()
    yield made
    await close_pool(pool)


class Commits:
    """A writer, and the batches that it committed."""

    def __init__(self, store: Store, **options: Any) -> None:
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

    tried: list[Batch] = []

    async def away(batch: Batch) -> None:
        tried.append(batch)
        raise ConnectionRefusedError

    monkeypatch.setattr(store, "commit", away)
    monkeypatch.setattr("nyx_learning.persistence.lane._BATCH", 2)
    written = await results(*(commits.writer.write(decision(i)) for i in range(40)))
    assert {type(w) for w in written} == {DatabaseUnavailable}
    assert all(batch is tried[0] for batch in tried)  # nineteen more are never tried


async def test_closing_fails_what_cannot_be_written_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hangs(_batch: Batch) -> None:
        await never.wait()

    monkeypatch.setattr(store, "commit", hangs)
    monkeypatch.setattr("nyx_learning.persistence.lane._CLOSE_S", 0.1)
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
    for lane in writer._lanes:
        lane.task.cancel()
    (outcome,) = await results(waiting)
    assert isinstance(outcome, DatabaseUnavailable | Written)
    with pytest.raises(DatabaseUnavailable):
        await writer.write(decision(1))
    await writer.close()


async def test_deadlocks_are_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, failures = store.commit, [asyncpg.DeadlockDetectedError("x"), asyncpg.SerializationError("y")]

    async def failing(batch: Batch) -> None:
        if failures:
            raise failures.pop()
        await commit(batch)

    monkeypatch.setattr(store, "commit", failing)
    one, commits = decision(0), Commits(store)
    assert (await commits.writer.write(one, report(one, 0.5))).applied
    await commits.writer.close()


class Statements:
    """Counts what is sent to the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        named = query

        def noted(name: str) -> str:
            self.names.append(name)
            return named(name)

        for module in (store_module, log_reader):
            monkeypatch.setattr(module, "query", noted)


async def test_rewards_of_the_only_writer_are_one_statement(
    store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions = [decision(i) for i in range(30)]
    await results(*(commits.writer.write(d) for d in decisions))
    sent = Statements(monkeypatch)
    await results(*(commits.writer.write(d, report(d, 0.5), carry=False) for d in decisions[:10]))
    assert sent.names == ["lock_bandit", "append_next"]  # who wrote last is not known yet
    sent.names.clear()
    written = await results(*(commits.writer.write(d, report(d, 0.5), carry=False) for d in decisions[10:]))
    assert sent.names == ["append_next"]
    assert sorted(w.row.seq for w in written) == list(range(11, 31))
    assert await store.pool.fetchval("SELECT last_seq FROM nyx.bandit") == 30


async def test_one_statement_that_does_not_hold_writes_nothing(
    store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process wrote meanwhile, or a decision has a row already: then the log is asked first."""
    other = Store(store.pool, SPEC)
    decisions = {f"d-{i}": decision(i) for i in range(12)}
    await results(*(commits.writer.write(d) for d in decisions.values()))
    of = list(decisions.values())
    for turn in range(3):
        one, two, three = of[3 * turn : 3 * turn + 3]
        await commits.writer.write(one, report(one, 0.5), carry=False)
        await other.commit(Batch({}, {two.decision_id: report(two, 0.25)}, decisions))
        written = await commits.writer.write(three, report(three, 0.75), carry=False)
        assert written.applied
        assert written.row is not None
        assert written.row.seq == 3 * turn + 3
    sent = Statements(monkeypatch)
    again = await results(
        commits.writer.write(of[9], report(of[9], 0.5), carry=False),
        commits.writer.write(of[0], report(of[0], 0.5), carry=False),
        commits.writer.write(of[2], report(of[2], 0.5), carry=False),
    )
    assert sent.names == ["lock_bandit", "append_next", "rewards_by_decision", "append_rewards"]
    assert [type(w) for w in again] == [Written, Written, RewardConflict]
    assert [w.applied for w in again[:2]] == [True, False]
    log = await store.pool.fetch("SELECT seq, decision_id FROM nyx.log ORDER BY seq")
    assert [row["seq"] for row in log] == list(range(1, 11))
    assert len({row["decision_id"] for row in log}) == 10


async def test_writers_who_race_number_densely(store: Store) -> None:
    writers = [Commits(Store(store.pool, SPEC), patience_s=1.0) for _ in range(3)]
    decisions = [decision(i) for i in range(300)]
    await results(*(writers[0].writer.write(d) for d in decisions))

    async def twice(d: Decision, number: int) -> list[Any]:
        """The same report by two processes."""
        return await results(
            *(writers[k % 3].writer.write(d, report(d, 0.5), carry=False) for k in (number, number + 1))
        )

    pairs: list[list[Any]] = []
    for begin in range(0, 300, 25):
        pairs += await results(*(twice(d, i) for i, d in enumerate(decisions[begin : begin + 25])))
    assert all(sorted(w.applied for w in pair) == [False, True] for pair in pairs)
    assert all(pair[0].row == pair[1].row for pair in pairs)
    seqs = [row["seq"] for row in await store.pool.fetch("SELECT seq FROM nyx.log ORDER BY seq")]
    assert seqs == list(range(1, 301))
    for writer in writers:
        await writer.writer.close()


async def test_what_a_cancelled_caller_handed_in_is_written(store: Store, commits: Commits) -> None:
    decisions = [decision(i) for i in range(20)]
    writes = [asyncio.ensure_future(commits.writer.write(d, report(d, 0.5))) for d in decisions]
    poison = decision(20)._replace(mode="\x00")  # so that the items are written one by one
    writes.append(asyncio.ensure_future(commits.writer.write(poison, report(poison, 0.5))))
    await asyncio.sleep(0)
    for write in writes[:20]:
        write.cancel()
    await results(*writes)
    await commits.writer.close()
    assert await store.pool.fetchval("SELECT count(*) FROM nyx.log") == 20


async def test_decisions_do_not_queue_behind_rewards(
    store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, gate = store.commit, asyncio.Event()

    async def gated(batch: Batch) -> None:
        if batch.rewards:
            await gate.wait()
        await commit(batch)

    monkeypatch.setattr(store, "commit", gated)
    held = asyncio.ensure_future(commits.writer.write(decision(0), report(decision(0), 0.5)))
    async with asyncio.timeout(30):
        assert (await commits.writer.write(decision(1))).decision == decision(1)
    assert not held.done()
    gate.set()
    assert (await held).applied


class Gate:
    """A store that commits only while it is open."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        commit = store.commit

        async def gated(batch: Batch) -> None:
            await self.open.wait()
            await commit(batch)

        monkeypatch.setattr(store, "commit", gated)


async def test_a_full_queue_refuses_where_it_is_set_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(store, monkeypatch)
    commits = Commits(store, limit=5, when_full="refuse")
    first = asyncio.ensure_future(commits.writer.write(decision(0)))
    await asyncio.sleep(0.01)  # it is in flight
    waiting = [asyncio.ensure_future(commits.writer.write(decision(i))) for i in range(1, 6)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await commits.writer.write(decision(6))
    assert caught.value.retryable
    assert "found:    5" in str(caught.value)
    gate.open.set()
    assert all(isinstance(w, Written) for w in await results(first, *waiting))
    assert (await commits.writer.write(decision(6))).decision == decision(6)
    await commits.writer.close()


async def test_a_full_queue_lets_callers_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(store, monkeypatch)
    commits = Commits(store, limit=5)
    writes = [asyncio.ensure_future(commits.writer.write(decision(i))) for i in range(40)]
    await asyncio.sleep(0.01)
    assert commits.writer.waiting <= 5
    gate.open.set()
    assert all(isinstance(w, Written) for w in await results(*writes))
    assert await store.pool.fetchval("SELECT count(*) FROM nyx.decision") == 40
    await commits.writer.close()


async def test_closing_sends_away_who_waits_for_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(store, monkeypatch)
    commits = Commits(store, limit=2)
    writes = [asyncio.ensure_future(commits.writer.write(decision(i))) for i in range(10)]
    await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(commits.writer.close())
    await asyncio.sleep(0.01)
    gate.open.set()
    await closing
    told = await results(*writes)
    assert {type(w) for w in told} == {Written, DatabaseUnavailable}
    stored = await store.pool.fetchval("SELECT count(*) FROM nyx.decision")
    assert stored == sum(isinstance(w, Written) for w in told)


async def test_a_long_queue_on_one_decision_is_written_in_its_order(commits: Commits) -> None:
    one, others = decision(0), [decision(i) for i in range(1, 30)]
    reports = [report(one, 0.5), *(report(one, i / 32)._replace(revision=i) for i in range(1, 12))]
    writes = [commits.writer.write(one, r) for r in reports] + [commits.writer.write(d) for d in others]
    written = await results(*writes)
    assert all(isinstance(w, Written) for w in written)
    assert [w.row.revision for w in written[:12]] == list(range(12))
    assert [w.row.seq for w in written[:12]] == sorted(w.row.seq for w in written[:12])


async def test_who_gave_up_listens_again(commits: Commits) -> None:
    one = commits.writer.hand_in(decision(0))
    first, second = one.listen(), one.listen()
    first.cancel()
    assert (await second).decision == decision(0)
    assert one.ended
    assert (await one.listen()) == second.result()
    poison = commits.writer.hand_in(decision(1)._replace(mode="\x00"))
    for _ in range(2):  # while it is on its way, and afterwards
        with pytest.raises(DatabaseRefused):
            await poison.listen()
    assert first.cancelled()
