"""The life of a reward in the durable log: corrections, parts, retraction, expiry, lateness, abandonment.

Throughout: sums are those of a log that had only what counts, decisions stay, and ``verify`` holds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome, PolicySpec, RewardSpec
from nyx_learning.errors import (
    DecisionUnknown,
    InputInvalid,
    OutcomeInvalid,
    RewardConflict,
    RewardTooLate,
)

Contexts = Callable[[int], dict[str, Any]]
WINDOWED = RewardSpec(weights={"success": 1.0, "usefulness": 1.0}, window_s=60.0, default=0.25)
LATER = 4e9  # seconds since 1970, beyond every window


@pytest.fixture
def spec(spec: BanditSpec) -> BanditSpec:
    return replace(spec, reward=WINDOWED)


def sums(engine: LearningEngine) -> dict[str, Any]:
    """The sums without the number that they go up to, and without blocks that sum to nothing."""
    document = engine._learner.sums.to_dict()
    del document["seq"]
    return document


async def ready(engine: LearningEngine, contexts: Contexts, n: int, rewarded: int) -> list[Any]:
    decisions = [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(n)]
    for i in range(rewarded):
        await engine.update_reward(decisions[i], reward=i / n)
    return decisions


async def restored(open_engine: Any, engine: LearningEngine) -> dict[str, Any]:
    """What another process makes of checkpoint and log."""
    other = await open_engine(engine.spec)
    found = sums(other)
    await other.close()
    return found


async def test_a_correction_is_exact(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = await ready(engine, contexts, 40, 40)
    stored = await sql("SELECT decision_id, digest FROM nyx.decision ORDER BY 1")
    receipt = await engine.update_reward("wf-3", reward=0.9, corrects=0)
    assert receipt[:4] == ("wf-3", 41, 0.9, True)
    assert (receipt.state, receipt.revision) == ("corrected", 1)
    # Sent again, it is the same row; so is the first report, should it be delivered again.
    again = await engine.update_reward(decisions[3], reward=0.9, corrects=0)
    assert (again.seq, again.applied) == (41, False)
    first = await engine.update_reward(decisions[3], reward=3 / 40)
    assert (first.seq, first.applied) == (4, False)
    await engine.update_reward("wf-3", reward=0.1, corrects=1)
    for wrong in (0, 1, 5):
        with pytest.raises(RewardConflict):
            await engine.update_reward("wf-3", reward=0.7, corrects=wrong)
    with pytest.raises(RewardConflict, match="corrects=0"):
        await engine.update_reward("wf-4", reward=0.7)
    status = await engine.rewards("wf-3")
    assert (status.state, status.reward, [row.seq for row in status.rows]) == ("corrected", 0.1, [4, 41, 42])
    assert (await engine.verify()).ok
    assert await sql("SELECT decision_id, digest FROM nyx.decision ORDER BY 1") == stored
    # A log that had 0.1 from the beginning has the same sums, block for block.
    plain = await open_engine(replace(spec, name="plain"))
    for i, decision in enumerate(decisions):
        value = 0.1 if i == 3 else i / 40
        plain._learner.sums.absorb(decision.arm, 0, i + 1, decision.phi, round(value * 65536))
    assert sums(engine) == sums(plain)
    assert await restored(open_engine, engine) == sums(engine)


async def test_a_retraction_leaves_nothing(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    decisions = await ready(engine, contexts, 30, 20)
    without = await open_engine(replace(spec, name="without"))
    for i, decision in enumerate(decisions[:20]):
        if i not in {2, 7}:
            without._learner.sums.absorb(decision.arm, 0, i + 1, decision.phi, round(i / 30 * 65536))
    gone = await engine.retract("wf-2")
    assert (gone.seq, gone.reward, gone.applied, gone.state) == (21, None, True, "retracted")
    await engine.retract(decisions[7])
    assert (await engine.retract("wf-7")).applied is False
    assert sums(engine) == sums(without)
    await engine.retract("wf-25")  # no reward yet: it will take none
    assert sums(engine) == sums(without)
    for key in ("wf-2", "wf-25"):
        with pytest.raises(RewardConflict, match="forgotten"):
            await engine.update_reward(key, reward=0.5)
    assert (await engine.update_reward("wf-2", reward=2 / 30)).applied is False  # delivered again
    with pytest.raises(DecisionUnknown):
        await engine.retract("nobody")
    assert (await engine.rewards("wf-2")).reward is None
    assert (await engine.verify()).ok
    assert await restored(open_engine, engine) == sums(engine)


async def test_silence_gets_the_default(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    decisions = await ready(engine, contexts, 12, 4)
    await engine.update_reward("wf-4", part={"user_feedback": 0.5}, source="user")  # without success: silence
    await engine.abandon(decisions[5])
    await engine.retract("wf-6")
    time = decisions[11].time
    assert await engine.expire(decisions[0].time + 59.0) == []
    closed = await engine.expire(time + 60.0)
    assert sorted(r.decision_id for r in closed) == ["wf-10", "wf-11", "wf-4", "wf-7", "wf-8", "wf-9"]
    assert {(r.reward, r.state) for r in closed} == {(0.25, "defaulted")}
    assert await engine.expire(LATER) == []
    late = await engine.update_reward("wf-8", reward=0.75)
    assert (late.state, late.reward) == ("late", 0.75)
    states = {f"wf-{i}": (await engine.rewards(f"wf-{i}")).state.value for i in range(12)}
    assert [states[f"wf-{i}"] for i in range(4, 9)] == [
        "defaulted",
        "abandoned",
        "retracted",
        "defaulted",
        "late",
    ]
    counted = engine._learner.sums.totals
    assert counted[:, 0].sum() == 4 + 6
    assert counted[:, 1].sum() == sum(round(i / 12 * 65536) for i in range(4)) + 5 * 16384 + 49152
    assert (await engine.verify()).ok
    assert await restored(open_engine, engine) == sums(engine)
    for now in (float("nan"), float("inf"), None, True, "1"):
        with pytest.raises(InputInvalid):
            await engine.expire(now)


async def test_without_a_window_nothing_expires(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(replace(spec, reward=RewardSpec()))
    await ready(engine, contexts, 3, 0)
    assert await engine.expire(LATER) == []
    assert (await engine.rewards("wf-1")).state == "pending"
    with pytest.raises(DecisionUnknown):
        await engine.rewards("nobody")


@pytest.mark.parametrize("rule", ["log", "reject"])
async def test_late_outcomes_that_do_not_count(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, rule: Any
) -> None:
    engine = await open_engine(replace(spec, reward=replace(WINDOWED, late=rule)))
    decisions = await ready(engine, contexts, 3, 0)
    await engine.abandon(decisions[2])
    await engine.expire(LATER)
    before = sums(engine)
    for key, state in (("wf-0", "defaulted"), ("wf-2", "abandoned")):
        if rule == "reject":
            with pytest.raises(RewardTooLate):
                await engine.update_reward(key, Outcome(success=True))
        else:
            receipt = await engine.update_reward(key, Outcome(success=True))
            assert (receipt.applied, receipt.state) == (True, state)
        assert (await engine.rewards(key)).state == state
    assert sums(engine) == before
    assert (await engine.verify()).ok
    found = await engine.reprice(replace(WINDOWED, default=0.5, weights={"success": 1.0}))
    assert found.overall is not None
    assert sum(arm.n * arm.after for arm in found.overall.arms) == 2 * 0.5


async def test_abandoning_what_has_a_reward(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    decisions = await ready(engine, contexts, 2, 1)
    with pytest.raises(RewardConflict, match="only a pending decision"):
        await engine.abandon(decisions[0])
    assert await engine.counts() == {"decisions": 2, "rewards": 1, "abandoned": 0}


async def test_parts_from_several_sources(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    rules = replace(WINDOWED, aggregate="mean", aggregates={"goal_alignment": "max"})
    engine = await open_engine(replace(spec, reward=rules))
    await ready(engine, contexts, 3, 0)

    async def part(source: str, identifier: str = "", corrects: int | None = None, **fields: Any) -> Any:
        return await engine.update_reward(
            "wf-1", part=fields, source=source, identifier=identifier, corrects=corrects
        )

    assert (await part("user", user_feedback=0.25)).reward is None
    assert (await part("judge", goal_alignment=0.5)).state == "pending"
    assert sums(engine)["blocks"] == []
    whole = await engine.update_reward("wf-1", Outcome(success=True))
    # usefulness: goal alignment .5 (.4), feedback .25 (.3) → .392857; success 1
    assert whole.reward == pytest.approx((1 + (0.4 * 0.5 + 0.3 * 0.25) / 0.7) / 2)
    assert whole.state == "final"
    more = await part("user", "second", user_feedback=0.75)
    assert more.reward == pytest.approx((1 + 0.5) / 2)
    more = await part("judge", "second", goal_alignment=0.25)  # the larger one counts
    assert more.reward == pytest.approx((1 + 0.5) / 2)
    more = await part("judge", corrects=0, goal_alignment=0.0)
    assert (more.reward, more.state) == (pytest.approx((1 + (0.1 + 0.15) / 0.7) / 2), "corrected")
    assert (await part("user", user_feedback=0.25)).applied is False
    status = await engine.rewards("wf-1")
    assert status.outcome == Outcome(success=True, user_feedback=0.5, goal_alignment=0.25)
    assert len(status.rows) == 6
    assert engine._learner.sums.totals[:, 0].sum() == 1
    with pytest.raises(OutcomeInvalid, match="bare rewards"):
        await engine.update_reward("wf-1", reward=0.5, source="other")
    assert (await engine.verify()).ok
    assert await restored(open_engine, engine) == sums(engine)


async def test_numbers_from_several_sources(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(replace(spec, reward=replace(WINDOWED, aggregate="max")))
    await ready(engine, contexts, 1, 0)
    for source, value, reward in (("a", 0.5, 0.5), ("b", 0.25, 0.5), ("c", 0.75, 0.75)):
        assert (await engine.update_reward("wf-0", reward=value, source=source)).reward == reward
    receipt = await engine.update_reward("wf-0", reward=0.125, source="c", corrects=0)
    assert receipt.reward == 0.5
    assert engine._learner.sums.totals[:, 1].sum() == 32768
    assert (await engine.verify()).ok


async def test_bad_reports_change_nothing(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await ready(engine, contexts, 2, 1)
    bad: list[tuple[type[Exception], dict[str, Any]]] = [
        (OutcomeInvalid, {"part": {}}),
        (OutcomeInvalid, {"part": {"user_feedback": 2.0}}),
        (OutcomeInvalid, {"part": {"feedback": 0.5}}),
        (OutcomeInvalid, {"part": [1]}),
        (OutcomeInvalid, {"part": {"success": True}, "reward": 0.5}),
        (OutcomeInvalid, {"part": {"success": True}, "outcome": Outcome(success=True)}),
        (InputInvalid, {"reward": 0.5, "source": 3}),
        (InputInvalid, {"reward": 0.5, "source": "a\x00"}),
        (InputInvalid, {"reward": 0.5, "identifier": "x" * 201}),
        (InputInvalid, {"reward": 0.5, "corrects": -1}),
        (InputInvalid, {"reward": 0.5, "corrects": True}),
        (InputInvalid, {"reward": 0.5, "corrects": "0"}),
        (RewardConflict, {"reward": 0.5, "corrects": 0}),
    ]
    for error, report in bad:
        with pytest.raises(error):
            pytest.fail(f"{report}: {await engine.update_reward('wf-1', **report)}")
    assert await sql("SELECT count(*) FROM nyx.log") == [(1,)]


async def test_an_outcome_that_has_no_price(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(replace(spec, reward=RewardSpec(weights={"quality": 1.0})))
    await ready(engine, contexts, 1, 0)
    with pytest.raises(OutcomeInvalid, match="every score that has weight is missing"):
        await engine.update_reward("wf-0", Outcome(success=True))
    assert engine.state_seq == 0


async def test_two_engines_race(open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engines = [await open_engine(spec) for _ in range(2)]
    n = 60
    await ready(engines[0], contexts, n, n)

    async def correct(engine: LearningEngine, i: int, value: float) -> bool:
        try:
            return (await engine.update_reward(f"wf-{i}", reward=value, corrects=0)).applied
        except RewardConflict:
            return False

    async def retract(engine: LearningEngine, i: int) -> bool:
        return (await engine.retract(f"wf-{i}")).applied

    tasks = []
    for i in range(n):
        tasks += [correct(engine, i, 0.25 + turn / 2) for turn, engine in enumerate(engines)]
        if i % 3 == 0:
            tasks += [retract(engine, i) for engine in engines]
    results = await asyncio.gather(*tasks)
    assert sum(results) <= n + n // 3
    for engine in engines:
        await engine._replica.catch_up()
    assert sums(engines[0]) == sums(engines[1])
    assert await sql(
        "SELECT count(*), max(seq), count(DISTINCT (decision_id, kind, revision)) FROM nyx.log"
    ) == [(n + sum(results), n + sum(results), n + sum(results))]
    final = await sql("SELECT DISTINCT ON (decision_id) units FROM nyx.log ORDER BY decision_id, seq DESC")
    assert engines[0]._learner.sums.totals[:, 1].sum() == sum(units or 0 for (units,) in final)
    report = await engines[1].verify()
    assert report.ok, report.first_divergence


async def test_statistics_of_a_policy_are_taken_back_too(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """EXP3-IX adds (1 − r)/(p + γ) with γ of the row's number: what is taken back must use that one."""
    exp3 = replace(spec, policy=PolicySpec("exp3_ix"), holdout=0.0)
    engine = await open_engine(exp3)
    decisions = await ready(engine, contexts, 40, 40)
    other = await open_engine(replace(exp3, name="other"))
    for i, decision in enumerate(decisions):
        if i != 10:
            units = round((0.9 if i == 20 else i / 40) * 65536)
            further = other._learner.increments(decision.propensity, units, i + 1)
            other._learner.sums.absorb(decision.arm, 0, i + 1, decision.phi, units, further=further)
    await engine.retract("wf-10")
    await engine.update_reward("wf-20", reward=0.9, corrects=0)
    assert sums(engine) == sums(other)
    assert (await engine.verify()).ok


