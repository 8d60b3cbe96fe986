"""The MCP server, through the SDK's own client: in memory, and as the command over stdio."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.service.cli import main
from tests.patiently import PATIENTLY

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from nyx_learning.service.integrations.mcp import build_server

CODE = {"task": "code"}
TOOLS = {
    "abandon",
    "beliefs",
    "describe_bandit",
    "explain",
    "failure_patterns",
    "health",
    "optimization_opportunities",
    "predict",
    "recommend_strategy",
    "reward_status",
    "select_arm",
    "strategy_patterns",
    "update_reward",
}


async def asked(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    told = result.structured_content
    assert told is not None
    return told["result"] if set(told) == {"result"} else told


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return "".join(getattr(part, "text", "") for part in result.content)


async def test_tools_are_typed_and_say_what_they_do(engine: LearningEngine) -> None:
    async with Client(build_server(engine)) as client:
        assert "select_arm" in (client.instructions or "")
        assert "task" in (client.instructions or "")
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == TOOLS
    for tool in tools.values():
        assert tool.description
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.idempotent_hint
        assert tool.annotations.read_only_hint is (
            tool.name not in {"abandon", "select_arm", "update_reward"}
        )
    assert tools["select_arm"].input_schema["required"] == ["context"]
    assert "propensity" in (tools["select_arm"].output_schema or {})["properties"]


async def test_choose_report_and_ask(engine: LearningEngine) -> None:
    async with Client(build_server(engine)) as client:
        choice = await asked(client, "select_arm", context=CODE, decision_id="wf-1")
        assert await asked(client, "select_arm", context=CODE, decision_id="wf-1") == choice
        told = {"success": True, "duration_s": 2.5, "quality": 0.75, "error_codes": ["RateLimit"]}
        first = await asked(client, "update_reward", decision_id="wf-1", outcome=told)
        again = await asked(client, "update_reward", decision_id="wf-1", outcome=told)
        assert (first["applied"], again["applied"]) == (True, False)
        assert first["reward"] == again["reward"]
        status = await asked(client, "reward_status", decision_id="wf-1")
        assert status["arm_id"] == choice["arm_id"]
        assert status["outcome"] == told
        beliefs = await asked(client, "beliefs", context=CODE, eligible=[choice["strategy"]])
        assert sum(belief["rewards"] for belief in beliefs) == 1
        await asked(client, "select_arm", context=CODE, decision_id="wf-2")
        assert await asked(client, "abandon", decision_id="wf-2") == "abandoned"
        assert (await asked(client, "describe_bandit"))["name"] == engine.spec.name
        assert (await asked(client, "health"))["learning"] is True
        assert "success" in await asked(client, "predict", context=CODE, arm="direct")
        recommended = await asked(client, "recommend_strategy", context=CODE, exclude=["parallel"])
        assert recommended["arm_id"] == "direct"
        assert recommended["reasons"]
        assert (await asked(client, "explain", decision_id="wf-1"))["arm_id"] == choice["arm_id"]
        assert await asked(client, "optimization_opportunities")
        assert await asked(client, "strategy_patterns", time_window_s=3600)
        assert await asked(client, "failure_patterns", min_occurrences=2)
    assert await engine.counts() == {"decisions": 2, "rewards": 1, "abandoned": 1}


async def test_errors_have_four_parts_and_change_nothing(engine: LearningEngine) -> None:
    async with Client(build_server(engine)) as client:
        for tool, arguments, code in (
            ("select_arm", {"context": {"task": 7}}, "context_invalid"),
            ("select_arm", {"context": CODE, "eligible": ["nowhere"]}, "arm_unknown"),
            ("update_reward", {"decision_id": "gone", "reward": 0.5}, "decision_unknown"),
            ("predict", {"context": CODE, "arm": "nowhere"}, "arm_unknown"),
        ):
            text = await refused(client, tool, **arguments)
            assert f"[{code}]" in text, text
            assert all(part in text for part in ("expected:", "found:", "fix:"))
            assert ("retry:" in text) is (code == "decision_unknown")
        await asked(client, "select_arm", context=CODE, decision_id="wf-1")
        assert "[outcome_invalid]" in await refused(client, "update_reward", decision_id="wf-1", reward=1.5)
        assert "[outcome_invalid]" in await refused(client, "update_reward", decision_id="wf-1")
        assert await refused(
            client, "update_reward", decision_id="wf-1", outcome={"success": True, "cost": -1}
        )
    assert await engine.counts() == {"decisions": 1, "rewards": 0, "abandoned": 0}


async def test_the_command_over_stdio(shared_dsn: str, two_ways: BanditSpec, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(two_ways.to_dict()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "NYX_DATABASE_URL"}
    command = StdioServerParameters(
        command=sys.executable,
        args=[
            PATIENTLY,
            str(Path(sys.executable).with_name("nyx-learning")),
            "mcp",
            "--spec",
            str(spec),
            "--dsn",
            shared_dsn,
        ],
        env=environment,
    )
    async with Client(stdio_client(command)) as client:
        choice = await asked(client, "select_arm", context=CODE, decision_id="wf-1")
        assert (await asked(client, "update_reward", decision_id="wf-1", reward=0.5))["applied"]
    async with await LearningEngine.open(two_ways, shared_dsn, deadline_s=60.0) as engine:
        assert (await engine.decision("wf-1")).arm_id == choice["arm_id"]
        assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


def test_what_the_command_refuses(
    shared_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", "--bandit", "nowhere", "--dsn", shared_dsn, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["what"] == "there is no such bandit"
    assert main(["mcp", "--spec", str(tmp_path / "none.json"), "--dsn", shared_dsn]) == 2
    assert "the spec cannot be read" in capsys.readouterr().err
    assert main(["mcp", "--spec", "a", "--bandit", "b"]) == 2
