"""The command ``explain``: what it prints, and its exit codes."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, LearningEngine, Strategy
from nyx_learning.service.cli import main

SPEC = BanditSpec(
    "told",
    [Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["code", "text"])),
)


@pytest.fixture
def filled(database_dsn: str) -> str:
    async def fill() -> None:
        async with await LearningEngine.open(SPEC, database_dsn, deadline_s=60.0) as engine:
            for i in range(6):
                decision = await engine.select_arm({"task": "code"}, f"wf-{i}")
                await engine.update_reward(decision, reward=0.5)

    asyncio.run(fill())
    return database_dsn


def test_explain_prints_text_or_json_and_tells_what_it_cannot(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "wf-5", "--dsn", filled]) == 0
    text = capsys.readouterr().out
    assert text.startswith("decision 'wf-5' of bandit 'told', behind row 5\n")
    assert "comes out again, bit for bit" in text
    assert main(["explain", "wf-5", "--bandit", "told", "--dsn", filled, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (document["decision_id"], document["rederived"], document["state_seq"]) == ("wf-5", True, 5)
    assert main(["explain", "wf-9", "--dsn", filled, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "decision_unknown"
    assert main(["explain", "wf-5", "--bandit", "no", "--dsn", filled]) == 2


def test_a_log_that_was_changed_is_told_by_the_exit_code(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def tamper() -> None:
        connection = await asyncpg.connect(filled)
        try:
            await connection.execute("UPDATE nyx.log SET units = 65536 WHERE seq = 2")
        finally:
            await connection.close()

    asyncio.run(tamper())
    assert main(["explain", "wf-4", "--dsn", filled]) == 1
    assert "does not come out again" in capsys.readouterr().out
