"""An outcome is learned once, however often, from wherever and however concurrently it is sent."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from nyx_learning import Bandit, BanditSpec, Decision, LearningEngine, Outcome
from nyx_learning.errors import (
    DecisionConflict,
    DecisionUnknown,
    InputInvalid,
    NyxError,
    OutcomeInvalid,
    RewardConflict,
)

Contexts = Callable[[int], dict[str, Any]]

REPORTER = """
import asyncio, json, sys
from nyx_learning import BanditSpec, LearningEngine
async def main(document, dsn, ids):
    async with await LearningEngine.open(BanditSpec.from_dict(json.loads(document)), dsn) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        reports = (engine.update_reward(key, reward=(i % 11) / 10) for i, key in enumerate(json.loads(ids)))
        print(sum(receipt.applied for receipt in await asyncio.gather(*reports)))
asyncio.run(main(*sys.argv[1:]))
"""


async def digests(*engines: LearningEngine) -> set[str]:
    """Hashes of what each engine knows, once all know the same number of rows."""
    last = max(engine.state_seq for engine in engines)
    async with asyncio.timeout(30):
        while any(engine.state_seq < last for engine in engines):  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)
    return {engine._learner.sums.digest() for engine in engines}


async def test_the_same_outcome_many_times_at_once(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    outcome = Outcome(success=True, duration_s=3.0, quality=0.5, error_codes=("a", "b"))
    first = await engine.update_reward(decision, outcome)
    again = await asyncio.gather(*(engine.update_reward("wf-1", outcome) for _ in range(50)))
    assert first.applied
    assert {(r.seq, r.reward, r.applied) for r in again} == {(first.seq, first.reward, False)}
    assert again[0].components == first.components
    assert await sql("SELECT count(*), min(seq), max(seq) FROM nyx.log") == [(1, 1, 1)]
    assert engine.state_seq == 1


async def test_concurrent_reports_before_any_is_stored(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    receipts = await asyncio.gather(*(engine.update_reward(decision, reward=0.25) for _ in range(20)))
    assert [r.applied for r in receipts].count(True) == 1
    assert {r.seq for r in receipts} == {1}


async def test_two_engines_report_the_same(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decisions = await asyncio.gather(*(one.select_arm(contexts(i), f"wf-{i}") for i in range(60)))
    receipts = await asyncio.gather(
        *(e.update_reward(d, reward=(i % 7) / 7) for i, d in enumerate(decisions) for e in (one, two))
    )
    assert sum(r.applied for r in receipts) == 60
    assert sorted({r.seq for r in receipts}) == list(range(1, 61))
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(60, 60)]
    assert len(await digests(one, two)) == 1
    assert (await one.verify()).ok


async def test_two_processes_report_the_same(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    engine = await open_engine(spec)
    ids = [f"wf-{i}" for i in range(100)]
    await asyncio.gather(*(engine.select_arm(contexts(i), key) for i, key in enumerate(ids)))
    command = [sys.executable, "-c", REPORTER, json.dumps(spec.to_dict()), database_dsn, json.dumps(ids)]
    children = [
        await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout
        assert await child.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(child.communicate(b"go\n") for child in children))
    assert sum(int(out) for out, _ in answers) == 100
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(100, 100)]
    async with asyncio.timeout(30):
        while engine.state_seq < 100:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.02)
    assert (await engine.verify()).ok


@pytest.mark.parametrize("second", [{"reward": 0.6}, {"outcome": Outcome(success=False)}])
async def test_another_outcome_conflicts_and_changes_nothing(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, second: dict[str, Any]
) -> None:
    engine = await open_engine(spec)
    await engine.select_arm(contexts(0), "wf-1")
    await engine.update_reward("wf-1", reward=0.5)
    before = await sql("SELECT * FROM nyx.log"), engine._learner.sums.digest()
    with pytest.raises(RewardConflict) as caught:
        await engine.update_reward("wf-1", **second)
    assert "0.5" in caught.value.expected
    assert (await sql("SELECT * FROM nyx.log"), engine._learner.sums.digest()) == before
    assert (await engine.verify()).ok


async def test_of_two_different_outcomes_at_once_one_wins(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    for i in range(10):
        decision = await one.select_arm(contexts(i), f"wf-{i}")
        results = await asyncio.gather(
            one.update_reward(decision, reward=0.1),
            two.update_reward(decision, reward=0.9),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Receipt", "RewardConflict"]
    assert (await one.verify()).ok


async def test_one_canonical_decision_for_one_id(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    # Different knowledge, so that the two would choose otherwise.
    seed = await one.select_arm(contexts(0), "seed")
    await one.update_reward(seed, reward=1.0)
    answers = await asyncio.gather(
        *(e.select_arm(contexts(i), f"wf-{i}") for i in range(40) for e in (one, two, one))
    )
    for i in range(40):
        assert answers[3 * i] == answers[3 * i + 1] == answers[3 * i + 2]
    assert await sql("SELECT count(*) FROM nyx.decision") == [(41,)]
    assert (await two.verify()).ok


async def test_a_decision_id_is_bound_to_its_question(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decision = await one.select_arm(contexts(0), "wf-1", eligible=["direct", "parallel(workers=2)"])
    for engine in (one, two):
        assert await engine.select_arm(
            contexts(0), "wf-1", exclude=["parallel(workers=4)", "parallel(workers=8)"]
        )
        with pytest.raises(DecisionConflict, match="another context"):
            await engine.select_arm(contexts(1), "wf-1", eligible=["direct", "parallel(workers=2)"])
        with pytest.raises(DecisionConflict, match="another eligibility"):
            await engine.select_arm(contexts(0), "wf-1")
    assert (
        await two.select_arm(contexts(0), "wf-1", eligible=decision.pmf and ["direct", "parallel(workers=2)"])
    ) == (decision)


async def test_an_outcome_by_an_id_that_only_the_database_knows(
    open_engine: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decision = await one.select_arm(contexts(4), "wf-1")
    assert (await two.update_reward("wf-1", reward=0.5)).applied
    assert not (await one.update_reward(decision, reward=0.5)).applied


async def test_an_unknown_decision_is_retryable(open_engine: Any, spec: BanditSpec) -> None:
    engine = await open_engine(spec)
    with pytest.raises(DecisionUnknown) as caught:
        await engine.update_reward("never seen", reward=0.5)
    assert caught.value.retryable


async def test_an_outcome_brings_a_missing_decision_along(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decisions = [await one.select_arm(contexts(i), f"wf-{i}") for i in range(2)]
    await sql("DELETE FROM nyx.decision")
    await sql("DELETE FROM nyx.decision_key")
    await sql("UPDATE nyx.counted SET decisions = 0")
    for engine, decision in zip((one, two), decisions, strict=True):  # the one believes that it is stored
        assert (await engine.update_reward(decision, reward=0.5)).applied
    assert await sql("SELECT decision_id FROM nyx.decision ORDER BY 1") == [("wf-0",), ("wf-1",)]
    assert (await one.verify()).ok


FORGERIES: dict[str, Callable[[Decision], Decision]] = {
    "propensity": lambda d: d._replace(propensity=d.propensity / 2),
    "arm": lambda d: d._replace(arm=(d.arm + 1) % 4),
    "arm_id": lambda d: d._replace(arm_id="parallel(workers=2)" if d.arm_id == "direct" else "direct"),
    "unknown arm": lambda d: d._replace(arm_id="nowhere"),
    "strategy": lambda d: d._replace(strategy="nowhere"),
    "phi": lambda d: d._replace(phi=(*d.phi[:-1], d.phi[-1] - 1)),
    "short phi": lambda d: d._replace(phi=d.phi[:2]),
    "no phi": lambda d: d._replace(phi=None),  # type: ignore[arg-type]
    "context": lambda d: d._replace(context={**d.context, "size": 9.0}),
    "unreadable context": lambda d: d._replace(context={"size": "big"}),
    "other id": lambda d: d._replace(decision_id=d.decision_id + "0"),
    "unusable id": lambda d: d._replace(decision_id="\x00"),
    "bandit": lambda d: d._replace(bandit="another"),
    "spec": lambda d: d._replace(spec_hash="0" * 32),
    "no spec": lambda d: d._replace(spec_hash=None),  # type: ignore[arg-type]
    "epoch": lambda d: d._replace(epoch=-1),
    "future": lambda d: d._replace(state_seq=10_000),
    "time": lambda d: d._replace(time=float("nan")),
    "eligible": lambda d: d._replace(eligible=(7,)),
    "nobody eligible": lambda d: d._replace(eligible=()),
    "no stages": lambda d: d._replace(stages=()),
    "pmf": lambda d: d._replace(stages=(*d.stages[:-1], d.stages[-1]._replace(pmf=(1, 1, 1, 1)))),
    "wide pmf": lambda d: d._replace(stages=(*d.stages[:-1], d.stages[-1]._replace(pmf=(*d.pmf, 0)))),
    "negative pmf": lambda d: d._replace(
        stages=(*d.stages[:-1], d.stages[-1]._replace(pmf=(-1, 0, 0, (1 << 32) + 1)))
    ),
    "reason": lambda d: d._replace(reason="because"),
    "mode": lambda d: d._replace(mode="\x00"),
}


async def test_a_forged_decision_is_refused(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    maker, engine, knowing = await open_engine(spec), await open_engine(spec), await open_engine(spec)
    decision = await maker.select_arm(contexts(0), "wf-1")
    await knowing.select_arm(contexts(0), "wf-1")
    await sql("DELETE FROM nyx.decision")
    await sql("DELETE FROM nyx.decision_key")
    await sql("UPDATE nyx.counted SET decisions = 0")
    for name, forge in FORGERIES.items():
        forged = forge(decision)
        with pytest.raises(NyxError) as caught:
            await engine.update_reward(forged, reward=0.5)
        assert isinstance(caught.value, InputInvalid), name
        if forged.decision_id == decision.decision_id:
            with pytest.raises(DecisionConflict):
                await knowing.update_reward(forged, reward=0.5)
    assert await sql("SELECT count(*) FROM nyx.decision") == [(0,)]
    assert (await engine.update_reward(decision, reward=0.5)).applied
    assert (await engine.verify()).ok


async def test_a_forged_decision_beside_the_stored_one_conflicts(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """A decision that could be, but is not the one that is stored."""
    maker, engine = await open_engine(spec), await open_engine(spec)
    await maker.select_arm(contexts(0), "wf-1")
    other = Bandit(spec).select_arm(contexts(0), "wf-1", time=1.0)
    with pytest.raises(DecisionConflict):
        await engine.update_reward(other, reward=0.5)
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]


UNUSABLE: list[dict[str, Any]] = [
    {},
    {"reward": 0.5, "outcome": Outcome(success=True)},
    {"reward": 1.5},
    {"reward": float("nan")},
    {"reward": True},
    {"reward": "0.5"},
    {"outcome": {"success": True}},
    {"outcome": 0.5},
]


async def test_an_unusable_report_is_refused(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    for report in UNUSABLE:
        for target in (decision, "wf-1"):
            with pytest.raises(OutcomeInvalid):
                pytest.fail(f"{report}: {await engine.update_reward(target, **report)}")
    assert await sql("SELECT count(*) FROM nyx.log") == [(0,)]
