"""OpenAI Agents: several starting agents as strategies; hooks count what happens on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from agents import (
    Agent,
    AgentHookContext,
    ModelResponse,
    RunContextWrapper,
    RunHooks,
    Runner,
    RunResult,
    Tool,
)

from ..execution import Execution
from ..learners import AsyncLearner

__all__ = ["LearnedHooks", "run_learned", "tool_failed"]

_Context = TypeVar("_Context")
_RUNNING: ContextVar[LearnedHooks[Any] | None] = ContextVar("nyx_openai_agents", default=None)


class LearnedHooks(RunHooks[_Context], Generic[_Context]):
    """Counts agents, tokens and tool errors of one run; ``fields()`` are fields of ``Outcome``.

    To be passed as ``hooks=`` of one run. Tool errors are seen where the tool has
    ``failure_error_function=tool_failed``; the SDK tells its hooks nothing of them.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.tools: list[str] = []
        self.errors: list[str] = []
        self.input_tokens = 0
        self.output_tokens = 0
        _RUNNING.set(self)

    async def on_agent_start(self, context: AgentHookContext[_Context], agent: Any) -> None:
        """Note that an agent works."""
        del context
        self.started.append(agent.name)

    async def on_agent_end(self, context: AgentHookContext[_Context], agent: Any, output: Any) -> None:
        """Note that an agent gave the final output."""
        del context, output
        self.ended.append(agent.name)

    async def on_llm_end(
        self, context: RunContextWrapper[_Context], agent: Agent[_Context], response: ModelResponse
    ) -> None:
        """Count the tokens of an answer."""
        del context, agent
        self.input_tokens += response.usage.input_tokens
        self.output_tokens += response.usage.output_tokens

    async def on_tool_end(
        self, context: RunContextWrapper[_Context], agent: Any, tool: Tool, result: object
    ) -> None:
        """Note that a tool was used."""
        del context, agent, result
        self.tools.append(tool.name)

    def fields(self) -> dict[str, Any]:
        """What was counted so far."""
        fields: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "error_codes": tuple(self.errors),
        }
        if self.started:
            fields["agent_type"] = self.started[0]
        return fields


def tool_failed(context: RunContextWrapper[Any], error: Exception) -> str:
    """``failure_error_function`` of a tool: notes its class, and tells the model what the SDK does."""
    hooks = _RUNNING.get()
    if hooks is not None:
        hooks.errors.append(type(error).__name__)
    del context
    return f"An error occurred while running the tool. Please try again. Error: {error}"


async def run_learned(
    learner: AsyncLearner[Any, Any],
    agents: Mapping[str, Agent[Any]],
    prompt: Any,
    *,
    context: Mapping[str, Any],
    decision_id: str | None = None,
    eligible: Iterable[str] | None = None,
    judge: Callable[[RunResult], Mapping[str, Any]] | None = None,
    run_context: Any = None,
    **options: Any,
) -> RunResult:
    """``Runner.run(agent, prompt, context=run_context, **options)`` of the chosen agent.

    Parameters
    ----------
    learner : engine or asynchronous client.
    agents : the starting agent of each strategy; only these are eligible.
    context, decision_id, eligible : of the decision; the same id again chooses the same agent.
    judge : fields of ``Outcome`` read from the result.

    Raises
    ------
    ContextInvalid, ArmUnknown, EligibilityEmpty : bad input, or an agent under no strategy's name.
    """
    allowed = tuple(agents) if eligible is None else tuple(eligible)
    hooks: LearnedHooks[Any] = LearnedHooks()
    async with Execution(learner, context, decision_id, eligible=allowed) as run:
        try:
            result = await Runner.run(
                agents[run.decision.strategy], prompt, context=run_context, hooks=hooks, **options
            )
        finally:
            run.report(**hooks.fields())
        if judge is not None:
            run.report(**judge(result))
    return result
