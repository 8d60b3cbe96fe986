"""The four strategies do real work, keep timeouts, retry, agree on results, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from nyx_learning.errors import ArmUnknown
from nyx_learning.service.demo import children
from nyx_learning.service.demo.executors import STRATEGIES, Execution, Orchestrator
from nyx_learning.service.demo.items import Fate, Item, Kind
from nyx_learning.service.demo.loopback import CAPACITY
from nyx_learning.service.demo.workload import Workflow

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINE: tuple[Fate, ...] = ("fine",)
HANGS: tuple[Fate, ...] = ("hangs",)
PATIENT = {"timeout_s": 2.0, "retries": 0, "workers": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def orchestrator() -> AsyncIterator[Orchestrator]:
    async with Orchestrator() as running:
        yield running


def batch(kind: Kind, *fates: tuple[Fate, ...], latency_s: float = 0.005, cpu_s: float = 0.001) -> Workflow:
    items = tuple(
        Item(
            f"{number:032x}",
            kind,
            0.0 if kind == "io" else cpu_s,
            0.0 if kind == "cpu" else latency_s,
            item_fates,
        )
        for number, item_fates in enumerate(fates)
    )
    return Workflow("wf", kind, "small", False, items)


async def within(orchestrator: Orchestrator, bound_s: float, *asked: Any) -> Execution:
    """The first of three executions that took less; where none did, the last: a machine may stand still."""
    for _ in range(3):
        done = await orchestrator.execute(*asked)
        if done.duration_s < bound_s:
            break
    return done


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pids: list[int], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("kind", ["cpu", "io", "mixed"])
async def test_all_strategies_come_to_the_same_results(orchestrator: Orchestrator, kind: Kind) -> None:
    workflow = batch(kind, *[FINE] * 5)
    results = {(await orchestrator.execute(workflow, name, PATIENT)).digests for name in STRATEGIES}
    assert len(results) == 1
    digests = results.pop()
    assert None not in digests
    assert len(set(digests)) == 5


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_hung_request_ends_at_its_timeout(orchestrator: Orchestrator, strategy: str) -> None:
    workflow = batch("io", ("hangs",), ("fine",))
    parameters = {"timeout_s": 1.0, "retries": 0, "workers": 2}
    done = await within(orchestrator, 2.3, workflow, strategy, parameters)
    assert done.digests[0] is None
    assert done.digests[1] is not None
    assert (done.success, done.quality, done.timeouts, done.retries) == (False, 0.5, 1, 0)
    assert 1.0 <= done.duration_s < 2.3


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_computing_that_takes_too_long_is_stopped(orchestrator: Orchestrator, strategy: str) -> None:
    workflow = batch("cpu", ("fine",), cpu_s=20.0)
    parameters = {"timeout_s": 0.1, "retries": 0, "workers": 2}
    done = await within(orchestrator, 2.0, workflow, strategy, parameters)
    assert (done.digests, done.timeouts) == ((None,), 1)
    assert 0.1 <= done.duration_s < 2.0


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["cpu", "io", "mixed"])
async def test_retries_repair_failures(orchestrator: Orchestrator, strategy: str, kind: Kind) -> None:
    workflow = batch(kind, ("fails", "fails", "fine"), ("fine",))
    without = await orchestrator.execute(workflow, strategy, PATIENT)
    one = await orchestrator.execute(workflow, strategy, PATIENT | {"retries": 1})
    two = await orchestrator.execute(workflow, strategy, PATIENT | {"retries": 2})
    assert [without.success, one.success, two.success] == [False, False, True]
    assert [without.retries, one.retries, two.retries] == [0, 1, 2]
    assert two.timeouts == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_hang_is_repaired_by_a_retry(orchestrator: Orchestrator, strategy: str) -> None:
    parameters = {"timeout_s": 1.0, "retries": 1, "workers": 2}
    done = await orchestrator.execute(batch("io", ("hangs", "fine")), strategy, parameters)
    assert (done.success, done.timeouts, done.retries) == (True, 1, 1)


@pytest.mark.parametrize(
    ("strategy", "workers", "at_once"), [("threads", 8, 8), ("processes", 2, 2), ("asyncio", 1, 8)]
)
async def test_waiting_overlaps(
    orchestrator: Orchestrator, strategy: str, workers: int, at_once: int
) -> None:
    workflow = batch("io", *[FINE] * 8, latency_s=0.1)
    runs = [await orchestrator.execute(workflow, strategy, PATIENT | {"workers": workers}) for _ in range(4)]
    assert all(run.success for run in runs)
    # The lower bound is the least that so many at once can take; one after the other takes 0.8 s in each of
    # the four, however busy the machine is.
    assert all(run.duration_s >= 0.8 / at_once for run in runs)
    assert min(run.duration_s for run in runs) < 0.7


async def test_sequential_does_one_after_the_other(orchestrator: Orchestrator) -> None:
    done = await orchestrator.execute(batch("io", *[FINE] * 4, latency_s=0.05), "sequential", PATIENT)
    assert done.duration_s >= 0.2


async def test_the_service_turns_away_more_than_it_can_serve(orchestrator: Orchestrator) -> None:
    workflow, very = batch("io", *[FINE] * (CAPACITY + 3), latency_s=1.0), PATIENT | {"timeout_s": 20.0}
    flooded = await orchestrator.execute(workflow, "asyncio", very)
    assert sum(digest is not None for digest in flooded.digests) == CAPACITY
    polite = await orchestrator.execute(workflow, "threads", very | {"workers": CAPACITY})
    assert polite.success


async def test_worker_processes_are_reused(orchestrator: Orchestrator) -> None:
    before = orchestrator.pids
    for _ in range(3):
        await orchestrator.execute(batch("cpu", *[FINE] * 4), "processes", PATIENT)
    assert orchestrator.pids == before
    assert len(before) == 3


async def test_a_stuck_worker_is_replaced(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_GRACE_S", 0.1)
    workers = orchestrator.pids[:-1]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    parameters = {"timeout_s": 0.1, "retries": 0, "workers": 2}
    stuck = await orchestrator.execute(batch("cpu", ("fine",), ("fine",)), "processes", parameters)
    assert (stuck.digests, stuck.timeouts) == ((None, None), 2)
    assert gone(workers)
    again = await orchestrator.execute(batch("cpu", ("fine",), ("fine",)), "processes", PATIENT)
    assert again.success


async def test_a_killed_worker_costs_one_attempt(orchestrator: Orchestrator) -> None:
    for pid in orchestrator.pids[:-1]:
        os.kill(pid, signal.SIGKILL)
    done = await orchestrator.execute(
        batch("cpu", ("fine",), ("fine",)), "processes", PATIENT | {"retries": 1}
    )
    assert (done.success, done.retries) == (True, 2)


async def test_an_unknown_strategy_is_refused(orchestrator: Orchestrator) -> None:
    with pytest.raises(ArmUnknown, match="expected: one of sequential"):
        await orchestrator.execute(batch("cpu", ("fine",)), "telepathy", PATIENT)


async def test_no_process_is_left_after_closing_after_an_error_or_after_cancelling() -> None:
    async with Orchestrator() as running:
        pids = list(running.pids)

    async def fail() -> None:
        async with Orchestrator() as running:
            pids.extend(running.pids)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    async def work(started: asyncio.Event) -> None:
        async with Orchestrator() as running:
            pids.extend(running.pids)
            started.set()
            hung = batch("io", *[HANGS] * 4)
            await running.execute(hung, "processes", {"timeout_s": 30.0, "retries": 0, "workers": 2})

    started = asyncio.Event()
    task = asyncio.create_task(work(started))
    await started.wait()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pids) == 9
    assert gone(pids)
