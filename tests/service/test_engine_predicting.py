"""Predictions of the durable engine: of the log, the same in every process, and off the deciding path."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome
from nyx_learning.bandit.expecting import Expectations
from nyx_learning.errors import ArmUnknown, ContextInvalid, DatabaseUnavailable, SupportMissing

CONTEXT: dict[str, Any] = {"task": "code", "size": 4.0}


async def worked(engine: LearningEngine, numbers: range, contexts: Callable[[int], dict[str, Any]]) -> None:
    for i in numbers:
        decision = await engine.select_arm(contexts(i), f"w-{i}")
        outcome = Outcome(success=i % 5 > 0, duration_s=10.0 + i % 7, cost=0.02 if i % 3 else None)
        await engine.update_reward(decision, outcome)


async def test_every_process_and_a_restart_say_the_same(
    open_engine: Any, spec: BanditSpec, contexts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.bandit.expecting.WINDOW", 32)
    first, second = await open_engine(spec), await open_engine(spec)
    names = ("direct", "parallel", "parallel(workers=4)")
    for begin in range(0, 120, 30):
        await worked(first if begin % 60 else second, range(begin, begin + 30), contexts)
        told = [await first.predict_workflow_performance(CONTEXT, name) for name in names]
        assert [await second.predict_workflow_performance(CONTEXT, name) for name in names] == told
    third = await open_engine(spec)
    told = [await first.predict_workflow_performance(CONTEXT, name) for name in names]
    assert [await third.predict_workflow_performance(CONTEXT, name) for name in names] == told
    assert (told[0].first_seq, told[0].state_seq) == (64, 120)
    known = Expectations(spec, 64)
    for row, context in await third._parts.store.log.after(64, 500):
        known.absorb(row, context)
    assert known.predict_workflow_performance(CONTEXT, "parallel") == told[1]
    assert (told[0].duration_s.low or 0) > 5.0
    assert (told[0].duration_s.high or 0) < 30.0


async def test_many_ask_at_once_and_one_goes_away(open_engine: Any, spec: BanditSpec, contexts: Any) -> None:
    engine = await open_engine(spec)
    await worked(engine, range(40), contexts)
    asked = [
        asyncio.create_task(engine.predict_workflow_performance(CONTEXT, name))
        for name in ("direct", "parallel") * 4
    ]
    await asyncio.sleep(0)
    asked[0].cancel()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert len({str(answer) for answer in told[1:]}) == 2
    assert all(answer.state_seq == 40 for answer in told[1:] if not isinstance(answer, BaseException))


async def test_bad_questions_are_refused_without_reading_the_log(
    open_engine: Any, spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await open_engine(spec)
    monkeypatch.setattr(engine._parts.store, "log", None)
    with pytest.raises(ArmUnknown):
        await engine.predict_workflow_performance(CONTEXT, "sideways")
    with pytest.raises(ContextInvalid):
        await engine.predict_workflow_performance({"task": "code"}, "direct")


async def test_with_the_database_away_what_was_read_is_told(
    open_engine: Any, spec: BanditSpec, contexts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, cold = await open_engine(spec), await open_engine(spec)
    await worked(engine, range(12), contexts)
    told = await engine.predict_workflow_performance(CONTEXT, "direct")

    async def away(*_: Any) -> int:
        raise OSError("the server is gone")

    monkeypatch.setattr("nyx_learning.persistence.log_reader.LogReader.window", away)
    assert await engine.predict_workflow_performance(CONTEXT, "direct") == told
    with pytest.raises(DatabaseUnavailable):
        await cold.predict_workflow_performance(CONTEXT, "direct")
    monkeypatch.undo()


async def test_a_log_that_is_another_is_read_again(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Any
) -> None:
    """As behind a failover that lost rows: their numbers then belong to others."""
    engine = await open_engine(spec)
    await worked(engine, range(20), contexts)
    before = await engine.predict_workflow_performance(CONTEXT, "direct")
    await sql('UPDATE nyx.log SET outcome = \'{"success": false, "duration_s": 900.0}\' WHERE seq > 15')
    behind = await engine.predict_workflow_performance(CONTEXT, "direct")
    assert behind.success_probability < before.success_probability
    other = await open_engine(spec)
    assert await other.predict_workflow_performance(CONTEXT, "direct") == behind


async def test_references_are_proposed_and_nothing_is_adopted(
    open_engine: Any, spec: BanditSpec, contexts: Any
) -> None:
    engine = await open_engine(spec)
    with pytest.raises(SupportMissing):
        await engine.propose_expected_references(by=["task"])
    await worked(engine, range(40), contexts)
    proposal = await engine.propose_expected_references(by=["task"])
    assert proposal.in_force is None
    assert proposal.state_seq == engine.state_seq == 40
    times = {cell.key: cell.time_s for cell in proposal.references.cells}
    assert all(time is not None and 9.0 < time < 18.0 for time in times.values())
    assert ("code",) in times
    await engine.adopt_references(proposal.references)
    again = await engine.propose_expected_references(by=["task"])
    assert again.in_force == proposal.references.version
    assert not again.worth_adopting
