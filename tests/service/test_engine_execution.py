"""``execution``: how a block ends becomes what is learned from it, and nothing is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, RewardSpec
from nyx_learning.errors import ArmUnknown, InputInvalid, OutcomeInvalid

pytestmark = pytest.mark.usefixtures("debug_loop")
Contexts = Callable[[int], dict[str, Any]]
STORED = "SELECT decision_id, outcome::text FROM nyx.log ORDER BY seq"


@pytest.fixture
async def engine(open_engine: Any, spec: BanditSpec) -> LearningEngine:
    opened: LearningEngine = await open_engine(spec)
    return opened


async def outcomes(sql: Any) -> list[dict[str, Any]]:
    import json

    return [json.loads(text) for _, text in await sql(STORED)]


async def test_success_is_timed_and_reported(engine: LearningEngine, sql: Any, contexts: Contexts) -> None:
    async with engine.execution(contexts(0), "wf-1") as run:
        assert run.decision == await engine.select_arm(contexts(0), "wf-1")
        assert run.receipt is None
        run.report(quality=0.25, retries=1)
        run.report(quality=0.75)
        await asyncio.sleep(0.05)
    assert run.receipt
    assert run.receipt.applied
    (outcome,) = await outcomes(sql)
    assert 0.05 <= outcome.pop("duration_s") < 5.0
    assert outcome == {"success": True, "quality": 0.75, "retries": 1}


async def test_what_is_reported_wins(engine: LearningEngine, sql: Any, contexts: Contexts) -> None:
    async with engine.execution(contexts(0)) as run:
        run.report(success=False, duration_s=9.5)
    assert await outcomes(sql) == [{"success": False, "duration_s": 9.5}]


async def test_an_exception_is_a_failure_and_passes_on(
    engine: LearningEngine, sql: Any, contexts: Contexts
) -> None:
    class ToolBroken(Exception):
        pass

    error = ToolBroken("the tool broke")
    with pytest.raises(ToolBroken) as caught:  # noqa: PT012 (the block is what raises)
        async with engine.execution(contexts(0)) as run:
            run.report(success=True, duration_s=1.0, error_codes=("earlier",))
            raise error
    assert caught.value is error
    assert run.receipt is not None
    assert await outcomes(sql) == [
        {"success": False, "duration_s": 1.0, "error_codes": ["earlier", "ToolBroken"]}
    ]


async def test_an_exception_whose_name_is_no_error_code(
    engine: LearningEngine, sql: Any, contexts: Contexts
) -> None:
    odd = type("E" * 5000, (Exception,), {})
    with pytest.raises(odd):  # noqa: PT012 (the block is what raises)
        async with engine.execution(contexts(0)) as run:
            run.report(duration_s=1.0)
            raise odd
    assert await outcomes(sql) == [{"success": False, "duration_s": 1.0}]


async def test_the_blocks_exception_passes_on_where_the_report_fails(
    engine: LearningEngine, contexts: Contexts, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.update_reward(await engine.select_arm(contexts(0), "wf-1"), reward=1.0)
    with pytest.raises(ZeroDivisionError):
        async with engine.execution(contexts(0), "wf-1"):
            raise ZeroDivisionError
    assert "was not stored" in caplog.text
    async with engine.execution(contexts(0), "wf-1") as again:
        pass
    assert again.receipt is None
    assert "the first outcome of decision 'wf-1' stands" in caplog.text


async def test_nothing_to_learn_from_is_an_error(
    open_engine: Any, contexts: Contexts, spec: BanditSpec
) -> None:
    from dataclasses import replace

    engine = await open_engine(replace(spec, reward=RewardSpec(weights={"quality": 1.0})))
    with pytest.raises(OutcomeInvalid):
        async with engine.execution(contexts(0)):
            pass
    with pytest.raises(KeyError):
        async with engine.execution(contexts(0)):
            raise KeyError("x")


async def test_a_cancelled_block_is_abandoned(engine: LearningEngine, sql: Any, contexts: Contexts) -> None:
    entered = asyncio.Event()

    async def block() -> None:
        async with engine.execution(contexts(0), "wf-1"):
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(block())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), engine.execution(contexts(1), "wf-2"):
            await asyncio.sleep(60)
    await engine.close()
    assert await sql("SELECT decision_id FROM nyx.log WHERE kind = 'abandonment' ORDER BY 1") in (
        [("wf-1",), ("wf-2",)],
        [("wf-1",)],  # the time was over before the decision was there
    )
    assert await sql("SELECT count(*) FROM nyx.log WHERE kind = 'reward' OR units IS NOT NULL") == [(0,)]


async def test_cancelled_while_its_outcome_is_stored(
    engine: LearningEngine, sql: Any, contexts: Contexts, database_dsn: str
) -> None:
    """The outcome was handed over before the first wait, so it is stored, and the cancellation is heard."""
    import asyncpg

    blocker = await asyncpg.connect(database_dsn)
    left = asyncio.Event()

    async def block() -> None:
        async with engine.execution(contexts(0), "wf-1") as run:
            run.report(quality=0.5)
            await blocker.execute("BEGIN")
            await blocker.execute("LOCK TABLE nyx.log IN EXCLUSIVE MODE")
            left.set()

    task = asyncio.create_task(block())
    await left.wait()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await blocker.execute("COMMIT")
    await blocker.close()
    await engine.close()
    ((decision_id, _),) = await sql(STORED)
    assert decision_id == "wf-1"


async def test_other_ends_leave_the_decision_open(
    engine: LearningEngine, sql: Any, contexts: Contexts
) -> None:
    """Nobody knows what a run would have been worth that the interpreter's end cut off."""
    run = engine.execution(contexts(0))
    await run.__aenter__()
    error = KeyboardInterrupt()
    await run.__aexit__(KeyboardInterrupt, error, None)
    assert run.receipt is None
    assert await engine.counts() == {"decisions": 1, "rewards": 0, "abandoned": 0}


