"""The server lives as long as somebody uses it, and no longer, however its users end."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning.errors import DatabaseSetupFailed
from nyx_learning.persistence.embedded import start
from nyx_learning.persistence.embedded.supervisor import postmaster_pid

HEADER = """
import os, signal, sys, time
from pathlib import Path
# Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
from nyx_learning.persistence.embedded import start
server = start(Path(sys.argv[1]), durable=False)
print("ready", server.dsn, flush=True)
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A cluster that the tests of this module start again and again."""
    folder = Path(tempfile.mkdtemp(prefix="nyx-life-", dir="/tmp"))
    start(folder, durable=False).close()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    yield made
    wait_until(lambda: not processes(made))


def query(dsn: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def processes(folder: Path) -> dict[int, str]:
    """Kind of each living supervisor and postmaster that has the folder's name in its command line."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], check=True, capture_output=True, text=True
    )
    found: dict[int, tuple[int, str]] = {}
    for line in listed.stdout.splitlines():
        number, parent, status, command = line.split(None, 3)
        kind = re.search(r"supervisor\.py|bin/postgres -D", command)
        if str(folder) in command and "Z" not in status and kind:
            found[int(number)] = (int(parent), kind[0])
    # A process that was just forked still has its parent's command line.
    return {n: kind for n, (parent, kind) in found.items() if found.get(parent, (0, ""))[1] != kind}


def supervisor_of(folder: Path) -> int:
    (number,) = [number for number, kind in processes(folder).items() if kind == "supervisor.py"]
    return number


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


_CHILDREN: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    while _CHILDREN:
        kill(_CHILDREN.pop())


def launch(folder: Path, rest: str = "") -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HEADER + rest, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _CHILDREN.append(child)
    return child


def launch_ready(folder: Path, rest: str = "time.sleep(60)") -> subprocess.Popen[str]:
    child = launch(folder, rest)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("ready")
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    if child.stdout is not None and not child.stdout.closed:
        child.communicate()


def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    with start(folder, durable=False) as server:
        query(server.dsn, "CREATE TABLE kept AS SELECT 41 AS value")
        first = server.dsn
    assert not processes(folder)
    with start(folder, durable=False) as server:
        assert query(server.dsn, "SELECT value FROM kept") == 41
        assert server.dsn == first
        query(server.dsn, "DROP TABLE kept")


def test_the_last_share_stops_the_server(folder: Path) -> None:
    one, two = start(folder, durable=False), start(folder, durable=False)
    pid = postmaster_pid(two.home / "cluster")
    one.close()
    one.close()
    assert query(two.dsn, "SELECT 1") == 1
    with start(folder, durable=False) as three:
        assert postmaster_pid(three.home / "cluster") == pid
    two.close()
    assert not processes(folder)


def test_it_listens_on_no_port_and_is_ours_alone(folder: Path) -> None:
    with start(folder, durable=False) as server:
        assert query(server.dsn, "SHOW listen_addresses") == ""
        assert query(server.dsn, "SELECT current_user || '@' || current_database()") == "nyx@nyx"
        assert query(server.dsn, "SHOW fsync") == "off"
        assert query(server.dsn_of("postgres"), "SELECT current_database()") == "postgres"
        assert (server.home / "cluster").stat().st_mode & 0o777 == 0o700
        assert server.home.stat().st_mode & 0o007 == 0


def test_eight_racing_starters_of_a_new_folder_share_one_server() -> None:
    new = Path(tempfile.mkdtemp(prefix="nyx-race-", dir="/tmp"))
    try:
        children = [launch(new, "sys.stdin.readline()") for _ in range(8)]
        try:
            said = {child.stdout.readline() for child in children if child.stdout}
            assert len(said) == 1
            assert next(iter(said)).startswith("ready postgresql://")
            assert len(processes(new)) == 2
        finally:
            failures = [child.communicate("\n")[1] for child in children]
        assert [child.returncode for child in children] == [0] * 8, failures
        assert not processes(new)
    finally:
        shutil.rmtree(new)


@pytest.mark.parametrize(
    ("rest", "code"),
    [("", 0), ("sys.exit(3)", 3), ("raise RuntimeError", 1), ("os.kill(os.getpid(), 2); time.sleep(9)", -2)],
    ids=["forgotten", "SystemExit", "exception", "Ctrl-C"],
)
def test_the_end_of_the_interpreter_closes(folder: Path, rest: str, code: int) -> None:
    child = launch(folder, rest)
    child.communicate()
    assert child.returncode == code
    assert not processes(folder)


