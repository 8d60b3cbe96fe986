"""A whole bandit goes from one database to another, to the last bit, or not at all."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PolicySpec
from nyx_learning.errors import DocumentInvalid, LogUnreadable, NyxError, VerificationFailed
from nyx_learning.persistence.archive import TABLES
from nyx_learning.persistence.database import connect
from nyx_learning.persistence.store import Store
from nyx_learning.rewards import ReferenceCell, ReferenceTimes
from nyx_learning.service.archiving import Restored, archive_log, is_archive, restore_log

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
def other_dsn(empty_dsn: str) -> str:
    """A second empty database."""
    return empty_dsn


async def archive_of(dsn: str, spec: BanditSpec, path: Path) -> Path:
    pool = await connect(dsn, connections=2)
    try:
        await archive_log(Store(pool, spec), path)
    finally:
        await pool.close()
    return path


async def restored(dsn: str, path: Path) -> Restored:
    pool = await connect(dsn, connections=2)
    try:
        return await restore_log(pool, path)
    finally:
        await pool.close()


async def rows_of(dsn: str) -> dict[str, list[str]]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            table: sorted(
                row["row"]
                for row in await connection.fetch(f"SELECT row_to_json(t)::text AS row FROM nyx.{table} t")  # noqa: S608
            )
            for table in TABLES
        }
    finally:
        await connection.close()


async def live(engine: LearningEngine, contexts: Contexts) -> None:
    """A life with all kinds of rows."""
    for i in range(30):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        if i % 5 != 4:
            await engine.update_reward(
                decision, Outcome(success=i % 3 > 0, quality=i / 30, duration_s=1e22 * i)
            )
    await engine.update_reward("wf-0", Outcome(success=True), corrects=0)
    await engine.retract("wf-1")
    await engine.abandon(await engine.select_arm(contexts(4), "wf-4"))
    await engine.adopt_references(
        ReferenceTimes(by=("task",), cells=(ReferenceCell(("*",), time_s=60.0),)), "reprice"
    )
    await engine.select_arm(contexts(7), "late", eligible=["direct", "parallel(workers=2)"])


async def test_every_row_comes_over(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, database_dsn: str, other_dsn: str
) -> None:
    newer = dataclasses.replace(spec, policy=PolicySpec("thompson_beta", floor=0.1))
    engine = await open_engine(spec)
    await live(engine, contexts)
    newest = await open_engine(newer)
    await newest.update_reward(await newest.select_arm(contexts(2), 'ä, "b"\\'), reward=0.1 + 0.2)
    verified = await newest.verify()
    assert verified.ok
    path = await archive_of(database_dsn, newer, tmp_path / "copy.jsonl.gz")
    assert is_archive(path)
    found = await restored(other_dsn, path)
    assert (found.bandit, found.verified.matched, found.verified.imported) == ("orchestration", 32, 0)
    assert found.to_dict()["log_rows"] == verified.rewards
    assert await rows_of(other_dsn) == await rows_of(database_dsn)
    again = await archive_of(other_dsn, newer, tmp_path / "again.jsonl")
    assert again.read_text().splitlines()[1:] == gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    there = await open_engine(newer, other_dsn)
    assert there._learner.sums.digest() == newest._learner.sums.digest()
    one, two = [await each.select_arm(contexts(5), "next") for each in (newest, there)]
    assert one._replace(time=None) == two._replace(time=None)
    # None over what is there.
    with pytest.raises(DocumentInvalid, match="has a log already"):
        await restored(other_dsn, path)


async def test_a_copy_that_was_changed_is_not_restored(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, database_dsn: str, other_dsn: str
) -> None:
    await live(await open_engine(spec), contexts)
    lines = (await archive_of(database_dsn, spec, tmp_path / "copy.jsonl")).read_text().splitlines()
    path = tmp_path / "changed.jsonl"
    first_decision = next(i for i, line in enumerate(lines) if line.startswith('{"table":"decision"'))
    first_log = next(i for i, line in enumerate(lines) if line.startswith('{"table":"log"'))
    cases: list[tuple[list[str], type[NyxError]]] = [
        (lines[:-1], LogUnreadable),
        (lines[: first_log + 3], LogUnreadable),
        ([*lines, lines[first_log]], DocumentInvalid),
        ([*lines[:first_log], *lines[first_log + 1 :]], DocumentInvalid),
        ([*lines[:first_log], lines[first_log][:-5], *lines[first_log + 1 :]], DocumentInvalid),
        (
            [*lines[:first_log], lines[first_log].replace("orchestration", "other"), *lines[first_log + 1 :]],
            DocumentInvalid,
        ),
        (
            [*lines[:first_log], lines[first_log].replace('"log"', '"migration"'), *lines[first_log + 1 :]],
            DocumentInvalid,
        ),
        ([lines[0].replace('"version": 1', '"version": 2'), *lines[1:]], DocumentInvalid),
        ([lines[0].replace('"schema": ', '"schema": 9'), *lines[1:]], DocumentInvalid),
        ([lines[0].replace('"last_seq":', '"last_seq":1'), *lines[1:]], VerificationFailed),
    ]
    for at, old, new in [
        (first_decision, '"reason":"', '"reason":"only_arm'),
        (first_decision, '"epoch":0', '"epoch":1'),
        (first_log, '"propensity":0.', '"propensity":0.1'),
        (first_log, '"reward":0,', '"reward":0.5,'),
    ]:
        assert old in lines[at]
        cases.append(([*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]], NyxError))
    for changed, error in cases:
        path.write_text("\n".join(changed) + "\n")
        with pytest.raises(error):
            await restored(other_dsn, path)
        assert not any((await rows_of(other_dsn)).values()), "all or nothing"
    path.write_text("\n".join(lines) + "\n")
    assert (await restored(other_dsn, path)).verified.ok


def test_what_is_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"decision_id": "a"}))
    assert not is_archive(path)
    with pytest.raises(LogUnreadable):
        is_archive(tmp_path / "none")
