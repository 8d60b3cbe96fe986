"""One dense sequence; every memory is a prefix of it, and survives restarts and changed specs bit for bit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import (
    Bandit,
    BanditSpec,
    ContextSchema,
    Decision,
    Flag,
    LearningEngine,
    Outcome,
    PolicySpec,
    RewardSpec,
    Strategy,
)
from nyx_learning.bandit import Learner
from nyx_learning.persistence import replica as replica_module

Contexts = Callable[[int], dict[str, Any]]
SUMS = "SELECT arm_id, epoch, bucket, statistics FROM nyx.sums ORDER BY 1, 2, 3"


def knowledge(engine: LearningEngine) -> str:
    return engine._learner.sums.digest()


async def caught_up(*engines: LearningEngine) -> None:
    last = max(engine.state_seq for engine in engines)
    async with asyncio.timeout(30):
        while any(engine.state_seq < last for engine in engines):  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)


async def work(
    engine: LearningEngine, contexts: Contexts, numbers: range, prefix: str = "wf"
) -> list[Decision]:
    """Select and report one by one, with rewards that depend on the arm."""
    decisions = []
    for i in numbers:
        decision = await engine.select_arm(contexts(i), f"{prefix}-{i}")
        await engine.update_reward(decision, reward=(decision.arm * 3 + i % 5) / 20)
        decisions.append(decision)
    return decisions


def essence(decision: Decision) -> tuple[Any, ...]:
    """All of a decision but the moment and the name of its bandit."""
    return tuple(decision._replace(time=None, context=None, parameters=None))  # type: ignore[arg-type]


async def test_many_engines_one_dense_log(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engines = [await open_engine(spec) for _ in range(3)]
    other = await open_engine(replace(spec, name="other"))
    await asyncio.gather(
        *(work(e, contexts, range(40), f"e{k}") for k, e in enumerate([*engines, other])),
    )
    for name, rows in (("orchestration", 120), ("other", 40)):
        log = await sql("SELECT seq FROM nyx.log WHERE bandit = $1 ORDER BY seq", name)
        assert [seq for (seq,) in log] == list(range(1, rows + 1))
    await caught_up(*engines)
    log_order = await sql(
        "SELECT arm_id, phi, units, seq FROM nyx.log WHERE bandit = 'orchestration' ORDER BY seq"
    )
    learner = Learner(spec)
    order = ["direct", "parallel(workers=2)", "parallel(workers=4)", "parallel(workers=8)"]
    for arm_id, phi, units, seq in log_order:
        learner.sums.absorb(order.index(arm_id), 0, seq, phi, units)
        learner.sums.seq = seq
    assert {knowledge(e) for e in engines} == {learner.sums.digest()}
    assert knowledge(other) != learner.sums.digest()
    for engine in (engines[0], other):
        report = await engine.verify()
        assert report.ok, report.first_divergence


async def test_state_seq_names_what_was_known(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """A decision's state_seq is the writer's prefix: at least its own last row, never above the log."""
    one, two = await open_engine(spec), await open_engine(spec)

    async def run(engine: LearningEngine, name: str) -> None:
        seen = 0
        for i in range(30):
            decision = await engine.select_arm(contexts(i), f"{name}-{i}")
            assert decision.state_seq >= seen
            receipt = await engine.update_reward(decision, reward=0.5)
            assert engine.state_seq >= receipt.seq  # what was acknowledged is known
            seen = receipt.seq

    await asyncio.gather(run(one, "a"), run(two, "b"))
    late = await sql(
        "SELECT count(*) FROM nyx.decision d JOIN nyx.log l USING (bandit, decision_id)"
        " WHERE l.seq <= d.state_seq"
    )
    assert late == [(0,)]


async def test_an_idle_engine_follows(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    one, idle = await open_engine(spec), await open_engine(spec)
    await work(one, contexts, range(5))
    async with asyncio.timeout(30):
        while idle.state_seq < 5:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)
    assert knowledge(idle) == knowledge(one)


@pytest.mark.parametrize("policy", ["ucb1", "hier_ts"])
@pytest.mark.parametrize("kept", ["checkpoint", "old checkpoint", "nothing"])
async def test_a_restart_continues_with_the_same_bits(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, policy: str, kept: str
) -> None:
    spec = replace(spec, policy=PolicySpec(policy, floor=0.2))
    steady = Bandit(spec)
    engine = await open_engine(spec)
    for i in range(50):
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        assert essence(decision) == essence(steady.select_arm(contexts(i), f"wf-{i}"))
        await engine.update_reward(decision, reward=(i % 7) / 7)
        steady.update_reward(f"wf-{i}", reward=(i % 7) / 7)
        if i == 20 and kept == "old checkpoint":
            await engine._replica.checkpoint()
            engine._replica.stored_seq = 10_000  # and no later one
    await engine.close()
    stored = {"checkpoint": 50, "old checkpoint": 21, "nothing": 50}[kept]
    assert await sql("SELECT seq FROM nyx.checkpoint") == [(stored,)]
    if kept == "nothing":
        await sql("DELETE FROM nyx.sums")
        await sql("DELETE FROM nyx.checkpoint")
    again = await open_engine(spec)
    assert again.state_seq == 50
    assert knowledge(again) == steady.learner.sums.digest()
    for i in range(50, 70):
        decision = await again.select_arm(contexts(i), f"wf-{i}")
        assert essence(decision) == essence(steady.select_arm(contexts(i), f"wf-{i}"))
    assert (await again.verify()).ok


async def test_restoring_folds_page_by_page(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "_PAGE", 7)
    one = await open_engine(spec)
    await work(one, contexts, range(21))  # whole pages, and then nothing
    await sql("DELETE FROM nyx.sums")
    two = await open_engine(spec)
    assert knowledge(two) == knowledge(one)


async def test_a_slower_process_does_not_store_over_a_newer_one(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    fast = await open_engine(spec)
    slow = await open_engine(spec)
    await work(slow, contexts, range(5), "slow")
    for task in slow._following._tasks:  # it no longer follows
        task.cancel()
    await work(fast, contexts, range(40))
    await fast._replica.checkpoint()
    stored = await sql(SUMS)
    assert slow.state_seq == 5
    await slow._replica.checkpoint()
    assert await sql("SELECT seq FROM nyx.checkpoint") == [(45,)]
    assert await sql(SUMS) == stored
    await slow.close()
    assert await sql(SUMS) == stored
    assert (await fast.verify()).ok


async def test_stored_sums_never_run_ahead_of_the_log(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nyx_learning.service.following._CHECKPOINT_ROWS", 3)
    engines = [await open_engine(spec) for _ in range(2)]
    ahead = []

    async def watch() -> None:
        while True:
            ahead.extend(
                await sql("SELECT c.seq, b.last_seq FROM nyx.checkpoint c JOIN nyx.bandit b USING (bandit)")
            )
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(work(e, contexts, range(60), f"e{k}") for k, e in enumerate(engines)))
    watching.cancel()
    await asyncio.wait([watching])
    assert len({checkpoint for checkpoint, _ in ahead}) > 3
    assert all(checkpoint <= last for checkpoint, last in ahead)
    assert (await engines[0].verify()).ok


async def test_removed_checkpoints_are_stored_anew_and_whole(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(20))
    await engine._replica.checkpoint()
    await sql("DELETE FROM nyx.sums")
    await sql("DELETE FROM nyx.checkpoint")
    await work(engine, contexts, range(20, 22))
    await engine._replica.checkpoint()
    assert await sql("SELECT seq FROM nyx.checkpoint") == [(22,)]
    assert (await engine.verify()).ok


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nyx.checkpoint SET seq = 1000",
        "UPDATE nyx.sums SET statistics = statistics[1:3]",
    ],
)
async def test_damaged_stored_sums_are_not_used(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, damage: str
) -> None:
    engine = await open_engine(spec)
    await work(engine, contexts, range(20))
    good = knowledge(engine)
    await engine.close()
    await sql(damage)
    again = await open_engine(spec)
    assert knowledge(again) == good
    assert again.state_seq == 20


CHANGES: dict[str, Callable[[BanditSpec], BanditSpec]] = {
    "schema": lambda s: replace(s, context=ContextSchema({**s.context, "urgent": Flag(optional=True)})),
    "narrower schema": lambda s: replace(s, context=ContextSchema(task=s.context["task"])),
    "added arms": lambda s: replace(s, strategies=[*s.strategies, Strategy("tree", {"depth": [1, 2]})]),
    "removed arms": lambda s: replace(
        s, strategies=[s.strategies[0], Strategy("parallel", {"workers": [2]})]
    ),
    "policy": lambda s: replace(s, policy=PolicySpec("hier_ts")),
    "seed": lambda s: replace(s, seed=8),
    "buckets": lambda s: replace(s, bucket_rows=5),
    "reward": lambda s: replace(s, reward=RewardSpec(weights={"success": 1.0})),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_two_specs_on_one_log(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, change: str
) -> None:
    """A rolling deploy: both decide and learn, from their own and from each other's decisions."""
    changed = CHANGES[change](spec)

    def fitting(i: int) -> dict[str, Any]:
        return {key: value for key, value in contexts(i).items() if key in changed.context}

    old = await open_engine(spec)
    await work(old, contexts, range(30), "before")
    new = await open_engine(changed)
    assert new.state_seq == 30
    await asyncio.gather(
        work(old, contexts, range(20), "old"),
        work(new, fitting, range(20), "new"),
    )
    # Each reports on what the other one decided: by id, and with the decision.
    theirs = [await old.select_arm(contexts(i), f"a-{i}") for i in range(6)]
    ours = [await new.select_arm(fitting(i), f"b-{i}") for i in range(6)]
    await caught_up(old, new)
    for i in range(6):
        assert (await new.update_reward(theirs[i] if i % 2 else f"a-{i}", reward=0.75)).applied
    await caught_up(old, new)
    for i in range(6):
        assert (await old.update_reward(ours[i] if i % 2 else f"b-{i}", reward=0.25)).applied
    await caught_up(old, new)
    assert old.state_seq == new.state_seq == 82
    live = knowledge(old), knowledge(new)
    for engine in (old, new):
        report = await engine.verify()
        assert report.ok, report.first_divergence
        assert report.decisions == 82
    # What either stored serves the other: restarted in both orders, each has the same bits again.
    await new.close()
    await old.close()
    again = await open_engine(spec), await open_engine(changed)
    assert (knowledge(again[0]), knowledge(again[1])) == live
    await work(again[1], fitting, range(3), "later")
    await sql("DELETE FROM nyx.sums")
    await sql("DELETE FROM nyx.checkpoint")
    await caught_up(*again)
    refolded = await open_engine(spec), await open_engine(changed)
    assert [knowledge(e) for e in refolded] == [knowledge(e) for e in again]
    assert (await refolded[0].verify()).ok


