"""Opening, closing, cancelling, and a database that goes away: nothing twice, nothing lost, nothing left."""

import asyncio
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, LearningEngine
from nyx_learning.errors import DatabaseUnavailable
from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.service.settings import Settings

pytestmark = pytest.mark.usefixtures("debug_loop")
Contexts = Callable[[int], dict[str, Any]]


def started(folder: Path) -> EmbeddedServer:
    """The folder's server, of the version of Postgres that is tested."""
    return start(folder, binaries=Settings.read().postgres_bin, durable=False)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A cluster of this module's own, to stop and start."""
    folder = Path(tempfile.mkdtemp(prefix="nyx-engine-", dir="/tmp"))
    started(folder).close()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(home: Path) -> Iterator[list[EmbeddedServer]]:
    running = [started(home)]
    yield running
    running[-1].close()


def named(spec: BanditSpec, request: pytest.FixtureRequest) -> BanditSpec:
    """A bandit of the test's own in the shared cluster."""
    return replace(spec, name=request.node.name)


async def test_cancelled_callers_do_not_stop_the_writer(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(40)]
    tasks = [asyncio.create_task(engine.update_reward(d, reward=0.5)) for d in decisions]
    tasks += [asyncio.create_task(engine.select_arm(contexts(i), f"new-{i}")) for i in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) >= 30
    for i in range(40):  # what was cut off is answered on the next try
        assert (await engine.update_reward(decisions[i], reward=0.5)).seq
        await engine.select_arm(contexts(i), f"new-{i}")
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(40, 40)]
    assert (await engine.verify()).ok


async def test_closing_writes_what_is_in_flight(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    engine = await open_engine(spec)
    decisions = [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(50)]
    tasks = [asyncio.create_task(engine.update_reward(d, reward=0.5)) for d in decisions]
    await engine.select_arm(contexts(0), "behind", durable=False)
    await asyncio.sleep(0)
    await asyncio.gather(engine.close(), engine.close())
    assert [receipt.applied for receipt in await asyncio.gather(*tasks)] == [True] * 50
    await engine.close()
    assert await sql("SELECT count(*) FROM nyx.log") == [(50,)]
    assert await sql("SELECT seq FROM nyx.checkpoint") == [(50,)]
    assert await sql("SELECT count(*) FROM nyx.decision WHERE decision_id = 'behind'") == [(1,)]
    connected = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'nyx-learning' AND datname = current_database()"
    )
    async with asyncio.timeout(30):
        while await sql(connected) != [(0,)]:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.01)


async def test_connections_are_cut_again_and_again(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts
) -> None:
    """Whatever a commit's fate, the next try finds what it wrote, and adds nothing."""
    engine = await open_engine(spec, patience_s=60.0)

    async def cut() -> None:
        for i in range(12):
            await asyncio.sleep(0.007 * i)  # at another point of a commit each time
            await sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'nyx-learning'"
            )

    async def run(k: int) -> list[Any]:
        receipts = []
        for i in range(25):
            decision = await engine.select_arm(contexts(i), f"wf-{k}-{i}")
            receipts.append(await engine.update_reward(decision, reward=i / 25))
        return receipts

    cutting = asyncio.create_task(cut())
    receipts = [r for rs in await asyncio.gather(*(run(k) for k in range(8))) for r in rs]
    await cutting
    await engine._pool.expire_connections()  # the last cut may come behind the last report
    assert all(receipt.applied for receipt in receipts)
    assert sorted(receipt.seq for receipt in receipts) == list(range(1, 201))
    assert await sql("SELECT count(*), max(seq) FROM nyx.log") == [(200, 200)]
    report = await engine.verify()
    assert report.ok, report.first_divergence


