"""``learned`` and the blocking block: what they pass, what they report, and what they refuse."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import httpx
import pytest

from nyx_learning import AsyncNyxClient, BanditSpec, LearningEngine, NyxClient
from nyx_learning.errors import InputInvalid, OutcomeInvalid
from nyx_learning.service.integrations import BlockingEngine, BlockingExecution, Execution, learned

CODE = {"task": "code"}


async def test_an_async_function_gets_what_was_chosen(engine: LearningEngine) -> None:
    @learned(
        engine,
        context=lambda task, _number: {"task": task},
        decision_id=lambda task, number: f"{task}/{number}",
        report=lambda result: {"quality": result["quality"]},
    )
    async def work(_task: str, number: int, *, strategy: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"strategy": strategy, "parameters": parameters, "quality": number / 10}

    assert list(inspect.signature(work).parameters) == ["_task", "number"]
    result = await work("code", 4)
    decision = await engine.decision("code/4")
    assert (result["strategy"], result["parameters"]) == (decision.strategy, dict(decision.parameters))
    status = await engine.rewards("code/4")
    assert status.outcome is not None
    assert status.outcome.quality == 0.4
    assert await work("code", 4) == result
    assert await engine.counts() == {"decisions": 1, "rewards": 1, "abandoned": 0}


async def test_failures_and_cancelled_calls(engine: LearningEngine, final_counts: Any) -> None:
    entered = asyncio.Event()

    @learned(lambda: engine, context=CODE, decision_id=lambda how: how)
    async def work(how: str, *, run: Execution[Any, Any]) -> None:
        run.report(retries=2)
        if how == "fails":
            raise ConnectionError(how)
        entered.set()
        await asyncio.sleep(60)

    with pytest.raises(ConnectionError):
        await work("fails")
    failed = (await engine.rewards("fails")).outcome
    assert failed is not None
    assert (failed.success, failed.error_codes, failed.retries) == (False, ("ConnectionError",), 2)
    task = asyncio.create_task(work("hangs"))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await final_counts() == {"decisions": 2, "rewards": 1, "abandoned": 1}


async def test_what_does_not_fit_is_refused(engine: LearningEngine) -> None:
    with pytest.raises(InputInvalid, match="takes nothing"):
        learned(engine, context=CODE)(lambda: None)
    with pytest.raises(InputInvalid, match="do not fit"):
        learned(engine, context=CODE)(lambda strategy: strategy)
    with NyxClient("http://nowhere", "integrated") as client:
        late = learned(lambda: client, context=CODE)

        @late
        async def work(*, strategy: str) -> str:
            return strategy

        with pytest.raises(InputInvalid, match="do not fit"):
            await work()
    assert await engine.counts() == {"decisions": 0, "rewards": 0, "abandoned": 0}


def test_a_blocking_function_and_block(blocking: BlockingEngine) -> None:
    @learned(blocking, context=CODE, decision_id=lambda: "call")
    def work(*, arm_id: str) -> str:
        return arm_id

    assert work() == blocking.call(LearningEngine.decision, "call").arm_id
    with blocking.execution(CODE, "block") as run:
        run.report(quality=0.5)
    assert run.receipt is not None
    assert run.receipt.applied
    with blocking.execution(CODE, "block") as again:
        assert again.decision == run.decision
    assert again.receipt is None  # the first outcome stands
    with pytest.raises(InputInvalid, match="entered twice"), run:
        pass
    with pytest.raises(InputInvalid, match="has ended"):
        run.report(quality=0.5)


def test_how_a_blocking_block_ends(blocking: BlockingEngine) -> None:
    with pytest.raises(ZeroDivisionError), blocking.execution(CODE, "fails"):
        _ = 1 / 0
    with pytest.raises(OutcomeInvalid), blocking.execution(CODE, "mistaken") as run:
        run.report(quality=7.0)
    with pytest.raises(KeyboardInterrupt), blocking.execution(CODE, "interrupted"):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), blocking.execution(CODE, "again", ending=lambda _: "open"):
        _ = 1 / 0
    with blocking.execution(CODE, "again", attempt=2):
        pass
    assert blocking.call(LearningEngine.counts) == {"decisions": 4, "rewards": 2, "abandoned": 1}
    status = blocking.call(LearningEngine.rewards, "again")
    assert status.outcome is not None
    assert (status.outcome.success, status.outcome.retries) == (True, 1)
    assert blocking.call(LearningEngine.verify).ok


def test_a_closed_blocking_engine_and_one_that_cannot_open(shared_dsn: str, two_ways: BanditSpec) -> None:
    opened = BlockingEngine.open(two_ways, shared_dsn)
    opened.close()
    opened.close()
    with pytest.raises(InputInvalid):
        BlockingEngine.open(two_ways, shared_dsn, connections=0)


def answered(request: httpx.Request) -> httpx.Response:
    """A server that keeps nothing, and answers as the real one does."""
    import json

    told = json.loads(request.content)
    if request.url.path.endswith("/outcome"):
        return httpx.Response(
            200,
            json={
                "decision_id": "wf-1",
                "seq": 1,
                "reward": float(told["outcome"]["success"]),
                "applied": True,
                "components": {},
                "missing": [],
                "state": "learned",
                "revision": 0,
            },
        )
    return httpx.Response(
        200,
        json={
            "bandit": "integrated",
            "decision_id": told["decision_id"],
            "context": told["context"],
            "strategy": "parallel",
            "parameters": {"workers": 2},
            "arm_id": "parallel(workers=2)",
            "propensity": 0.5,
            "pmf": [],
            "stages": [],
            "eligible": None,
            "epoch": 0,
            "reason": "policy",
            "mode": "stored",
            "spec_hash": "",
            "state_seq": 0,
            "time": 1.0,
        },
    )


async def test_the_clients_are_learners_too() -> None:
    transport = httpx.MockTransport(answered)
    async with (
        AsyncNyxClient("http://learner", "integrated", transport=transport) as client,
        Execution(client, CODE, "wf-1") as run,
    ):
        assert run.decision.parameters == {"workers": 2}
    assert run.receipt is not None
    assert run.receipt.reward == 1.0
    with NyxClient("http://learner", "integrated", transport=transport) as blocking:
        with pytest.raises(KeyError), BlockingExecution(blocking, CODE, "wf-1") as second:
            raise KeyError
        assert second.receipt is not None
        assert second.receipt.reward == 0.0

        @learned(blocking, context=CODE)
        def work(*, parameters: dict[str, Any]) -> Any:
            return parameters["workers"]

        assert work() == 2


async def test_a_client_whose_run_is_cancelled_says_so_behind_it() -> None:
    sent: list[str] = []

    def noted(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        return answered(request)

    async with AsyncNyxClient("http://learner", "integrated", transport=httpx.MockTransport(noted)) as client:
        with pytest.raises(asyncio.CancelledError):
            async with Execution(client, CODE, "wf-1"):
                raise asyncio.CancelledError
        assert sent == ["/v1/bandits/integrated/decisions"]
    assert sent[1:] == ["/v1/decisions/wf-1/outcome"]
