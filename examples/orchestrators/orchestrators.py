"""The first two levels: which strategy runs a workflow, and with which parameters a step fetches.

Each level is a bandit of its own, and hears only of what it answers for:

    workflow   ``top``    direct, or parallel with 2 or 6 branches    the whole: all steps right, and how soon
    step       ``fetch``  timeout and retries                         the fetch: did it come, and how soon
    step       ``agent``  exact, prefix, trigram, edit                 the answer: is it right, and how soon

Ids derive from the parent's (``wf-1``, ``wf-1/step-2/fetch``, ``wf-1/step-2/agent``), so that a workflow
that is started again is the same decisions on all levels.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from agent_level import AGENTS
from world import Document, Store, StoreBusy, StoreFailed, Workflow

from nyx_learning import BanditSpec, Categorical, ContextSchema, LearningEngine, Ordinal, RewardSpec, Strategy

WORTH = {"speed": 0.2, "success": 0.8}


def specs(team: str) -> dict[str, BanditSpec]:
    """The three bandits of a team. Who opens the same ones learns together."""
    source, size = Categorical(["calm", "flaky"]), Ordinal(["small", "large"])
    return {
        "top": BanditSpec(
            name=f"{team}-top",
            strategies=[Strategy("direct"), Strategy("parallel", {"branches": [2, 6]})],
            context=ContextSchema(source=source, size=size),
            reward=RewardSpec(
                weights=WORTH, reference_by=("size",), reference_time_s={("small",): 0.04, ("large",): 0.12}
            ),
            baseline_arm="direct",
        ),
        "fetch": BanditSpec(
            name=f"{team}-fetch",
            strategies=[Strategy("fetch", {"timeout_s": [0.005, 0.02, 0.06], "retries": [0, 2]})],
            context=ContextSchema(source=source),
            reward=RewardSpec(weights=WORTH, reference_by=("source",), reference_time_s=0.02),
        ),
        "agent": BanditSpec(
            name=f"{team}-agent",
            strategies=[Strategy(name) for name in AGENTS],
            context=ContextSchema(
                noise=Categorical(["clean", "noisy"]), length=Categorical(["short", "long"])
            ),
            reward=RewardSpec(weights=WORTH, reference_by=("noise",), reference_time_s=0.004),
        ),
    }


class Learning:
    """One engine for each level, open together."""

    def __init__(self, top: LearningEngine, fetch: LearningEngine, agent: LearningEngine) -> None:
        self.top, self.fetch, self.agent = top, fetch, agent
        self.levels = {"top": top, "fetch": fetch, "agent": agent}

    @classmethod
    async def open(cls, team: str, dsn: str | None, stack: AsyncExitStack) -> Self:
        """Open the team's bandits; the stack closes them."""
        engines = {
            level: await stack.enter_async_context(await LearningEngine.open(spec, dsn, connections=2))
            for level, spec in specs(team).items()
        }
        return cls(**engines)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of a step; ``fault`` names what went wrong."""

    right: bool
    fault: str = ""


class SubOrchestrator:
    """Runs one step: fetches a document with learned parameters, and lets a learned agent resolve it."""

    def __init__(self, learning: Learning, store: Store) -> None:
        self.learning, self.store = learning, store
        self.agents = {name: kind(f"{name}-1", learning.agent) for name, kind in AGENTS.items()}

    async def execute(self, document: Document, step_id: str) -> StepResult:
        """Run the step. That the fetch failed is the fetch's fault, and no agent hears of it."""
        try:
            text = await self._fetch(document, f"{step_id}/fetch")
        except (StoreBusy, StoreFailed, TimeoutError) as error:
            return StepResult(right=False, fault=type(error).__name__)
        decision = await self.learning.agent.select_arm(
            {"noise": document.noise, "length": document.length}, f"{step_id}/agent"
        )
        result = await self.agents[decision.strategy].execute(document, text, decision)
        return StepResult(right=result.quality == 1.0, fault="" if result.quality == 1.0 else "WrongAnswer")

    async def _fetch(self, document: Document, decision_id: str) -> str:
        async with self.learning.fetch.execution({"source": document.source}, decision_id) as run:
            limits = run.decision.parameters
            attempt = 0
            while True:
                run.report(retries=attempt)
                try:
                    async with asyncio.timeout(float(limits["timeout_s"])):
                        return await self.store.fetch(document, attempt)
                except (StoreBusy, StoreFailed, TimeoutError):
                    if attempt == limits["retries"]:
                        raise  # the end of the block: a failure, with the error's class as its code
                attempt += 1
                await asyncio.sleep(0.002)


class TopLevelOrchestrator:
    """Runs workflows: chooses a strategy, shares the steps out, and reports the whole."""

    def __init__(self, learning: Learning, store: Store, *, deadline_s: float = 2.0) -> None:
        self.learning, self.store, self.deadline_s = learning, store, deadline_s
        self.sub = SubOrchestrator(learning, store)

    async def execute(self, workflow: Workflow) -> dict[str, Any]:
        """Run a workflow; started again under the same id, it is the same decisions and reports nothing anew.

        Raises
        ------
        TimeoutError : the deadline; the strategy has failed, and what was running is abandoned.
        """
        selected, recommended = await self._select_strategy(workflow)
        async with selected as run:
            branches = int(run.decision.parameters.get("branches", 1))
            async with asyncio.timeout(self.deadline_s):
                results = await self._run_steps(workflow, branches)
            right = sum(result.right for result in results)
            faults = sorted({result.fault for result in results if result.fault})
            run.report(
                success=right == len(results),
                quality=right / len(results),
                agents_succeeded=right,
                agents_failed=len(results) - right,
                error_codes=tuple(faults),
            )
        return {
            "workflow_id": workflow.workflow_id,
            "arm_id": run.decision.arm_id,
            "recommended": recommended,
            "right": right,
            "steps": len(results),
            "reward": None if run.receipt is None else run.receipt.reward,
        }

    def analyze_complexity(self, workflow: Workflow) -> dict[str, str]:
        """What is known before the choice."""
        return {"source": workflow.source, "size": workflow.size}

    async def _select_strategy(self, workflow: Workflow) -> tuple[Any, str]:
        complexity = self.analyze_complexity(workflow)
        recommended = await self.learning.top.recommend_strategy(complexity)
        return self._make_strategy_decision(workflow, complexity), recommended.arm_id

    def _make_strategy_decision(self, workflow: Workflow, complexity: dict[str, str]) -> Any:
        # The recommendation is what is best by now. The decision follows it mostly, explores sometimes, and
        # logs with which probability: only that can be learned and judged from. What the orchestrator knows
        # better comes in as eligibility: one step cannot run side by side.
        alone = ["parallel"] if len(workflow.documents) == 1 else None
        return self.learning.top.execution(complexity, workflow.workflow_id, exclude=alone)

    async def _run_steps(self, workflow: Workflow, branches: int) -> list[StepResult]:
        waiting = list(enumerate(workflow.documents))[::-1]
        results: dict[int, StepResult] = {}

        async def branch() -> None:
            await self.store.open_session()
            while waiting:
                step, document = waiting.pop()
                results[step] = await self.sub.execute(document, f"{workflow.workflow_id}/step-{step}")

        async with asyncio.TaskGroup() as group:
            for _ in range(min(branches, len(waiting))):
                group.create_task(branch())
        return [results[step] for step in sorted(results)]
