"""Advice on running executions of the durable engine: from the log, the same in every process."""

from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PerformanceMetrics
from nyx_learning.bandit.adapting import AdaptationStakes
from nyx_learning.bandit.logged_lifetimes import LoggedLifetimes
from nyx_learning.errors import ArmUnknown, DatabaseUnavailable, DecisionUnknown, InputInvalid
from nyx_learning.service import advice_log

STAKES = AdaptationStakes(time_cost=0.005)


async def worked(engine: LearningEngine, executions: range) -> None:
    """Code succeeds within 8 to 12 s or is stopped at 100; text fails at once every second time.

    All arms alike often: which the policy would try depends on what a process has read when it decides.
    """
    arms = engine.spec.arms.units
    for i in executions:
        context, arm = {"task": ("code", "text")[i % 2], "size": 4.0}, arms[i // 2 % len(arms)]
        decision = await engine.select_arm(context, f"w-{i}", eligible=[arm])
        if i % 2:
            outcome = Outcome(success=i % 4 == 1, duration_s=2.0)
        elif i % 3:
            outcome = Outcome(success=True, duration_s=8.0 + i % 5)
        else:
            outcome = Outcome(success=False, timed_out=True, duration_s=100.0)
        await engine.update_reward(decision, outcome)


async def test_every_process_says_the_same(open_engine: Any, spec: BanditSpec) -> None:
    first, second = await open_engine(spec), await open_engine(spec)
    decision = await first.select_arm({"task": "code", "size": 4.0}, "running")
    cold = await first.should_adapt_workflow(PerformanceMetrics(duration_s=5.0), decision=decision)
    assert (cold.action, cold.enough_evidence, cold.executions) == ("continue", False, 0)
    await worked(first, range(60))
    await worked(second, range(60, 120))
    told = []
    for seconds in (1.0, 30.0):
        answers = [
            await engine.should_adapt_workflow(
                PerformanceMetrics(duration_s=seconds), decision=which, stakes=STAKES, retries=False
            )
            for engine, which in ((first, decision), (second, "running"))
        ]
        assert answers[0] == answers[1]
        told.append(answers[0])
    assert [one.action for one in told] == ["continue", "abort"]
    assert told[0].executions == 120
    assert (told[0].success_probability or 0.0) > 0.5
    assert told[1].success_probability == 0.0
    known = LoggedLifetimes(spec)
    for row, context in await first._parts.store.log.after(0, 500):
        known.absorb(row, context)
    assert known.lifetimes.curve(decision.arm_id, known.cell({"task": "code", "size": 9.0})) == (
        first._adapting._window.known.lifetimes.curve(decision.arm_id, known.cell(decision.context))
    )
    with pytest.raises(InputInvalid, match="out of turn"):
        known.absorb(row)


async def test_bad_questions_are_refused_without_reading_the_log(
    open_engine: Any, spec: BanditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm({"task": "code", "size": 4.0}, "running")

    async def unreadable() -> int:
        raise AssertionError

    monkeypatch.setattr(engine._parts.store.log, "window", unreadable)
    asked = PerformanceMetrics(duration_s=5.0)
    with pytest.raises(ArmUnknown):
        await engine.should_adapt_workflow(asked, decision=decision, alternatives=["nobody"])
    with pytest.raises(InputInvalid, match="alternative to itself"):
        await engine.should_adapt_workflow(asked, decision=decision, alternatives=[decision.arm_id])
    with pytest.raises(InputInvalid, match="duration_s"):
        await engine.should_adapt_workflow(PerformanceMetrics(), decision=decision)
    with pytest.raises(DecisionUnknown):
        await engine.should_adapt_workflow(asked, decision="never made")
    await engine.close()
    with pytest.raises(DatabaseUnavailable):
        await engine.should_adapt_workflow(asked, decision=decision)


async def test_advice_is_kept_and_judged_by_what_came(open_engine: Any, spec: BanditSpec) -> None:
    engine = await open_engine(spec)
    await worked(engine, range(120))
    assert (await engine.adaptation_record()).advised == 0
    decision = await engine.select_arm({"task": "code", "size": 4.0}, "running")
    for seconds in (5.0, 5.0, 30.0):  # the same question again is the same advice
        told = await engine.should_adapt_workflow(
            PerformanceMetrics(duration_s=seconds), decision=decision, stakes=STAKES, retries=False
        )
    assert told.action == "abort"
    await engine.update_reward(decision, Outcome(success=True, duration_s=50.0))
    found = await engine.adaptation_record(3600.0)
    assert (found.advised, [one.action for one in found.actions]) == (2, ["continue", "abort"])
    waited, stopped = found.actions
    assert waited.realised == pytest.approx(1.0 - 0.005 * 45.0)
    assert stopped.ignored_gain == pytest.approx(0.0 - (1.0 - 0.005 * 20.0))
    again = await open_engine(spec)
    assert await again.adaptation_record() == found
    for window in (0.0, -1.0, True, "day"):
        with pytest.raises(InputInvalid, match="time window"):
            await engine.adaptation_record(window)


async def test_followed_advice_teaches_what_restarts_cost_in_every_process(
    open_engine: Any, spec: BanditSpec, sql: Any
) -> None:
    """Restarts that never succeed: they are advised at first, and not any more."""
    engine = await open_engine(spec)
    await worked(engine, range(120))
    late = PerformanceMetrics(duration_s=30.0)

    async def asked(of: LearningEngine, name: str, **options: Any) -> Any:
        return await of.should_adapt_workflow(late, decision=name, **options)

    await engine.select_arm({"task": "code", "size": 4.0}, "running")
    first = await asked(engine, "running")
    assert first.action == "retry"
    for i in range(30):
        decision = await engine.select_arm({"task": "code", "size": 4.0}, f"again-{i}")
        await asked(engine, decision.decision_id)
        await engine.update_reward(decision, Outcome(success=False, duration_s=60.0, retries=1))
    learned = await asked(engine, "running")
    assert learned.values["retry"] < first.values["retry"] - 0.2
    (told,) = [reason for reason in learned.reasons if "have taught" in reason]
    record = await engine.adaptation_record()
    stakes, retried = record.stakes(), record.of("retry")
    assert retried is not None
    assert f"cost {stakes.retry_cost:.3f}, as {retried.followed} that" in told
    assert learned.action != "retry"
    # Whoever reads the same rows is told the same; what is passed is taken as it is.
    other = await open_engine(spec)
    assert await asked(other, "running") == learned
    plain = await asked(other, "running", stakes=AdaptationStakes())
    assert not any("have taught" in reason for reason in plain.reasons)
    assert plain.values["retry"] == pytest.approx(learned.values["retry"] + stakes.retry_cost)
    # Nothing is looked up where nothing has come.
    await sql("DROP TABLE nyx.advice")
    assert await asked(other, "running") == learned


async def test_advice_that_is_refused_holds_up_nobody(
    open_engine: Any, spec: BanditSpec, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the role was not given the right to write it."""

    async def refuse(*_: object) -> None:
        raise asyncpg.InsufficientPrivilegeError("permission denied for table advice")

    engine = await open_engine(spec)
    await worked(engine, range(60))
    decision = await engine.select_arm({"task": "code", "size": 4.0}, "running")
    with monkeypatch.context() as patched:
        patched.setattr(advice_log, "insert_advice", refuse)
        for seconds in (1.0, 2.0):
            now = PerformanceMetrics(duration_s=seconds)
            assert (await engine.should_adapt_workflow(now, decision=decision)).enough_evidence
        assert (await engine.adaptation_record()).to_dict()
        await engine.should_adapt_workflow(PerformanceMetrics(duration_s=3.0), decision=decision)
        await engine.close()
    assert await sql("SELECT count(*) FROM nyx.advice") == [(0,)]
