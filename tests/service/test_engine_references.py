"""Reference times are frozen versions: adopted by a numbered row, and the same in every process."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, RewardSpec
from nyx_learning.errors import InputInvalid, OutcomeInvalid, SpecInvalid, SupportMissing
from nyx_learning.rewards import ReferenceCell, ReferenceTimes
from nyx_learning.rewards.reference import Reference

Contexts = Callable[[int], dict[str, Any]]
SPEED = RewardSpec(weights={"speed": 1.0, "success": 1.0}, reference_by=("task",))


def references(seconds: float) -> ReferenceTimes:
    return ReferenceTimes(by=("task",), cells=(ReferenceCell(("*",), time_s=seconds),))


@pytest.fixture
def spec(spec: BanditSpec) -> BanditSpec:
    return replace(spec, reward=SPEED)


def took(seconds: float) -> Outcome:
    return Outcome(success=True, duration_s=seconds)


def sums(engine: LearningEngine) -> Any:
    return {key: block.tolist() for key, block in engine._learner.sums.blocks.items() if block.any()}


async def test_a_version_prices_what_is_decided_behind_it(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    for i in range(4):
        await one.select_arm(contexts(i), f"wf-{i}")
    before = await one.update_reward("wf-0", took(10.0))
    assert (before.reward, before.missing) == (1.0, ("speed",))
    adoption = await one.adopt_references(references(10.0))
    assert adoption.seq == 2
    assert await one.adopt_references(references(10.0)) == adoption  # in force already
    assert one.state_seq == 2
    # Decided before: priced as then, however late, and by whichever process.
    assert (await two.update_reward("wf-1", took(10.0))).reward == 1.0
    await two._replica.catch_up()
    decision = await two.select_arm(contexts(5), "wf-5")
    assert decision.state_seq == 3
    assert (await one.update_reward(decision, took(10.0))).reward == 0.75  # speed is ½ at the reference
    assert (await one.rewards("wf-5")).reference_version == references(10.0).version
    assert (await one.rewards("wf-1")).reference_version is None
    # Corrections go by the decision too.
    assert (
        await two.update_reward("wf-0", took(10.0).model_copy(update={"retries": 1}), corrects=0)
    ).reward < 1
    await two.adopt_references(references(30.0))
    assert (await two.update_reward("wf-5", took(10.0), source="again")).reward == 0.75
    await one._replica.catch_up()
    await one.select_arm(contexts(6), "wf-6")
    assert (await two.update_reward("wf-6", took(10.0))).reward == 0.875  # 30/(30+10) = ¾
    for engine in (one, two):
        await engine._replica.catch_up()
        report = await engine.verify()
        assert report.ok, report.first_divergence
    assert sums(one) == sums(two)


async def test_repricing_what_came_before(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    for i in range(30):
        await engine.select_arm(contexts(i), f"wf-{i:02}")
    for i in range(20):
        await engine.update_reward(f"wf-{i:02}", took(10.0))
    await engine.update_reward("wf-20", reward=0.5)
    await engine.retract("wf-03")
    decisions = await sql("SELECT digest FROM nyx.decision ORDER BY decision_id")
    adoption = await engine.adopt_references(references(10.0), "reprice")
    assert (adoption.seq, engine.state_seq) == (23, 23 + 19)
    states = [await engine.rewards(f"wf-{i:02}") for i in range(21)]
    assert [s.reward for s in states] == [0.75] * 3 + [None] + [0.75] * 16 + [0.5]
    assert states[0].reference_version == references(10.0).version
    assert {s.state.value for s in states} == {"final", "retracted"}
    assert await sql("SELECT digest FROM nyx.decision ORDER BY decision_id") == decisions
    # An outcome that comes behind the adoption is priced by it as well, whenever its decision was made.
    assert (await engine.update_reward("wf-25", took(10.0))).reward == 0.75
    # The same again, with another version: 19 + 1 rows.
    await engine.adopt_references(references(30.0), "reprice")
    assert (await engine.rewards("wf-25")).reward == 0.875
    assert engine._learner.sums.totals[:, 0].sum() == 21
    assert engine._learner.sums.totals[:, 1].sum() == 20 * 57344 + 32768
    report = await engine.verify()
    assert report.ok, report.first_divergence
    other = await open_engine(spec)
    assert sums(other) == sums(engine)
    fast = await engine.reprice(replace(SPEED, weights={"speed": 1.0}))
    assert fast.overall is not None
    assert {arm.after for arm in fast.overall.arms} == {0.75}


async def test_reports_race_with_an_adoption(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    """Whichever comes first, in the end everything has the price of the adopted version."""
    one, two = await open_engine(spec), await open_engine(spec)
    for i in range(60):
        await one.select_arm(contexts(i), f"wf-{i}")
    reports = [(one, two)[i % 2].update_reward(f"wf-{i}", took(10.0)) for i in range(60)]
    await asyncio.gather(*reports[:30], two.adopt_references(references(10.0), "reprice"), *reports[30:])
    for engine in (one, two):
        await engine._replica.catch_up()
        assert engine._learner.sums.totals[:, 1].sum() == 60 * 49152
    report = await one.verify()
    assert report.ok, report.first_divergence


async def test_an_outcome_that_only_an_adopted_reference_can_price(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(replace(spec, reward=replace(SPEED, weights={"speed": 1.0})))
    await engine.select_arm(contexts(0), "early")
    await engine.adopt_references(references(10.0))
    await engine.select_arm(contexts(0), "wf-1")
    assert (await engine.update_reward("wf-1", took(10.0))).reward == 0.5
    with pytest.raises(OutcomeInvalid, match="no reference time is known"):
        await engine.update_reward("early", took(10.0))
    assert (await engine.verify()).ok


async def test_proposals(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    with pytest.raises(SupportMissing):
        await engine.propose_references()
    for i in range(24):
        arm = ("direct", "parallel(workers=2)")[i % 2]
        decision = await engine.select_arm({"task": "code", "size": 1.0}, f"wf-{i}", eligible=[arm])
        await engine.update_reward(decision, took(float(i)))
    await engine.update_reward("wf-22", took(1000.0), corrects=0)
    await engine.retract("wf-0")
    found = await engine.propose_references()
    # The baseline arm's 11 executions that count: 2, 4 … 20 and 1000 s.
    assert found.lookup({"task": "code"})[0] == 12.0
    assert (found.first_seq, found.last_seq) == (2, 25)
    assert engine.state_seq == 26  # nothing was adopted
    early = await engine.propose_references(last_seq=24, min_n=12)
    assert early.lookup({"task": "code"})[0] == 11.0  # before the correction and the retraction
    late = await engine.propose_references(first_seq=13, last_seq=24, by=["size"], min_n=3)
    assert late.lookup({"size": 1.0}) == Reference(17.0, None, None, ("1.0",))
    adoption = await engine.adopt_references(found, "reprice")
    assert adoption.references == found
    assert (await engine.rewards("wf-12")).reward == 0.75
    assert (await engine.verify()).ok


async def test_bad_adoptions_change_nothing(open_engine: Any, spec: BanditSpec) -> None:
    engine = await open_engine(spec)
    with pytest.raises(InputInvalid):
        await engine.adopt_references({"time_s": 3})
    with pytest.raises(SpecInvalid):
        await engine.adopt_references(references(1.0), "later")
    assert engine.state_seq == 0


async def test_changed_adoptions_are_named(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await engine.adopt_references(references(10.0))
    await engine.update_reward(await engine.select_arm(contexts(0), "wf-0"), took(10.0))
    for change in (
        "pricing = replace(pricing::text, '10.0', '11.0')::json",
        "pricing = replace(pricing::text, 'keep', 'reprice')::json",
        "reported_at = 1.0",
        "source = 'x'",
        "units = 3, reward = 0.5",
    ):
        kept = await sql("SELECT pricing::text, reported_at FROM nyx.log WHERE seq = 1")
        await sql(f"UPDATE nyx.log SET {change} WHERE seq = 1")  # noqa: S608
        told = (await engine.verify()).first_divergence
        assert told is not None, change
        assert told.startswith("log row 1:"), told
        await sql(
            "UPDATE nyx.log SET pricing = $1::text::json, reported_at = $2, source = '', units = NULL,"
            " reward = NULL WHERE seq = 1",
            *kept[0],
        )
        assert (await engine.verify()).ok
