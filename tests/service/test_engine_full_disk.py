"""The database's disk is really full: a small file system of the test's own, or a limit on each file."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import ArmRequest, BanditSpec, LearningEngine, RewardReport
from tests.clusters import Cluster, Site

Contexts = Callable[[int], dict[str, Any]]
TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'nyx'"


@pytest.fixture
def site(postgres_binaries: Path | None) -> Iterator[Site]:
    with Site(postgres_binaries) as site:
        yield site


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """A file system of 8 MB that belongs to the account of the server."""
    folder = site.new_folder("small")
    options = f"size=8m,uid={site.account.uid},gid={site.account.gid},mode=0700"
    mounted = os.geteuid() == 0 and sys.platform == "linux"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not mounted or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what changes is in other processes)
            await asyncio.sleep(0.01)


async def work(engine: LearningEngine, contexts: Contexts, numbers: range) -> list[tuple[str, int]]:
    """Decide and report; the modes of the decisions and the numbers of the rewards."""
    told = []
    for i in numbers:
        decision = await engine.select_arm(contexts(i), f"wf-{i}")
        receipt = await engine.update_reward(decision, reward=i % 8 / 8)
        told.append((decision.mode, receipt.seq))
    return told


async def all_is_stored(engine: LearningEngine, total: int) -> None:
    await until(lambda: not engine.health().spool.records)
    await until(lambda: engine.health().learning)
    assert await engine.counts() == {"decisions": total, "rewards": total, "abandoned": 0}
    assert engine.state_seq == total
    report = await engine.verify()
    assert report.ok, report.first_divergence
    assert report.decisions == total


async def run(cluster: Cluster, *statements: str) -> None:
    connection = await asyncpg.connect(cluster.dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_no_space_is_left_for_the_tables(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, site: Site, small_disk: Path
) -> None:
    cluster = site.primary()
    await asyncio.to_thread(cluster.start)
    await run(cluster, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    engine = await open_engine(spec, cluster.dsn, patience_s=2.0)
    assert await work(engine, contexts, range(3)) == [("normal", i + 1) for i in range(3)]
    connection = await asyncpg.connect(cluster.dsn)
    for (table,) in await connection.fetch(TABLES):
        await connection.execute(f"ALTER TABLE {table} SET TABLESPACE small")
    # Rows as wide as a page: so that the next ones need new pages.
    for part in await connection.fetch("SELECT inhrelid::regclass::text AS name FROM pg_inherits"):
        if part["name"].split("_")[-1].isdigit() and "idx" not in part["name"]:
            await connection.execute(f"ALTER TABLE {part['name']} SET (fillfactor = 10)")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    assert os.statvfs(small_disk).f_bavail == 0
    told = await work(engine, contexts, range(3, 40))
    assert told[-1] == ("spooled", 0)
    assert "DiskFullError" in str(engine.health().last_error)
    problem = next(p for p in engine.health().problems if p.code == "database_away")
    assert "make room" in problem.fix
    (small_disk / "ballast").unlink()
    await all_is_stored(engine, 40)
    await connection.close()


@pytest.mark.skipif(not Path("/usr/bin/prlimit").exists(), reason="needs prlimit, of util-linux")
async def test_a_file_may_not_grow(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, site: Site
) -> None:
    """A limit that any user may set, RLIMIT_FSIZE; a quota on the disk is answered in the same way."""
    cluster = site.primary("--wal-segsize=1")
    await asyncio.to_thread(cluster.start)
    engine = await open_engine(spec, cluster.dsn, patience_s=2.0)
    assert await work(engine, contexts, range(3)) == [("normal", i + 1) for i in range(3)]
    connection = await asyncpg.connect(cluster.dsn)
    table = await connection.fetchval("SELECT tableoid::regclass::text FROM nyx.log LIMIT 1")
    # Few rows a page, so that the table is soon larger than a file of the write-ahead log, which goes on.
    await connection.execute(f"ALTER TABLE {table} SET (fillfactor = 10)")
    done = 3
    while (size := await connection.fetchval("SELECT pg_relation_size($1::regclass)", table)) <= 1 << 20:
        many = range(done, done + 200)
        decisions = await engine.select_arms([ArmRequest(contexts(i), f"wf-{i}") for i in many])
        await engine.update_rewards(
            [RewardReport(d, reward=i % 8 / 8) for d, i in zip(decisions, many, strict=True)]
        )
        done += 200
    cluster.limit_files(size)
    told = await work(engine, contexts, range(done, done + 20))
    assert told[-1] == ("spooled", 0)
    assert "File too large" in str(engine.health().last_error)
    cluster.limit_files(None)
    await connection.close()
    await all_is_stored(engine, done + 20)
