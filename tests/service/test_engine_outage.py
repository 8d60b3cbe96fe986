"""The database is away, slow, read-only or full: decisions go on, nothing is lost or learned twice."""

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nyx_learning import BanditSpec, LearningEngine, Outcome
from nyx_learning.errors import DatabaseUnavailable, DecisionConflict, OutcomeInvalid
from nyx_learning.persistence.embedded import EmbeddedServer, start
from nyx_learning.service.settings import Settings

Contexts = Callable[[int], dict[str, Any]]


def started(folder: Path) -> EmbeddedServer:
    """The folder's server, of the version of Postgres that is tested."""
    return start(folder, binaries=Settings.read().postgres_bin, durable=False)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A cluster of this module's own, to stop and start."""
    folder = Path(tempfile.mkdtemp(prefix="nyx-outage-", dir="/tmp"))
    started(folder).close()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(home: Path) -> Iterator[list[EmbeddedServer]]:
    running = [started(home)]
    yield running
    running[-1].close()


@pytest.fixture
def own(spec: BanditSpec, request: pytest.FixtureRequest) -> BanditSpec:
    """A bandit of the test's own in the shared cluster."""
    return replace(spec, name=request.node.name)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what changes is in other processes)
            await asyncio.sleep(0.01)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def frozen(home: Path) -> AsyncIterator[None]:
    """Stop every process of the server in its tracks: connections stay, and nothing answers."""
    postmaster = int((home / "cluster" / "postmaster.pid").read_text().split()[0])
    processes = [postmaster]
    os.kill(postmaster, signal.SIGSTOP)  # first: it starts no further ones
    try:
        command = ["ps", "-o", "pid=", "--ppid", str(postmaster)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: ASYNC221 (moments)
        processes += map(int, listed.stdout.split())
        for process in processes[1:]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


async def test_the_server_is_stopped_and_comes_back(
    open_engine: Any, own: BanditSpec, contexts: Contexts, home: Path, server: list[EmbeddedServer]
) -> None:
    engine = await open_engine(own, server[0].dsn, patience_s=2.0)
    before = await engine.select_arm(contexts(0), "before")
    assert (await engine.update_reward(before, reward=0.5)).seq == 1
    assert engine.health().learning
    await asyncio.to_thread(server[0].close)
    decisions = [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(30)]
    assert {(d.mode, d.state_seq) for d in decisions} == {("spooled", 1)}
    assert {d.reason for d in decisions} <= {"policy", "holdout"}
    assert [await engine.select_arm(contexts(i), f"wf-{i}") for i in range(30)] == decisions
    with pytest.raises(DecisionConflict, match="another context"):
        await engine.select_arm(contexts(1), "wf-0")
    receipts = [await engine.update_reward(d, reward=i / 30) for i, d in enumerate(decisions[:20])]
    assert {(r.state, r.seq, r.applied, r.reward) for r in receipts} == {("spooled", 0, False, None)}
    with pytest.raises(OutcomeInvalid):
        await engine.update_reward(decisions[25], reward=1.5)
    assert engine.state_seq == 1  # nothing is learned before it has a number
    health = engine.health()
    assert (health.live, health.ready, health.learning) == (True, True, False)
    assert "database_away" in {problem.code for problem in health.problems}
    assert health.spool.records == 50
    json.dumps(health.to_dict())
    server.append(await asyncio.to_thread(started, home))
    await until(lambda: engine.health().spool.records == 0)
    await until(lambda: engine.health().learning)  # the end of the log is seen at the next look
    assert engine.state_seq == 21
    assert not (await engine.update_reward(decisions[3], reward=3 / 30)).applied
    assert (await engine.update_reward("wf-25", reward=0.5)).seq == 22
    assert await engine.counts() == {"decisions": 31, "rewards": 22, "abandoned": 0}
    report = await engine.verify()
    assert report.ok, report.first_divergence


async def test_a_caller_that_never_waits_does_not_keep_the_engine_from_the_database(
    open_engine: Any, own: BanditSpec, contexts: Contexts, home: Path, server: list[EmbeddedServer]
) -> None:
    engine = await open_engine(own, server[0].dsn, deadline_s=0.05, patience_s=0.3)
    await engine.select_arm(contexts(0), "before")
    await asyncio.to_thread(server[0].close)
    coming = asyncio.create_task(asyncio.to_thread(started, home))
    modes: list[str] = []
    deadline = time.monotonic() + 30.0  # a loop that is kept busy would not see to a timeout
    while modes[-1:] != ["normal"] and time.monotonic() < deadline:
        i = len(modes)
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        await engine.update_reward(decision, reward=0.5)
        modes.append(decision.mode)
    assert modes[-1] == "normal"
    assert "spooled" in modes
    server.append(await coming)
    await until(lambda: not engine.health().spool.records, 60.0)


async def test_a_server_that_does_not_answer(
    open_engine: Any, own: BanditSpec, contexts: Contexts, home: Path, server: list[EmbeddedServer]
) -> None:
    """SIGSTOP: no error ever comes. The first decision waits for its deadline, the next ones do not."""
    engine = await open_engine(own, server[0].dsn, deadline_s=2.0, patience_s=0.2)
    warm = await engine.select_arm(contexts(0), "warm")
    async with frozen(home):
        took = []
        decisions = []
        for i in range(20):
            began = time.perf_counter()
            decisions.append(await engine.select_arm(contexts(i), f"wf-{i}"))
            took.append(time.perf_counter() - began)
        assert {d.mode for d in decisions} == {"spooled"}
        assert took[0] > 1.9
        assert statistics.median(took[1:]) < 1.0  # far below a deadline, however busy the machine is
        again = await asyncio.gather(*(engine.select_arm(contexts(i), f"wf-{i}") for i in range(20)))
        assert again == decisions
        assert (await engine.update_reward(warm, reward=0.5)).state == "spooled"
        assert (await engine.update_reward("unknown here", reward=0.5)).state == "spooled"
        assert "within the deadline" in str(engine.health().last_error)
    await until(lambda: engine.health().spool.records <= 1)
    assert await engine.counts() == {"decisions": 21, "rewards": 1, "abandoned": 0}
    assert engine.health().spool.records == 1  # its decision may still come from elsewhere
    assert engine.state_seq == 1
    assert (await engine.verify()).ok


async def test_a_database_that_takes_no_writes(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, database_dsn: str
) -> None:
    """As behind a failover: reading goes on, and so does following the log."""
    engine = await open_engine(spec, patience_s=1.0, deadline_s=1.0)
    decision = await engine.select_arm(contexts(0), "wf-0")
    name = database_dsn.split("/")[3].split("?", maxsplit=1)[0]
    await sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await engine._pool.expire_connections()
    receipt = await engine.update_reward(decision, reward=0.5)
    assert receipt.state == "spooled"
    second = await engine.select_arm(contexts(1), "wf-1")
    assert second.mode == "spooled"
    await until(lambda: "read-only" in str(engine.health().last_error))
    late = await LearningEngine.open(spec, database_dsn, deadline_s=1.0)
    assert (late.health().ready, late.health().learning) == (True, False)
    assert (await late.select_arm(contexts(2), "wf-2")).mode == "spooled"
    await late.close()
    await sql("SET transaction_read_only = off")
    await sql(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    await engine._pool.expire_connections()
    await until(lambda: engine.state_seq == 1 and not engine.health().spool.records)
    await until(lambda: engine.health().learning)
    assert (await engine.select_arm(contexts(1), "wf-1")).arm_id == second.arm_id


async def test_two_processes_decide_the_same_id_apart(
    open_engine: Any, sql: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one flushed is canonical; of the other, decision and outcome are kept, and not learned."""
    one, two = await open_engine(spec), await open_engine(spec)
    with monkeypatch.context() as patched:
        patched.setattr(two._parts.flushing, "flush", never)
        with patched.context() as also:
            also.setattr(one._parts.flushing, "flush", never)
            for engine in (one, two):
                engine._parts.availability.lost("a test")
            canonical = await one.select_arm(contexts(0), "wf-1")
            await asyncio.sleep(0.01)
            other = await two.select_arm(contexts(0), "wf-1")
            assert {canonical.mode, other.mode} == {"spooled"}
            assert canonical.time != other.time
            assert (await one.update_reward(canonical, reward=0.75)).state == "spooled"
            assert (await two.update_reward(other, reward=0.25)).state == "spooled"
            assert (await two.update_reward("wf-1", Outcome(success=True), identifier="b")).state == "spooled"
        assert await one.flush() == 0
    assert await two.flush() == 0
    assert await sql("SELECT decision_id, digest FROM nyx.decision") == [("wf-1", canonical.digest)]
    assert await sql("SELECT decision_id, digest FROM nyx.conflict") == [("wf-1", other.digest)]
    assert await sql("SELECT reward FROM nyx.log") == [(0.75,)]
    kept = await one.unlearned()
    assert {report.code for report in kept} == {"decision_conflict"}
    assert sorted(str(report.report["told"].get("reward")) for report in kept) == ["0.25", "None"]
    health = two.health()
    assert (health.conflicts, health.unlearned) == (1, 2)
    assert "unlearned" in {problem.code for problem in health.problems}
    assert (await two.update_reward(other, reward=0.3)).state == "conflict"
    assert await two.select_arm(contexts(0), "wf-1") == canonical
    assert (await two.verify()).ok


async def never(*_arguments: Any) -> int:
    raise DatabaseUnavailable("a test", expected="-", found="a test", fix="-")


async def test_what_the_log_refuses_later_is_kept(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await open_engine(spec), await open_engine(spec)
    decision = await one.select_arm(contexts(0), "wf-1")
    with monkeypatch.context() as patched:
        patched.setattr(one._parts.flushing, "flush", never)
        one._parts.availability.lost("a test")
        assert (await one.update_reward(decision, reward=0.25)).state == "spooled"
        assert (await two.update_reward("wf-1", reward=0.75)).applied
    assert await one.flush() == 0
    (kept,) = await one.unlearned()
    assert (kept.code, kept.report["told"]["reward"]) == ("reward_conflict", 0.25)
    assert one.health().unlearned == 1
    corrected = await one.update_reward("wf-1", reward=0.25, corrects=0)
    assert corrected.applied
    assert (await one.verify()).ok


async def test_reports_keep_their_order(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction that follows its report into the spool follows it out of there, too."""
    engine = await open_engine(spec)
    with monkeypatch.context() as patched:
        patched.setattr(engine._parts.flushing, "flush", never)
        engine._parts.availability.lost("a test")
        decision = await engine.select_arm(contexts(0), "wf-1")
        await engine.update_reward(decision, reward=0.25)
        engine._parts.availability.regained()
        assert (await engine.update_reward(decision, reward=0.75, corrects=0)).state == "spooled"
        await engine.abandon(await engine.select_arm(contexts(1), "wf-2"))
    assert await engine.flush() == 0
    status = await engine.rewards("wf-1")
    assert (status.state, status.reward) == ("corrected", 0.75)
    assert (await engine.counts())["abandoned"] == 1
    assert (await engine.verify()).ok


PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from nyx_learning import BanditSpec, LearningEngine
async def main(document, dsn, spool):
    spec = BanditSpec.from_dict(json.loads(document))
    async with await LearningEngine.open(spec, dsn, spool=Path(spool), patience_s=0.2) as engine:
        engine.health()
        for i in range(10_000):
            decision = await engine.select_arm({"task": "code", "size": i % 11}, f"wf-{i}")
            receipt = await engine.update_reward(decision, reward=i % 7 / 7)
            print(i, decision.digest, receipt.state, flush=True)
            await asyncio.sleep(0.001)
asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_with_a_full_spool_it_is_adopted(
    spec: BanditSpec,
    own: BanditSpec,
    contexts: Contexts,
    home: Path,
    server: list[EmbeddedServer],
    tmp_path: Path,
) -> None:
    """kill -9 while the database is away; the next process has its decisions at once, and learns it all."""
    dsn = server[0].dsn
    async with await LearningEngine.open(own, dsn, spool=tmp_path):
        pass  # the bandit exists
    await asyncio.to_thread(server[0].close)
    command = [sys.executable, "-c", PROGRAM, json.dumps(own.to_dict()), dsn, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220 (a test)
        assert child.stdout
        told = [child.stdout.readline().split() for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        told += [line.split() for line in child.stdout if line.endswith("\n")]
    assert {state for _, _, state in told} == {"spooled"}
    async with await LearningEngine.open(own, dsn, spool=tmp_path, patience_s=0.2) as engine:
        health = engine.health()
        assert (health.ready, health.learning) == (False, False)
        assert health.spool.records >= 2 * len(told)
        again = await engine.select_arm({"task": "code", "size": 3}, "wf-3")
        assert again.digest == told[3][1]
        with pytest.raises(DecisionConflict):
            await engine.select_arm({"task": "text", "size": 3}, "wf-3")
        server.append(await asyncio.to_thread(started, home))
        await until(lambda: not engine.health().spool.records)
        rows = await engine._pool.fetch(
            "SELECT decision_id, d.digest, l.reward FROM nyx.log l"
            " JOIN nyx.decision d USING (bandit, decision_id) WHERE bandit = $1",
            own.name,
        )
        stored = {row["decision_id"]: (row["digest"], row["reward"]) for row in rows}
        assert {f"wf-{i}": (digest, int(i) % 7 / 7) for i, digest, _ in told}.items() <= stored.items()
        assert len(rows) == len(stored) <= len(told) + 1
        assert engine.state_seq == len(stored)
        report = await engine.verify()
        assert report.ok, report.first_divergence
    assert not files_below(tmp_path)


async def test_opened_while_the_database_is_away(
    open_engine: Any, own: BanditSpec, contexts: Contexts, home: Path, server: list[EmbeddedServer]
) -> None:
    first = await open_engine(own, server[0].dsn)
    await first.update_reward(await first.select_arm(contexts(0)), reward=0.5)
    await first.close()
    await asyncio.to_thread(server[0].close)
    engine = await open_engine(own, server[0].dsn, patience_s=0.2)
    decision = await engine.select_arm(contexts(0), "wf-1")
    assert (decision.mode, decision.state_seq) == ("spooled", 0)
    health = engine.health()
    assert (health.live, health.ready, health.learning) == (True, False, False)
    assert {"not_ready", "database_away"} <= {problem.code for problem in health.problems}
    with pytest.raises(DatabaseUnavailable):
        await engine.verify()
    server.append(await asyncio.to_thread(started, home))
    await until(lambda: engine.health().learning and not engine.health().spool.records)
    assert engine.state_seq == 1
    assert (await engine.verify()).ok
