"""Many rows folded at once: to the same bits as one by one, whatever stands between them."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, PolicySpec, Strategy
from nyx_learning.bandit import Learner
from nyx_learning.bandit.log import RewardRow
from nyx_learning.errors import InputInvalid
from nyx_learning.persistence import replica as replica_module
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.fold import Fold
from nyx_learning.persistence.pages import LogPage, page_of
from nyx_learning.persistence.replica import Replica
from nyx_learning.persistence.store import Batch, Store
from nyx_learning.rewards import Reward

SPEC = BanditSpec(
    name="paged",
    strategies=[Strategy("a"), Strategy("b"), Strategy("c")],
    context=ContextSchema(task=Categorical(["x", "y"])),
    policy=PolicySpec("uniform"),
    bucket_rows=16,
)

DIMENSION = Learner(SPEC).sums.dimension


def rows(count: int, seed: int = 1) -> list[RewardRow]:
    """Rewards, corrections, retractions and rows that contribute nothing, of this spec's arms and others."""
    made, draw = [], random.Random(seed)  # noqa: S311 (rows to fold, and no secret)
    for seq in range(1, count + 1):
        kind = draw.choice(["new", "new", "new", "corrected", "retracted", "nothing"])
        taken = draw.randrange(65537) if kind in {"corrected", "retracted"} else None
        units = draw.randrange(65537) if kind in {"new", "corrected"} else None
        made.append(
            RewardRow(
                SPEC.name,
                seq,
                f"d-{seq}",
                draw.choice(["a", "b", "c", "gone"]),
                draw.choice([0, 0, 0, 1]),
                SPEC.encoding,
                (65536, *(draw.randrange(-65536, 65537) for _ in range(DIMENSION - 1))),
                0.5,
                units,
                None if units is None else units / 65536,
                None,
                {},
                None,
                taken=taken,
                place=0 if taken is None else draw.randrange(1, seq + 1),
            )
        )
    return made


def knowledge(fold: Fold) -> tuple[str, list[list[int]], list[tuple[str, int, int]]]:
    return fold.learner.sums.digest(), fold.learner.sums.totals.tolist(), fold.names()


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_same_bits_as_row_by_row(size: int) -> None:
    one, many = Fold(Learner(SPEC)), Fold(Learner(SPEC))
    log = rows(300)
    for begin in range(0, len(log), size):
        part = log[begin : begin + size]
        changed = {one.absorb(row, None) for row in part} - {None}
        assert changed == set(many.absorb_page(page_of(part)))
    assert knowledge(one) == knowledge(many)
    for name in one.names():
        assert one.statistics(name) == many.statistics(name)
    assert one.seq == many.seq == 300


def test_a_page_out_of_turn_changes_nothing() -> None:
    fold = Fold(Learner(SPEC))
    before = knowledge(fold)
    with pytest.raises(InputInvalid, match="out of turn"):
        fold.absorb_page(page_of(rows(20)[1:]))
    assert knowledge(fold) == before


def test_a_damaged_page_changes_nothing() -> None:
    """Compiled code does not look at lengths."""
    fold = Fold(Learner(SPEC))
    before = knowledge(fold)
    with pytest.raises(InputInvalid, match="columns"):
        fold.absorb_page(page_of([row._replace(phi=row.phi[1:]) for row in rows(20)]))
    assert knowledge(fold) == before


def test_full_blocks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nyx_learning.bandit.sums._MAX_ROWS", 5)
    fold = Fold(Learner(SPEC))
    before = knowledge(fold)
    with pytest.raises(InputInvalid, match="is full"):
        fold.absorb_page(page_of(rows(60)))
    assert knowledge(fold) == before


@pytest.fixture
async def store(database_dsn: str) -> AsyncIterator[Store]:
    pool = await connect(database_dsn)
    made = Store(pool, SPEC)
    await made.register()
    yield made
    await close_pool(pool)


async def fill(store: Store, count: int) -> None:
    bandit = Bandit(SPEC)
    decisions = [bandit.select_arm({"task": "xy"[i % 2]}, f"d-{i}") for i in range(count)]
    drafts = {
        d.decision_id: RewardRow.of(
            d,
            SPEC.encoding,
            Reward(i % 8 / 8, {}, (), SPEC.reward.version),
            None,
            1.0,
            priced_by=SPEC.spec_hash,
        )
        for i, d in enumerate(decisions)
    }
    by_id = {d.decision_id: d for d in decisions}
    await store.commit(Batch(by_id, drafts, by_id))


@pytest.mark.parametrize("page", [7, 1000])
async def test_read_as_columns_or_row_by_row(
    store: Store, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that no page can hold stand in between: of another encoding, or damaged."""
    await fill(store, 60)
    monkeypatch.setattr(replica_module, "_PAGE", page)
    await store.pool.execute("UPDATE nyx.log SET encoding = 'another' WHERE seq IN (3, 20, 21)")
    await store.pool.execute("UPDATE nyx.log SET phi = '{1,2,3,4}' WHERE seq = 30")
    await store.pool.execute("UPDATE nyx.log SET arm_id = 'gone' WHERE seq = 40")
    columns, single = Replica(Learner(SPEC), store), Replica(Learner(SPEC), store)
    monkeypatch.setattr(Fold, "by_pages", False)
    await single.catch_up()
    monkeypatch.undo()
    monkeypatch.setattr(replica_module, "_PAGE", page)
    await columns.catch_up()
    assert columns.seq == single.seq == 60
    assert knowledge(columns._fold) == knowledge(single._fold)


async def test_a_gap_in_the_log_is_not_passed_over(store: Store) -> None:
    await fill(store, 40)
    await store.pool.execute("DELETE FROM nyx.log WHERE seq = 25")
    replica = Replica(Learner(SPEC), store)
    async with asyncio.timeout(30):
        await replica.catch_up()
    assert replica.seq == 24


async def test_what_was_folded_meanwhile_is_not_folded_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, 50)
    replica, other = Replica(Learner(SPEC), store), Replica(Learner(SPEC), store)
    await other.catch_up()
    read = store.log.page

    async def slow(seq: int, limit: int, dimension: int) -> LogPage:
        page = await read(seq, limit, dimension)
        if replica.seq == 0:
            replica._absorb_part(page.part(0, 30))
        return page

    monkeypatch.setattr(store.log, "page", slow)
    await replica.catch_up()
    assert knowledge(replica._fold) == knowledge(other._fold)
