# ruff: noqa: S608 (statements are made of names that stand in this file and in the catalogue)
"""Checking many rows at once finds what checking them one by one finds: on sound logs and on changed ones."""

import json
import random
import time as clock
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import (
    BanditSpec,
    Categorical,
    ContextSchema,
    Numeric,
    Outcome,
    PolicySpec,
    Range,
    Strategy,
)
from nyx_learning.bandit import VerifyReport
from nyx_learning.errors import NyxError
from nyx_learning.persistence.retention import retain
from nyx_learning.persistence.rows import decision_from
from nyx_learning.persistence.store import Store
from nyx_learning.persistence.wire import copied
from nyx_learning.rewards import RewardSpec
from nyx_learning.service import verify_walk
from nyx_learning.service.decision_check import Walk
from nyx_learning.service.row_check import RowCheck
from nyx_learning.service.verification import verify_log
from nyx_learning.service.verify_columns import LOG
from nyx_learning.service.verify_rows import Seen
from nyx_learning.service.verifying import verify_database

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pages also of a short log."""
    monkeypatch.setattr(verify_walk, "_PAGE", 16)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many decisions and rows were looked at one by one."""
    count = {"decisions": 0, "rows": 0}

    def counted(kind: type, name: str) -> None:
        known = kind.problem  # type: ignore[attr-defined]

        def problem(self: Any, row: Any) -> Any:
            count[name] += 1
            return known(self, row)

        monkeypatch.setattr(kind, "problem", problem)

    counted(Walk, "decisions")
    counted(RowCheck, "rows")
    return count


async def both(dsn: str, spec: BanditSpec) -> tuple[VerifyReport, VerifyReport]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        store = Store(pool, spec)
        return await verify_log(store), await verify_log(store, by_columns=False)


async def same(dsn: str, spec: BanditSpec) -> VerifyReport:
    fast, slow = await both(dsn, spec)
    assert fast == slow
    return fast


