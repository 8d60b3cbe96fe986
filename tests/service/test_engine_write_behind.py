"""Write-behind decisions are answered at once, stored soon, and never mistaken for another's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec
from nyx_learning.errors import DatabaseUnavailable, DecisionConflict

pytestmark = pytest.mark.usefixtures("debug_loop")
Contexts = Callable[[int], dict[str, Any]]
STORED = "SELECT decision_id, mode FROM nyx.decision ORDER BY decision_id"


async def until_stored(sql: Any, count: int) -> None:
    async with asyncio.timeout(30):
        while len(await sql(STORED)) < count:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)


async def test_stored_soon_and_idempotent(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1", durable=False)
    assert decision.mode == "write_behind"
    assert await engine.select_arm(contexts(0), "wf-1", durable=False) is decision
    with pytest.raises(DecisionConflict):
        await engine.select_arm(contexts(1), "wf-1", durable=False)
    await until_stored(sql, 1)
    assert await sql(STORED) == [("wf-1", "write_behind")]
    assert (await engine.update_reward("wf-1", reward=0.5)).applied
    assert (await engine.verify()).ok


async def test_many_and_reported_at_once(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)

    async def run(i: int) -> bool:
        decision = await engine.select_arm(contexts(i), f"wf-{i}", durable=False)
        return bool((await engine.update_reward(decision, reward=0.5)).applied)

    assert all(await asyncio.gather(*(run(i) for i in range(100))))
    assert (await engine.verify()).ok


async def test_asked_again_durably_it_is_stored_before_the_answer(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1", durable=False)
    assert await engine.select_arm(contexts(0), "wf-1") == decision
    assert await sql(STORED) == [("wf-1", "write_behind")]


async def test_decided_before_by_another_process(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    """The stored decision is canonical; an outcome of the other one is kept, and not learned as its."""
    one, two = await open_engine(spec), await open_engine(spec)
    canonical = await one.select_arm(contexts(0), "wf-1")
    other = await two.select_arm(contexts(0), "wf-1", durable=False)
    assert other != canonical
    apart = await two.update_reward(other, reward=0.5)
    assert (apart.state, apart.seq, apart.reward, apart.applied) == ("conflict", 0, None, False)
    async with asyncio.timeout(30):  # the report's lane may be the quicker one
        while "decided before by another process" not in caplog.text:  # noqa: ASYNC110 (a log)
            await asyncio.sleep(0.01)
    by_id = await two.update_reward("wf-1", reward=0.25)  # what was executed here is the arm of the other one
    assert by_id.state == "conflict"
    assert await sql("SELECT decision_id, digest FROM nyx.conflict") == [("wf-1", other.digest)]
    assert await two.select_arm(contexts(0), "wf-1") == canonical
    assert (await two.update_reward("wf-1", reward=0.5)).applied
    again = await one.update_reward(other, reward=0.5)  # any process knows by now what was made apart
    assert again.state == "conflict"
    assert await sql("SELECT count(*) FROM nyx.log") == [(1,)]
    kept = sorted(report.report["told"]["reward"] for report in await one.unlearned())
    assert kept == [0.25, 0.5, 0.5]
    assert (await one.verify()).ok


async def test_a_failed_one_is_brought_along_by_its_outcome(
    open_engine: Any,
    sql: Any,
    spec: BanditSpec,
    contexts: Contexts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = await open_engine(spec, patience_s=0.1, fail_open=False)

    async def away(_batch: Any) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(engine._store, "commit", away)
        decision = await engine.select_arm(contexts(0), "wf-1", durable=False)
        with pytest.raises(DatabaseUnavailable):
            await engine.update_reward(decision, reward=0.5)
        assert "'wf-1' was not stored" in caplog.text
        assert await sql(STORED) == []
    assert (await engine.update_reward("wf-1", reward=0.5)).applied
    assert await sql(STORED) == [("wf-1", "write_behind")]
    assert (await engine.verify()).ok
