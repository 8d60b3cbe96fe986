"""PydanticAI: the chosen agent runs with the chosen settings; what it used is reported, also if it fails."""

from __future__ import annotations

from typing import Any

import pytest

from nyx_learning import LearningEngine
from nyx_learning.errors import ArmUnknown

pytest.importorskip("pydantic_ai", reason="the extra 'pydantic-ai' is not installed")

from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from nyx_learning.service.integrations.pydantic_ai import LearnedAgents

CODE = {"task": "code"}
SEEN: list[Any] = []


def answers(_: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    SEEN.append(info.model_settings)
    return ModelResponse(parts=[TextPart("a long and careful answer")])


def agents() -> dict[str, Agent[None, str]]:
    return {
        "direct": Agent(TestModel(custom_output_text="short"), name="direct"),
        "parallel": Agent(FunctionModel(answers, model_name="careful"), name="parallel"),
    }


async def test_the_chosen_agent_runs_and_its_usage_is_reported(engine: LearningEngine) -> None:
    learned = LearnedAgents(
        engine,
        agents(),
        settings=lambda parameters: ModelSettings(max_tokens=100 * parameters.get("workers", 1)),
        judge=lambda result: {"quality": len(result.output) / 100},
        cost=lambda usage: usage.output_tokens * 0.5,
    )
    SEEN.clear()
    result = await learned.run("say it", context=CODE, decision_id="wf-1", eligible=["parallel"])
    decision = await engine.decision("wf-1")
    outcome = (await engine.rewards("wf-1")).outcome
    assert result.output == "a long and careful answer"
    assert SEEN[0]["max_tokens"] == 100 * decision.parameters["workers"]
    assert outcome is not None
    assert (outcome.success, outcome.quality, outcome.model) == (True, 0.25, "careful")
    assert (outcome.input_tokens, outcome.output_tokens) == (
        result.usage.input_tokens,
        result.usage.output_tokens,
    )
    assert outcome.cost == result.usage.output_tokens * 0.5 > 0
    again = await learned.run("say it", context=CODE, decision_id="wf-1", eligible=["parallel"])
    assert again.output == result.output
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


async def test_what_others_used_before_is_not_counted(engine: LearningEngine) -> None:
    shared = RunUsage(input_tokens=1000, output_tokens=2000)
    result = await LearnedAgents(engine, agents()).run(
        "say it", context=CODE, decision_id="wf-1", usage=shared, model_settings=ModelSettings(max_tokens=7)
    )
    outcome = (await engine.rewards("wf-1")).outcome
    assert outcome is not None
    assert outcome.output_tokens == result.usage.output_tokens - 2000
    assert outcome.cost is None


async def test_a_failed_run_is_a_failure_with_what_it_used(engine: LearningEngine) -> None:
    agent = Agent(TestModel(custom_output_text="never right"), retries=1)

    @agent.output_validator
    def refuses(_: str) -> str:
        from pydantic_ai import ModelRetry

        raise ModelRetry("no")

    learned = LearnedAgents(engine, {"direct": agent})
    with pytest.raises(UnexpectedModelBehavior):
        await learned.run("say it", context=CODE, decision_id="wf-1")
    outcome = (await engine.rewards("wf-1")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.error_codes) == (False, ("UnexpectedModelBehavior",))
    assert outcome.output_tokens


async def test_an_agent_under_no_strategys_name(engine: LearningEngine) -> None:
    with pytest.raises(ArmUnknown):
        await LearnedAgents(engine, {"unheard": agents()["direct"]}).run("say it", context=CODE)
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}
