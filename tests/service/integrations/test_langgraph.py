"""LangGraph: the conditional edge chooses, nodes report; retries and interrupts are the same decision."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest

from nyx_learning import LearningEngine
from nyx_learning.errors import ArmUnknown, InputInvalid

pytest.importorskip("langgraph", reason="the extra 'langgraph' is not installed")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from nyx_learning.service.integrations.langgraph import LearnedRouter

RETRY = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3, retry_on=ConnectionError)


class State(TypedDict, total=False):
    task: str
    ran: str
    workers: int


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


def built(router: LearnedRouter, function: Any, *, first: Any = None, policy: Any = RETRY) -> Any:
    graph = StateGraph(State)
    graph.add_node("plan", first or (lambda _: {"task": "code"}))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", router.route, router.nodes)
    for node in router.nodes:
        graph.add_node(node, router.node(function, retry_policy=policy), retry_policy=policy)
        graph.add_edge(node, END)
    return graph.compile(checkpointer=InMemorySaver())


def routed(engine: LearningEngine, **options: Any) -> LearnedRouter:
    return LearnedRouter(
        engine,
        context=lambda state: {"task": state["task"]},
        nodes={"direct": "alone", "parallel": "many"},
        **options,
    )


async def test_the_edge_chooses_and_the_node_reports(engine: LearningEngine) -> None:
    async def work(_: State, run: Any) -> State:
        run.report(quality=0.75)
        return {"ran": run.decision.strategy, "workers": run.decision.parameters.get("workers", 1)}

    graph = built(routed(engine), work)
    state = await graph.ainvoke({}, thread("t-1"))
    again = await graph.ainvoke({}, thread("t-1"))  # the same thread goes on: further steps, other decisions
    assert again["task"] == "code"
    decision = await engine.decision("t-1/2/route")
    assert state["ran"] == decision.strategy
    assert state["workers"] == decision.parameters.get("workers", 1)
    outcome = (await engine.rewards("t-1/2/route")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.quality, outcome.retries) == (True, 0.75, None)
    assert await engine.counts() == {"decisions": 2, "rewards": 2, "abandoned": 0}


async def test_a_retried_node_is_one_decision_with_one_reward(engine: LearningEngine) -> None:
    seen: list[Any] = []

    async def work(_: State, run: Any) -> State:
        seen.append(run.decision)
        if len(seen) < 3:
            raise ConnectionError
        return {"ran": run.decision.strategy}

    # another router: the process that routed is gone, and the state says what was asked
    await built(routed(engine), work).ainvoke({}, thread("t-1"))
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]
    outcome = (await engine.rewards("t-1/2/route")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.retries, outcome.error_codes) == (True, 2, ())
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


@pytest.mark.parametrize(("error", "runs"), [(ConnectionError, 3), (KeyError, 1)])
async def test_the_last_failure_is_reported(
    engine: LearningEngine, error: type[Exception], runs: int
) -> None:
    count = 0

    async def work(_: State, run: Any) -> State:
        nonlocal count
        count += 1
        raise error

    with pytest.raises(error):
        await built(routed(engine), work, policy=[RETRY]).ainvoke({}, thread("t-1"))
    assert count == runs
    outcome = (await engine.rewards("t-1/2/route")).outcome
    assert outcome is not None
    assert (outcome.success, outcome.error_codes) == (False, (error.__name__,))
    assert outcome.retries == (runs - 1 or None)


async def test_an_interrupt_is_no_end_and_another_process_resumes(engine: LearningEngine) -> None:
    async def work(_: State, run: Any) -> State:
        return {"ran": str(interrupt(run.decision.arm_id))}

    router = routed(engine)
    graph = built(router, work)
    halted = await graph.ainvoke({}, thread("t-1"))
    asked = halted["__interrupt__"][0].value
    assert await engine.counts() == {"decisions": 1, "rewards": 0, "abandoned": 0}
    router._asked.clear()  # as in a process that did not route
    state = await graph.ainvoke(Command(resume="yes"), thread("t-1"))
    assert state["ran"] == "yes"
    assert (await engine.decision("t-1/2/route")).arm_id == asked
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


async def test_a_cancelled_graph_is_abandoned(engine: LearningEngine, final_counts: Any) -> None:
    entered = asyncio.Event()

    async def work(_: State, run: Any) -> State:
        entered.set()
        await asyncio.sleep(60)
        return {}

    task = asyncio.create_task(built(routed(engine), work).ainvoke({}, thread("t-1")))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await final_counts() == {"decisions": 1, "rewards": 0, "abandoned": 1}


async def test_a_graph_within_a_graph_and_two_routers_of_one_step(engine: LearningEngine) -> None:
    async def work(_: State, run: Any) -> State:
        return {"ran": run.decision.strategy}

    inner = routed(engine)
    outer = StateGraph(State)
    outer.add_node("inside", built(inner, work))
    outer.add_edge(START, "inside")
    outer.add_edge("inside", END)
    await outer.compile(checkpointer=InMemorySaver()).ainvoke({}, thread("t-1"))
    counts = await engine.counts()
    assert (counts["decisions"], counts["rewards"]) == (1, 1)
    config: Any = {**thread("t"), "metadata": {"langgraph_step": 4}}
    names = [routed(engine, name=name).decision_id(config, ahead=1) for name in ("model", "depth")]
    assert names == ["t/5/model", "t/5/depth"]


async def test_what_cannot_be_routed(engine: LearningEngine) -> None:
    async def work(_: State, run: Any) -> State:
        return {}

    with pytest.raises(InputInvalid, match="names no thread"):
        routed(engine).decision_id({"configurable": {}})
    lost = LearnedRouter(engine, context=lambda state: {"task": state["task"]}, nodes=["direct", "nowhere"])
    with pytest.raises(ArmUnknown):
        await built(lost, work).ainvoke({}, thread("t-2"))
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}