async def test_a_commit_whose_answer_is_lost(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there, and the connection is gone before anybody is told."""
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0), "wf-1")
    commit = engine._store.commit
    lost: list[Any] = []

    async def commit_and_lose(batch: Any) -> None:
        await commit(batch)
        if not lost:
            lost.append(batch)
            raise ConnectionResetError("lost")

    monkeypatch.setattr(engine._store, "commit", commit_and_lose)
    receipt = await engine.update_reward(decision, reward=0.5)
    assert lost
    assert (receipt.seq, receipt.applied) == (1, True)
    assert engine.state_seq == 1  # at once, and not when polling finds it
    assert not (await engine.update_reward(decision, reward=0.5)).applied


async def test_the_server_is_restarted(
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    home: Path,
    server: list[EmbeddedServer],
    request: pytest.FixtureRequest,
) -> None:
    engine = await open_engine(named(spec, request), server[0].dsn, patience_s=60.0)
    decisions = [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(20)]
    await engine.update_reward(decisions[0], reward=0.5)
    await asyncio.to_thread(server[0].close)
    reports = [asyncio.create_task(engine.update_reward(d, reward=0.5)) for d in decisions]
    more = asyncio.create_task(engine.select_arm(contexts(3), "while-away"))
    await asyncio.sleep(0.1)
    server.append(await asyncio.to_thread(started, home))
    receipts = await asyncio.gather(*reports)
    assert [r.applied for r in receipts] == [False] + [True] * 19
    assert sorted(r.seq for r in receipts) == list(range(1, 21))
    await more
    report = await engine.verify()
    assert report.ok, report.first_divergence
    await engine.close()


async def test_the_server_stays_away(
    open_engine: Any,
    spec: BanditSpec,
    contexts: Contexts,
    server: list[EmbeddedServer],
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = await open_engine(named(spec, request), server[0].dsn, patience_s=0.3, fail_open=False)
    decision = await engine.select_arm(contexts(0), "wf-1")
    await asyncio.to_thread(server[0].close)
    started = time.monotonic()
    calls = [
        engine.update_reward(decision, reward=0.5),
        engine.update_reward("unknown", reward=0.5),
        engine.select_arm(contexts(1), "wf-2"),
        engine.verify(),
        engine.counts(),
        engine.abandon(decision),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        assert isinstance(result, DatabaseUnavailable), result
        assert result.retryable
    behind = await engine.select_arm(contexts(2), "wf-3", durable=False)
    assert behind.mode == "write_behind"
    await asyncio.sleep(0.5)
    await engine.close()
    assert time.monotonic() - started < 8.0
    followed = [r for r in caplog.records if "cannot follow the log" in r.getMessage()]
    assert len(followed) == 1  # once, and not at every round


async def test_following_goes_on_after_any_error(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, idle = await open_engine(spec), await open_engine(spec)
    last_seq = idle._store.log.last_seq
    failures: list[int] = []

    async def failing() -> int:
        if not failures:
            failures.append(1)
            raise RuntimeError("never foreseen")
        return int(await last_seq())

    monkeypatch.setattr(idle._store.log, "last_seq", failing)
    await one.update_reward(await one.select_arm(contexts(0)), reward=0.5)
    async with asyncio.timeout(30):
        while idle.state_seq < 1:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.02)
    assert failures


async def test_learning_that_fails_does_not_fail_the_report(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is committed: its owner is told so, and it is learned when the next round finds it."""
    engine = await open_engine(spec)
    decision = await engine.select_arm(contexts(0))
    with monkeypatch.context() as patched:
        patched.setattr(engine._replica, "fold", lambda _rows: 1 / 0)
        assert (await engine.update_reward(decision, reward=0.5)).applied
    async with asyncio.timeout(30):
        while engine.state_seq < 1:  # noqa: ASYNC110 (polling other processes)
            await asyncio.sleep(0.02)
    assert (await engine.verify()).ok


async def test_the_embedded_server_goes_with_the_engine(
    spec: BanditSpec, contexts: Contexts, home: Path, clean_loop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NYX_DATABASE_URL", "postgresql://127.0.0.1:1/not-this-one")
    async with await LearningEngine.open(spec, data_home=home, deadline_s=60.0) as engine:
        await engine.update_reward(await engine.select_arm(contexts(0)), reward=0.5)
        dsn = engine._server.dsn  # type: ignore[union-attr]
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await asyncpg.connect(dsn, timeout=1)
    monkeypatch.delenv("NYX_DATABASE_URL")
    monkeypatch.setenv("NYX_DATA_HOME", str(home))
    async with await LearningEngine.open(spec) as engine:
        assert engine.state_seq == 1


async def test_opening_is_cancelled_while_the_server_starts(
    spec: BanditSpec, home: Path, clean_loop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for delay in (0.0, 0.05, 0.2):
        starting = threading.Event()

        def told_start(*arguments: Any, begun: threading.Event = starting, **options: Any) -> EmbeddedServer:
            begun.set()
            return start(*arguments, **options)

        monkeypatch.setattr("nyx_learning.service.opening.start", told_start)
        opening = asyncio.create_task(LearningEngine.open(spec, data_home=home))
        await asyncio.to_thread(starting.wait, 60)
        await asyncio.sleep(delay)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    # Each thread closes what it has started, and with the last one the server has ended.
    async with asyncio.timeout(60):
        while any(t.name.startswith("nyx-start") for t in threading.enumerate()):  # noqa: ASYNC110 (a thread)
            await asyncio.sleep(0.02)
    assert not await asyncio.to_thread((home / "cluster" / "postmaster.pid").exists)


def test_a_killed_process_has_lost_nothing_that_it_was_told(
    spec: BanditSpec, database_dsn: str, tmp_path: Path
) -> None:
    """kill -9 in the middle of a stream of reports: each acknowledged one is there, and none twice."""
    import json
    import subprocess
    import sys

    program = """
import asyncio, json, sys
from nyx_learning import BanditSpec, LearningEngine
async def run(engine, k):
    for i in range(100_000):
        decision = await engine.select_arm({"task": "code", "size": i % 11}, f"{k}-{i}")
        receipt = await engine.update_reward(decision, reward=i % 7 / 7)
        print(receipt.seq, decision.decision_id, flush=True)
async def main(document, dsn):
    spec = BanditSpec.from_dict(json.loads(document))
    async with await LearningEngine.open(spec, dsn, fail_open=False) as engine:
        await asyncio.gather(*(run(engine, k) for k in range(8)))
asyncio.run(main(*sys.argv[1:]))
"""
    command = [sys.executable, "-c", program, json.dumps(spec.to_dict()), database_dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        told = [child.stdout.readline().split() for _ in range(150)]
        child.send_signal(signal.SIGKILL)
        told += [line.split() for line in child.stdout if line.endswith("\n")]

    async def check() -> None:
        async with await LearningEngine.open(spec, database_dsn) as engine:
            rows = await engine._pool.fetch("SELECT seq, decision_id FROM nyx.log ORDER BY seq")
            report = await engine.verify()
            assert report.ok, report.first_divergence
        stored = {row["decision_id"]: row["seq"] for row in rows}
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        assert {key: int(seq) for seq, key in told}.items() <= stored.items()

    asyncio.run(check())
