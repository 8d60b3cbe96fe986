"""The orchestrator: runs a workflow's items by one of four strategies, with retries and timeouts.

``sequential``  one item after the other in one thread: nothing to set up, nothing runs side by side.
``threads``     a reused thread pool: waiting overlaps, computing does not (the GIL).
``processes``   reused worker processes: computing overlaps too, but every item is shipped there and back.
``asyncio``     all items at once on the event loop: waiting overlaps without limit, and a busy service turns
                some away; computing holds up the loop, and what arrives meanwhile may be found too late.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ...errors import ArmUnknown
from .children import Child, WorkerPool
from .items import Attempt, Item, ItemFailed, ItemTimeout, attempt, attempt_async, hash_rate
from .workload import Workflow

__all__ = ["STRATEGIES", "Execution", "Orchestrator"]

STRATEGIES: Final = ("sequential", "threads", "processes", "asyncio")


@dataclass(frozen=True, slots=True)
class _ItemResult:
    digest: str | None
    attempts: int
    timeouts: int


@dataclass(frozen=True, slots=True)
class Execution:
    """What running one workflow came to.

    Parameters
    ----------
    duration_s : wall-clock time of the whole workflow, in seconds.
    digests : the result of each item, in order; None where all attempts failed.
    retries : attempts beyond the first, over all items.
    timeouts : attempts that ran into their timeout, over all items.
    """

    duration_s: float
    digests: tuple[str | None, ...]
    retries: int
    timeouts: int

    @property
    def success(self) -> bool:
        """Whether every item came out right."""
        return None not in self.digests

    @property
    def quality(self) -> float:
        """Share of the items that came out right, in [0, 1]."""
        return sum(digest is not None for digest in self.digests) / len(self.digests)


@dataclass(frozen=True, slots=True)
class _Plan:
    workers: int
    timeout_s: float
    tries: int
    port: int
    hash_rate: float

    def task(self, item: Item, number: int) -> Attempt:
        return Attempt(item, number, round(item.cpu_s * self.hash_rate), self.timeout_s, self.port)


class Orchestrator:
    """Owns the loopback service, the thread pools and the worker processes; use as ``async with``.

    Parameters
    ----------
    processes : number of worker processes that strategy ``processes`` may use.
    """

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._threads: dict[int, ThreadPoolExecutor] = {}
        self._workers = WorkerPool()
        self._service: Child | None = None
        self._stop = threading.Event()
        self._hash_rate = hash_rate()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as group:
                service = group.create_task(Child.start("loopback.py"))
                group.create_task(self._workers.start(self._processes))
        except BaseException:
            await self._close()
            raise
        self._service = service.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._stop.set()
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)
        await self._workers.close()
        if self._service is not None:
            await self._service.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of all children."""
        return [*self._workers.pids, *([self._service.pid] if self._service else [])]

    async def execute(self, workflow: Workflow, strategy: str, parameters: Mapping[str, object]) -> Execution:
        """Run ``workflow`` and measure it.

        Parameters
        ----------
        strategy : one of ``STRATEGIES``.
        parameters : ``timeout_s`` per attempt, ``retries`` per item, ``workers`` for threads and processes.

        Raises
        ------
        ArmUnknown : no such strategy.
        """
        if strategy not in STRATEGIES:
            raise ArmUnknown(
                "the demo's orchestrator has no such strategy",
                expected=f"one of {', '.join(STRATEGIES)}",
                found=repr(strategy),
                fix="choose among the arms of the demo's spec",
            )
        plan = _Plan(
            workers=int(str(parameters.get("workers", 1))),
            timeout_s=float(str(parameters["timeout_s"])),
            tries=1 + int(str(parameters["retries"])),
            port=int(self._service.greeting) if self._service else 0,
            hash_rate=self._hash_rate,
        )
        run = {
            "sequential": self._sequential,
            "threads": self._in_threads,
            "processes": self._in_processes,
            "asyncio": self._on_loop,
        }[strategy]
        started = time.perf_counter()
        results = await run(workflow.items, plan)
        duration_s = time.perf_counter() - started
        return Execution(
            duration_s=duration_s,
            digests=tuple(result.digest for result in results),
            retries=sum(result.attempts - 1 for result in results),
            timeouts=sum(result.timeouts for result in results),
        )

    def _pool(self, workers: int) -> ThreadPoolExecutor:
        if workers not in self._threads:
            self._threads[workers] = ThreadPoolExecutor(workers, thread_name_prefix=f"demo-{workers}")
        return self._threads[workers]

    def _blocking(self, item: Item, plan: _Plan) -> _ItemResult:
        timeouts = 0
        for number in range(plan.tries):
            if self._stop.is_set():
                break
            try:
                return _ItemResult(attempt(plan.task(item, number)), number + 1, timeouts)
            except ItemTimeout:
                timeouts += 1
            except ItemFailed:
                continue
        return _ItemResult(None, plan.tries, timeouts)

    async def _sequential(self, items: Sequence[Item], plan: _Plan) -> list[_ItemResult]:
        def batch() -> list[_ItemResult]:
            return [self._blocking(item, plan) for item in items]

        return await asyncio.get_running_loop().run_in_executor(self._pool(1), batch)

    async def _in_threads(self, items: Sequence[Item], plan: _Plan) -> list[_ItemResult]:
        loop, pool = asyncio.get_running_loop(), self._pool(plan.workers)
        return await asyncio.gather(
            *(loop.run_in_executor(pool, self._blocking, item, plan) for item in items)
        )

    async def _in_processes(self, items: Sequence[Item], plan: _Plan) -> list[_ItemResult]:
        free = asyncio.Semaphore(plan.workers)

        async def one(item: Item) -> _ItemResult:
            async with free:
                return await _awaited(item, plan, self._workers.attempt)

        return await asyncio.gather(*(one(item) for item in items))

    async def _on_loop(self, items: Sequence[Item], plan: _Plan) -> list[_ItemResult]:
        return await asyncio.gather(*(_awaited(item, plan, attempt_async) for item in items))


async def _awaited(item: Item, plan: _Plan, once: Callable[[Attempt], Awaitable[str]]) -> _ItemResult:
    timeouts = 0
    for number in range(plan.tries):
        try:
            return _ItemResult(await once(plan.task(item, number)), number + 1, timeouts)
        except ItemTimeout:
            timeouts += 1
        except ItemFailed:
            continue
    return _ItemResult(None, plan.tries, timeouts)