POLICIES = [
    PolicySpec("ucb1"),
    PolicySpec("thompson_beta", floor=0.1),
    PolicySpec("linucb", floor=0.05),
    PolicySpec("hier_ts"),
    PolicySpec("ucb1", discount=0.99),
    PolicySpec("ucb1", idle_discount=0.99, past_epochs=0.5),
    PolicySpec("ucb1", conservative=0.1),
    PolicySpec("exp3_ix"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
async def test_a_usual_log_is_derived_without_looking_at_single_rows(
    policy: PolicySpec,
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    database_dsn: str,
    looked_at: dict[str, int],
) -> None:
    spec = replace(spec, policy=policy)
    engine = await open_engine(spec)
    for i in range(60):
        eligible = ["direct", "parallel(workers=2)"] if i % 4 == 3 else ["direct"] if i % 9 == 8 else None
        decision = await engine.select_arm(contexts(i), f"wf-{i}", eligible=eligible)
        if i % 3:
            await engine.update_reward(decision, reward=i / 60)
        elif i < 50:
            await engine.update_reward(decision, Outcome(success=i % 2 > 0, quality=i / 60))
    await engine.close()
    async with asyncpg.create_pool(database_dsn, min_size=1, max_size=1) as pool:
        report = await verify_log(Store(pool, spec))
    assert report.ok
    assert (report.decisions, report.matched, report.rewards) == (60, 60, 57)
    if policy.name == "exp3_ix":  # statistics of its own are folded row by row
        assert looked_at == {"decisions": 60, "rows": 57}
    else:
        assert looked_at == {"decisions": 0, "rows": 0}
    assert await same(database_dsn, spec) == report


async def play(open_engine: Any, spec: BanditSpec, seed: int, tmp_path: Path) -> None:
    """All kinds of rows that a log can have, in an order that the seed says."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    known: list[str] = []
    made: dict[str, Any] = {}
    schema = ContextSchema(task=Categorical(["code", "text"]), size=Numeric(0, 20))
    specs = [
        spec,
        replace(spec, policy=PolicySpec("thompson_beta", floor=0.1)),
        replace(spec, context=schema),
    ]
    engines = [await open_engine(one) for one in specs[: 1 + seed % 3]]
    if seed % 2:
        path = tmp_path / "history.jsonl"
        lines = [
            {
                "decision_id": f"old-{i}",
                "context": {"task": "code", "size": i},
                "arm_id": "direct",
                "propensity": 0.5 if i % 2 else None,
                "reward": i / 10,
            }
            for i in range(8)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        await engines[0].import_log(path)
    for i in range(70):
        engine = chance.choice(engines)
        context = {"task": chance.choice(["code", "text", "é"]), "size": round(chance.uniform(-1, 12), 3)}
        key = f"wf-{i}" if i % 11 else f'w"f-{i} é'
        eligible = chance.choice([None, None, None, ["direct"], ["parallel"]])
        decision = await engine.select_arm(context, key, eligible=eligible, durable=chance.random() < 0.7)
        made[key] = decision
        known.append(key)
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            await report(chance, chance.choice(engines), made[chance.choice(known[-12:])])
    for engine in engines:
        await engine.flush()


async def report(chance: random.Random, engine: Any, decision: Any) -> None:
    kind = chance.random()
    try:
        if kind < 0.5:
            await engine.update_reward(decision, reward=round(chance.random(), 2))
        elif kind < 0.65:
            await engine.update_reward(decision, Outcome(success=chance.random() < 0.5, quality=0.5))
        elif kind < 0.75:
            await engine.update_reward(decision, part={"success": True, "quality": 0.25}, source="part")
        elif kind < 0.82:
            await engine.retract(decision)
        elif kind < 0.86:
            await engine.abandon(decision)
        elif kind < 0.88:
            await engine.expire(2e9)
        else:
            await engine.update_reward(decision, reward=chance.random(), corrects=0)
    except NyxError:
        pass  # a conflict, a retracted decision, an unknown revision: refused, and nothing has changed


@pytest.mark.parametrize("seed", range(6))
async def test_logs_of_all_kinds_of_rows(
    seed: int, open_engine: Any, spec: BanditSpec, database_dsn: str, tmp_path: Path, sql: Any
) -> None:
    await play(open_engine, spec, seed, tmp_path)
    assert len(await sql("SELECT DISTINCT kind, state FROM nyx.log")) > 2
    found = await same(database_dsn, spec)
    assert found.ok, found.first_divergence
    assert found.imported == (8 if seed % 2 else 0)


CHANGED = {
    "text": ["{0} || '~'", "''", "'é'", "upper({0})"],
    "json": ["'{{}}'", "'[1]'", "'null'"],
    "ARRAY": ["'{{}}'", "{0}[2:]", "array_append({0}, NULL)", "ARRAY[{0}, {0}]"],
    "integer": ["{0} + 1", "-1", "NULL"],
    "bigint": ["{0} + 1", "0"],
    "double precision": ["{0} * 0.5 + 0.001", "'NaN'", "NULL", "'-Infinity'"],
    "date": ["{0} + 1", "'infinity'"],
}


@pytest.mark.parametrize("table", ["decision", "log"])
async def test_whatever_is_changed_is_named_the_same(
    table: str, open_engine: Any, spec: BanditSpec, database_dsn: str, tmp_path: Path, sql: Any
) -> None:
    """Each column of a table, each in another row; some changes the constraints refuse."""
    await play(open_engine, replace(spec, policy=PolicySpec("ucb1", floor=0.1)), 3, tmp_path)
    chance = random.Random(5)  # noqa: S311 (no secret)
    await sql("SET session_replication_role = replica")
    columns = await sql(
        "SELECT column_name::text, data_type::text FROM information_schema.columns"
        " WHERE table_schema = 'nyx' AND table_name = $1",
        table,
    )
    changed = 0
    for column, kind in columns:
        value = chance.choice(CHANGED[kind]).format(column)
        ids = [
            row for (row,) in await sql(f"SELECT decision_id FROM nyx.{table} WHERE decision_id IS NOT NULL")
        ]
        key = chance.choice(sorted(set(ids)))
        where = f"WHERE decision_id = '{key}'"
        await sql(f"CREATE TABLE kept AS SELECT * FROM nyx.{table} {where}")
        try:
            await sql(f"UPDATE nyx.{table} SET {column} = {value} {where}")
        except asyncpg.PostgresError:
            await sql("DROP TABLE kept")
            continue
        left = await sql(f"SELECT t::text FROM nyx.{table} t {where} EXCEPT SELECT t::text FROM kept t")
        found = await same(database_dsn, spec)
        changed += found.first_divergence is not None
        assert (found.first_divergence is None) <= (not left and column != "decision_id"), (column, value)
        await sql(
            f"DELETE FROM nyx.{table} WHERE decision_id IN ('{key}', '{key}~', '', 'é', upper('{key}'))"
        )
        await sql(f"INSERT INTO nyx.{table} SELECT * FROM kept")
        await sql("DROP TABLE kept")
    assert changed > len(columns) // 2
    assert (await same(database_dsn, spec)).ok


REMOVED = [
    "DELETE FROM nyx.log WHERE seq = 1",
    "DELETE FROM nyx.log WHERE seq BETWEEN 15 AND 17",
    "DELETE FROM nyx.log WHERE seq > 16",
    "DELETE FROM nyx.decision WHERE decision_id = 'wf-7'",
    "UPDATE nyx.log SET seq = 1000000000000 WHERE seq = 20",
    "UPDATE nyx.log SET seq = seq + 1000 WHERE seq > 20",
    "UPDATE nyx.log SET decision_id = 'wf-1', source = 'x' WHERE seq = 20",
    "UPDATE nyx.decision SET state_seq = 10000 WHERE decision_id = 'wf-20'",
    "UPDATE nyx.decision SET spec_hash = 'none' WHERE decision_id = 'wf-20'",
    "UPDATE nyx.log SET priced_by = 'none' WHERE seq = 20",
]


@pytest.mark.parametrize("statement", REMOVED)
async def test_what_is_removed_or_moved_is_named_the_same(
    statement: str, open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, sql: Any
) -> None:
    engine = await open_engine(spec)
    for i in range(40):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        await engine.update_reward(decision, reward=i / 40)
    await sql("SET session_replication_role = replica")
    await sql(statement)
    assert not (await same(database_dsn, spec)).ok


async def test_a_decision_with_its_hash_made_again_is_derived(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, sql: Any
) -> None:
    """Every digest is right, the pmf sums up and draws the arm: only deriving it anew tells."""
    engine = await open_engine(spec)
    for i in range(20):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=0.5)
    connection = await asyncpg.connect(database_dsn)
    row = await connection.fetchrow("SELECT * FROM nyx.decision WHERE decision_id = 'wf-9'")
    await connection.close()
    assert row is not None
    pmf = list(row["pmf"])
    arm = decision_from(row, spec).arm
    other = (arm + 1) % 4
    pmf[arm], pmf[other] = pmf[arm] - 1, pmf[other] + 1
    stages = json.loads(row["stages"])
    share = (stages[0]["pmf"][stages[0]["chosen"]] / 2**32) * (pmf[arm] / 2**32)
    forged = decision_from({**row, "pmf": pmf, "propensity": share}, spec)
    await sql(
        "UPDATE nyx.decision SET pmf = $1, propensity = $2, digest = $3 WHERE decision_id = 'wf-9'",
        pmf,
        share,
        forged.digest,
    )
    await sql("UPDATE nyx.decision_key SET digest = $1 WHERE decision_id = 'wf-9'", forged.digest)
    told = (await same(database_dsn, spec)).first_divergence or ""
    assert "'wf-9'" in told


async def test_spaces_of_parameters_are_looked_at_one_by_one(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, looked_at: dict[str, int]
) -> None:
    wide = replace(
        spec,
        strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4], "x": Range(0, 1)})],
        policy=PolicySpec("hier_ts"),
    )
    engine = await open_engine(wide)
    for i in range(24):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=i / 24)
    found = await same(database_dsn, wide)
    assert found.ok
    assert looked_at["decisions"] == 48  # rows are compared at once all the same
    assert looked_at["rows"] == 24


async def test_no_decision_with_an_earlier_row_is_overlooked(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    engine = await open_engine(spec)
    for i in range(30):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=0.5)
    connection = await asyncpg.connect(database_dsn)
    async with connection.transaction():
        (rows,) = await copied(connection, "wire_rows", LOG, spec.name, 1, 99)
    await connection.close()
    seen = Seen(0)
    assert seen.add(rows).sum() == 0
    assert seen.add(rows).all()


async def test_new_epochs_and_prices_are_told_alike(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    """References are adopted in the middle of a log: what follows is priced by them."""
    priced = replace(spec, reward=RewardSpec(reference_time_s=30.0))
    engine = await open_engine(priced)
    for i in range(40):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        await engine.update_reward(decision, Outcome(success=True, duration_s=10.0 + i))
        if i == 20:
            await engine.adopt_references(await engine.propose_references(min_n=2))
    assert (await same(database_dsn, priced)).ok


async def test_behind_a_retention_processes_share_the_work(
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    database_dsn: str,
    sql: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = await open_engine(spec)
    for i in range(60):
        if i == 20:
            cut = clock.time()
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        await engine.update_reward(decision, reward=i % 8 / 8)
    store, age = engine._store, 90 * 86_400.0
    (told,) = await retain([store], age, now=cut + age)
    assert told.base_seq == 20
    monkeypatch.setattr("nyx_learning.service.verifying._WORTH_A_PROCESS", 10)
    for statement in ("SELECT 1", "UPDATE nyx.log SET units = 9 WHERE seq IN (33, 58)"):
        await sql("SET session_replication_role = replica")
        await sql(statement)
        (alone,) = await verify_database(database_dsn, workers=1)
        (shared,) = await verify_database(database_dsn, workers=2)
        assert shared.report == alone.report
        assert shared.report.ok == (statement == "SELECT 1")
    assert "log row 33 " in (alone.report.first_divergence or "")
