"""The engine's calls as tools for agents, over the Model Context Protocol.

What an agent may do is choose, report and ask. Orders (overrides, retention, changed specs) are for people:
they have the command line and the server.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from ... import __version__
from ...bandit import BanditSpec
from ...errors import NyxError
from ...rewards import Outcome
from ..engine import LearningEngine

__all__ = ["build_server"]

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")
_Value = bool | int | float | str
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

_Context = Annotated[
    dict[str, _Value], Field(description="A value for each feature of the bandit's context.")
]
_Names = Annotated[list[str] | None, Field(description="Arm ids or strategy names.")]
_Window = Annotated[float | None, Field(description="Seconds back from now; null: all.", gt=0)]


class Choice(BaseModel):
    """What to run."""

    decision_id: str = Field(description="To be told with the outcome.")
    strategy: str
    parameters: dict[str, Any]
    arm_id: str = Field(description="Strategy and parameters as one name.")
    propensity: float = Field(description="Probability with which this arm came.")
    reason: str
    mode: str
    state_seq: int = Field(description="Last row of the log that was known.")


class Learned(BaseModel):
    """What became of a report."""

    decision_id: str
    applied: bool = Field(description="False where the same report came before: nothing was learned twice.")
    reward: float | None
    state: str
    components: dict[str, float]
    missing: list[str]


class ArmBelief(BaseModel):
    """What is held of one arm in the context; mean and sd are null where nothing is."""

    arm_id: str
    mean: float | None
    sd: float | None
    probability: float = Field(description="That it would be chosen now.")
    rewards: int


class ToldOutcome(BaseModel):
    """What an execution came to; leave out what was not measured."""

    success: bool
    duration_s: float | None = Field(None, ge=0)
    timed_out: bool = False
    quality: float | None = Field(None, ge=0, le=1)
    usefulness: float | None = Field(None, ge=0, le=1)
    tokens: int | None = Field(None, ge=0)
    input_tokens: int | None = Field(None, ge=0)
    output_tokens: int | None = Field(None, ge=0)
    cost: float | None = Field(None, ge=0)
    retries: int | None = Field(None, ge=0)
    error_codes: list[str] = Field(default_factory=list)
    agent_type: str | None = None
    model: str | None = None


def build_server(engine: LearningEngine) -> MCPServer[Any]:
    """A server with the tools of one bandit; it neither opens nor closes the engine."""
    server: MCPServer[Any] = MCPServer(
        "nyx-learning", instructions=_instructions(engine.spec), version=__version__, log_level="WARNING"
    )

    def tool(
        hints: ToolAnnotations,
    ) -> Callable[[Callable[_Asked, Awaitable[_Answer]]], Callable[_Asked, Awaitable[_Answer]]]:
        def add(function: Callable[_Asked, Awaitable[_Answer]]) -> Callable[_Asked, Awaitable[_Answer]]:
            @functools.wraps(function)
            async def told(*arguments: _Asked.args, **named: _Asked.kwargs) -> _Answer:
                try:
                    return await function(*arguments, **named)
                except NyxError as error:
                    again = "\n  retry:    the same call may succeed later" if error.retryable else ""
                    raise ToolError(f"{error}{again}") from error

            server.add_tool(told, annotations=hints, description=_described(function))
            return told

        return add

    @tool(_READS)
    async def describe_bandit() -> dict[str, Any]:
        """Strategies, parameters, context features and reward weights of the bandit."""
        return engine.spec.to_dict()

    @tool(_WRITES)
    async def select_arm(
        context: _Context,
        decision_id: Annotated[
            str | None, Field(description="Id of the task; the same id again is the same decision.")
        ] = None,
        eligible: _Names = None,
        exclude: _Names = None,
    ) -> Choice:
        """Choose the strategy and parameters for a task, and store the decision.

        Give a decision_id that a retry would send again. Tell the outcome with update_reward.
        """
        made = await engine.select_arm(context, decision_id, eligible=eligible, exclude=exclude)
        return Choice(
            decision_id=made.decision_id,
            strategy=made.strategy,
            parameters=dict(made.parameters),
            arm_id=made.arm_id,
            propensity=made.propensity,
            reason=made.reason,
            mode=made.mode,
            state_seq=made.state_seq,
        )

    @tool(_WRITES)
    async def update_reward(
        decision_id: str,
        outcome: Annotated[
            ToldOutcome | None, Field(description="What happened; the bandit prices it.")
        ] = None,
        reward: Annotated[float | None, Field(description="Or the reward itself, from 0 to 1.")] = None,
    ) -> Learned:
        """Report once what a decision was worth: an outcome or a reward, not both.

        The same report again changes nothing; another one is refused.
        """
        told = None if outcome is None else Outcome(**outcome.model_dump(exclude_none=True))
        receipt = await engine.update_reward(decision_id, told, reward=reward)
        return Learned(
            decision_id=receipt.decision_id,
            applied=receipt.applied,
            reward=receipt.reward,
            state=receipt.state,
            components=dict(receipt.components),
            missing=list(receipt.missing),
        )

    @tool(_WRITES)
    async def abandon(decision_id: str) -> str:
        """Say that a decision's task was cancelled, so that nothing is learned from it."""
        await engine.abandon(await engine.decision(decision_id))
        return "abandoned"

    @tool(_READS)
    async def reward_status(decision_id: str) -> dict[str, Any]:
        """What was chosen under an id, and where its reward stands."""
        made, status = await engine.decision(decision_id), await engine.rewards(decision_id)
        return {
            "decision_id": decision_id,
            "arm_id": made.arm_id,
            "context": dict(made.context),
            "state": str(status.state),
            "reward": status.reward,
            "outcome": None if status.outcome is None else status.outcome.to_dict(),
        }

    @tool(_READS)
    async def beliefs(context: _Context, eligible: _Names = None) -> list[ArmBelief]:
        """What is believed of every arm in a context; decides nothing."""
        return [
            ArmBelief(
                arm_id=belief.arm_id,
                mean=_finite(belief.mean),
                sd=_finite(belief.sd),
                probability=belief.probability,
                rewards=belief.rewards,
            )
            for belief in engine.beliefs(context, eligible=eligible)
        ]

    @tool(_READS)
    async def recommend_strategy(
        context: _Context, eligible: _Names = None, exclude: _Names = None
    ) -> dict[str, Any]:
        """What is best by now, how sure that is, and why. Decides nothing: to run a task, call select_arm."""
        found = await engine.recommend_strategy(context, eligible=eligible, exclude=exclude)
        return _plain(found.to_dict())

    @tool(_READS)
    async def explain(decision_id: str) -> dict[str, Any]:
        """Why an arm was chosen: what was known then, the draw, guardrails, what would have changed it."""
        return _plain((await engine.explain(decision_id)).to_dict())

    @tool(_READS)
    async def predict(
        context: _Context,
        arm: Annotated[str, Field(description="An arm id, or a strategy's name.")],
    ) -> dict[str, Any]:
        """What an execution is expected to do: success, seconds, cost, each with an interval."""
        return _plain((await engine.predict_workflow_performance(context, arm)).to_dict())

    @tool(_READS)
    async def strategy_patterns(time_window_s: _Window = None) -> dict[str, Any]:
        """Which strategies work for which kinds of task, against the others there."""
        return _plain((await engine.analyze_strategy_patterns(time_window_s)).to_dict())

    @tool(_READS)
    async def failure_patterns(
        min_occurrences: Annotated[int, Field(ge=1)] = 3, time_window_s: _Window = None
    ) -> dict[str, Any]:
        """Which failures repeat, in which order, and what they go with."""
        found = await engine.detect_failure_patterns(min_occurrences, time_window=time_window_s)
        return _plain(found.to_dict())

    @tool(_READS)
    async def optimization_opportunities(
        threshold_improvement: Annotated[
            float, Field(ge=0, description="Least gain, as a share of the present reward.")
        ] = 0.15,
    ) -> dict[str, Any]:
        """Which changes would have brought more reward, with intervals and evidence."""
        return _plain((await engine.identify_optimization_opportunities(threshold_improvement)).to_dict())

    @tool(_READS)
    async def health() -> dict[str, Any]:
        """Whether the learner decides and learns; where not, why, and what to do."""
        return _plain(engine.health().to_dict())

    return server


def _instructions(spec: BanditSpec) -> str:
    features = json.dumps(spec.context.to_dict(), ensure_ascii=False)
    strategies = ", ".join(strategy.name for strategy in spec.strategies)
    return (
        f"Chooses how to run tasks of '{spec.name}' and learns from their outcomes. Before a task call "
        f"select_arm with its context, run what it says, then call update_reward with the outcome. "
        f"Strategies: {strategies}. Context: {features}"
    )


def _described(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").split())


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """With null for numbers that JSON does not have."""

    def plain(part: Any) -> Any:
        if isinstance(part, float):
            return _finite(part)
        if isinstance(part, Mapping):
            return {str(name): plain(value) for name, value in part.items()}
        return [plain(value) for value in part] if isinstance(part, (list, tuple)) else part

    return {name: plain(value) for name, value in document.items()}
