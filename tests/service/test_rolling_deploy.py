"""While a new version is rolled out, two context schemas decide and learn from one log."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, Flag, LearningEngine, Numeric
from nyx_learning.service import following

Contexts = Callable[[int], dict[str, Any]]


async def test_both_versions_decide_and_learn_at_once(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Rows whose contexts fit both schemas teach both; those of a third schema teach only it."""
    changed = replace(
        spec, context=ContextSchema(task=Categorical(["code", "text", "else"]), size=Numeric(0, 20))
    )
    foreign = replace(spec, context=ContextSchema(urgent=Flag(), size=Numeric(0, 10)))
    made: dict[str, str] = {}

    def of(own: BanditSpec, i: int) -> dict[str, Any]:
        return {"urgent": i % 2 == 0, "size": 5} if own is foreign else contexts(i)

    async def serve(own: BanditSpec, first: int) -> LearningEngine:
        engine: LearningEngine = await open_engine(own)
        for i in range(first, first + 25):
            decision = await engine.select_arm(of(own, i), f"wf-{i}")
            made[decision.decision_id] = decision.spec_hash
            await engine.update_reward(decision, reward=i % 8 / 8)
        return engine

    old, new, third = await asyncio.gather(serve(spec, 0), serve(changed, 100), serve(foreign, 200))
    assert await sql("SELECT count(*), max(seq), count(DISTINCT seq) FROM nyx.log") == [(75, 75, 75)]
    assert dict(await sql("SELECT decision_id, spec_hash FROM nyx.decision")) == made
    engines = ((old, spec), (new, changed), (third, foreign))
    for engine, own in engines:
        await engine._replica.catch_up()
        assert engine.state_seq == 75
        again = await open_engine(own)  # the version that goes on alone starts where this one is
        assert again._learner.sums.digest() == engine._learner.sums.digest()
        report = await engine.verify()
        assert report.ok, report.first_divergence
        assert report.matched == 75
    learned = [sum(b.rewards for b in e.beliefs(of(own, 3))) for e, own in engines]
    assert learned == [50, 50, 25]
    # An outcome may be told to either version, whichever decided.
    decision = await old.select_arm(contexts(3), "last")
    assert (await new.update_reward("last", reward=1.0)).applied
    assert not (await old.update_reward(decision, reward=1.0)).applied


async def test_partitions_are_made_while_a_process_runs(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_PARTITIONS_S", 0.05)
    engine = await open_engine(spec)
    (month,) = (await sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"))[0]
    look = "SELECT to_regclass($1) IS NOT NULL"
    await sql(f"DROP TABLE nyx.decision_{month}, nyx.log_{month}")
    await engine.update_reward(await engine.select_arm(contexts(0), "wf-0"), reward=0.5)
    async with asyncio.timeout(20):
        while await sql(look, f"nyx.log_{month}") != [(True,)]:  # noqa: ASYNC110 (polling the catalogue)
            await asyncio.sleep(0.05)
    assert await sql("SELECT count(*) FROM nyx.log_default") == [(0,)]
    assert (await engine.verify()).ok
