"""Opening and closing: what cannot be opened, who may not write, and what a closed engine answers."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import DatabaseRefused, DatabaseUnavailable, InputInvalid, NyxError

pytestmark = pytest.mark.usefixtures("debug_loop")
Contexts = Callable[[int], dict[str, Any]]


def open_files() -> int:
    """How many files this process has open; 0 where the system does not say."""
    listed = Path("/proc/self/fd")
    return len(list(listed.iterdir())) if listed.exists() else 0


async def test_a_closed_engine_says_so(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    run = engine.execution(contexts(1))
    await engine.close()
    calls: list[Callable[[], Any]] = [
        lambda: engine.select_arm(contexts(0)),
        lambda: engine.select_arm(contexts(0), "wf-1"),
        lambda: engine.update_reward(decision, reward=0.5),
        lambda: engine.update_reward("wf-1", reward=0.5),
        lambda: engine.abandon(decision),
        engine.verify,
        engine.counts,
        run.__aenter__,
    ]
    for call in calls:
        with pytest.raises(DatabaseUnavailable, match="the engine is closed"):
            await call()
    assert engine.beliefs(contexts(0))  # what it knew, it knows


async def test_cancelled_while_closing(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await engine.update_reward(await engine.select_arm(contexts(0)), reward=0.5)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert engine._pool._closed
    assert await sql("SELECT seq FROM nyx.checkpoint") == [(1,)]


async def test_opening_what_cannot_be_opened(spec: BanditSpec, clean_loop: None, database_dsn: str) -> None:
    before = open_files()
    for dsn in ("postgresql://me:hunter2@127.0.0.1:1/x", "nonsense hunter2"):
        with pytest.raises(DatabaseUnavailable) as caught:
            await LearningEngine.open(spec, dsn, fail_open=False)
        assert "hunter2" not in str(caught.value)
    await asyncio.sleep(0.05)
    assert open_files() <= before


@pytest.mark.parametrize(
    "arguments",
    [
        {"spec": "orchestration"},
        {"dsn": 7},
        {"connections": 0},
        {"connections": 2.5},
        {"patience_s": float("nan")},
        {"patience_s": -1},
        {"deadline_s": True},
        {"fail_open": 1},
        {"spool": "here"},
        {"spool_fsync": None},
    ],
)
async def test_unusable_arguments(spec: BanditSpec, database_dsn: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid, match=r"of LearningEngine\.open is unusable"):
        await LearningEngine.open(**{"spec": spec, "dsn": database_dsn, **arguments})


async def test_a_role_that_may_only_read(
    open_engine: Any, sql: Any, spec: BanditSpec, database_dsn: str, contexts: Contexts
) -> None:
    await (await open_engine(spec)).close()
    read_only = f"{database_dsn}&options=-cdefault_transaction_read_only%3Don"
    with pytest.raises(DatabaseUnavailable) as caught:
        await open_engine(spec, read_only, fail_open=False)
    assert "read-only" in caught.value.found


async def test_rights_that_are_taken_away(
    open_engine: Any, sql: Any, spec: BanditSpec, database_dsn: str, contexts: Contexts
) -> None:
    """The database answers, and will not: an error at once, and the engine goes on when it does again."""
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0))
    await sql("ALTER TABLE nyx.log ADD CONSTRAINT no_more CHECK (seq < 1)")
    with pytest.raises(DatabaseRefused) as caught:
        await engine.update_reward(decision, reward=0.5)
    assert "CheckViolationError" in caught.value.found
    await sql("ALTER TABLE nyx.log DROP CONSTRAINT no_more")
    assert (await engine.update_reward(decision, reward=0.5)).seq == 1


def test_errors_have_four_parts(spec: BanditSpec) -> None:
    error = DatabaseRefused("a", expected="b", found="c", fix="d")
    assert isinstance(error, NyxError)
    assert not error.retryable
