"""What the data folder may be, where the cluster lies, and who may reach it."""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nyx_learning.errors import DatabaseSetupFailed
from nyx_learning.persistence.embedded import find_binaries, layout, start
from nyx_learning.persistence.embedded.account import server_account
from nyx_learning.persistence.embedded.binaries import readable_binaries
from nyx_learning.persistence.embedded.locks import is_held

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")

STARTER = """
import sys
from pathlib import Path
from nyx_learning.persistence.embedded import start
start(Path(sys.argv[1]), durable=False)
"""

ORDINARY = """
import os, pwd, shutil, sys
from pathlib import Path
import nyx_learning.persistence.embedded.server as module
account = pwd.getpwnam("nobody")
os.setgroups([])
os.setresgid(*[account.pw_gid] * 3)
os.setresuid(*[account.pw_uid] * 3)
os.chdir("/")
# The interpreter that runs this has started; its supervisor's has to be one that nobody may start.
if not os.access(os.path.realpath(sys.executable), os.X_OK):
    sys.executable = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if not sys.executable:
        sys.exit(77)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="nyx-folder-", dir="/tmp"))
    yield made
    for lock in made.rglob("server.lock"):
        assert not is_held(lock)
    shutil.rmtree(made)


def query(dsn: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def as_nobody(rest: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", ORDINARY + rest, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 77:
        pytest.skip("no Python that the account nobody could run")
    return done


def test_a_torn_initdb_is_cleared_up_and_made_again(folder: Path) -> None:
    folder.chmod(0o711)

    def is_torn(home: Path) -> bool:
        child = subprocess.Popen([sys.executable, "-c", STARTER, str(home)])
        while child.poll() is None and not list(home.glob("cluster.new.*/global")):
            time.sleep(0.002)
        assert child.returncode in {None, 0}
        child.kill()
        child.wait()
        return not (home / "cluster").exists()  # else it was quicker than we

    home = next((home for home in (folder / str(i) for i in range(9)) if is_torn(home)), None)
    assert home is not None
    with start(home, durable=False) as server:
        assert query(server.dsn, "SELECT 1") == 1
    assert not list(home.glob("cluster.new.*"))


def test_a_path_too_long_for_a_socket_gets_a_private_short_one(folder: Path) -> None:
    folder.chmod(0o711)
    deep = folder / ("a" * 60) / ("b c,'ü" * 8)
    with start(deep, durable=False) as server, start(deep, durable=False) as again:
        assert server.dsn == again.dsn
        assert query(server.dsn, "SELECT 1") == 1
        assert server.home == deep
        short = Path(server.dsn.split("host=")[1].split("&")[0])
        assert short.parent == Path("/tmp")  # noqa: S108 - where the short one is
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
    short.rmdir()
    stranger = short
    stranger.mkdir(mode=0o755)
    stranger.chmod(0o777)
    try:
        with pytest.raises(DatabaseSetupFailed, match="not private"):
            start(deep, durable=False)
    finally:
        stranger.rmdir()


def test_a_folder_with_other_things_is_refused_and_left_as_it_is(folder: Path) -> None:
    (folder / "thesis.txt").write_text("mine")
    folder.chmod(0o755)
    with pytest.raises(DatabaseSetupFailed, match="not a data folder") as caught:
        start(folder)
    assert "thesis.txt" in caught.value.found
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_file_instead_of_a_folder_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(DatabaseSetupFailed, match="cannot be used"):
        start(folder / "file")


def test_another_major_version_is_refused_by_name(folder: Path) -> None:
    cluster = folder / "cluster"
    cluster.mkdir()
    (folder / "gate.lock").touch()
    (cluster / "PG_VERSION").write_text("9\n")
    if os.geteuid() == 0:
        owner = pwd.getpwnam("nobody")
        os.chown(cluster, owner.pw_uid, owner.pw_gid)
    with pytest.raises(DatabaseSetupFailed, match="made by Postgres 9") as caught:
        start(folder)
    assert "NYX_POSTGRES_BIN" in caught.value.fix
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


def test_a_full_disk_is_reported_in_the_words_of_initdb(folder: Path) -> None:
    (folder / "bin").mkdir()
    folder.chmod(0o755)
    for name, script in (
        ("postgres", "echo 'postgres (PostgreSQL) 18.4'"),
        ("initdb", "echo 'initdb: error: could not write: No space left on device'; exit 1"),
    ):
        (folder / "bin" / name).write_text(
            f"#!/bin/sh\n[ \"$1\" = --version ] && exec echo '(PostgreSQL) 18.4'\n{script}\n"
        )
        (folder / "bin" / name).chmod(0o755)
    with pytest.raises(DatabaseSetupFailed, match="No space left on device"):
        start(folder / "data", binaries=folder / "bin")
    assert not list((folder / "data").glob("cluster*"))


@root_only
def test_roots_server_runs_as_another_account_that_may_not_connect(folder: Path) -> None:
    with start(folder, durable=False) as server:
        owner = (folder / "cluster").stat().st_uid
        assert owner != 0
        account = server_account([folder / "cluster"])
        assert (account.uid, account.drops) == (owner, True)
        assert query(server.dsn, "SELECT current_user") == "nyx"
        assert (folder / "users.lock").stat().st_uid == 0
        psql = find_binaries(None).folder / "psql"
        address = f"host={folder}/run user=nyx dbname=nyx"
        said = subprocess.run(
            [psql, "-X", address, "-c", "SELECT 1"],
            check=False,
            capture_output=True,
            text=True,
            **account.popen_arguments(),
        )
        assert 'Peer authentication failed for user "nyx"' in said.stderr
        other = pwd.getpwnam("daemon")
        denied = subprocess.run(
            ["ls", folder / "run"],
            check=False,
            capture_output=True,
            user=other.pw_uid,
            group=other.pw_gid,
            extra_groups=[],
        )
        assert denied.returncode != 0


@root_only
def test_where_the_account_cannot_go_the_cluster_lies_in_the_system_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = folder / "system"
    monkeypatch.setattr(layout, "SYSTEM_FOLDER", system)
    folder.chmod(0o711)
    home = folder / "root"
    home.mkdir(mode=0o700)
    data = home / "deep" / "data"
    with start(data, durable=False) as server:
        assert server.data_folder == data
        assert server.home.parent == system
        query(server.dsn, "CREATE TABLE kept AS SELECT 41 AS value")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert str(server.home) in (data / "WHERE.txt").read_text()
    # Opened up by somebody, later: the data is still found, no second cluster is made.
    home.chmod(0o755)
    with start(data, durable=False) as again:
        assert again.home == server.home
        assert query(again.dsn, "SELECT value FROM kept") == 41


@root_only
def test_programs_that_the_account_cannot_read_are_copied_once(folder: Path) -> None:
    found = find_binaries(None)
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    folder.chmod(0o711)
    package = found.folder.parent.parent
    if found.source != "wheel":
        pytest.skip("the wheel with programs that can be moved is not installed")
    shutil.copytree(found.folder.parent, closed / package.name / found.folder.parent.name)
    if (libraries := package.parent / f"{package.name}.libs").exists():
        shutil.copytree(libraries, closed / libraries.name)
    programs = closed / package.name / found.folder.parent.name / "bin"
    with start(folder / "data", binaries=programs, durable=False) as server:
        assert query(server.dsn, "SELECT 1") == 1
    (copy,) = (folder / "data" / "binaries").rglob("bin/postgres")
    before = copy.stat()
    assert before.st_uid == 0
    account = server_account([folder / "data" / "cluster"])
    again = readable_binaries(find_binaries(programs), account, folder / "data")
    assert again.postgres == copy
    assert copy.stat().st_ino == before.st_ino
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@root_only
def test_an_ordinary_user_runs_the_server_as_itself(folder: Path) -> None:
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    done = as_nobody(
        """
with module.start(Path(sys.argv[1]), durable=False) as server:
    print(server.version, (server.home / "cluster").stat().st_uid == os.getuid(), server.dsn)
    module.start(Path(sys.argv[1]), durable=False)
""",
        str(folder),
    )
    assert done.returncode == 0, done.stderr
    version, own, dsn = done.stdout.split()
    assert int(version) >= 14
    assert own == "True"
    assert f"{folder}/run" in dsn
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not is_held(folder / "server.lock")
    with pytest.raises(DatabaseSetupFailed, match="belongs to another user"):
        start(folder)


@root_only
def test_an_ordinary_user_meets_a_read_only_folder(folder: Path) -> None:
    folder.chmod(0o555)
    done = as_nobody("module.start(Path(sys.argv[1]) / 'data')", str(folder))
    assert done.returncode == 1
    assert "database_setup_failed" in done.stderr
    assert "Permission denied" in done.stderr
    assert not list(folder.iterdir())