@pytest.mark.parametrize(
    "fields",
    [{"quality": 2.0}, {"quality": float("nan")}, {"speed": 1.0}, {"success": None}, {"error_codes": "a"}],
)
async def test_reports_are_checked_at_once(
    engine: LearningEngine, sql: Any, contexts: Contexts, fields: dict[str, Any]
) -> None:
    async with engine.execution(contexts(0)) as run:
        run.report(quality=0.5, duration_s=1.0)
        with pytest.raises(OutcomeInvalid):
            run.report(usefulness=0.5, **fields)
    assert await outcomes(sql) == [{"success": True, "quality": 0.5, "duration_s": 1.0}]


async def test_entered_twice_or_reported_late(engine: LearningEngine, contexts: Contexts) -> None:
    run = engine.execution(contexts(0))
    async with run:
        with pytest.raises(InputInvalid, match="entered twice"):
            await run.__aenter__()
    with pytest.raises(InputInvalid, match="entered twice"):
        await run.__aenter__()
    with pytest.raises(InputInvalid, match="has ended"):
        run.report(quality=0.5)
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


async def test_what_cannot_be_selected_is_not_entered(engine: LearningEngine, contexts: Contexts) -> None:
    run = engine.execution(contexts(0), eligible=["nowhere"])
    for _ in range(2):
        with pytest.raises(ArmUnknown):
            async with run:
                pytest.fail("the block ran")
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}


async def test_abandoning(engine: LearningEngine, contexts: Contexts) -> None:
    decision = await engine.select_arm(contexts(0), "wf-1")
    for _ in range(2):
        await engine.abandon(decision)
    assert await engine.counts() == {"decisions": 1, "rewards": 0, "abandoned": 1}
    assert (await engine.update_reward(decision, reward=0.5)).applied  # it was worth something after all