async def test_decisions_between_the_rows_are_re_derived(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Decisions stand before, between and behind corrections; forgetting reads old buckets that change."""
    forgetful = replace(spec, policy=PolicySpec("ucb1", floor=0.2, discount=0.99), bucket_rows=8)
    engine = await open_engine(forgetful)
    for i in range(60):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        await engine.update_reward(decision, reward=i % 7 / 7)
        if i % 5 == 4:
            await engine.update_reward(f"wf-{i - 3}", reward=0.5, corrects=0)
        if i % 9 == 8:
            await engine.retract(f"wf-{i - 8}")
        if i == 30:
            await engine._following.checkpoint()
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert (report.decisions, report.rewards) == (60, 60 + 12 + 6)
    assert await restored(open_engine, engine) == sums(engine)


async def test_rows_from_before_they_had_a_life(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Rows of the first schema have no note of who priced them, and abandonments stood in a table apart."""
    engine = await open_engine(spec)
    await ready(engine, contexts, 6, 4)
    for (key,) in await sql("SELECT decision_id FROM nyx.log"):
        (row,) = (await engine.rewards(key)).rows
        old = row._replace(priced_by=None).digest
        await sql("UPDATE nyx.log SET priced_by = NULL, digest = $1 WHERE decision_id = $2", old, key)
    await sql("INSERT INTO nyx.abandoned (bandit, decision_id) VALUES ('orchestration', 'wf-5')")
    assert (await engine.verify()).ok
    await engine.update_reward("wf-1", reward=0.875, corrects=0)
    await engine.retract("wf-2")
    assert [receipt.decision_id for receipt in await engine.expire(LATER)] == ["wf-4"]
    assert await engine.counts() == {"decisions": 6, "rewards": 5, "abandoned": 1}
    report = await engine.verify()
    assert report.ok, report.first_divergence
    await sql("UPDATE nyx.log SET source = 'x' WHERE seq = 1")
    assert not (await engine.verify()).ok


async def test_changed_rows_of_every_kind_are_named(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = await ready(engine, contexts, 8, 2)
    await engine.update_reward("wf-0", reward=0.5, corrects=0)  # row 3
    await engine.retract("wf-1")
    await engine.update_reward("wf-2", part={"usefulness": 0.5})
    await engine.abandon(decisions[3])
    await engine.expire(LATER)
    last = engine.state_seq
    told = {}
    for seq in range(1, last + 1):
        # The hash is made to fit, as somebody with the code would do: only the rules can tell.
        (before,) = await sql(
            "SELECT digest, state, place, decision_id, priced_by FROM nyx.log WHERE seq = $1", seq
        )
        rows = (await engine.rewards(before[3])).rows
        row = next(row for row in rows if row.seq == seq)
        for changed in (row._replace(state="late"), row._replace(place=row.place + 1)):
            await sql(
                "UPDATE nyx.log SET state = $2, place = $3, digest = $4 WHERE seq = $1",
                seq,
                changed.state,
                changed.place,
                changed.digest,
            )
            told[seq] = (await engine.verify()).first_divergence
            assert told[seq] is not None
            assert f"log row {seq} " in told[seq], told[seq]
        await sql("UPDATE nyx.log SET digest = $2, state = $3, place = $4 WHERE seq = $1", seq, *before[:3])
    assert (await engine.verify()).ok
    assert last == 2 + 1 + 1 + 1 + 1 + 5
