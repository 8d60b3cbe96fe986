"""What the spool takes while the database is away, and what is said where it takes nothing."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import DatabaseUnavailable, InputInvalid

from .test_engine_outage import never, until

Contexts = Callable[[int], dict[str, Any]]


async def test_what_waiting_does_not_cure_is_an_error(
    spec: BanditSpec, database_dsn: str, clean_loop: None
) -> None:
    nowhere = database_dsn.replace("/test_", "/nowhere_")
    for dsn in (nowhere, "nonsense"):
        with pytest.raises(DatabaseUnavailable):
            await LearningEngine.open(spec, dsn)


async def test_without_a_usable_spool(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions go on, and say that they are in memory alone; a report that nothing keeps is an error."""
    (tmp_path / "file").write_text("no folder")
    engine = await open_engine(spec, spool=tmp_path / "file")
    assert {problem.code for problem in engine.health().problems} == {"spool_unusable"}
    assert (await engine.select_arm(contexts(0), "a")).mode == "normal"
    with monkeypatch.context() as patched:
        patched.setattr(engine._parts.flushing, "flush", never)
        engine._parts.availability.lost("a test")
        decision = await engine.select_arm(contexts(1), "b")
        assert decision.mode == "memory"
        assert await engine.select_arm(contexts(1), "b") == decision
        with pytest.raises(DatabaseUnavailable, match="the spool takes nothing either"):
            await engine.update_reward(decision, reward=0.5)
    engine._parts.availability.regained()
    assert (await engine.update_reward(decision, reward=0.5)).applied
    assert (await engine.verify()).ok


async def test_a_decision_from_elsewhere_is_checked_before_it_is_spooled(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decision = await one.select_arm(contexts(0), "wf-1")
    with monkeypatch.context() as patched:
        patched.setattr(two._parts.flushing, "flush", never)
        two._parts.availability.lost("a test")
        with pytest.raises(InputInvalid, match="was not made by bandit"):
            await two.update_reward(decision._replace(propensity=0.5), reward=0.5)
        assert (await two.update_reward(decision, reward=0.5)).state == "spooled"
    assert await two.flush() == 0
    assert (await one.rewards("wf-1")).reward == 0.5


async def test_a_full_disk_of_the_database(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Postgres answers then; filling a real disk needs a file system of the test's own."""
    engine = await open_engine(spec, patience_s=0.1)

    async def full(_batch: Any) -> None:
        raise asyncpg.DiskFullError("could not extend file: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(engine._store, "commit", full)
        decision = await engine.select_arm(contexts(0), "wf-1")
        assert decision.mode == "spooled"
        assert (await engine.update_reward(decision, reward=0.5)).state == "spooled"
        assert "No space left" in str(engine.health().last_error)
    await until(lambda: not engine.health().spool.records)
    assert (await engine.rewards("wf-1")).reward == 0.5


async def test_a_living_process_takes_over_from_a_dead_one(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, living = await open_engine(spec), await open_engine(spec)
    monkeypatch.setattr(dead._parts.flushing, "flush", never)
    dead._parts.availability.lost("a test")
    decision = await dead.select_arm(contexts(0), "wf-1")
    await dead.update_reward(decision, reward=0.25)
    await living._parts.flushing.adopt()
    assert living.health().spool.records == 0  # its owner lives
    dead._parts.spooling.spool._own.release()  # what the kernel does when a process ends
    await living._parts.flushing.adopt()
    assert await living.select_arm(contexts(0), "wf-1") == decision
    assert await living.flush() == 0
    assert (await living.rewards("wf-1")).reward == 0.25
    assert (await living.verify()).ok


async def test_who_looks_for_files_waits_for_who_has_found_them(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one look has found and not yet adopted, the next must not take for nothing."""
    dead, living = await open_engine(spec), await open_engine(spec)
    monkeypatch.setattr(dead._parts.flushing, "flush", never)
    await living._parts.flushing.stop()  # it would look too
    dead._parts.availability.lost("a test")
    decision = await dead.select_arm(contexts(0), "wf-1")
    dead._parts.spooling.spool._own.release()
    spool, found, going_on = living._parts.spooling.spool, threading.Event(), threading.Event()
    find = spool.find

    def slow() -> list[Any]:
        files = find()
        if files:
            found.set()
            going_on.wait(30.0)
        return files  # type: ignore[no-any-return]

    monkeypatch.setattr(spool, "find", slow)
    looks = [asyncio.create_task(living._parts.flushing.adopt()) for _ in range(2)]
    await asyncio.to_thread(found.wait, 30.0)
    done, _ = await asyncio.wait(looks, timeout=0.1)
    assert not done
    going_on.set()
    await asyncio.gather(*looks)
    assert await living.select_arm(contexts(0), "wf-1") == decision


async def test_records_are_brought_to_the_disk_where_that_is_asked_for(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for asked in (False, True):
        engine = await open_engine(spec, spool_fsync=asked)
        await engine.select_arm(contexts(0), durable=False)
        assert len(synced) == asked