async def test_decisions_of_a_schema_that_cannot_read_the_context_still_learn(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Rows that one spec cannot read take their number there, and teach the other."""
    foreign = replace(spec, context=ContextSchema(urgent=Flag()))
    old, new = await open_engine(spec), await open_engine(foreign)
    await work(old, contexts, range(5), "old")
    await work(new, lambda i: {"urgent": i % 2 == 0}, range(5), "new")
    await caught_up(old, new)
    for engine, spec_ in ((old, spec), (new, foreign)):
        assert engine.state_seq == 10
        assert sum(b.rewards for b in engine.beliefs(contexts(0) if spec_ is spec else {"urgent": True})) == 5
        assert (await engine.verify()).ok


async def test_the_pools_last_connection_is_never_waited_for_twice(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Reading decisions of an unknown spec, with as many readers as connections."""
    old, new = await open_engine(spec), await open_engine(replace(spec, seed=8), connections=2)
    decisions = [await old.select_arm(contexts(i), f"wf-{i}") for i in range(8)]
    async with asyncio.timeout(10):
        receipts = await asyncio.gather(*(new.update_reward(d.decision_id, reward=0.5) for d in decisions))
    assert all(receipt.applied for receipt in receipts)


async def test_concurrent_writers_that_carry_decisions_do_not_deadlock(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Both insert decisions, and then both want the bandit's row."""
    maker = await open_engine(spec)
    decisions = [await maker.select_arm(contexts(i), f"wf-{i}") for i in range(200)]
    await sql("DELETE FROM nyx.decision")
    await sql("DELETE FROM nyx.decision_key")
    await sql("UPDATE nyx.counted SET decisions = 0")
    writers = [await open_engine(spec) for _ in range(3)]

    async def run(engine: LearningEngine, own: list[Decision]) -> None:
        for decision in own:
            await engine.update_reward(decision, reward=0.5)

    await asyncio.gather(*(run(w, decisions[k::3]) for k, w in enumerate(writers)))
    (deadlocks,) = await sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == (0,)
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(200, 200)]


async def conformance(
    select: Callable[..., Awaitable[Decision]], update: Callable[..., Awaitable[Any]], contexts: Contexts
) -> list[Any]:
    """One history; what it answers must not depend on where it is kept."""
    seen: list[Any] = []
    for i in range(60):
        eligible = [None, ["parallel"], ["direct", "parallel(workers=4)"]][i % 3]
        decision = await select(contexts(i), f"wf-{i}", eligible=eligible)
        seen.append(essence(decision))
        assert await select(contexts(i), f"wf-{i}", eligible=eligible) == decision
        if i % 4 == 0:
            report: dict[str, Any] = {"outcome": Outcome(success=i % 8 == 0, quality=(i % 5) / 4)}
        else:
            report = {"reward": (i % 9) / 9}
        if i % 5:
            receipt = await update(decision if i % 2 else f"wf-{i}", **report)
            seen.append(
                (receipt.seq, receipt.reward, receipt.applied, dict(receipt.components), receipt.missing)
            )
            again = await update(decision, **report)
            assert (again.seq, again.applied) == (receipt.seq, False)
    return seen


@pytest.mark.parametrize("policy", ["uniform", "epsilon_greedy", "ucb1", "thompson_beta", "hier_ts"])
async def test_bandit_and_engine_answer_the_same(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, policy: str
) -> None:
    spec = replace(spec, policy=PolicySpec(policy, floor=0.05))
    bandit, engine = Bandit(spec), await open_engine(spec)

    async def select(*arguments: Any, **options: Any) -> Decision:
        return bandit.select_arm(*arguments, **options)

    async def update(*arguments: Any, **options: Any) -> Any:
        return bandit.update_reward(*arguments, **options)

    assert await conformance(select, update, contexts) == await conformance(
        engine.select_arm, engine.update_reward, contexts
    )
    assert bandit.learner.sums.digest() == knowledge(engine)
    assert repr(bandit.beliefs(contexts(1))) == repr(engine.beliefs(contexts(1)))
    assert bandit.verify().ok
    assert (await engine.verify()).ok
