"""Logs go out and come in: all of it or nothing, once, and with the same sums to the last bit."""

import asyncio
import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PolicySpec, RewardSpec
from nyx_learning.errors import DatabaseRefused, ImportRejected, InputInvalid, LogUnreadable, RewardConflict
from nyx_learning.persistence.database import connect
from nyx_learning.persistence.migrations import grant_roles, migrate
from nyx_learning.persistence.store import Store
from nyx_learning.service.exporting import export_log
from nyx_learning.service.importing import LogRejected, import_log
from nyx_learning.simulation.interchange import read_log

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
def other_dsn(empty_dsn: str) -> str:
    """A second empty database."""
    return empty_dsn


def history(folder: Path, lines: list[dict[str, Any]], name: str = "history.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def foreign(contexts: Contexts, count: int) -> list[dict[str, Any]]:
    """What another system logged: no propensities, and now and then no reward."""
    arms = ["direct", "parallel(workers=2)", "parallel(workers=4)", "parallel(workers=8)"]
    return [
        {
            "decision_id": f"old-{i}",
            "time": 1000.0 + i,
            "context": contexts(i),
            "arm_id": arms[i * i % 4],
            "reward": None if i % 10 == 9 else i % 7 / 7,
        }
        for i in range(count)
    ]


async def work(engine: LearningEngine, contexts: Contexts, count: int, first: int = 0) -> None:
    for i in range(first, first + count):
        eligible = ["direct", "parallel(workers=4)"] if i % 5 == 4 else None
        decision = await engine.select_arm(contexts(i), f"wf-{i}", eligible=eligible)
        if i % 4 == 3:
            await engine.update_reward(decision, reward=i % 9 / 9)
        elif i % 8 != 6:
            await engine.update_reward(decision, Outcome(success=i % 3 > 0, quality=i % 11 / 11))


def sums_of(engine: LearningEngine) -> str:
    return engine._learner.sums.digest()


async def test_a_foreign_log_without_propensities(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, sql: Any
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, 12)
    before = engine.state_seq
    lines = foreign(contexts, 40)
    report = await engine.import_log(history(tmp_path, lines))
    assert (report.lines, report.decisions, report.unknown_propensities, report.rejected) == (40, 40, 40, 0)
    assert (report.rewards, report.first_seq, report.last_seq) == (36, before + 1, before + 36)
    assert engine.state_seq == before + 36
    marked = await sql(
        "SELECT DISTINCT d.mode, d.reason, d.propensity, l.propensity FROM nyx.decision d JOIN nyx.log l"
        " USING (bandit, decision_id) WHERE decision_id LIKE 'old-%'"
    )
    assert marked == [("imported", "imported", 0.0, 0.0)]
    verified = await engine.verify()
    assert (verified.ok, verified.decisions, verified.imported) == (True, 52, 40)
    assert verified.matched == 12
    # It is learned from as any reward is.
    rewards = [belief.rewards for belief in engine.beliefs(contexts(0))]
    assert sum(rewards) == engine.state_seq


async def test_a_file_is_imported_once(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, sql: Any
) -> None:
    engine = await open_engine(spec)
    path = history(tmp_path, foreign(contexts, 30))
    await engine.import_log(path)
    sums, stored = sums_of(engine), await sql("SELECT * FROM nyx.decision ORDER BY decision_id")
    again = await engine.import_log(path)
    assert (again.applied, again.lines, again.known, again.decisions, again.rewards) == (True, 30, 30, 0, 0)
    assert (sums_of(engine), await sql("SELECT * FROM nyx.decision ORDER BY decision_id")) == (sums, stored)
    assert (await engine.verify()).ok


@pytest.mark.parametrize(
    "change",
    [
        {"reward": 0.9},
        {"context": {"task": "text", "size": 7.25}},
        {"arm_id": "parallel(workers=8)"},
        {"time": 5.0},
        {"propensity": 0.5},
        {"eligible": ["direct", "parallel(workers=2)"]},
    ],
)
async def test_another_content_for_a_known_id_is_rejected(
    change: dict[str, Any],
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    tmp_path: Path,
) -> None:
    engine = await open_engine(spec)
    lines = foreign(contexts, 8)
    await engine.import_log(history(tmp_path, lines))
    sums, counts = sums_of(engine), await engine.counts()
    changed = history(tmp_path, [*foreign(contexts, 12)[8:], {**lines[4], **change}])
    with pytest.raises(ImportRejected) as told:
        await engine.import_log(changed)
    assert isinstance(told.value, LogRejected)
    (reject,) = told.value.report.rejects
    assert (reject.line, reject.decision_id, told.value.report.applied) == (5, "old-4", False)
    assert reject.error.code in {"decision_conflict", "reward_conflict"}
    assert (sums_of(engine), await engine.counts()) == (sums, counts), "all or nothing"
    report = await engine.import_log(changed, skip_bad=True)
    assert (report.decisions, report.rejected, report.rejects[0].line) == (4, 1, 5)
    assert (await engine.verify()).ok


async def test_bad_lines_stop_all_or_are_skipped(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engine = await open_engine(spec)
    good = foreign(contexts, 10)
    bad = [
        {**good[0], "decision_id": "b0", "arm_id": "nothing"},
        {**good[0], "decision_id": "b1", "context": {"task": "code"}},
        {**good[0], "decision_id": "b2", "context": {"task": "code", "size": 1, "else": 2}},
        {**good[0], "decision_id": "b3", "reward": 1.5},
        {**good[0], "decision_id": "b4", "reward": None, "outcome": {"success": "yes"}},
        {**good[0], "decision_id": "x\ny"},
    ]
    mixed = [line for pair in zip(good, bad + good[-4:], strict=True) for line in pair]
    path = history(tmp_path, mixed)
    path.write_text(path.read_text() + '{"decision_id": "b5", "propensity": NaN}\n\n[1]\n')
    with pytest.raises(ImportRejected) as told:
        await engine.import_log(path)
    assert isinstance(told.value, LogRejected)
    assert [reject.line for reject in told.value.report.rejects] == [2, 4, 6, 8, 10, 12, 21, 23]
    assert (engine.state_seq, await engine.counts()) == (0, {"decisions": 0, "rewards": 0, "abandoned": 0})
    report = await engine.import_log(path, skip_bad=True)
    assert (report.lines, report.decisions, report.known, report.rejected) == (22, 10, 4, 8)
    assert all(reject.to_dict()["fix"] for reject in report.rejects)
    assert (await engine.verify()).ok


async def test_an_id_that_comes_twice_in_a_file(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engine = await open_engine(spec)
    lines = foreign(contexts, 5)
    other = {**lines[1], "reward": 0.875}
    later = {**lines[2], "reward": None}
    path = history(tmp_path, [later, lines[0], lines[1], lines[1], other, lines[2], lines[2]])
    report = await engine.import_log(path, skip_bad=True)
    # A line that brings the reward that an earlier one lacked is applied; a second reward is not.
    assert (report.decisions, report.rewards, report.known, report.rejected) == (3, 3, 2, 1)
    assert report.rejects[0].line == 5
    assert (await engine.rewards("old-1")).reward == lines[1]["reward"]
    assert (await engine.rewards("old-2")).reward == lines[2]["reward"]
    assert (await engine.verify()).ok


async def test_a_file_that_ends_too_soon_changes_nothing(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engine = await open_engine(spec)
    text = history(tmp_path, foreign(contexts, 2500)).read_bytes()
    path = tmp_path / "history.jsonl.gz"
    path.write_bytes(gzip.compress(text)[:-40])
    for skip_bad in (False, True):
        with pytest.raises(LogUnreadable):
            await engine.import_log(path, skip_bad=skip_bad)
    assert (await engine.counts())["decisions"] == 0


@pytest.mark.parametrize(
    ("policy", "name"), [("ucb1", "log.jsonl"), ("exp3_ix", "log.csv.gz"), ("thompson_beta", "log.parquet")]
)
async def test_an_export_teaches_an_empty_database_the_same_bits(
    policy: str,
    name: str,
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    tmp_path: Path,
    other_dsn: str,
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    spec = dataclasses.replace(spec, policy=PolicySpec(policy, floor=0.2))
    engine, empty = await open_engine(spec), await open_engine(spec, other_dsn)
    await work(engine, contexts, 60)
    out = await engine.export_log(tmp_path / name)
    assert (out.lines, out.unknown_propensities) == (60, 0)
    report = await empty.import_log(tmp_path / name)
    assert (report.decisions, report.rewards, report.outcomes_dropped) == (60, out.rewards, 0)
    assert sums_of(empty) == sums_of(engine)
    verified = await empty.verify()
    assert (verified.first_divergence, verified.ok, verified.imported) == (None, True, 60)
    # The next decision is the same one.
    one, two = [await e.select_arm(contexts(3), "next") for e in (engine, empty)]
    assert (one.arm_id, one.pmf, one.propensity) == (two.arm_id, two.pmf, two.propensity)
    # What is exported from there says the same.
    await empty.export_log(tmp_path / f"again-{name}")
    first, second = [list(read_log(tmp_path / n, schema=spec.context)) for n in (name, f"again-{name}")]
    gone: dict[str, Any] = {"line": 0, "state_seq": None, "mode": None}
    again = {choice.decision_id: choice._replace(**gone) for choice in second}
    assert [again[choice.decision_id] for choice in first] == [choice._replace(**gone) for choice in first]
    # And in its own database it changes nothing.
    known = await engine.import_log(tmp_path / name)
    assert (known.known, known.decisions, known.rewards, known.rejected) == (60, 0, 0, 0)


async def test_corrected_retracted_and_defaulted_rewards_are_exported_as_they_count(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, other_dsn: str
) -> None:
    spec = dataclasses.replace(spec, reward=RewardSpec(window_s=1.0, default=0.25))
    engine, empty = await open_engine(spec), await open_engine(spec, other_dsn)
    await work(engine, contexts, 12)
    await engine.update_reward("wf-0", Outcome(success=True, quality=1.0), corrects=0)
    await engine.update_reward("wf-1", part={"user_feedback": 0.5}, source="user")
    await engine.retract("wf-2")
    await engine.expire(4e9)
    await engine.export_log(tmp_path / "log.jsonl")
    lines = {choice.decision_id: choice for choice in read_log(tmp_path / "log.jsonl")}
    assert (lines["wf-0"].state, lines["wf-0"].outcome) == ("corrected", {"success": True, "quality": 1.0})
    assert lines["wf-1"].outcome == {"success": True, "quality": 1 / 11, "user_feedback": 0.5}
    assert (lines["wf-2"].state, lines["wf-2"].reward, lines["wf-2"].outcome) == ("retracted", None, None)
    assert (lines["wf-6"].state, lines["wf-6"].reward, lines["wf-6"].outcome) == ("defaulted", 0.25, None)
    for key, choice in lines.items():
        assert choice.reward == (await engine.rewards(key)).reward
    await empty.import_log(tmp_path / "log.jsonl")
    told = {belief.arm_id: (belief.rewards, belief.mean) for belief in engine.beliefs(contexts(0))}
    assert {b.arm_id: (b.rewards, b.mean) for b in empty.beliefs(contexts(0))} == told
    assert (await empty.verify()).ok


async def test_imported_decisions_live_on(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    spec = dataclasses.replace(spec, reward=RewardSpec(window_s=1.0, default=0.0))
    engine = await open_engine(spec)
    await engine.import_log(history(tmp_path, foreign(contexts, 10)))
    assert await engine.expire(4e9) == [], "nobody waits for the outcomes of a history"
    receipt = await engine.update_reward("old-9", Outcome(success=True))
    assert receipt.applied
    corrected = await engine.update_reward("old-1", reward=0.5, corrects=0)
    assert (corrected.reward, corrected.state) == (0.5, "corrected")
    await engine.retract("old-2")
    with pytest.raises(RewardConflict):
        await engine.update_reward("old-3", reward=0.875)
    same = await engine.select_arm(contexts(4), "old-4")
    assert (same.mode, same.arm_id, same.pmf) == ("imported", "direct", ())
    # What says that it was made elsewhere is not taken from a caller.
    other = await open_engine(spec)
    with pytest.raises(InputInvalid):
        await other.update_reward(same._replace(decision_id="new"), reward=1.0)
    assert (await engine.verify()).ok


async def test_what_was_changed_in_an_imported_row_is_named(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, sql: Any
) -> None:
    engine = await open_engine(spec)
    lines = foreign(contexts, 6)
    lines[2] |= {"propensity": 0.25, "pmf": {"direct": 0.25, "parallel(workers=2)": 0.75}, "arm_id": "direct"}
    await engine.import_log(history(tmp_path, lines))
    assert (await engine.verify()).ok
    for column, change in [
        ("propensity", "0.5"),
        ("arm_id", "'parallel(workers=8)'"),
        ("reason", "'policy'"),
        ("decided_at", "decided_at + 0.5"),
        ("pmf", "ARRAY[1, 2, 3, 4]"),
        ("mode", "'normal'"),
    ]:
        (before,) = await sql(f"SELECT {column} FROM nyx.decision WHERE decision_id = 'old-2'")  # noqa: S608
        await sql(f"UPDATE nyx.decision SET {column} = {change} WHERE decision_id = 'old-2'")  # noqa: S608
        verified = await engine.verify()
        assert not verified.ok, column
        assert "old-2" in (verified.first_divergence or "")
        await sql(f"UPDATE nyx.decision SET {column} = $1 WHERE decision_id = 'old-2'", before[0])  # noqa: S608
    assert (await engine.verify()).ok


async def test_others_go_on_while_a_log_is_imported(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engine, other = await open_engine(spec), await open_engine(spec)
    path = history(tmp_path, foreign(contexts, 3000))
    importing = asyncio.create_task(engine.import_log(path))
    done = 0
    while not importing.done():
        await work(other, contexts, 4, first=done)
        done += 4
    report = await importing
    assert report.rewards == 2700
    verified = await engine.verify()
    assert (verified.ok, verified.imported, verified.matched) == (True, 3000, done)


async def test_two_imports_of_one_file_at_once(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engines = [await open_engine(spec) for _ in range(2)]
    path = history(tmp_path, foreign(contexts, 500))
    reports = await asyncio.gather(*(engine.import_log(path) for engine in engines))
    assert sorted(report.decisions for report in reports) == [0, 500]
    assert sorted(report.known for report in reports) == [0, 500]
    assert sum(report.rewards for report in reports) == 450
    assert (await engines[0].verify()).ok


async def test_statements_grow_with_pages_not_with_lines(
    database_dsn: str, spec: BanditSpec, contexts: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await connect(database_dsn, connections=1)
    store = Store(pool, spec)
    await store.register()
    path = history(tmp_path, foreign(contexts, 10_000))
    statements = 0

    def counting(method: Any) -> Any:
        async def run(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal statements
            statements += 1
            return await method(self, *args, **options)

        return run

    for name in ("execute", "fetch", "fetchrow", "fetchval", "executemany", "copy_records_to_table"):
        monkeypatch.setattr(asyncpg.Connection, name, counting(getattr(asyncpg.Connection, name)))
    report = await import_log(store, [0, 0, 0, 0], path)
    assert (report.decisions, report.rewards, report.last_seq) == (10_000, 9_000, 9_000)
    # In pages of 2,000: copied, inserted, read to be numbered, copied; and what begins and ends it.
    assert statements <= 5 + 5 + 5 + 5 + 5 + 8
    await pool.close()


async def test_an_import_that_is_cancelled_leaves_nothing(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path
) -> None:
    engine = await open_engine(spec)
    path = history(tmp_path, foreign(contexts, 4000))
    importing = asyncio.create_task(engine.import_log(path))
    await asyncio.sleep(0.1)
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert (await engine.counts())["decisions"] == 0
    assert (await engine.import_log(path)).decisions == 4000


async def test_a_writers_rights_are_enough(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, database_dsn: str
) -> None:
    owner = await asyncpg.connect(database_dsn)
    await migrate(owner)
    await grant_roles(owner)
    try:
        engine = await open_engine(spec, f"{database_dsn}&options=-crole%3Dnyx_writer")
        assert (await engine.import_log(history(tmp_path, foreign(contexts, 20)))).decisions == 20
        reader = await open_store(spec, f"{database_dsn}&options=-crole%3Dnyx_reader")
        assert (await export_log(reader, tmp_path / "log.jsonl")).lines == 20
        with pytest.raises(DatabaseRefused):
            await import_log(reader, [0, 0, 0, 0], history(tmp_path, foreign(contexts, 21)))
        await reader.pool.close()
        await engine.close()
    finally:
        for role in ("nyx_reader", "nyx_writer"):
            await owner.execute(f"DROP OWNED BY {role}")
            await owner.execute(f"DROP ROLE {role}")
        await owner.close()


async def open_store(spec: BanditSpec, dsn: str) -> Store:
    return Store(await connect(dsn, connections=1), spec)