def test_after_kill_9_of_the_last_user_the_server_ends(folder: Path) -> None:
    children = [launch_ready(folder), launch_ready(folder)]
    kill(children[0])
    time.sleep(0.2)
    assert len(processes(folder)) == 2
    kill(children[1])
    wait_until(lambda: not processes(folder))


def test_after_kill_9_of_postgres_the_supervisor_starts_it_again(folder: Path) -> None:
    with start(folder, durable=False) as server:
        pid = postmaster_pid(server.home / "cluster")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: postmaster_pid(server.home / "cluster") != pid)
        with start(folder, durable=False) as again:
            assert query(again.dsn, "SELECT 1") == 1
            assert postmaster_pid(server.home / "cluster") not in {pid, None}
        assert query(server.dsn, "SELECT 1") == 1


def test_without_its_supervisor_the_server_still_ends_with_a_close(folder: Path) -> None:
    with start(folder, durable=False) as server:
        os.kill(supervisor_of(folder), signal.SIGKILL)
        assert query(server.dsn, "SELECT 1") == 1
    assert not processes(folder)


def test_the_next_starter_gives_an_orphaned_server_a_supervisor(folder: Path) -> None:
    child = launch_ready(folder)
    old = supervisor_of(folder)
    os.kill(old, signal.SIGKILL)
    kill(child)
    wait_until(lambda: len(processes(folder)) == 1)
    second = launch_ready(folder)
    assert supervisor_of(folder) != old
    kill(second)
    wait_until(lambda: not processes(folder))


def test_sigterm_to_the_supervisor_stops_the_server(folder: Path) -> None:
    with start(folder, durable=False):
        os.kill(supervisor_of(folder), signal.SIGTERM)
        wait_until(lambda: not processes(folder))


def test_a_recycled_process_id_is_not_taken_for_a_server(folder: Path) -> None:
    child = launch_ready(folder)
    pid = postmaster_pid(folder / "cluster")
    assert pid is not None
    os.kill(supervisor_of(folder), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    kill(child)
    pid_file = folder / "cluster" / "postmaster.pid"
    owner = (folder / "cluster").stat()
    drop: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    # Postgres alone would believe this one, as it is alive and of the same account.
    innocent = subprocess.Popen(["sleep", "60"], cwd="/", **drop)
    try:
        pid_file.write_text(re.sub(r"^\d+", str(innocent.pid), pid_file.read_text()))
        with start(folder, durable=False) as server:
            assert query(server.dsn, "SELECT 1") == 1
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_a_forked_child_that_closes_leaves_the_server_to_its_parent(folder: Path) -> None:
    rest = """
child = os.fork()
if child == 0:
    server.close()
    os._exit(0)
os.waitpid(child, 0)
import asyncio, asyncpg
async def one():
    connection = await asyncpg.connect(server.dsn)
    print(await connection.fetchval("SELECT 1"))
    await connection.close()
asyncio.run(one())
"""
    said, failure = launch(folder, rest).communicate()
    assert said.splitlines()[1:] == ["1"], failure
    assert not processes(folder)


def test_removing_the_folder_first_leaves_nothing_behind() -> None:
    new = Path(tempfile.mkdtemp(prefix="nyx-gone-", dir="/tmp"))
    server = start(new, durable=False)
    shutil.rmtree(new)
    server.close()
    wait_until(lambda: not processes(new))


def test_a_durable_user_does_not_join_a_server_without_fsync(folder: Path) -> None:
    with start(folder, durable=False):
        with pytest.raises(DatabaseSetupFailed, match="runs without fsync"):
            start(folder)
        assert len(processes(folder)) == 2


def test_a_durable_start_first_brings_to_the_disk_what_was_written_without_fsync(folder: Path) -> None:
    assert (folder / "unsynced").exists()
    with start(folder) as server:
        assert query(server.dsn, "SHOW fsync") == "on"
        assert query(server.dsn, "SHOW full_page_writes") == "on"
        assert not (folder / "unsynced").exists()
    start(folder, durable=False).close()
    assert (folder / "unsynced").exists()
