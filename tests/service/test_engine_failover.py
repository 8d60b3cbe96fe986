"""The primary dies and its standby takes over, while processes decide and report."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec, Decision, LearningEngine, Receipt
from nyx_learning.persistence.database import place
from nyx_learning.persistence.diagnosis import Finding
from nyx_learning.service.doctor import examine_database
from tests.clusters import Cluster, Site

Contexts = Callable[[int], dict[str, Any]]


@pytest.fixture
def site(postgres_binaries: Path | None) -> Iterator[Site]:
    with Site(postgres_binaries) as site:
        yield site


@dataclass
class Traffic:
    """What one process was told: its decisions and the receipts of their rewards, in order."""

    engine: LearningEngine
    name: str
    told: list[tuple[Decision, float, Receipt]] = field(default_factory=list)
    stop: bool = False

    async def run(self, contexts: Contexts) -> None:
        while not self.stop:
            i = len(self.told)
            decision = await self.engine.select_arm(contexts(i), f"{self.name}-{i}")
            reward = i % 8 / 8
            await asyncio.sleep(0.002)  # an execution takes its time
            self.told.append((decision, reward, await self.engine.update_reward(decision, reward=reward)))

    @property
    def numbered(self) -> int:
        return sum(receipt.seq > 0 for *_, receipt in self.told)


def pair(site: Site, **settings: str) -> tuple[Cluster, Cluster, str]:
    """A primary and its standby, both running, and the address that leads to whichever takes writes."""
    primary = site.primary(**settings)
    standby = site.standby(primary)
    primary.start()
    standby.start()
    hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in (primary, standby))
    return primary, standby, f"postgresql://nyx@{hosts}/postgres?target_session_attrs=read-write"


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what changes is in other processes)
            await asyncio.sleep(0.01)


async def streaming(primary: Cluster) -> None:
    """Wait until the standby has all that the primary has."""
    connection = await asyncpg.connect(primary.dsn)
    caught_up = "SELECT bool_and(replay_lsn = pg_current_wal_lsn()) FROM pg_stat_replication"
    async with asyncio.timeout(30):
        while not await connection.fetchval(caught_up):  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
    await connection.close()


async def replication(cluster: Cluster) -> Finding:
    """What ``doctor`` says of standbys."""
    found = (await examine_database(cluster.dsn)).findings
    return next(finding for finding in found if finding.check == "replication")


async def test_nothing_acknowledged_is_lost_where_replication_is_synchronous(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, site: Site
) -> None:
    primary, standby, dsn = await asyncio.to_thread(pair, site, synchronous_standby_names="*")
    await streaming(primary)
    assert (await replication(primary)).state == "ok"
    traffic = [
        Traffic(await open_engine(spec, dsn, deadline_s=0.05, patience_s=0.3), name)
        for name in ("one", "two")
    ]
    running = [asyncio.create_task(each.run(contexts)) for each in traffic]
    await until(lambda: all(each.numbered >= 15 for each in traffic))
    await asyncio.to_thread(primary.kill)
    before = [len(each.told) for each in traffic]
    await until(lambda: all(len(each.told) > n for each, n in zip(traffic, before, strict=True)))
    standby.promote()
    numbered = [each.numbered for each in traffic]
    await until(lambda: all(each.numbered > n + 15 for each, n in zip(traffic, numbered, strict=True)))
    for each in traffic:
        each.stop = True
    await asyncio.gather(*running)
    modes = {decision.mode for each in traffic for decision, *_ in each.told}
    assert modes == {"normal", "spooled"}
    await until(lambda: not any(each.engine.health().spool.records for each in traffic))
    told = [item for each in traffic for item in each.told]
    connection = await asyncpg.connect(standby.dsn)
    rows = await connection.fetch(
        "SELECT decision_id, d.arm_id, d.propensity, d.state_seq, d.decided_at, l.reward, l.seq"
        " FROM nyx.log l JOIN nyx.decision d USING (bandit, decision_id) ORDER BY l.seq"
    )
    await connection.close()
    assert [row["seq"] for row in rows] == list(range(1, len(told) + 1))
    stored = {row["decision_id"]: tuple(row)[1:] for row in rows}
    for decision, reward, receipt in told:
        *choice, was, seq = stored[decision.decision_id]
        assert choice == [decision.arm_id, decision.propensity, decision.state_seq, decision.time]
        assert was == reward
        assert receipt.seq in {0, seq}  # 0: it was spooled, and has its number since
    fresh = await open_engine(spec, dsn)
    for each in traffic:
        await each.engine._replica.catch_up()
        assert each.engine._learner.sums.digest() == fresh._learner.sums.digest()
        assert not [p.code for p in each.engine.health().problems if p.code == "rows_lost"]
    report = await fresh.verify()
    assert report.ok, report.first_divergence
    assert report.decisions == len(told)


async def test_what_an_asynchronous_standby_lacked_is_forgotten_here_too(
    open_engine: Any, spec: BanditSpec, contexts: Contexts, site: Site
) -> None:
    """It is gone, as the owner chose; memory follows the log that there is, says so, and stays exact."""
    primary, standby, dsn = await asyncio.to_thread(pair, site)
    await streaming(primary)
    finding = await replication(primary)
    assert (finding.state, finding.found) == ("warn", "1 standbys, which no commit waits for")
    engine = await open_engine(spec, dsn, patience_s=20.0)
    for i in range(20):
        await engine.update_reward(await engine.select_arm(contexts(i), f"kept-{i}"), reward=i % 8 / 8)
    await streaming(primary)
    kept = engine.state_seq, engine._learner.sums.digest()
    await asyncio.to_thread(standby.stop)
    lost = []
    for i in range(12):
        lost.append(await engine.select_arm(contexts(i), f"lost-{i}"))
        assert (await engine.update_reward(lost[-1], reward=1.0)).applied
    assert engine.state_seq == 32
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(standby.start)
    standby.promote()
    await until(lambda: engine.health().state_seq == 20)
    assert (engine.state_seq, engine._learner.sums.digest()) == kept
    (problem,) = (p for p in engine.health().problems if p.code == "rows_lost")
    assert "12" in problem.what
    again = await engine.select_arm(contexts(3), "after")
    assert again.state_seq == 20
    assert (await engine.update_reward(again, reward=0.5)).seq == 21
    report = await engine.verify()
    assert report.ok, report.first_divergence
    fresh = await open_engine(spec, dsn)
    assert fresh._learner.sums.digest() == engine._learner.sums.digest()


@pytest.mark.parametrize(
    ("dsn", "where"),
    [
        ("postgresql://me:pw@a:5001,b:5002/db?target_session_attrs=read-write", "a:5001,b:5002/db"),
        ("postgresql://me@A,b/db", "a,b/db"),
        ("postgresql://me@a/db", "a:5432/db"),
        ("postgresql:///db?host=/run/pg&port=5433", "/run/pg:5433/db"),
    ],
)
def test_spools_of_several_hosts_have_places_of_their_own(dsn: str, where: str) -> None:
    assert place(dsn) == where
