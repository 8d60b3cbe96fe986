"""PydanticAI: several agents (models, prompts, tool sets) as strategies; their usage is what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from pydantic_ai import AgentRunResult
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from ..execution import Execution
from ..learners import AsyncLearner

__all__ = ["LearnedAgents"]

_Deps = TypeVar("_Deps")
_Output = TypeVar("_Output")


class LearnedAgents(Generic[_Deps, _Output]):
    """Chooses the agent of each run, and reports seconds, tokens and cost.

    Parameters
    ----------
    learner : engine or asynchronous client.
    agents : the agent of each strategy; only these are eligible.
    settings : model settings out of the chosen parameters, such as ``lambda p: {"temperature": p["t"]}``.
    judge : fields of ``Outcome`` read from a result, such as ``lambda r: {"quality": grade(r.output)}``.
    cost : price of what was used, in the unit of the spec's reference cost; by default what PydanticAI knows
        of it, in dollars, where it does.
    """

    def __init__(
        self,
        learner: AsyncLearner[Any, Any],
        agents: Mapping[str, AbstractAgent[_Deps, _Output]],
        *,
        settings: Callable[[Mapping[str, Any]], ModelSettings] | None = None,
        judge: Callable[[AgentRunResult[_Output]], Mapping[str, Any]] | None = None,
        cost: Callable[[RunUsage], float] | None = None,
    ) -> None:
        self._learner, self._agents = learner, dict(agents)
        self._settings, self._judge, self._cost = settings, judge, cost

    async def run(
        self,
        user_prompt: Any = None,
        *,
        context: Mapping[str, Any],
        decision_id: str | None = None,
        eligible: Iterable[str] | None = None,
        **options: Any,
    ) -> AgentRunResult[_Output]:
        """``agent.run(user_prompt, **options)`` of the chosen agent.

        What was used counts also where the run fails. The same ``decision_id`` again chooses the same agent.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty : bad input, or an agent under no strategy's name.
        """
        allowed = tuple(self._agents) if eligible is None else tuple(eligible)
        used: RunUsage = options.pop("usage", None) or RunUsage()
        before = (used.input_tokens, used.output_tokens)
        async with Execution(self._learner, context, decision_id, eligible=allowed) as run:
            agent = self._agents[run.decision.strategy]
            if self._settings is not None:
                given = options.pop("model_settings", None) or {}
                options["model_settings"] = {**self._settings(run.decision.parameters), **given}
            try:
                result: AgentRunResult[_Output] = await agent.run(user_prompt, usage=used, **options)
            finally:
                run.report(**self._used(used, before))
            run.report(model=result.response.model_name or None)
            if self._judge is not None:
                run.report(**self._judge(result))
        return result

    def _used(self, used: RunUsage, before: tuple[int, int]) -> dict[str, Any]:
        """Tokens and cost of this run alone: the caller's usage may begin with those of others."""
        fields: dict[str, Any] = {
            "input_tokens": used.input_tokens - before[0],
            "output_tokens": used.output_tokens - before[1],
        }
        if self._cost is not None:
            fields["cost"] = self._cost(used)
        elif before == (0, 0) and (known := getattr(used, "cost", None)) is not None:  # not in the first 2.x
            fields["cost"] = float(known)
        return fields
