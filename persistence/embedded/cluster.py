"""Making a cluster, once and whole, and the settings it runs with.

`initdb` works in a folder with a passing name that becomes `cluster` by one rename at the
end, so a torn one is never taken for a cluster. It runs with `--no-sync` (its thousand
fsyncs take seconds); a durable server syncs the file system once before it is started on
anything that was written without fsync.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DatabaseSetupFailed

if TYPE_CHECKING:
    from .account import Account
    from .binaries import Binaries
    from .layout import Layout

__all__ = [
    "DATABASE",
    "ROLE",
    "cluster_major",
    "make_cluster",
    "make_durable",
    "server_settings",
    "write_access",
]

ROLE = "nyx"
DATABASE = "nyx"

_TORN = "cluster.new."
_INITDB_OPTIONS = ("--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--auth=peer")
_SETUP_TIMEOUT_S = 120.0
_IO_METHOD_SINCE = 18


def server_settings(*, durable: bool, major: int) -> dict[str, str]:
    """Postgres settings for a small machine that the server shares with its users.

    `durable=False` turns everything off that outlives a power cut: for tests only. Data still
    survives the end and the `kill -9` of any process.
    """
    settings = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "port": "5432",
        "max_connections": "100",
        "shared_buffers": "64MB",
        "work_mem": "8MB",
        "maintenance_work_mem": "64MB",
        "effective_cache_size": "512MB",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "256MB",
        "min_wal_size": "80MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
    }
    if major >= _IO_METHOD_SINCE:
        settings["io_method"] = "sync"  # the default is three more processes
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return settings


def cluster_major(layout: Layout) -> int | None:
    """Major version of the existing cluster; None where there is none yet."""
    try:
        return int((layout.cluster / "PG_VERSION").read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not layout.cluster.exists():
            return None
        found = "no file PG_VERSION"
    except ValueError:
        found = "an unreadable PG_VERSION"
    raise DatabaseSetupFailed(
        f"{layout.cluster} is not a Postgres cluster",
        expected="a folder that initdb made",
        found=found,
        fix="restore the folder from a backup, or choose another data folder",
    )


def make_cluster(layout: Layout, binaries: Binaries, account: Account, *, gate: int) -> None:
    """Make the cluster with its role and database; the caller holds the gate (file descriptor `gate`).

    The programs inherit the gate: should this process be killed, the next starter waits for
    them to end before it clears up.

    Raises
    ------
    DatabaseSetupFailed : initdb failed; its own words are in `found`.
    """
    for torn in layout.home.glob(f"{_TORN}*"):
        shutil.rmtree(torn)
    new = Path(tempfile.mkdtemp(prefix=_TORN, dir=layout.home))
    try:
        if account.drops:
            os.chown(new, account.uid, account.gid)
        _run(
            [str(binaries.initdb), "-D", str(new), "-U", ROLE, *_INITDB_OPTIONS],
            account,
            gate,
        )
        _run(
            [str(binaries.postgres), "--single", "-F", "-D", str(new), "template1"],
            account,
            gate,
            text=f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n",
        )
        layout.unsynced.touch()
        new.rename(layout.cluster)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_access(layout: Layout, account: Account) -> None:
    """Say who may connect: this user and root, as the role of the database, by socket only.

    The socket asks the kernel who connects. The account that root dropped to is shared with other
    programs: it may not connect, and the files lie where it may only read them.
    """
    names = {"root"} if account.drops else {"root", account.name}
    idents = "".join(f'nyx "{name}" {ROLE}\n' for name in sorted(names))
    for path, text in ((layout.hba, "local all all peer map=nyx\n"), (layout.ident, idents)):
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        if account.drops:
            os.chown(new, -1, account.gid)
        new.chmod(0o640 if account.drops else 0o600)
        new.replace(path)


def make_durable(layout: Layout, binaries: Binaries, account: Account) -> None:
    """Bring a cluster to the disk that was written with fsync off."""
    if not layout.unsynced.exists():
        return
    if sys.platform == "linux":
        _sync_file_system(layout.home)
    else:
        _run([str(binaries.initdb), "--sync-only", "-D", str(layout.cluster)], account, None)
    layout.unsynced.unlink()
    folder = os.open(layout.home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sync_file_system(folder: Path) -> None:
    # One file system only: os.sync() would also wait for every slow disk of the machine.
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _run(command: list[str], account: Account, gate: int | None, text: str = "") -> None:
    try:
        finished = subprocess.run(  # noqa: S603 - Postgres's own programs, without a shell
            command,
            check=False,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SETUP_TIMEOUT_S,
            pass_fds=() if gate is None else (gate,),
            **account.popen_arguments(),
        )
        said, code = finished.stdout, finished.returncode
    except subprocess.TimeoutExpired:
        said, code = f"nothing for {_SETUP_TIMEOUT_S:.0f} s", -1
    if code != 0 or "ERROR:" in said or "FATAL:" in said:
        raise DatabaseSetupFailed(
            "the cluster of the embedded server could not be made",
            expected=f"{Path(command[0]).name} to succeed",
            found=f"exit code {code}: {' / '.join(said.strip().splitlines()[-8:])}",
            fix="look at what it says: often the disk is full, or the folder is read-only; nothing is left "
            "behind, so try again once that is repaired, or choose another data folder",
        )
