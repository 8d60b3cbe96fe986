"""Stored rewards under other weights: through the engine and through the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, Outcome, RewardSpec
from nyx_learning.errors import InputInvalid, SpecInvalid
from nyx_learning.service.cli import main

Contexts = Callable[[int], dict[str, Any]]
OLD = RewardSpec(weights={"success": 1.0}, reference_time_s=10.0)
FAST = RewardSpec(weights={"speed": 1.0}, reference_time_s=10.0)


@pytest.fixture
def spec(spec: BanditSpec) -> BanditSpec:
    return replace(spec, reward=OLD)


async def fill(engine: Any, contexts: Contexts) -> None:
    """direct: right and slow (30 s); the other: fast, and right where i is even; alike in all tasks."""
    for i in range(24):
        arm = ("direct", "parallel(workers=2)")[i // 3 % 2]
        decision = await engine.select_arm(contexts(i), f"wf-{i}", eligible=[arm])
        slow = arm == "direct"
        outcome = Outcome(success=slow or i % 2 == 0, duration_s=30.0 if slow else 2.5)
        await engine.update_reward(decision, outcome)


async def test_new_weights_show_another_winner(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    await fill(engine, contexts)
    before = await sql("SELECT seq, digest FROM nyx.log ORDER BY seq")
    found = await engine.reprice(FAST)
    assert (found.rewards, found.unpriced, found.changed) == (24, 0, 24)
    assert found.overall is not None
    assert (found.overall.best_before, found.overall.best_after) == ("direct", "parallel(workers=2)")
    arms = {arm.arm_id: arm for arm in found.overall.arms}
    # 10/(10+30) and 10/(10+2.5)
    assert arms["direct"].after == pytest.approx(0.25)
    assert arms["parallel(workers=2)"].after == pytest.approx(0.8)
    assert (arms["direct"].before, arms["parallel(workers=2)"].before) == (1.0, pytest.approx(4 / 12))
    assert [dict(group.context) for group in found.by_context] == [
        {"task": "code"},
        {"task": "else"},
        {"task": "text"},
    ]
    assert sum(arm.n for group in found.by_context for arm in group.arms) == 24
    together = await engine.reprice(FAST, by=["task", "size"])
    assert all(set(group.context) == {"task", "size"} for group in together.by_context)
    assert await sql("SELECT seq, digest FROM nyx.log ORDER BY seq") == before
    assert (await engine.verify()).ok


async def test_what_cannot_be_repriced(open_engine: Any, spec: BanditSpec, contexts: Contexts) -> None:
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "bare")
    await engine.update_reward(decision, reward=0.5)
    found = await engine.reprice(FAST)
    assert (found.rewards, found.unpriced, found.overall) == (1, 1, None)
    with pytest.raises(SpecInvalid, match="stored scores"):
        await engine.reprice(RewardSpec(reference_time_s=20.0))
    for by in ([], ["nothing"], ["task", "task"]):
        with pytest.raises(InputInvalid, match="grouped"):
            await engine.reprice(FAST, by=by)
    with pytest.raises(InputInvalid, match="a RewardSpec"):
        await engine.reprice({"speed": 1})


async def called(capsys: Any, *arguments: str) -> tuple[int, Any]:
    import asyncio

    code = await asyncio.to_thread(main, ["reprice", *arguments])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if "--json" in arguments else printed.out + printed.err


async def test_the_command(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str, tmp_path: Path, capsys: Any
) -> None:
    engine = await open_engine(spec)
    await fill(engine, contexts)
    await engine.close()
    weights = tmp_path / "weights.json"
    weights.write_text('{"speed": 1}')
    base = ("--weights", str(weights), "--dsn", database_dsn)
    code, document = await called(capsys, *base, "--json")
    assert code == 0
    assert document["overall"]["best_after"] == "parallel(workers=2)"
    assert document["overall"]["arms"][0]["mean_after"] == pytest.approx(0.8)
    assert document["reward_fn_version"] == FAST.version
    code, text = await called(capsys, *base, "--bandit", "orchestration")
    assert code == 0
    assert "best over all contexts: parallel(workers=2), before direct" in text
    code, document = await called(capsys, *base, "--by", "task", "--by", "size", "--json")
    assert (code, set(document["by_context"][0]["context"])) == (0, {"task", "size"})
    weights.write_text(
        '{"weights": {"success": 1}, "gates": [{"component": "speed", "below": 1, "cap": 0.1}]}'
    )
    code, document = await called(capsys, *base, "--json")
    assert (code, document["overall"]["arms"][0]["mean_after"]) == (0, pytest.approx(0.1))
    weights.write_text('{"usefulness": 1}')
    code, document = await called(capsys, *base, "--json")
    assert (code, document["overall"], document["unpriced"]) == (1, None, 24)


async def test_the_command_on_bad_input(
    open_engine: Any, spec: BanditSpec, database_dsn: str, tmp_path: Path, capsys: Any
) -> None:
    await (await open_engine(spec)).close()
    await (await open_engine(replace(spec, name="other"))).close()
    weights = tmp_path / "weights.json"
    weights.write_text('{"speed": 1}')
    dsn = ("--dsn", database_dsn)
    cases: list[tuple[str, tuple[str, ...]]] = [
        ("input_invalid", ("--weights", str(weights))),  # which of the two?
        ("input_invalid", ("--weights", str(weights), "--bandit", "third")),
        ("input_invalid", ("--weights", str(weights), "--bandit", "other", "--by", "nothing")),
        ("document_invalid", ("--weights", str(tmp_path / "none.json"), "--bandit", "other")),
    ]
    for code, arguments in cases:
        status, document = await called(capsys, *arguments, *dsn, "--json")
        assert (status, document["error"]["code"]) == (2, code)
    for text, code in (
        ("[1]", "document_invalid"),
        ("{}", "document_invalid"),
        ("{", "document_invalid"),
        ('{"speed": -1}', "outcome_invalid spec_invalid"),
        ('{"speed": 0}', "spec_invalid"),
        ('{"sped": 1}', "document_invalid"),
        ('{"weights": {"speed": 1}, "reference_time_s": 99}', "spec_invalid"),
    ):
        weights.write_text(text)
        status, document = await called(
            capsys, "--weights", str(weights), "--bandit", "other", *dsn, "--json"
        )
        assert status == 2, text
        assert document["error"]["code"] in code, text
