"""``doctor`` tells what is wrong with a database, and changes nothing."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from nyx_learning import BanditSpec
from nyx_learning.persistence.diagnosis import Finding, _slots
from nyx_learning.persistence.embedded import EmbeddedServer
from nyx_learning.persistence.spool import Spool
from nyx_learning.service.cli import main
from nyx_learning.service.doctor import Diagnosis, examine_database, examine_spool

CHECKS = [
    *("connection", "version", "role", "sessions", "migrations", "rights"),
    *("fsync", "synchronous_commit", "full_page_writes"),
    *("default_transaction_isolation", "default_transaction_read_only"),
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
    *("indexes", "bloat", "lag", "transactions", "replication", "slots", "clock"),
]


@pytest.fixture
def database_dsn(empty_dsn: str) -> str:
    """Without the schema: making it is a subject here."""
    return empty_dsn


def by_check(found: Diagnosis) -> dict[str, Finding]:
    return {finding.check: finding for finding in found.findings}


@pytest.fixture
async def looked(open_engine: Any, spec: BanditSpec, database_dsn: str) -> Callable[..., Any]:
    """A database with a bandit; looks at it, perhaps with settings of the session."""
    await open_engine(spec)

    async def look(**settings: str) -> dict[str, Finding]:
        options = "%20".join(f"-c{name}%3D{value}" for name, value in settings.items())
        return by_check(
            await examine_database(f"{database_dsn}&options={options}" if settings else database_dsn)
        )

    return look


def each_trip_takes(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    ticks = itertools.count()
    told = {**vars(time), "perf_counter": lambda: next(ticks) * seconds}
    monkeypatch.setattr("nyx_learning.persistence.diagnosis.clock", SimpleNamespace(**told))


async def test_a_distant_database(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    each_trip_takes(0.06, monkeypatch)
    far = (await looked())["connection"]
    assert (far.state, far.found) == ("warn", "answers in 60.00 ms")
    assert "nearer" in str(far.fix)


async def test_a_sound_database(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    each_trip_takes(0.04, monkeypatch)
    found = await looked()
    assert list(found) == CHECKS
    # The server of the tests runs without fsync, and doctor says so.
    assert {check for check, finding in found.items() if finding.state != "ok"} == {
        "fsync",
        "synchronous_commit",
        "full_page_writes",
    }
    assert all((finding.fix is None) == (finding.state == "ok") for finding in found.values())


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("default_transaction_isolation", "serializable", "fail"),
        ("default_transaction_read_only", "on", "fail"),
        ("statement_timeout", "2s", "warn"),
        ("statement_timeout", "30s", "ok"),
        ("lock_timeout", "500", "warn"),
        ("lock_timeout", "1min", "ok"),
        ("synchronous_commit", "remote_apply", "ok"),
    ],
)
async def test_settings(looked: Any, name: str, value: str, state: str) -> None:
    assert (await looked(**{name: value}))[name].state == state


async def test_nobody_answers() -> None:
    found = await examine_database("postgresql://me:hunter2@127.0.0.1:1/x")
    assert [finding.check for finding in found.findings] == ["connection"]
    assert not found.ok
    assert "hunter2" not in json.dumps(found.to_dict())


async def test_an_unreadable_dsn_is_not_repeated() -> None:
    found = await examine_database("postgresql://me:hunter2@localhost:port/x")
    assert not found.ok
    assert "hunter2" not in json.dumps(found.to_dict())


async def test_a_database_without_the_schema_is_left_as_it_is(database_dsn: str, sql: Any) -> None:
    found = by_check(await examine_database(database_dsn))
    assert found["migrations"].state == "fail"
    assert "0001_initial" in found["migrations"].found
    assert "indexes" not in found
    assert await sql("SELECT 1 FROM pg_namespace WHERE nspname = 'nyx'") == []


@pytest.mark.parametrize(
    ("statement", "state", "told"),
    [
        ("INSERT INTO nyx.migration VALUES (9999, 'later', 'x')", "fail", "9999_later"),
        ("UPDATE nyx.migration SET checksum = 'x' WHERE number = 1", "fail", "0001_initial"),
        (
            "DELETE FROM nyx.migration WHERE number = (SELECT max(number) FROM nyx.migration)",
            "warn",
            "not applied",
        ),
    ],
)
async def test_migrations(looked: Any, sql: Any, statement: str, state: str, told: str) -> None:
    await sql(statement)
    finding = (await looked())["migrations"]
    assert finding.state == state
    assert told in finding.found


async def test_a_missing_index(looked: Any, sql: Any) -> None:
    await sql("DROP INDEX nyx.decision_by_state")
    finding = (await looked())["indexes"]
    assert finding.state == "fail"
    assert "decision (bandit, state_seq)" in finding.found


async def test_sums_that_are_far_behind(looked: Any, sql: Any) -> None:
    await sql("UPDATE nyx.bandit SET last_seq = 300000")
    finding = (await looked())["lag"]
    assert finding.state == "warn"
    assert "300,000 rows" in finding.found


async def test_a_clock_that_is_off(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for ahead, state in ((3.0, "warn"), (-100.0, "fail")):
        with monkeypatch.context() as patched:
            patched.setattr(
                "nyx_learning.persistence.diagnosis._now", lambda ahead=ahead: time.time() + ahead
            )
            assert (await looked())["clock"].state == state


async def test_a_reader_is_told_what_it_may_not_see(
    database_dsn: str, open_engine: Any, spec: BanditSpec
) -> None:
    """Every check answers for itself: the others go on."""
    await open_engine(spec)
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("CREATE ROLE doctor_blind LOGIN")
    try:
        found = by_check(await examine_database(f"{database_dsn}&options=-crole%3Ddoctor_blind"))
    finally:
        await connection.execute("DROP ROLE doctor_blind")
        await connection.close()
    assert found["migrations"].state == "fail"
    assert "InsufficientPrivilege" in found["migrations"].found
    assert found["clock"].state == "ok"


async def test_a_role_that_may_not_write(looked: Any, sql: Any) -> None:
    await sql("CREATE ROLE doctor_reader LOGIN")
    try:
        await sql("GRANT USAGE ON SCHEMA nyx TO doctor_reader")
        await sql("GRANT SELECT ON ALL TABLES IN SCHEMA nyx TO doctor_reader")
        found = await looked(role="doctor_reader")
        assert (found["rights"].state, found["rights"].found) == ("warn", "this role may look, and not write")
        assert found["migrations"].state == found["lag"].state == "ok"
        assert not found["sessions"].found.startswith("0 ")  # others' sessions count too
        await sql("GRANT INSERT ON ALL TABLES IN SCHEMA nyx TO doctor_reader")
        await sql("REVOKE INSERT ON nyx.advice FROM doctor_reader")
        assert (await looked(role="doctor_reader"))["rights"].found == "this role may not append to advice"
    finally:
        await sql("DROP OWNED BY doctor_reader")
        await sql("DROP ROLE doctor_reader")


async def test_a_slot_without_its_reader() -> None:
    """The server of the tests makes none: it writes no more of a log than it needs itself."""

    class Server:
        async def fetch(self, _statement: str) -> list[dict[str, Any]]:
            return [{"name": "gone", "bytes": 2_500_000_000}]

    (finding,) = await _slots(Server())  # type: ignore[arg-type]
    assert (finding.state, finding.found) == ("warn", "nobody reads from: gone (2,500.0 MB kept)")
    assert "pg_drop_replication_slot('gone')" in (finding.fix or "")


def spooled(folder: Path, records: int) -> Spool:
    spool = Spool(folder / "bandit", {"bandit": "x"})
    for i in range(records):
        spool.append("decision", f"wf-{i}", {"n": i})
    return spool


def test_a_spool(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    assert examine_spool(folder)[0].state == "ok"  # there is none
    living = spooled(folder, 3)  # which makes it
    (finding,) = examine_spool(folder)
    assert (finding.state, finding.found) == ("ok", "1 files of living processes, 0 records of ended ones")
    living.close()
    (finding,) = examine_spool(folder)
    assert (finding.state, finding.found) == ("warn", "0 files of living processes, 3 records of ended ones")
    # Looking has not taken it from anybody.
    (left,) = spooled(folder, 0).find()
    assert len(left.entries) == 3
    (folder / "bandit" / "a.damaged").write_bytes(b"12345")
    assert "5 damaged bytes" in examine_spool(folder)[0].found
    folder.chmod(0o755)
    (finding,) = examine_spool(folder)
    assert (finding.state, "0755" in finding.found) == ("fail", True)


def test_the_command(
    postgres_server: EmbeddedServer, database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--dsn", database_dsn, "--json"]) == 1  # fsync is off, and no schema is there
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert {"check", "state", "found", "fix"} == set(said["findings"][0])
    assert main(["doctor", "--dsn", database_dsn]) == 1
    text = capsys.readouterr().out
    assert "fail  fsync" in text
    assert "fix: ALTER SYSTEM SET fsync = on" in text
