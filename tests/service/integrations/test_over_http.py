"""Each adapter with an HTTP client in the engine's place: what it decides and reports is on the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from nyx_learning import AsyncNyxClient, BanditSpec, LearningEngine, NyxClient
from nyx_learning.rewards import Outcome
from nyx_learning.service.http.app import create_app
from nyx_learning.service.http.options import ServeOptions

_Result = TypeVar("_Result")
CODE = {"task": "code"}
ONE = {"decisions": 1, "rewards": 1, "abandoned": 0}


class Server(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """An application on a loop in a thread of its own; the transport of clients of both kinds."""

    def __init__(self, options: ServeOptions) -> None:
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._end = asyncio.Event()
        self._app = create_app(options)
        self._asgi = httpx.ASGITransport(self._app)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        self._ready.wait(60.0)

    async def _serve(self) -> None:
        async with self._app.router.lifespan_context(self._app):
            self._ready.set()
            await self._end.wait()

    def shut(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60.0)
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60.0)

    def engine(self, name: str) -> LearningEngine:
        opened: LearningEngine = self._app.state.bandits.opened[name]
        return opened

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.run(self._answer(request, request.read()))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answering = self._answer(request, await request.aread())
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answering, self._loop))

    async def _answer(self, request: httpx.Request, content: bytes) -> httpx.Response:
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        answer = await self._asgi.handle_async_request(asked)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@pytest.fixture(scope="module")
def server(shared_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    keys = str(tmp_path_factory.mktemp("keys") / "none.json")
    started = Server(ServeOptions(dsn=shared_dsn, keys=keys, connections=2, deadline_s=60.0))
    yield started
    started.shut()


@pytest.fixture
def client(server: Server, two_ways: BanditSpec) -> Iterator[NyxClient]:
    """A client for code without a loop, of a bandit of the test's own."""
    with httpx.Client(transport=server, base_url="http://localhost") as admin:
        admin.post("/v1/bandits", json=two_ways.to_dict()).raise_for_status()
    with NyxClient("http://localhost", two_ways.name, transport=server) as made:
        yield made


@pytest.fixture
def asking(server: Server, client: NyxClient, two_ways: BanditSpec) -> AsyncNyxClient:
    """The same, for code with a loop."""
    return AsyncNyxClient("http://localhost", two_ways.name, transport=server)


@pytest.fixture
def learned(server: Server, two_ways: BanditSpec) -> Callable[[str], Outcome]:
    """What the server has stored of the only decision."""

    def outcome(decision_id: str) -> Outcome:
        engine = server.engine(two_ways.name)
        assert server.run(engine.counts()) == ONE
        found = server.run(engine.rewards(decision_id)).outcome
        assert found is not None
        return found

    return outcome


async def test_langgraph(asking: AsyncNyxClient, learned: Callable[[str], Outcome]) -> None:
    pytest.importorskip("langgraph", reason="the extra 'langgraph' is not installed")
    from .test_langgraph import built, routed, thread

    seen: list[Any] = []

    async def work(_: Any, run: Any) -> Any:
        seen.append(run.decision)
        if len(seen) < 3:
            raise ConnectionError
        run.report(quality=0.75)
        return {"ran": run.decision.strategy, "workers": run.decision.parameters.get("workers", 1)}

    learner: Any = asking
    async with asking:
        state = await built(routed(learner), work).ainvoke({}, thread("t-1"))
    assert state["ran"] == seen[0].strategy
    assert [decision.arm_id for decision in seen] == [seen[0].arm_id] * 3
    outcome = learned("t-1/2/route")
    assert (outcome.success, outcome.retries, outcome.quality) == (True, 2, 0.75)


async def test_pydantic_ai(asking: AsyncNyxClient, learned: Callable[[str], Outcome]) -> None:
    pytest.importorskip("pydantic_ai", reason="the extra 'pydantic-ai' is not installed")
    from nyx_learning.service.integrations.pydantic_ai import LearnedAgents

    from .test_pydantic_ai import agents

    async with asking:
        one = LearnedAgents(asking, agents(), judge=lambda result: {"quality": len(result.output) / 100})
        for _ in range(2):  # a retry under the same id
            result = await one.run("say it", context=CODE, decision_id="wf-1", eligible=["parallel"])
    outcome = learned("wf-1")
    assert (outcome.success, outcome.quality, outcome.model) == (True, 0.25, "careful")
    assert outcome.output_tokens == result.usage.output_tokens


async def test_openai_agents(asking: AsyncNyxClient, learned: Callable[[str], Outcome]) -> None:
    pytest.importorskip("agents", reason="the extra 'openai-agents' is not installed")
    from nyx_learning.service.integrations.openai_agents import run_learned

    from .test_openai_agents import OFFLINE, crew

    async with asking:
        for _ in range(2):
            await run_learned(asking, crew(2), "do it", context=CODE, decision_id="wf-1", run_config=OFFLINE)
    outcome = learned("wf-1")
    assert (outcome.success, outcome.input_tokens) == (True, 30)
    assert outcome.error_codes == ("ConnectionError", "ConnectionError")


def test_celery(client: NyxClient, learned: Callable[[str], Outcome]) -> None:
    pytest.importorskip("celery", reason="the extra 'celery' is not installed")
    from .test_celery import learning_app

    app = learning_app(client)
    result = app.tasks["work"].apply(("code", 2), task_id="task-1")
    assert result.get()["arm"] == app.seen[0].arm_id
    assert [decision.decision_id for decision in app.seen] == ["task-1"] * 3
    outcome = learned("task-1")
    assert (outcome.success, outcome.retries, outcome.quality) == (True, 2, 0.25)


async def test_temporal(asking: AsyncNyxClient, client: NyxClient, learned: Callable[[str], Outcome]) -> None:
    pytest.importorskip("temporalio", reason="the extra 'temporal' is not installed")
    from temporalio import activity

    from nyx_learning.service.integrations.temporal import activity_execution, blocking_activity_execution

    from .test_temporal import environment

    async def step() -> str:
        async with activity_execution(asking, CODE) as run:
            if activity.info().attempt < 3:
                raise ConnectionError
        return run.decision.arm_id

    def last() -> str:
        with blocking_activity_execution(client, CODE) as run:
            run.report(quality=0.5)
        return run.decision.arm_id

    async with asking:
        with pytest.raises(ConnectionError):
            await environment(2).run(step)
    assert await asyncio.to_thread(environment(3).run, last)
    outcome = learned("wf-1/run-1/5")
    assert (outcome.success, outcome.retries, outcome.quality) == (True, 2, 0.5)
