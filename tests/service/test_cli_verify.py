"""``nyx-learning verify``: all bandits or one, in one process or shared by several."""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import InputInvalid
from nyx_learning.service.cli import main
from nyx_learning.service.verifying import _sections, verify_database


def run(work: Any) -> Any:
    return asyncio.run(work)


async def fill(dsn: str, spec: BanditSpec, contexts: Callable[[int], dict[str, Any]], count: int) -> None:
    async with await LearningEngine.open(spec, dsn, deadline_s=60.0) as engine:
        for i in range(count):
            decision = await engine.select_arm(contexts(i), f"wf-{i:03d}")
            if i % 5 < 4:
                await engine.update_reward(decision, reward=i % 7 / 7)


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_the_command(
    database_dsn: str,
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("one", "two"):
        run(fill(database_dsn, replace(spec, name=name), contexts, 10))
    assert main(["verify", "--dsn", database_dsn, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert [bandit["bandit"] for bandit in said["bandits"]] == ["one", "two"]
    assert [(b["decisions"], b["matched"], b["rewards"]) for b in said["bandits"]] == [(10, 10, 8)] * 2
    run(execute(database_dsn, "UPDATE nyx.log SET units = 9 WHERE bandit = 'two' AND seq = 3"))
    assert main(["verify", "--dsn", database_dsn, "--bandit", "one"]) == 0
    assert "one: 10 of 10 decisions and 8 rows re-derived, sums match" in capsys.readouterr().out
    assert main(["verify", "--dsn", database_dsn]) == 1
    assert "first divergence: log row 3" in capsys.readouterr().out
    assert main(["verify", "--dsn", database_dsn, "--bandit", "three", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "input_invalid"


def test_an_empty_database_verifies(database_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--dsn", database_dsn, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "bandits": []}


async def test_nobody_to_verify(database_dsn: str) -> None:
    with pytest.raises(InputInvalid):
        await verify_database(database_dsn, workers=0)


def test_shared_by_processes_the_report_is_the_same(
    database_dsn: str,
    spec: BanditSpec,
    contexts: Callable[[int], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(fill(database_dsn, spec, contexts, 50))
    monkeypatch.setattr("nyx_learning.service.verifying._WORTH_A_PROCESS", 10)
    (alone,) = run(verify_database(database_dsn, workers=1))
    (shared,) = run(verify_database(database_dsn, workers=2))
    assert shared.report == alone.report
    assert shared.report.ok
    assert (shared.report.decisions, shared.report.rewards) == (50, 40)
    run(execute(database_dsn, "UPDATE nyx.log SET units = 9 WHERE seq IN (3, 38)"))
    (alone,) = run(verify_database(database_dsn, workers=1))
    (shared,) = run(verify_database(database_dsn, workers=2))
    assert shared.report.first_divergence == alone.report.first_divergence
    assert "log row 3 " in (alone.report.first_divergence or "")


def test_sections_cover_everything_once() -> None:
    for last in (2, 3, 10, 1001):
        for share in (2, 3, 4):
            sections = _sections(max(last, share), share)
            assert sections[0].first == 1
            assert sections[-1].last == sections[-1].known == max(last, share)
            for one, two in itertools.pairwise(sections):
                assert two.first == one.last + 1
                assert one.known == one.last - 1
