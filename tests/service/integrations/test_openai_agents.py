"""OpenAI Agents: the chosen agent runs; hooks count tokens and tool errors; retries are one decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from nyx_learning import LearningEngine
from nyx_learning.errors import ArmUnknown

pytest.importorskip("agents", reason="the extra 'openai-agents' is not installed")

from agents import Agent, Model, ModelResponse, RunConfig, Usage, function_tool
from agents.exceptions import MaxTurnsExceeded
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from nyx_learning.service.integrations.openai_agents import run_learned, tool_failed

CODE = {"task": "code"}
OFFLINE = RunConfig(tracing_disabled=True)


class Scripted(Model):
    """Calls the tool so often, then answers."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        self.calls -= 1
        if self.calls >= 0:
            item: Any = ResponseFunctionToolCall(
                arguments="{}", call_id=f"call-{self.calls}", name="fetch", type="function_call"
            )
        else:
            item = ResponseOutputMessage(
                id="m",
                content=[ResponseOutputText(annotations=[], text="done", type="output_text")],
                role="assistant",
                status="completed",
                type="message",
            )
        usage = Usage(requests=1, input_tokens=10, output_tokens=3, total_tokens=13)
        return ModelResponse(output=[item], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise ValueError("only whole answers here")


@function_tool(failure_error_function=tool_failed)
def fetch() -> str:
    """Fetch it."""
    raise ConnectionError("away")


def crew(calls: int) -> dict[str, Agent[Any]]:
    return {name: Agent(name=name, model=Scripted(calls), tools=[fetch]) for name in ("direct", "parallel")}


async def test_tokens_and_tool_errors_are_reported(engine: LearningEngine) -> None:
    for _ in range(2):  # a retry under the same id
        result = await run_learned(
            engine,
            crew(2),
            "do it",
            context=CODE,
            decision_id="wf-1",
            judge=lambda result: {"quality": float(result.final_output == "done")},
            run_config=OFFLINE,
        )
        assert result.final_output == "done"
    decision = await engine.decision("wf-1")
    outcome = (await engine.rewards("wf-1")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.quality, outcome.agent_type) == (True, 1.0, decision.strategy)
    assert (outcome.input_tokens, outcome.output_tokens) == (30, 9)
    assert outcome.error_codes == ("ConnectionError", "ConnectionError")
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


async def test_a_run_without_end_is_a_failure(engine: LearningEngine) -> None:
    with pytest.raises(MaxTurnsExceeded):
        await run_learned(
            engine,
            crew(9),
            "do it",
            context=CODE,
            decision_id="wf-1",
            eligible=["direct"],
            max_turns=2,
            run_config=OFFLINE,
        )
    outcome = (await engine.rewards("wf-1")).outcome
    assert outcome is not None
    assert outcome.success is False
    assert outcome.error_codes[-1] == "MaxTurnsExceeded"
    assert outcome.input_tokens == 20


async def test_an_agent_under_no_strategys_name(engine: LearningEngine) -> None:
    with pytest.raises(ArmUnknown):
        await run_learned(engine, {"unheard": crew(0)["direct"]}, "do it", context=CODE)
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}
