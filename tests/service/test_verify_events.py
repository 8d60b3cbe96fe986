# ruff: noqa: S608 (statements are made of names that stand in this file)
"""``verify`` by columns: watched logs are cut at events, sums are read ahead, and spaces are derived too."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Monitors, PolicySpec, Range, Strategy
from nyx_learning.bandit import VerifyReport
from nyx_learning.canonical import canonical_json
from nyx_learning.persistence.rows import event_from
from nyx_learning.persistence.store import Store
from nyx_learning.service import verify_fold, verify_walk
from nyx_learning.service.decision_check import Walk
from nyx_learning.service.row_check import RowCheck
from nyx_learning.service.verification import verify_log

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many decisions and rows were looked at one by one; pages are small."""
    monkeypatch.setattr(verify_walk, "_PAGE", 16)
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


async def verified(dsn: str, spec: BanditSpec) -> VerifyReport:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        return await verify_log(Store(pool, spec))


async def same(dsn: str, spec: BanditSpec) -> VerifyReport:
    """The report, which is that of looking at everything one by one."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        slow = await verify_log(Store(pool, spec), by_columns=False)
    fast = await verified(dsn, spec)
    assert fast == slow
    return fast


@pytest.fixture
async def alarmed(
    open_engine: Any, monkeypatch: pytest.MonkeyPatch, looked_at: dict[str, int]
) -> tuple[BanditSpec, dict[str, int]]:
    """A watched bandit, one of whose arms has begun a new epoch amid its log."""
    for name in ("_POLL_S", "_AGAIN_S", "_SAVED_S"):
        monkeypatch.setattr(f"nyx_learning.service.monitoring.{name}", 0.02)
    watched = BanditSpec(
        "watched",
        [Strategy("direct"), Strategy("parallel")],
        policy=PolicySpec("uniform"),
        monitors=Monitors(context=False, duration=False),
        bucket_rows=16,
        seed=5,
    )
    engine = await open_engine(watched)

    async def play(numbers: range, value: float) -> None:
        made = [await engine.select_arm({}, f"w-{i}") for i in numbers]
        for i, decision in enumerate(made):
            reward = value if decision.arm_id == "direct" else 0.6
            await engine.update_reward(decision, reward=reward + (0.1 if i % 2 else 0.0))

    for begin in range(0, 160, 4):
        await play(range(begin, begin + 4), 0.8 if begin < 96 else 0.0)
    async with asyncio.timeout(30):
        while True:
            status = await engine.monitoring()
            if status.lag_rows == 0 and engine.state_seq == status.seq > 160:
                break
            await asyncio.sleep(0.01)
    await play(range(160, 200), 0.0)
    await engine.close()
    return watched, looked_at


async def test_a_watched_log_is_cut_where_an_event_stands(
    alarmed: tuple[BanditSpec, dict[str, int]], database_dsn: str, sql: Any
) -> None:
    """And what is wrong with an event, or with a row that monitors see, is told the same."""
    watched, looked_at = alarmed
    ((event,),) = await sql("SELECT seq FROM nyx.log WHERE kind = 'epoch'")
    report = await verified(database_dsn, watched)
    assert report.ok, report.first_divergence
    assert (report.decisions, report.rewards) == (200, 201)
    assert looked_at["decisions"] <= 45  # those that knew just the rows before the event
    assert looked_at["rows"] <= 2
    assert await same(database_dsn, watched) == report
    for i, change in enumerate(
        [
            f"UPDATE nyx.log SET pricing = '[1]' WHERE seq = {event - 20}",
            f"UPDATE nyx.log SET reward = 0.25 WHERE seq = {event - 40}",
            "UPDATE nyx.log SET pricing = replace(pricing::text, 'since', 'it')::json WHERE kind = 'epoch'",
            f"UPDATE nyx.log SET units = units + 1, reward = reward + 2 ^ -16 WHERE seq = {event - 30}",
            "UPDATE nyx.decision SET pmf[1] = pmf[1] + 1 WHERE decision_id = 'w-77'",
            f"UPDATE nyx.log SET seq = seq + 1000 WHERE seq > {event - 3}",
        ]
    ):
        await sql("SET session_replication_role = replica")
        if i:
            await sql("DELETE FROM nyx.log")
            await sql("DELETE FROM nyx.decision")
            await sql("INSERT INTO nyx.log SELECT * FROM kept_log")
            await sql("INSERT INTO nyx.decision SELECT * FROM kept_decision")
        else:
            await sql("CREATE TABLE kept_log AS SELECT * FROM nyx.log")
            await sql("CREATE TABLE kept_decision AS SELECT * FROM nyx.decision")
        await sql(change)
        assert not (await same(database_dsn, watched)).ok, change


async def test_an_event_that_no_monitor_concludes_is_named_the_same(
    alarmed: tuple[BanditSpec, dict[str, int]], database_dsn: str, sql: Any
) -> None:
    """Its hash is right: only the monitors tell."""
    watched, _ = alarmed
    connection = await asyncpg.connect(database_dsn)
    row = await connection.fetchrow("SELECT * FROM nyx.log WHERE kind = 'epoch'")
    await connection.close()
    assert row is not None
    event = event_from(row)
    forged = replace(event, evidence={**event.evidence, "rows": 3})
    await sql("SET session_replication_role = replica")
    document = {name: getattr(forged, name) for name in ("evidence", "consequence")}
    told = json.loads(row["pricing"])
    await sql(
        "UPDATE nyx.log SET pricing = $1, digest = $2 WHERE kind = 'epoch'",
        canonical_json({**told, **document}),
        forged.digest,
    )
    found = (await same(database_dsn, watched)).first_divergence or ""
    assert found == f"log row {event.seq}: no monitor concludes it"


@pytest.mark.parametrize("most", [1, 3000])
async def test_sums_are_read_ahead_in_parts(
    most: int,
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    database_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    looked_at: dict[str, int],
) -> None:
    """However few of them are held at once, the decisions are derived from the same sums."""
    monkeypatch.setattr(verify_fold, "_MOST_NUMBERS", most)
    spec = replace(spec, policy=PolicySpec("ucb1", floor=0.1))
    engine = await open_engine(spec)
    for i in range(0, 40, 4):
        made = [await engine.select_arm(contexts(j), f"wf-{j}") for j in range(i, i + 4)]
        for decision in made:
            await engine.update_reward(decision, reward=i / 40)
    await engine.close()
    assert (await verified(database_dsn, spec)).ok
    assert looked_at == {"decisions": 0, "rows": 0}


async def test_each_column_of_a_decision_in_stages_is_compared(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, sql: Any
) -> None:
    """Also the pmf of the last stage, which stands in a column of its own beside them."""
    strategies = [Strategy("direct"), Strategy("parallel", {"workers": [2, 4], "x": Range(0, 1)})]
    wide = replace(spec, strategies=strategies, policy=PolicySpec("hier_ts"))
    engine = await open_engine(wide)
    for i in range(12):
        await engine.update_reward(await engine.select_arm(contexts(i), f"wf-{i}"), reward=i / 12)
    await engine.close()
    assert (await same(database_dsn, wide)).ok
    await sql("SET session_replication_role = replica")
    await sql("CREATE TABLE kept AS SELECT * FROM nyx.decision WHERE decision_id = 'wf-5'")
    for column, value in {
        "stages": "replace(stages::text, '0', '1')::json",
        "pmf": "ARRAY[1, 2]",
        "phi": "array_append(phi, 1)",
        "arm_id": "'direct '",
        "propensity": "propensity / 2",
        "epoch": "epoch + 1",
        "reason": "'kill_switch'",
        "decided_on": "decided_on + 1",
        "encoding": "'none'",
        "context": "'{}'",
    }.items():
        await sql(f"UPDATE nyx.decision SET {column} = {value} WHERE decision_id = 'wf-5'")
        told = (await same(database_dsn, wide)).first_divergence or ""
        assert "'wf-5'" in told, column
        await sql("DELETE FROM nyx.decision WHERE decision_id = 'wf-5'")
        await sql("INSERT INTO nyx.decision SELECT * FROM kept")
